//! JSON where JavaScript is read: two line ends that JSON allows in strings ended a statement there before 2019.
//!
//! In: text. Out: the same with these escaped. Everything else that a writer escapes is its own business.

/// How the line end that `bytes` begin with is escaped; `None` where they begin with none. It is
/// [`LINE_END_BYTES`] long.
#[inline]
#[must_use]
pub const fn line_end(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xE2, 0x80, 0xA8, ..] => Some("\\u2028"),
        [0xE2, 0x80, 0xA9, ..] => Some("\\u2029"),
        _ => None,
    }
}

/// JSON as it may stand in a script; `None` where that is what it is.
#[must_use]
pub fn escaped(json: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut copied = 0;
    let leads = json.iter().enumerate().filter(|(_, byte)| **byte == LEAD);
    for (at, _) in leads {
        let Some(escape) = line_end(json.get(at..).unwrap_or(&[])) else {
            continue;
        };
        out.extend_from_slice(json.get(copied..at).unwrap_or(&[]));
        out.extend_from_slice(escape.as_bytes());
        copied = at + LINE_END_BYTES;
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(json.get(copied..).unwrap_or(&[]));
    Some(out)
}

/// JSON as it may stand in a script of a page: two line ends of JavaScript that JSON allows in strings are escaped, and
/// what begins the end of a script.
pub fn in_page(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((byte, behind)) = rest.split_first() {
        let (escaped, len): (&[u8], usize) = match (byte, line_end(rest)) {
            (b'<', _) => (b"\\u003c", 1),
            (_, Some(escape)) => (escape.as_bytes(), LINE_END_BYTES),
            (_, None) => (std::slice::from_ref(byte), 1),
        };
        out.extend_from_slice(escaped);
        rest = behind.get(len - 1..).unwrap_or(&[]);
    }
}

/// The first byte of both line ends.
const LEAD: u8 = 0xE2;
/// Bytes of one of them.
pub const LINE_END_BYTES: usize = '\u{2028}'.len_utf8();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_of_javascript_are_escaped_and_nothing_else() {
        let (ls, ps) = ("\u{2028}", "\u{2029}");
        for (json, expected) in [
            (format!("\"a{ls}{ps}{ps}é\""), "\"a\\u2028\\u2029\\u2029é\""),
            (ps.to_owned(), "\\u2029"),
            (format!("\u{2027}{ls}\u{202a}"), "\u{2027}\\u2028\u{202a}"),
        ] {
            assert_eq!(escaped(json.as_bytes()).unwrap(), expected.as_bytes());
        }
        for same in ["", "\"\u{2027}€\n<\"", "é"] {
            assert_eq!(escaped(same.as_bytes()), None, "{same}");
        }
        // A character that is cut is no line end.
        assert_eq!(escaped(b"\xE2\x80"), None);
    }
}
