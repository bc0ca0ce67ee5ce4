//! The permanent variables of a CSP session (1.2), capped and checked when they are set.
//!
//! In: `name=value` pairs of a request. Out: the settings the HTTP writer reads when it writes. Text that a
//! client chooses comes back on the operator's origin, so what may stand where is decided here, once.

use super::rows::{Endless, ROWS, Row};
use crate::metrics::Kind;

/// A session's transport settings. Sessions with equal ones share one (see `session::profiles`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Profile {
    /// `du`: seconds a request may be held, 0 to [`DURATION_S_MAX`]; 0 is poll mode.
    pub duration_s: u16,
    /// `is`: the response stays open over many batches.
    pub streaming: bool,
    /// `i`: seconds of silence after which a stream gets an empty batch; 0 is never.
    pub interval_s: u16,
    /// `ps`: blanks in front of each comet body, at most [`PREBUFFER_MAX`].
    pub prebuffer: u32,
    /// `g`: gzip allowed. Kept since a change completes a held request; this server never compresses.
    pub gzip: bool,
    /// `se`: event ids after each batch.
    pub sse: bool,
    /// `ct`: the type of every answer.
    pub content_type: ContentType,
    /// Whether `p`, `bp`, `bs` and the type are the server's own row (iframe, htmlfile, multipart).
    pub own: bool,
    /// `rp`: before the result of handshake, send and close.
    pub request_prefix: Box<[u8]>,
    /// `rs`: after it.
    pub request_suffix: Box<[u8]>,
    /// `p`: once per comet response.
    pub preamble: Box<[u8]>,
    /// `bp`: before each batch.
    pub batch_prefix: Box<[u8]>,
    /// `bs`: after each batch.
    pub batch_suffix: Box<[u8]>,
    /// Of a response that only the end of its connection ends; no client may ask for it.
    pub endless: Option<Endless>,
}

/// The types a client may ask for: a short list, since the type decides what a browser does with the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentType {
    /// CSP's default.
    TextHtml,
    /// Never rendered, never run.
    TextPlain,
    /// Server-sent events.
    EventStream,
    /// js.io's choice.
    ApplicationJavascript,
    /// The same by its registered name (RFC 9239).
    TextJavascript,
    /// JSON.
    ApplicationJson,
    /// Opera's name for server-sent events.
    DomEventStream,
    /// A JSON text per line; no client may ask for it by `ct`.
    Ndjson,
    /// The multipart row's; no client may ask for it by `ct`.
    Multipart,
    /// Messages of Orbited 0.3 between its boundaries; no client may ask for it by `ct`.
    OrbitedStream,
    /// The same in parts; no client may ask for it by `ct`.
    OrbitedParts,
}

/// Why a request's variables were refused; nothing of them is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableError {
    /// A text of more than [`TEXT_MAX`] bytes.
    TooLong,
    /// A script type with a prefix that is no callback, or a suffix that is more than an end of statement.
    NotACallback,
    /// `transport=` names no row.
    UnknownTransport,
}

impl Default for Profile {
    fn default() -> Self {
        let none = Box::<[u8]>::default;
        Self {
            duration_s: 30,
            streaming: false,
            interval_s: 0,
            prebuffer: 0,
            gzip: false,
            sse: false,
            content_type: ContentType::TextHtml,
            own: false,
            request_prefix: none(),
            request_suffix: none(),
            preamble: none(),
            batch_prefix: none(),
            batch_suffix: none(),
            endless: None,
        }
    }
}

