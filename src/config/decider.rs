//! Whom the application asks to decide by HTTP, as text, both ways.
//!
//! In: `http://127.0.0.1:5000/decide events=signon,subscribe fail=open lanes=4`. Out: a [`Decider`], or what is wrong with
//! the text and the cure. What is asked there, and when, is the node's business.

use super::callback::{BadCallback, Callback, malformed};
use super::units;
use std::fmt;

/// A URL that is asked before something is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    /// Where, and about what: of [`MATTERS`].
    pub to: Callback,
    /// What nobody answers is let through.
    pub fails_open: bool,
    /// Questions under way at once at most, each on a connection of its own.
    pub lanes: usize,
}

impl Decider {
    /// Reads a URL and its settings, with blanks between them.
    ///
    /// # Errors
    /// [`BadCallback`], of the first word that is wrong.
    pub fn parse(text: &str) -> Result<Self, BadCallback> {
        let (mut fails_open, mut lanes, mut rest) = (None, None, Vec::new());
        for word in text.split_ascii_whitespace() {
            let wrong = |misread| BadCallback::Value {
                text: word.to_owned(),
                misread,
            };
            match word.split_once('=') {
                Some(("fail", _)) if fails_open.is_some() => return Err(again("fail")),
                Some(("fail", "open")) => fails_open = Some(true),
                Some(("fail", "closed")) => fails_open = Some(false),
                Some(("fail", _)) => return Err(wrong(malformed("open or closed"))),
                Some(("lanes", _)) if lanes.is_some() => return Err(again("lanes")),
                Some(("lanes", value)) => {
                    lanes = Some(units::count(value, 1, LANES_MAX).map_err(wrong)? as usize);
                }
                Some(("batch", _)) => return Err(BadCallback::BatchOfQuestions),
                _ => rest.push(word),
            }
        }
        Ok(Self {
            to: Callback::parse_for(&rest.join(" "), MATTERS)?,
            fails_open: fails_open.unwrap_or(false),
            lanes: lanes.unwrap_or(LANES),
        })
    }

    /// Whether it decides about `matter`.
    #[must_use]
    pub fn decides(&self, matter: &str) -> bool {
        self.to.events.contains(&matter)
    }
}

fn again(key: &'static str) -> BadCallback {
    BadCallback::Repeated { key }
}

/// The text that is read back as the same.
impl fmt::Display for Decider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, events) = (self.to.url(), self.to.events.join(","));
        let form = if self.to.form { "form" } else { "json" };
        let fail = if self.fails_open { "open" } else { "closed" };
        let lanes = self.lanes;
        write!(
            out,
            "{url} events={events} as={form} fail={fail} lanes={lanes}"
        )
    }
}

/// What is decided: that a session begins or takes a name, reads a channel, publishes to one; what a call comes to.
pub const MATTERS: &[&str] = &["signon", "subscribe", "publish", "call"];
/// What a decider must look like.
pub const DECIDER_FORM: &str = "http://HOST[:PORT]/PATH or http://unix:SOCKET:/PATH, and behind it events=LIST as=json|form fail=closed|open lanes=N";
/// As many as a small application has workers.
const LANES: usize = 8;
const LANES_MAX: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decider_is_read_and_shown_as_the_same() {
        let shown = |text| Decider::parse(text).map(|it| it.to_string());
        assert_eq!(
            shown("http://app/d").unwrap(),
            "http://app/d events=signon,subscribe,publish,call as=json fail=closed lanes=8"
        );
        let whole = "http://app/d events=call as=form fail=open lanes=1";
        assert_eq!(shown(whole).unwrap(), whole);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let no = |text| Decider::parse(text).unwrap_err().to_string();
        assert!(no("http://app/ fail=maybe").contains("open or closed"));
        assert!(no("http://app/ lanes=0").contains("lanes=0"));
        assert!(no("http://app/ lanes=1 lanes=2").contains("lanes may be there once"));
        assert!(no("http://app/ events=signof").contains("did you mean signon"));
        assert!(no("http://app/ batch=2").contains("one question"));
        assert!(no("https://app/").contains("https is not"));
    }
}
