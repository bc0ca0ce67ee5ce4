//! Destinations as STOMP writes them, and what they are here.
//!
//! In: the text of a `destination` header. Out: a channel, a user, a session, the application. Behind its prefix a name may be
//! percent-encoded, as brokers have it; a channel's segments are joined by slashes, as its name here is.

use crate::hub::names;
use crate::mem::Publication;
use crate::service::refusal::Refusal;
use crate::session::{SessionKey, Sub};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// What a destination names.
#[derive(Debug)]
pub enum Destination<'a> {
    /// `/topic/CHANNEL`: a channel, or to subscribe to a pattern.
    Topic(Cow<'a, str>),
    /// `/user/self`, `/user/queue/…`, `/session/self`: what is sent to the client itself.
    Own,
    /// `/user/USER`: all sessions of a user.
    User(Cow<'a, str>),
    /// `/session/KEY`: one session.
    Session(SessionKey),
    /// `/app/NAME`: the application.
    App(Cow<'a, str>),
    /// `/orbit/…`: what is between the node and the application.
    Orbit(&'a str),
}

impl<'a> Destination<'a> {
    /// What `text` names.
    ///
    /// # Errors
    /// A prefix that is none, or a name that is none.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let prefixed = text.strip_prefix('/').and_then(|text| text.split_once('/'));
        let (prefix, name) = prefixed.ok_or(UNKNOWN)?;
        let decoded = || percent_decode_str(name).decode_utf8().map_err(|_| NOT_TEXT);
        match (prefix, name) {
            ("topic", _) => Ok(Self::Topic(decoded()?)),
            ("user" | "session", "self") => Ok(Self::Own),
            ("user", _) if name.starts_with("queue/") => Ok(Self::Own),
            ("user", _) => Ok(Self::User(decoded()?)),
            ("session", _) => {
                let key = SessionKey::parse(name.as_bytes());
                key.map(Self::Session).ok_or(NO_KEY)
            }
            ("app", _) => Ok(Self::App(decoded()?)),
            ("orbit", _) => Ok(Self::Orbit(name)),
            _ => Err(UNKNOWN),
        }
    }
}

/// Whether a publication of a channel is one of the subscription's.
#[must_use]
pub fn brings(sub: &Sub<'_>, channel: &str) -> bool {
    match sub.topic.strip_suffix('*') {
        _ if sub.private => false,
        None => sub.topic == channel,
        Some(_) if !names::is_pattern(sub.topic) => sub.topic == channel,
        Some(front) => {
            let (front, deep) = match front.strip_suffix('*') {
                Some(front) => (front, true),
                None => (front, false),
            };
            let rest = channel.strip_prefix(front);
            rest.is_some_and(|rest| !rest.is_empty() && (deep || !rest.contains('/')))
        }
    }
}

/// Where a message to `sub` comes from, as its reader would write it.
#[must_use]
pub fn of(sub: &Sub<'_>, publication: &Publication) -> String {
    match sub.private {
        true => sub.topic.to_owned(),
        false => topic(&publication.target),
    }
}

/// The destination of a channel: without what one version escapes and another does not.
#[must_use]
pub fn topic(channel: &str) -> String {
    format!(
        "/topic/{}",
        channel.replace('%', "%25").replace('\\', "%5C")
    )
}

/// For who names it and is not the application.
pub const NOT_APP: Refusal = Refusal::new(
    "/orbit/ is for the application: it connects with a key of --api-key as passcode, or in demo mode by the port of \
     STOMP with orbit-role:app",
    "forbidden",
);
const UNKNOWN: Refusal = Refusal::new(
    "unknown destination; there are /topic/CHANNEL, /user/USER, /user/self, /session/KEY, /session/self, /app/NAME",
    "bad-destination",
);
const NOT_TEXT: Refusal = Refusal::new("a destination is percent-encoded UTF-8", "bad-destination");
const NO_KEY: Refusal = Refusal::new("there is no such session", "not-connected");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Ack;

    #[test]
    fn destinations_are_what_they_say() {
        let is = |text: &str| format!("{:?}", Destination::parse(text));
        assert_eq!(is("/topic/news/sport"), r#"Ok(Topic("news/sport"))"#);
        assert_eq!(is("/topic/a%20b%2fc"), r#"Ok(Topic("a b/c"))"#);
        assert_eq!(is("/user/bob"), r#"Ok(User("bob"))"#);
        for own in ["/user/self", "/user/queue/x", "/session/self"] {
            assert_eq!(is(own), "Ok(Own)");
        }
        let back = topic("a%b\\c");
        assert_eq!(back, "/topic/a%25b%5Cc");
        assert_eq!(is(&back), r#"Ok(Topic("a%b\\c"))"#);
        for none in [
            "",
            "topic/a",
            "/topic",
            "/queue/a",
            "/exchange/a/b",
            "/session/x",
            "/topic/%ff",
        ] {
            assert!(Destination::parse(none).is_err(), "{none}");
        }
    }

    #[test]
    fn a_pattern_brings_what_the_hub_sends_by_it() {
        let brings = |topic, channel| {
            let sub = Sub {
                slot: 0,
                ack: Ack::Auto,
                private: false,
                id: "",
                topic,
            };
            brings(&sub, channel)
        };
        for (topic, channel) in [
            ("a/b", "a/b"),
            ("a/*", "a/b"),
            ("a/**", "a/b/c"),
            ("**", "a"),
            ("*", "a"),
            ("a*", "a*"),
        ] {
            assert!(brings(topic, channel), "{topic} {channel}");
        }
        for (topic, channel) in [
            ("a/b", "a/c"),
            ("a/*", "a/b/c"),
            ("a/*", "a"),
            ("a/**", "a"),
            ("*", "a/b"),
            ("a/*", "ab/c"),
        ] {
            assert!(!brings(topic, channel), "{topic} {channel}");
        }
    }
}
