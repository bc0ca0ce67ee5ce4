//! Percent-decoding of paths and of `name=value` pairs.
//!
//! Data in: raw bytes of a target or a form. Data out: decoded names and values, copied only where something had to be decoded.
//! It must not know what any name means.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// `path` decoded, invalid `%` sequences kept; none when that is not UTF-8 or holds a NUL.
pub fn decode_path(path: &str) -> Option<Cow<'_, str>> {
    let decoded = percent_decode(path.as_bytes()).decode_utf8().ok()?;
    (!decoded.contains('\0')).then_some(decoded)
}

/// One value decoded as forms are: `+` is a space, `%` sequences are bytes, invalid ones are kept.
pub fn decode_value(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'+') {
        return Cow::from(percent_decode(raw));
    }
    // First the blanks: a %2B is a plus.
    let spaced: Vec<u8> = raw
        .iter()
        .map(|b| if *b == b'+' { b' ' } else { *b })
        .collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

/// The pairs of a query or a form, decoded one by one as they are asked for. Split at `&` only (`;` is an ordinary character: CSP clients
/// send `rs=;`), each at its first `=`; a pair without one has an empty value; empty pairs are skipped.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    rest: &'a [u8],
}

impl<'a> Query<'a> {
    /// The pairs of `raw`.
    pub const fn new(raw: &'a [u8]) -> Query<'a> {
        Query { rest: raw }
    }
}

impl<'a> Iterator for Query<'a> {
    type Item = (Cow<'a, [u8]>, Cow<'a, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (pair, rest) = cut(self.rest, b'&');
            self.rest = rest;
            if !pair.is_empty() {
                let (name, value) = cut(pair, b'=');
                return Some((decode_value(name), decode_value(value)));
            }
        }
        None
    }
}

/// What is before and behind the first `mark`.
pub(super) fn cut(bytes: &[u8], mark: u8) -> (&[u8], &[u8]) {
    let at = memchr::memchr(mark, bytes).unwrap_or(bytes.len());
    let (before, behind) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
    (before, behind.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(raw: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        Query::new(raw)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    fn pair(name: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (name.to_vec(), value.to_vec())
    }

    #[test]
    fn pairs_end_at_ampersands_only_and_split_at_their_first_equals_sign() {
        assert_eq!(
            pairs(b"rp=cb1&rs=;&d=a=b&&=&n&"),
            [
                pair(b"rp", b"cb1"),
                pair(b"rs", b";"),
                pair(b"d", b"a=b"),
                pair(b"", b""),
                pair(b"n", b""),
            ]
        );
        assert_eq!(pairs(b""), []);
    }

    #[test]
    fn plus_is_a_space_and_an_escaped_plus_is_a_plus() {
        assert_eq!(pairs(b"a+b=c+d%2B%20"), [pair(b"a b", b"c d+ ")]);
    }

    #[test]
    fn invalid_escapes_raw_brackets_and_bytes_that_are_not_utf_8_pass() {
        assert_eq!(
            pairs(b"d=[[1,0,\"x\"]]&e=100%&f=%zz%4&g=\xe9%e9"),
            [
                pair(b"d", b"[[1,0,\"x\"]]"),
                pair(b"e", b"100%"),
                pair(b"f", b"%zz%4"),
                pair(b"g", b"\xe9\xe9"),
            ]
        );
    }

    #[test]
    fn a_value_without_escapes_is_not_copied() {
        assert!(matches!(decode_value(b"SGVsbG8="), Cow::Borrowed(_)));
    }

    #[test]
    fn paths_decode_to_text_or_not_at_all() {
        assert_eq!(
            decode_path("/a%20b%2Fc+%C3%A9").as_deref(),
            Some("/a b/c+é")
        );
        assert_eq!(decode_path("/a%"), Some(Cow::Borrowed("/a%")));
        assert_eq!(decode_path("/%ff"), None);
        assert_eq!(decode_path("/%00"), None);
    }
}