impl Profile {
    /// Applies one variable. Names that are none are passed over; a number or type that does not parse
    /// leaves the old value (1.2); an empty text resets to empty.
    ///
    /// # Errors
    /// A text over the cap, or a transport that is not in the table.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), VariableError> {
        match name {
            b"du" => keep(
                &mut self.duration_s,
                number(value).map(|n| n.min(DURATION_S_MAX.into()) as u16),
            ),
            b"is" => self.streaming = value == b"1",
            b"i" => keep(
                &mut self.interval_s,
                number(value).map(|n| n.min(INTERVAL_S_MAX.into()) as u16),
            ),
            b"ps" => keep(
                &mut self.prebuffer,
                number(value).map(|n| n.min(PREBUFFER_MAX.into()) as u32),
            ),
            b"g" => self.gzip = value == b"1",
            b"se" => self.sse = value == b"1",
            b"ct" => self.set_content_type(value),
            b"rp" => self.request_prefix = text(value)?,
            b"rs" => self.request_suffix = text(value)?,
            b"p" => self.preamble = self.wrapping(value)?,
            b"bp" => self.batch_prefix = self.wrapping(value)?,
            b"bs" => self.batch_suffix = self.wrapping(value)?,
            b"transport" => self.set_row(value)?,
            _ => {}
        }
        Ok(())
    }

    /// The variables that [`Profile::set`] takes.
    #[rustfmt::skip]
    pub const NAMES: [&'static str; 13] =
        ["du", "is", "i", "ps", "g", "se", "ct", "rp", "rs", "p", "bp", "bs", "transport"];

    /// Checks the settings as a whole, after all variables of a request are applied: under a script type
    /// text stands only where a call stands (a callback's path in front, an end of statement behind).
    ///
    /// # Errors
    /// [`VariableError::NotACallback`].
    pub fn check(&self) -> Result<(), VariableError> {
        if !self.content_type.is_script() {
            return Ok(());
        }
        let callbacks = is_callback(&self.request_prefix) && is_callback(&self.batch_prefix);
        let ends =
            is_end(&self.request_suffix) && is_end(&self.batch_suffix) && self.preamble.is_empty();
        if callbacks && ends {
            Ok(())
        } else {
            Err(VariableError::NotACallback)
        }
    }

    /// The type of a comet response. Text that a client chose is not sent as HTML unless the operator said
    /// so (`--legacy-html`): it goes out as plain text, which every script that reads it takes the same way.
    #[must_use]
    pub fn comet_type(&self, legacy_html: bool) -> ContentType {
        let texts = [&self.preamble, &self.batch_prefix, &self.batch_suffix];
        self.safe_type(legacy_html || self.own || texts.iter().all(|text| text.is_empty()))
    }

    /// The type of the answer to handshake, send and close, by the same rule.
    #[must_use]
    pub fn result_type(&self, legacy_html: bool) -> ContentType {
        self.safe_type(
            legacy_html || (self.request_prefix.is_empty() && self.request_suffix.is_empty()),
        )
    }

    fn safe_type(&self, html_allowed: bool) -> ContentType {
        match self.content_type {
            // A part of a multipart answer may be HTML too.
            ContentType::TextHtml | ContentType::Multipart if !html_allowed => {
                ContentType::TextPlain
            }
            kind => kind,
        }
    }

    /// Whether an empty request body mode applies: `du` 0, in which `is` counts as 0.
    #[must_use]
    pub fn is_poll(&self) -> bool {
        self.duration_s == 0
    }

    /// Whether the response stays open over many batches.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.streaming && !self.is_poll()
    }

    /// What to call the downstream these settings make.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match () {
            () if self.sse => Kind::Sse,
            () if self.streams() => Kind::Stream,
            () if self.is_poll() => Kind::Poll,
            () if self.content_type.is_script() && !self.batch_prefix.is_empty() => Kind::Jsonp,
            () => Kind::LongPoll,
        }
    }

    /// Bytes held on the heap, itself among them.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let results = self.request_prefix.len() + self.request_suffix.len();
        let batches = self.preamble.len() + self.batch_prefix.len() + self.batch_suffix.len();
        size_of::<Self>() + results + batches
    }

    /// Text around batches; from now on the wrapping is not the server's own any more.
    fn wrapping(&mut self, value: &[u8]) -> Result<Box<[u8]>, VariableError> {
        self.own = false;
        text(value)
    }

    fn set_content_type(&mut self, value: &[u8]) {
        let found = ContentType::ASKED_FOR
            .into_iter()
            .find(|(name, _)| name.as_bytes() == value);
        match found {
            Some((_, kind)) => self.content_type = kind,
            None if value.is_empty() => self.content_type = ContentType::TextHtml,
            None => return,
        }
        self.own = false;
    }

    fn set_row(&mut self, value: &[u8]) -> Result<(), VariableError> {
        let row = ROWS
            .iter()
            .find(|row| row.name.as_bytes() == value)
            .ok_or(VariableError::UnknownTransport)?;
        self.take(row);
        Ok(())
    }

    /// The settings of a row.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        let mut profile = Self::default();
        profile.take(row);
        profile
    }

    fn take(&mut self, row: &Row) {
        self.streaming = row.streaming;
        self.duration_s = row.duration_s;
        self.prebuffer = row.prebuffer;
        self.sse = row.sse;
        self.content_type = row.content_type;
        self.preamble = row.preamble.as_bytes().into();
        if let Some(prefix) = row.batch_prefix {
            self.batch_prefix = prefix.as_bytes().into();
        }
        self.batch_suffix = row.batch_suffix.as_bytes().into();
        self.endless = row.endless;
        if row.endless.is_some() {
            self.interval_s = PING_S;
        }
        self.own = matches!(
            row.content_type,
            ContentType::TextHtml | ContentType::Multipart
        );
    }
}

impl ContentType {
    const ASKED_FOR: [(&'static str, ContentType); 7] = [
        ("text/html", ContentType::TextHtml),
        ("text/plain", ContentType::TextPlain),
        ("text/event-stream", ContentType::EventStream),
        ("application/javascript", ContentType::ApplicationJavascript),
        ("text/javascript", ContentType::TextJavascript),
        ("application/json", ContentType::ApplicationJson),
        (
            "application/x-dom-event-stream",
            ContentType::DomEventStream,
        ),
    ];

    /// The header's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        let listed = Self::ASKED_FOR.iter().find(|(_, kind)| *kind == self);
        match (listed, self) {
            (Some((name, _)), _) => name,
            (None, Self::Ndjson) => "application/x-ndjson",
            (None, Self::OrbitedStream) => "application/x-orbited-event-stream",
            (None, Self::OrbitedParts) => "multipart/x-mixed-replace;boundary=\"orbited--\"",
            (None, _) => "multipart/x-mixed-replace;boundary=\"csp\"",
        }
    }

