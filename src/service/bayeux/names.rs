//! Channels as Bayeux writes them, and the hub's names for them: `/chat/room1` is `chat/room1`.
//!
//! In: text of a client. Out: what it names. Compared once and whole, so that nothing that looks like a meta channel
//! is taken for one or passed off as one (Faye's CVE-2020-11020).

use crate::hub::names;

/// What the text of a channel names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// `/meta/…`: the protocol's own.
    Meta,
    /// `/service/…`: from a client to the server, never to others.
    Service,
    /// A channel, or a pattern, by the hub's name.
    Topic(&'a str),
    /// More than a name may have.
    TooLong,
    /// Nothing.
    Invalid,
}

impl<'a> Name<'a> {
    /// What `text` names.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let Some(name) = text.strip_prefix('/') else {
            return Self::Invalid;
        };
        match name {
            _ if name.starts_with(META) => Self::Meta,
            _ if name.len() > names::NAME_BYTES_MAX => Self::TooLong,
            _ if names::topic(name).is_err() || has_stray_star(name) => Self::Invalid,
            _ if name.starts_with(SERVICE) => Self::Service,
            _ => Self::Topic(name),
        }
    }
}

/// Whether a delivery of this channel would look like the protocol's own messages: another service may have channels of
/// such names.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(META) || name.starts_with(SERVICE)
}

/// A star stands for whole segments at the end, and nowhere else.
fn has_stray_star(name: &str) -> bool {
    let front = match name.rsplit_once('/') {
        Some((front, "*" | "**")) => front,
        None if names::is_pattern(name) => "",
        _ => name,
    };
    front.contains('*')
}

const META: &str = "meta/";
const SERVICE: &str = "service/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_what_they_say_and_nothing_else() {
        for (text, name) in [
            ("/chat/room1", Name::Topic("chat/room1")),
            ("/a b/{id}/x.y", Name::Topic("a b/{id}/x.y")),
            ("/a/*", Name::Topic("a/*")),
            ("/**", Name::Topic("**")),
            ("/*", Name::Topic("*")),
            ("/meta", Name::Topic("meta")),
            ("/metal/x", Name::Topic("metal/x")),
            ("/meta/connect", Name::Meta),
            ("/meta/", Name::Meta),
            ("/service/x", Name::Service),
            ("/service/**", Name::Service),
            ("/service/", Name::Invalid),
            ("", Name::Invalid),
            ("/", Name::Invalid),
            ("a", Name::Invalid),
            ("//meta/connect", Name::Invalid),
            ("//orbit/signoff", Name::Invalid),
            ("/a/", Name::Invalid),
            ("/a//b", Name::Invalid),
            ("/a*/b", Name::Invalid),
            ("/*/b", Name::Invalid),
            ("/a/***", Name::Invalid),
            ("/**/a", Name::Invalid),
            ("/a\n", Name::Invalid),
        ] {
            assert_eq!(Name::of(text), name, "{text:?}");
        }
        let long = format!("/{}", "x".repeat(names::NAME_BYTES_MAX + 1));
        assert_eq!(Name::of(&long), Name::TooLong);
    }
}
