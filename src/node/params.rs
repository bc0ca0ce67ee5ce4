//! The variables of a CSP request, from wherever the client put them (csp.md 1.3).
//!
//! In: a request. Out: what is for this request alone (`s`, `a`, `d`), and the session's settings to change.
//! Five generations of clients encode their requests in five ways; behind this file there is one.

use crate::http::request::{Method, Request};
use crate::http::{forms, url::Query};
use crate::session::SessionKey;
use crate::transport::Profile;
use std::borrow::Cow;

/// A CSP request's variables.
#[derive(Debug, Default)]
pub struct Params<'a> {
    /// `s`: the session.
    pub key: Option<SessionKey>,
    /// The header `Last-Event-ID`, or `a`: the last packet the client has. `None` for none, also for text
    /// that is no number.
    pub ack: Option<u64>,
    /// `d`: data. Whatever was in the body beats the query.
    pub data: Option<Cow<'a, [u8]>>,
    /// Settings, in the order given.
    settings: Vec<Setting<'a>>,
}

/// A variable's name and value.
type Setting<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'a> Params<'a> {
    /// Reads a request.
    #[must_use]
    pub fn of(request: &Request<'a>) -> Self {
        let mut params = Self::default();
        Query::new(request.query).for_each(|(name, value)| params.take(name, value));
        if request.method == Method::Post && !request.body.is_empty() {
            if forms::is_form(request.body, &OWN) || forms::is_form(request.body, &Profile::NAMES) {
                forms::pairs(request.body).for_each(|(name, value)| params.take(name, value));
            } else {
                params.data = Some(Cow::Borrowed(request.body));
            }
        }
        let last = request.headers.first("last-event-id").and_then(number);
        params.ack = last.or(params.ack);
        params
    }

    /// Every value of a variable of another protocol's request.
    #[must_use]
    pub fn other(request: &Request<'a>, wanted: &str) -> Vec<String> {
        let found = Query::new(request.query).filter(|(name, _)| **name == *wanted.as_bytes());
        found
            .map(|(_, value)| String::from_utf8_lossy(&value).into_owned())
            .collect()
    }

    /// The last value of such a variable in the query, else its first in a form.
    #[must_use]
    pub fn asked(request: &Request<'a>, wanted: &str) -> Option<String> {
        Self::other(request, wanted).pop().or_else(|| {
            let body = (request.method == Method::Post).then_some(request.body)?;
            let mut found = forms::pairs(body).filter(|(name, _)| **name == *wanted.as_bytes());
            let (_, value) = found.next()?;
            Some(String::from_utf8_lossy(&value).into_owned())
        })
    }

    /// Whether any setting is given.
    #[must_use]
    pub fn has_settings(&self) -> bool {
        !self.settings.is_empty()
    }

    /// `profile` with the settings of this request.
    ///
    /// # Errors
    /// The first setting that is refused; then none holds.
    pub fn apply(&self, profile: &Profile) -> Result<Profile, crate::transport::VariableError> {
        let mut changed = profile.clone();
        for (name, value) in &self.settings {
            changed.set(name, value)?;
        }
        changed.check()?;
        Ok(changed)
    }

    fn take(&mut self, name: Cow<'a, [u8]>, value: Cow<'a, [u8]>) {
        match &*name {
            b"s" => self.key = SessionKey::parse(&value),
            b"a" => self.ack = number(&value),
            b"d" => self.data = Some(value),
            name if Profile::NAMES.iter().any(|known| known.as_bytes() == name) => {
                self.settings.push((name.to_vec().into(), value))
            }
            _ => {}
        }
    }
}

/// Digits only: a sign, a blank or nothing is no acknowledgement.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    digits.then(|| {
        text.iter()
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
    })
}

/// The variables beside the settings, by which a form body is told from a raw batch too.
const OWN: [&str; 4] = ["s", "a", "d", "n"];
