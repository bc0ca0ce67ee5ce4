//! Which channels a rule is about: a name, or a prefix and what may follow it.
//!
//! In: the first word of a rule, names of channels. Out: whether a name is meant. Names that begin with a slash are
//! the node's own: no pattern can be spelled for them, and none matches them.

use std::fmt;

/// The channels that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// This one.
    Name(String),
    /// `a/*` and `*`: one segment behind this prefix, which is empty or ends with a slash.
    Children(String),
    /// `a/**` and `**`: one segment or more behind such a prefix.
    Below(String),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPattern {
    /// Too long to match any name, which has at most [`NAME_BYTES_MAX`].
    TooLong,
    /// A control character.
    Control,
    /// A slash in front or at the end, two in a row, or nothing at all.
    EmptySegment,
    /// `*` or `**` in front of other segments.
    EarlyWildcard,
    /// An asterisk beside something else in a segment.
    PartialWildcard,
}

impl Pattern {
    /// Reads `chat/room1`, `chat/*` or `chat/**`.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let (prefix, last) = text.split_at(text.rfind('/').map_or(0, |slash| slash + 1));
        let (pattern, shortest) = match last {
            "*" => (Self::Children(prefix.to_owned()), prefix.len() + 1),
            "**" => (Self::Below(prefix.to_owned()), prefix.len() + 1),
            _ => (Self::Name(text.to_owned()), text.len()),
        };
        if shortest > NAME_BYTES_MAX {
            return Err(BadPattern::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(BadPattern::Control);
        }
        let mut segments = text.split('/').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "" => return Err(BadPattern::EmptySegment),
                "*" | "**" if segments.peek().is_some() => return Err(BadPattern::EarlyWildcard),
                "*" | "**" => {}
                other if other.contains('*') => return Err(BadPattern::PartialWildcard),
                _ => {}
            }
        }
        Ok(pattern)
    }

    /// Whether `name`, a channel's name in canonical form, is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let rest = |prefix: &str| match name.strip_prefix(prefix) {
            Some(rest) if !rest.is_empty() && !name.starts_with('/') => Some(rest),
            _ => None,
        };
        match self {
            Self::Name(meant) => meant == name,
            Self::Children(prefix) => rest(prefix).is_some_and(|rest| !rest.contains('/')),
            Self::Below(prefix) => rest(prefix).is_some(),
        }
    }
}

impl BadPattern {
    /// The pattern that was likely meant by `text`, where there is one.
    #[must_use]
    pub fn near(self, text: &str) -> Option<String> {
        let segments = || text.split('/').filter(|segment| !segment.is_empty());
        let near = match self {
            Self::EmptySegment => segments().collect::<Vec<_>>(),
            Self::EarlyWildcard => {
                let fixed = segments().take_while(|segment| !segment.contains('*'));
                fixed.chain(["**"]).collect()
            }
            Self::TooLong | Self::Control | Self::PartialWildcard => return None,
        };
        let near = near.join("/");
        Pattern::parse(&near).is_ok().then_some(near)
    }
}

/// The cause and the cure.
impl fmt::Display for BadPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::TooLong => "a channel's name has at most 255 bytes",
            Self::Control => "a channel's name holds no control characters",
            Self::EmptySegment => {
                "a channel is segments joined by single slashes, as in chat/room1"
            }
            Self::EarlyWildcard => "* and ** stand only as the last segment",
            Self::PartialWildcard => {
                "an asterisk stands alone as the last segment, as in chat/* or chat/**"
            }
        })
    }
}

/// Longest name of a channel, as wherever one comes in.
pub const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &str) -> Vec<&'static str> {
        let names = [
            "a", "b", "a/b", "a/b/c", "a/b/c/d", "ab", "ab/c", "a/é", "/a", "/a/b",
        ];
        let pattern = Pattern::parse(pattern).unwrap();
        names
            .into_iter()
            .filter(|name| pattern.matches(name))
            .collect()
    }

    #[test]
    fn a_pattern_matches_a_name_its_children_or_all_that_is_below() {
        assert_eq!(matched("a"), ["a"]);
        assert_eq!(matched("a/b"), ["a/b"]);
        assert_eq!(matched("*"), ["a", "b", "ab"]);
        assert_eq!(matched("a/*"), ["a/b", "a/é"]);
        assert_eq!(matched("a/b/*"), ["a/b/c"]);
        assert_eq!(matched("a/**"), ["a/b", "a/b/c", "a/b/c/d", "a/é"]);
        assert_eq!(matched("a/b/c/**"), ["a/b/c/d"]);
        assert_eq!(
            matched("**"),
            ["a", "b", "a/b", "a/b/c", "a/b/c/d", "ab", "ab/c", "a/é"]
        );
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_what_was_meant() {
        use BadPattern::{Control, EarlyWildcard, EmptySegment, PartialWildcard};
        for (text, bad, near) in [
            ("", EmptySegment, None),
            ("/", EmptySegment, None),
            ("/a", EmptySegment, Some("a")),
            ("/a/**", EmptySegment, Some("a/**")),
            ("a/", EmptySegment, Some("a")),
            ("a//b", EmptySegment, Some("a/b")),
            ("/*", EmptySegment, Some("*")),
            ("//**", EmptySegment, Some("**")),
            ("*/a", EarlyWildcard, Some("**")),
            ("a/*/b", EarlyWildcard, Some("a/**")),
            ("a/**/b/*", EarlyWildcard, Some("a/**")),
            ("**/**", EarlyWildcard, Some("**")),
            ("a*", PartialWildcard, None),
            ("***", PartialWildcard, None),
            ("a/b*", PartialWildcard, None),
            ("a/*b/c", PartialWildcard, None),
            ("a\u{7}b", Control, None),
            ("a/\u{85}/*", Control, None),
        ] {
            let said = Pattern::parse(text).unwrap_err();
            let meant = (bad, near.map(str::to_owned));
            assert_eq!((said, said.near(text)), meant, "{text:?}");
        }
    }

    #[test]
    fn a_pattern_that_some_name_can_match_is_short_enough() {
        let name = "x".repeat(NAME_BYTES_MAX);
        let pattern = Pattern::parse(&name).unwrap();
        assert!(pattern.matches(&name));
        assert_eq!(Pattern::parse(&(name + "x")), Err(BadPattern::TooLong));
        let prefix = "x".repeat(NAME_BYTES_MAX - 2);
        let pattern = Pattern::parse(&format!("{prefix}/**")).unwrap();
        assert!(pattern.matches(&format!("{prefix}/y")));
        let longer = format!("{prefix}x/*");
        assert_eq!(Pattern::parse(&longer), Err(BadPattern::TooLong));
        let deep = "x/".repeat(127) + "**";
        assert!(
            Pattern::parse(&deep)
                .unwrap()
                .matches(&("x/".repeat(127) + "y"))
        );
    }
}
