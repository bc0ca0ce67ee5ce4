//! An event of 1.0: what is sent to whom, and the answers.
//!
//! In: its head and its body. Out: the event, or `None`; and the bytes of `Success` and `Failure`, as the clients of 2008 read
//! them.

use super::frames::{lines, text};

/// What is sent to some recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What its sender calls it; echoed.
    pub id: String,
    /// Its recipients as they were written: `user, session, /location`.
    pub recipients: Vec<String>,
    /// What they are sent.
    pub body: Vec<u8>,
}

impl Event {
    /// Reads the lines in front of the blank one; `None` where they are no event.
    #[must_use]
    pub fn parse(head: &[u8], body: &[u8]) -> Option<Self> {
        let mut lines = lines(head).map(text);
        let version = lines.next()??;
        if !OPENINGS.iter().any(|opening| version.starts_with(opening)) {
            return None;
        }
        let action = lines.next()??.trim();
        if !action.eq_ignore_ascii_case("Event") {
            return None;
        }
        let mut event = Self {
            id: String::new(),
            recipients: Vec::new(),
            body: body.to_owned(),
        };
        for line in lines {
            let (name, value) = line?.split_once(':')?;
            match name.trim().to_ascii_lowercase().as_str() {
                "id" => event.id = value.trim().to_owned(),
                "recipient" => event.recipients.push(value.trim().to_owned()),
                _ => {}
            }
        }
        Some(event)
    }
}

/// The three parts of a recipient: user, session, location. `None` for what has not three.
#[must_use]
pub fn parts(recipient: &str) -> Option<[&str; 3]> {
    // A user's name may hold a comma, a location none.
    let mut parts = recipient.rsplitn(3, ',').map(str::trim);
    let (location, session, user) = (parts.next()?, parts.next()?, parts.next()?);
    Some([user, session, location])
}

/// Every recipient was reached.
#[must_use]
pub fn success(id: &str) -> Vec<u8> {
    format!("Success\r\nid: {id}\r\n\r\n").into_bytes()
}

/// Some recipients were not reached: these.
#[must_use]
pub fn failure<'a>(id: &str, msg: &str, failed: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut out = format!("Failure\r\nid: {id}\r\nmsg: {msg}\r\n");
    for recipient in failed {
        let listed = parts(recipient).map(|parts| parts.join(", "));
        let listed = listed.as_deref().unwrap_or(recipient);
        out.push_str(&format!("recipient: ({listed})\r\n"));
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// How the first line begins: with a slash in the server's code of the time, with a blank in what every client sent.
pub(super) const OPENINGS: [&str; 2] = ["Orbit ", "Orbit/"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_what_pyorbited_was_told() {
        assert_eq!(success("1"), b"Success\r\nid: 1\r\n\r\n");
        let failed = ["ghost, 0, /chat", "odd"];
        let told = failure("2", "Failed", failed.into_iter());
        assert_eq!(
            String::from_utf8(told).unwrap(),
            "Failure\r\nid: 2\r\nmsg: Failed\r\nrecipient: (ghost, 0, /chat)\r\nrecipient: (odd)\r\n\r\n"
        );
    }

    #[test]
    fn a_recipient_has_three_parts() {
        assert_eq!(parts("a, 0, /chat"), Some(["a", "0", "/chat"]));
        assert_eq!(parts("a,b, 0, /chat"), Some(["a,b", "0", "/chat"]));
        assert_eq!(parts("a, /chat"), None);
    }
}
