//! Where an event, or a line, ends in a stream of text.
//!
//! In: text. Out: its first whole piece. What it says is read by others.

use memchr::{memchr, memchr_iter};

/// The event in front, and what is behind it; `None` until its empty line is there. Lines end in LF or CR LF:
/// the grammar also knows CR alone, which no server known to us sends.
#[must_use]
pub fn event(text: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr_iter(b'\n', text).find_map(|at| match text.get(at + 1..)? {
        [b'\n', ..] => text.split_at_checked(at + 2),
        [b'\r', b'\n', ..] => text.split_at_checked(at + 3),
        _ => None,
    })
}

/// The line in front without its end, and what is behind it; `None` until its LF is there.
#[must_use]
pub fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = text.split_at_checked(memchr(b'\n', text)?)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..)?))
}

/// The first `data` of an event.
#[must_use]
pub fn data(event: &[u8]) -> Option<&[u8]> {
    let mut lines = event.split(|byte| *byte == b'\n');
    let data = lines.find_map(|line| line.strip_prefix(b"data:"))?;
    Some(data.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_with_its_empty_line() {
        assert_eq!(
            event(b"data: a\ndata: b\n\ndata"),
            Some((&b"data: a\ndata: b\n\n"[..], &b"data"[..]))
        );
        let csp = b"data: ([[1,0,\"x\"]])\r\nid: 1\r\n\r\n:\n\n";
        let (first, rest) = event(csp).unwrap();
        assert_eq!(data(first), Some(&b"([[1,0,\"x\"]])"[..]));
        assert_eq!(event(rest), Some((&b":\n\n"[..], &b""[..])));
        for cut in 0..csp.len() - 3 {
            assert_eq!(event(&csp[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn an_event_without_data_has_none() {
        assert_eq!(data(b": ping\n\n"), None);
    }

    #[test]
    fn a_line_ends_with_its_line_end() {
        assert_eq!(line(b"a\r\nb"), Some((&b"a"[..], &b"b"[..])));
        assert_eq!(line(b"\n"), Some((&b""[..], &b""[..])));
        assert_eq!(line(b"a\r"), None);
    }
}
