//! Finds the end of a head, looking at each byte once however it is cut, and refuses early.
//!
//! Data in: the bytes since the head began, more at each call. Data out: where the head ends, or a [`Refusal`].
//! It must not know what the header lines say. Each line costs one `memchr`; a head dribbled byte by byte costs as much as one read whole
//! (re-parsing per byte was tungstenite's CVE-2023-43669).

use memchr::memchr;

use super::field::is_tchar;
use super::head;
use super::reader::{HEADERS_MAX, Limits};
use super::refusal::Refusal;

/// How far a head has been looked at.
#[derive(Default, Debug)]
pub(super) struct Scan {
    /// Where the request line starts, behind empty lines.
    pub(super) start: usize,
    /// Where the line now looked at starts.
    line: usize,
    /// The next byte to look at.
    at: usize,
    /// Where the header lines start; 0 while the request line is not whole.
    block: usize,
    /// Header lines that are whole.
    headers: usize,
    /// Empty lines skipped before the request line.
    blank: u8,
}

impl Scan {
    /// Looks at the bytes of `buf` not yet seen; `buf` begins with what earlier calls saw. Answers the length of the head, empty line
    /// included, once it is whole. Limits and causes depend on positions only, so the answer is the same however the bytes were cut.
    pub(super) fn head_end(
        &mut self,
        buf: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, Refusal> {
        loop {
            self.check_first_byte(buf)?;
            let Some(found) = memchr(b'\n', buf.get(self.at..).unwrap_or_default()) else {
                self.at = buf.len();
                self.check_length(buf.len(), limits)?;
                return Ok(None);
            };
            let lf = self.at + found;
            self.check_length(lf, limits)?;
            self.at = lf + 1;
            let line = buf
                .get(self.line..lf)
                .and_then(|line| line.strip_suffix(b"\r"))
                .ok_or(Refusal::BareLf)?;
            self.line = self.at;
            if self.end_line(line)? {
                return Ok(Some(self.at));
            }
        }
    }

    /// A request line starts with a letter of a token: what does not (TLS, another protocol) is refused at its first byte.
    fn check_first_byte(&self, buf: &[u8]) -> Result<(), Refusal> {
        if self.block != 0 {
            return Ok(());
        }
        match buf.get(self.line) {
            None | Some(b'\r' | b'\n') => Ok(()),
            Some(b) if is_tchar(*b) => Ok(()),
            Some(_) => Err(Refusal::RequestLine),
        }
    }

    /// `end` is the position before the LF, or the end of what has come: one more than the limit is the CR.
    fn check_length(&self, end: usize, limits: &Limits) -> Result<(), Refusal> {
        if self.block == 0 {
            let long = end.saturating_sub(self.line) > limits.line_bytes_max.saturating_add(1);
            return if long {
                Err(Refusal::LineTooLong)
            } else {
                Ok(())
            };
        }
        let big = end.saturating_sub(self.block) > limits.head_bytes_max.saturating_add(1);
        if big {
            Err(Refusal::HeadTooBig)
        } else {
            Ok(())
        }
    }

    /// Takes the line that has just ended; true when it was the last of the head.
    fn end_line(&mut self, line: &[u8]) -> Result<bool, Refusal> {
        if self.block != 0 {
            self.headers += usize::from(!line.is_empty());
            let many = self.headers > HEADERS_MAX;
            return if many {
                Err(Refusal::HeadersTooMany)
            } else {
                Ok(line.is_empty())
            };
        }
        if line.is_empty() {
            // RFC 9112 section 2.2: ignore at least one empty line; old clients end a POST body with one.
            self.blank += 1;
            self.start = self.at;
            return if self.blank > EMPTY_LINES_MAX {
                Err(Refusal::RequestLine)
            } else {
                Ok(false)
            };
        }
        // At once, not at the end of the head: an HTTP/0.9 or HTTP/2 peer never sends one.
        head::check_version(line)?;
        self.block = self.at;
        Ok(false)
    }
}

/// Empty lines taken before a request line: one is what RFC 9112 asks for, a few more are harmless, a flood is not.
const EMPTY_LINES_MAX: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        line_bytes_max: 40,
        head_bytes_max: 60,
        body_bytes_max: 0,
    };

    fn whole(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        Scan::default().head_end(bytes, &LIMITS)
    }

    fn dribbled(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut scan = Scan::default();
        for end in 0..=bytes.len() {
            if let Some(at) = scan.head_end(&bytes[..end], &LIMITS)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// The obvious way, for heads within their limits.
    fn slow(bytes: &[u8]) -> Option<usize> {
        let skipped = bytes
            .iter()
            .take_while(|b| matches!(b, b'\r' | b'\n'))
            .count();
        bytes[skipped..]
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .map(|at| skipped + at + 4)
    }

    #[test]
    fn the_end_is_found_where_the_obvious_search_finds_it_whole_and_dribbled() {
        for head in [
            "GET / HTTP/1.1\r\n\r\nrest",
            "\r\n\r\nGET / HTTP/1.1\r\na: b\r\nc:\r\n\r\n\r\n",
            "GET / HTTP/1.1\r\na: b\r\n",
        ] {
            let expected = Ok(slow(head.as_bytes()));
            assert_eq!(whole(head.as_bytes()), expected, "{head:?}");
            assert_eq!(dribbled(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[test]
    fn early_refusals_do_not_depend_on_how_the_bytes_are_cut() {
        let long_line = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(40));
        let long_header = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(60));
        let cases = [
            (long_line.as_str(), Refusal::LineTooLong),
            (long_header.as_str(), Refusal::HeadTooBig),
            ("GET / HTTP/1.1\nHost: x\r\n\r\n", Refusal::BareLf),
            ("GET / HTTP/1.1\r\na: b\n", Refusal::BareLf),
            ("\n", Refusal::BareLf),
            ("\r\n\r\n\r\n\r\n\r\n", Refusal::RequestLine),
            ("\x16\x03\x01", Refusal::RequestLine),
            (" GET", Refusal::RequestLine),
            ("GET /\r\n", Refusal::Http09),
            ("PRI * HTTP/2.0\r\n", Refusal::Http2Preface),
        ];
        for (head, refusal) in cases {
            assert_eq!(whole(head.as_bytes()), Err(refusal), "{head:?}");
            assert_eq!(dribbled(head.as_bytes()), Err(refusal), "{head:?}");
        }
    }

    #[test]
    fn a_line_and_a_head_of_exactly_the_limit_pass() {
        let line = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(40 - 14));
        assert_eq!(whole(line.as_bytes()), Ok(Some(line.len())));
        assert_eq!(dribbled(line.as_bytes()), Ok(Some(line.len())));
        let over = line.replace("xx", "xxx");
        assert_eq!(whole(over.as_bytes()), Err(Refusal::LineTooLong));
    }

    #[test]
    fn a_header_line_without_end_is_cut_at_the_limit_not_later() {
        let head = format!("GET / HTTP/1.1\r\na: {}", "x".repeat(58));
        assert_eq!(whole(head.as_bytes()), Ok(None));
        assert_eq!(
            whole(format!("{head}x").as_bytes()),
            Err(Refusal::HeadTooBig)
        );
    }
}
