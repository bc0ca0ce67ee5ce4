//! Names of channels and users, checked once where they enter.
//!
//! In: text a client or an application sent. Out: a name in canonical form, or why it is none. Nothing
//! behind this file looks at the characters again.

pub use crate::config::pattern::NAME_BYTES_MAX;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// Nothing at all.
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    TooLong,
    /// A slash in front or at the end, or two in a row.
    EmptySegment,
    /// A control character.
    Control,
    /// A segment `*` or `**`: patterns are not names.
    Pattern,
}

impl NameError {
    /// The cause and the cure.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Empty => "a name must not be empty",
            Self::TooLong => "a name has at most 255 bytes",
            Self::EmptySegment => {
                "a channel is segments joined by single slashes, as in chat/room1"
            }
            Self::Control => "a name holds no control characters",
            Self::Pattern => {
                "* and ** stand only at the end of what is subscribed to; name one channel"
            }
        }
    }
}

/// In front of the names of the node's own channels, by which the application is told of events. No name that enters
/// begins with a slash, so nobody outside reads or writes them.
const OWN: &str = "/orbit/";
/// A session began, or took another user's name.
pub const SIGNON: &str = "/orbit/signon";
/// A session ended.
pub const SIGNOFF: &str = "/orbit/signoff";
/// A client said something to the application.
pub const MESSAGE: &str = "/orbit/message";
/// A message arrived, of which the application wanted to know that.
pub const DELIVERED: &str = "/orbit/delivered";
/// A message of which the application wanted to know was refused by who got it.
pub const FAILED: &str = "/orbit/failed";
/// A channel has its first subscriber.
pub const OCCUPIED: &str = "/orbit/occupied";
/// A channel has no subscriber any more.
pub const VACATED: &str = "/orbit/vacated";
/// The channels of all events.
pub const EVENTS: [&str; 7] = [
    SIGNON, SIGNOFF, MESSAGE, DELIVERED, FAILED, OCCUPIED, VACATED,
];

/// The channel of the event called `event`, as in `signoff`.
#[must_use]
pub fn of_event(event: &str) -> Option<&'static str> {
    let mut all = EVENTS.into_iter();
    all.find(|name| name.strip_prefix(OWN) == Some(event))
}

/// Whether a channel is the node's own.
#[must_use]
pub fn is_own(name: &str) -> bool {
    name.starts_with('/')
}

/// Checks a channel's name: UTF-8 segments joined by `/`, none empty, none a wildcard.
///
/// # Errors
/// [`NameError`].
pub fn channel(text: &str) -> Result<&str, NameError> {
    user(text)?;
    for segment in text.split('/') {
        match segment {
            "" => return Err(NameError::EmptySegment),
            "*" | "**" => return Err(NameError::Pattern),
            _ => {}
        }
    }
    Ok(text)
}

/// Checks what may be subscribed to: a channel, or a pattern: a channel's name whose last segment is `*` (one segment)
/// or `**` (one or more).
///
/// # Errors
/// [`NameError`].
pub fn topic(text: &str) -> Result<&str, NameError> {
    match text.rsplit_once('/') {
        Some((front, "*" | "**")) => channel(front).and_then(|_| user(text)),
        None if is_pattern(text) => Ok(text),
        _ => channel(text),
    }
}

/// Whether a checked topic is a pattern.
#[must_use]
pub fn is_pattern(topic: &str) -> bool {
    matches!(topic.rsplit('/').next(), Some("*" | "**"))
}

/// Checks a user's name: any text without control characters.
///
/// # Errors
/// [`NameError`].
pub fn user(text: &str) -> Result<&str, NameError> {
    match text {
        "" => Err(NameError::Empty),
        _ if text.len() > NAME_BYTES_MAX => Err(NameError::TooLong),
        _ if text.chars().any(char::is_control) => Err(NameError::Control),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_that_may_be_posted_has_its_channel_and_no_other_has() {
        let named = crate::config::callback::EVENTS.iter();
        let named: Vec<_> = named.filter_map(|event| of_event(event)).collect();
        assert_eq!(named, EVENTS);
        assert_eq!(of_event("signof"), None);
    }

    #[test]
    fn only_canonical_names_are_channels() {
        assert_eq!(channel("chat/räume/1"), Ok("chat/räume/1"));
        for (text, error) in [
            ("", NameError::Empty),
            ("/chat", NameError::EmptySegment),
            ("chat/", NameError::EmptySegment),
            ("a//b", NameError::EmptySegment),
            ("a\nb", NameError::Control),
            ("a/*", NameError::Pattern),
            ("**", NameError::Pattern),
        ] {
            assert_eq!(channel(text), Err(error), "{text:?}");
        }
        assert_eq!(channel(&"/x".repeat(200)), Err(NameError::TooLong));
    }
}