    /// Whether a browser runs it.
    #[must_use]
    pub fn is_script(self) -> bool {
        matches!(self, Self::ApplicationJavascript | Self::TextJavascript)
    }
}

/// Seconds of silence after which Orbited 0.3 said something.
const PING_S: u16 = 60;

fn keep<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

/// Digits only, as `str::parse` would take a sign. An empty value is the default of numbers that have 0.
fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 9 {
        return None;
    }
    value.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

fn text(value: &[u8]) -> Result<Box<[u8]>, VariableError> {
    if value.len() > TEXT_MAX {
        Err(VariableError::TooLong)
    } else {
        Ok(value.into())
    }
}

/// Whether `text` may be the name of a function that a script calls: a path of names, or nothing.
#[must_use]
pub fn is_callback(text: &[u8]) -> bool {
    text.len() <= CALLBACK_MAX
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.'))
}

fn is_end(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| matches!(byte, b';' | b'\r' | b'\n' | b' '))
}

/// Longest a request may be held: js.io gives a session up after 45 s without an answer (1.9).
pub const DURATION_S_MAX: u16 = 60;
/// Longest silence a client may ask for; a stream ends after `du` anyway.
pub const INTERVAL_S_MAX: u16 = 3600;
/// Largest prebuffer: one original server stops answering at 100,000,000 blanks.
pub const PREBUFFER_MAX: u32 = 64 * 1024;
/// Longest client-chosen text.
pub const TEXT_MAX: usize = 1024;
/// Longest callback path (1.12).
pub const CALLBACK_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Profile {
        let mut profile = Profile::default();
        for (name, value) in pairs {
            profile.set(name.as_bytes(), value.as_bytes()).unwrap();
        }
        profile
    }

    #[test]
    fn numbers_are_capped_and_nonsense_keeps_the_old_value() {
        let profile = with(&[
            ("du", "7"),
            ("du", "abc"),
            ("du", "-1"),
            ("ps", "100000000"),
            ("i", "+5"),
        ]);
        assert_eq!(
            (profile.duration_s, profile.prebuffer, profile.interval_s),
            (7, PREBUFFER_MAX, 0)
        );
        assert_eq!(with(&[("du", "900")]).duration_s, DURATION_S_MAX);
    }

    #[test]
    fn booleans_are_true_only_for_1_and_empty_text_resets() {
        assert!(!with(&[("is", "1"), ("is", "true")]).streaming);
        assert!(with(&[("p", "x"), ("p", "")]).preamble.is_empty());
        assert_eq!(&*with(&[("rs", ";")]).request_suffix, b";");
    }

    #[test]
    fn a_type_outside_the_list_is_ignored() {
        let profile = with(&[("ct", "application/json"), ("ct", "image/svg+xml\r\nX: y")]);
        assert_eq!(profile.content_type, ContentType::ApplicationJson);
    }

    #[test]
    fn a_script_type_takes_only_callbacks_in_front_and_ends_behind() {
        let script = ("ct", "application/javascript");
        assert_eq!(
            with(&[script, ("bp", "jio.cb_1$"), ("bs", ";")]).check(),
            Ok(())
        );
        for (name, value) in [
            ("bp", "alert(1)//"),
            ("rp", "<b>"),
            ("p", "x"),
            ("bs", ";alert(1)"),
        ] {
            assert_eq!(
                with(&[script, (name, value)]).check(),
                Err(VariableError::NotACallback)
            );
        }
    }

    #[test]
    fn client_text_is_not_html_unless_the_operator_said_so() {
        let profile = with(&[("bp", "<script>")]);
        assert_eq!(profile.comet_type(false), ContentType::TextPlain);
        assert_eq!(profile.comet_type(true), ContentType::TextHtml);
        assert_eq!(Profile::default().comet_type(false), ContentType::TextHtml);
        let iframe = with(&[("transport", "iframe"), ("rp", "<script>")]);
        assert_eq!(iframe.comet_type(false), ContentType::TextHtml);
        assert_eq!(iframe.result_type(false), ContentType::TextPlain);
    }

    #[test]
    fn client_text_is_not_a_part_of_a_multipart_answer_either() {
        let profile = with(&[
            ("transport", "multipart"),
            ("rp", "--csp\r\nContent-Type: text/html"),
        ]);
        assert_eq!(profile.result_type(false), ContentType::TextPlain);
        let profile = with(&[
            ("transport", "multipart"),
            ("bp", "Content-Type: text/html"),
        ]);
        assert_eq!(profile.comet_type(false), ContentType::TextPlain);
    }

    #[test]
    fn client_text_after_a_row_of_the_servers_own_is_client_text_again() {
        let profile = with(&[("transport", "iframe"), ("bp", "<script>evil")]);
        assert_eq!(profile.comet_type(false), ContentType::TextPlain);
    }
}
