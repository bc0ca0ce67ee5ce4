//! A host with an optional port: what `Host` holds, what stands in an absolute target, and what an origin names.
//!
//! Data in: bytes of a peer or of a setting. Data out: [`Host`], borrowed.
//! It must not know which hosts this node answers for.

use std::net::Ipv6Addr;

/// A checked host and port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Host<'a> {
    /// The whole text as given.
    pub(super) text: &'a str,
    /// The name or address, an IPv6 address with its brackets; as given, so compare it without case.
    pub(super) name: &'a str,
    /// The port when one is given and not empty.
    pub(super) port: Option<u16>,
}

impl<'a> Host<'a> {
    /// Parses `name`, `name:port`, `[v6]` or `[v6]:port`. Stricter than RFC 3986 section 3.2.2: of a reg-name only letters, digits,
    /// `-`, `.`, `_` and `~`, because `a,b`, `a@b` or `a"<b>` are an attack on whoever builds a URL of it, never a host.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Host<'a>> {
        let text = str::from_utf8(bytes).ok()?;
        let (name, rest) = if text.starts_with('[') {
            text.split_at_checked(text.find(']')? + 1)?
        } else {
            text.split_at_checked(text.find(':').unwrap_or(text.len()))?
        };
        is_name(name).then_some(())?;
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return None,
            Some(digits) => parse_port(digits)?,
        };
        Some(Host { text, name, port })
    }
}

fn is_name(name: &str) -> bool {
    match name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')),
    }
}

/// The port of `digits`: none when empty (`port = *DIGIT`, RFC 3986 section 3.2.3); digits only, since `parse` would take a `+`.
fn parse_port(digits: &str) -> Option<Option<u16>> {
    if digits.is_empty() {
        return Some(None);
    }
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_ports_are_taken_apart() {
        let cases = [
            ("example.com", "example.com", None),
            ("a_b-c.d:8000", "a_b-c.d", Some(8000)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("[::1]", "[::1]", None),
            ("[fe80::1]:443", "[fe80::1]", Some(443)),
            ("x:", "x", None),
            ("", "", None),
        ];
        for (text, name, port) in cases {
            assert_eq!(
                Host::parse(text.as_bytes()),
                Some(Host { text, name, port }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "a b",
            "a, b",
            "a,b",
            "x/y",
            "a@b",
            "x:99999x",
            "x:65536",
            "x:+1",
            "x:-1",
            "a\"<b>",
            "[::1",
            "::1",
            "[::g]",
            "[1.2.3.4]",
            "[::1]x",
            "[::1]:x",
            "x:1:2",
            "é",
            "a%41",
            "a?b",
            "a#b",
            "a\\b",
            "[fe80::1%25eth0]",
        ] {
            assert_eq!(Host::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Host::parse(b"\xff"), None);
    }
}
