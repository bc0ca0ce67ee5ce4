//! Writes the heads of answers, and chunks.
//!
//! Data in: a [`Head`]. Data out: bytes appended to a buffer. Nothing is allocated beside it.
//! It must not know who asked or why. No value, wherever it comes from, can split a head (RFC 9110 section 5.5): one that holds a control
//! character is left out whole.

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use super::field::{is_token, is_value_byte};
use super::request::Version;

/// An IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`. Made once a second, lent to every head.
pub type Date = [u8; 29];

/// The date of `unix_s` seconds since 1970.
pub fn date(unix_s: u64) -> Date {
    let time = UNIX_EPOCH + Duration::from_secs(unix_s.min(UNIX_S_MAX));
    let mut date = [b' '; 29];
    let written = write!(&mut date[..], "{}", httpdate::HttpDate::from(time));
    debug_assert!(written.is_ok());
    date
}

/// The end of the year 9999: `httpdate` panics beyond, and the format has four digits.
const UNIX_S_MAX: u64 = 253_402_300_799;

/// How the end of the body is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// So many bytes.
    Known(u64),
    /// Chunks; to HTTP/1.0, which has none, as `UntilClose`.
    Chunked,
    /// The connection closes behind it.
    UntilClose,
}

/// What caches may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cache<'a> {
    /// `Cache-Control: no-cache, must-revalidate`, as CSP asks.
    NoCache,
    /// `Cache-Control: no-store`.
    NoStore,
    /// `Cache-Control: no-store, no-transform`: nobody between keeps it, nor waits for more of it to compress.
    PassOn,
    /// This entity tag, quotes included, to be revalidated each time (`no-cache`).
    Etag(&'a str),
    /// This entity tag, and no question asked for so many seconds.
    EtagFor(&'a str, u32),
    /// Not a word: for 101, and for preflights, which have their own age.
    Unsaid,
}

/// One head.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The status.
    pub status: u16,
    /// The body's type; empty for none.
    pub content_type: &'a str,
    /// The body's length; ignored where the status has no body (1xx, 204, 304).
    pub length: Length,
    /// Whether the connection serves another request; a body that ends with it overrules this.
    pub keep_alive: bool,
    /// The version of the request.
    pub version: Version,
    /// What caches may do.
    pub cache: Cache<'a>,
    /// Whether pages of any origin may read the answer.
    pub cors: bool,
    /// The current date.
    pub date: &'a Date,
    /// More fields, each on a line of its own.
    pub extra: &'a [(&'a str, &'a str)],
}

impl Head<'_> {
    /// Appends the head, empty line included. The version on the wire is the server's own, 1.1 (RFC 9110 section 6.2).
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        decimal(out, u64::from(self.status));
        out.push(b' ');
        out.extend_from_slice(reason(self.status).as_bytes());
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(self.date);
        out.extend_from_slice(b"\r\n");
        if has_body(self.status) {
            self.write_body_fields(out);
        }
        self.write_cache(out);
        if self.cors {
            out.extend_from_slice(b"Access-Control-Allow-Origin: *\r\n");
        }
        out.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
        self.write_connection(out);
        for (name, value) in self.extra {
            field(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The length as it can be told to this peer.
    fn length(&self) -> Length {
        match (self.length, self.version) {
            (Length::Chunked, Version::Http10) => Length::UntilClose,
            (length, _) => length,
        }
    }

    fn write_body_fields(&self, out: &mut Vec<u8>) {
        if !self.content_type.is_empty() {
            field(out, "Content-Type", self.content_type);
        }
        match self.length() {
            Length::Known(len) => {
                out.extend_from_slice(b"Content-Length: ");
                decimal(out, len);
                out.extend_from_slice(b"\r\n");
            }
            Length::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            Length::UntilClose => {}
        }
    }

    fn write_cache(&self, out: &mut Vec<u8>) {
        match self.cache {
            Cache::NoCache => {
                out.extend_from_slice(b"Cache-Control: no-cache, must-revalidate\r\n")
            }
            Cache::NoStore => out.extend_from_slice(b"Cache-Control: no-store\r\n"),
            Cache::PassOn => out.extend_from_slice(b"Cache-Control: no-store, no-transform\r\n"),
            Cache::Etag(etag) => {
                field(out, "ETag", etag);
                out.extend_from_slice(b"Cache-Control: no-cache\r\n");
            }
            Cache::EtagFor(etag, seconds) => {
                field(out, "ETag", etag);
                out.extend_from_slice(b"Cache-Control: max-age=");
                decimal(out, u64::from(seconds));
                out.extend_from_slice(b"\r\n");
            }
            Cache::Unsaid => {}
        }
    }

    /// RFC 9112 section 9.6. A 101 brings its own `Connection: Upgrade`.
    fn write_connection(&self, out: &mut Vec<u8>) {
        let endless = has_body(self.status) && self.length() == Length::UntilClose;
        match (self.status, self.keep_alive && !endless, self.version) {
            (100..=199, ..) => {}
            (_, false, _) => out.extend_from_slice(b"Connection: close\r\n"),
            (_, true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
            (_, true, Version::Http11) => {}
        }
    }
}

/// The whole interim answer to [`super::reader::Step::Continue`].
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The chunk that ends a chunked body, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What stands behind the data of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Appends what stands before `len` bytes of chunk data; behind them comes [`CHUNK_END`]. `len` is not 0: that chunk would end the body.
pub fn chunk_head(out: &mut Vec<u8>, len: usize) {
    debug_assert!(len != 0, "an empty chunk ends the body");
    // usize has at most 64 bits here.
    let len = len as u64;
    let digits = (64 - len.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (len >> (4 * place)) & 0xf;
        out.push(char::from_digit(digit as u32, 16).map_or(b'0', |c| c as u8));
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends `data` as one chunk; nothing when it is empty.
pub fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    chunk_head(out, data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(CHUNK_END);
}

/// Whether answers of this status have a body (RFC 9110 section 6.4.1).
pub const fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// Appends one field line, or nothing when it would not be one line.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    if !is_token(name.as_bytes()) || !value.bytes().all(is_value_byte) {
        log::error!(
            "left out a response header whose name or value is not fit for a head: {}",
            name.escape_debug()
        );
        return;
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends `n` in decimal.
pub fn decimal(out: &mut Vec<u8>, n: u64) {
    let start = out.len();
    let mut rest = n;
    loop {
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// The reason phrase; empty where none is known, which RFC 9112 section 4 allows.
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        207 => "Multi-Status",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &Date = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn head() -> Head<'static> {
        Head {
            status: 200,
            content_type: "text/plain",
            length: Length::Known(12),
            keep_alive: true,
            version: Version::Http11,
            cache: Cache::NoCache,
            cors: true,
            date: DATE,
            extra: &[],
        }
    }

    fn text(head: &Head<'_>) -> String {
        let mut out = Vec::new();
        head.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_is_written_byte_for_byte() {
        let expected = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\
            Cache-Control: no-cache, must-revalidate\r\nAccess-Control-Allow-Origin: *\r\nX-Content-Type-Options: nosniff\r\nA: b\r\n\r\n";
        assert_eq!(
            text(&Head {
                extra: &[("A", "b")],
                ..head()
            }),
            expected
        );
    }

    #[test]
    fn dates_are_fixdates_up_to_the_end_of_the_format() {
        assert_eq!(&date(784_111_777), DATE);
        assert_eq!(&date(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&date(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn the_connection_header_says_what_the_version_does_not() {
        let says = |keep_alive, version, length| {
            let text = text(&Head {
                keep_alive,
                version,
                length,
                ..head()
            });
            text.lines()
                .find_map(|line| line.strip_prefix("Connection: "))
                .map(str::to_owned)
        };
        assert_eq!(says(true, Version::Http11, Length::Chunked), None);
        assert_eq!(
            says(false, Version::Http11, Length::Chunked).as_deref(),
            Some("close")
        );
        assert_eq!(
            says(true, Version::Http10, Length::Known(1)).as_deref(),
            Some("keep-alive")
        );
        assert_eq!(
            says(true, Version::Http10, Length::Chunked).as_deref(),
            Some("close")
        );
        assert_eq!(
            says(true, Version::Http11, Length::UntilClose).as_deref(),
            Some("close")
        );
    }

    #[test]
    fn chunks_are_announced_to_http_1_1_only() {
        let chunked = |version| {
            text(&Head {
                version,
                length: Length::Chunked,
                ..head()
            })
            .contains("Transfer-Encoding: chunked\r\n")
        };
        assert!(chunked(Version::Http11) && !chunked(Version::Http10));
    }

    #[test]
    fn answers_without_a_body_have_no_type_and_no_length() {
        for status in [101, 204, 304] {
            for length in [Length::Known(5), Length::Chunked, Length::UntilClose] {
                let text = text(&Head {
                    status,
                    length,
                    ..head()
                });
                for name in [
                    "Content-Length",
                    "Transfer-Encoding",
                    "\nContent-Type:",
                    "Connection",
                ] {
                    assert!(!text.contains(name), "{text}");
                }
                assert!(text.contains("X-Content-Type-Options: nosniff\r\n"));
            }
        }
    }

    #[test]
    fn an_entity_tag_comes_with_its_rule() {
        assert!(
            text(&Head {
                cache: Cache::Etag("\"x\""),
                ..head()
            })
            .contains("ETag: \"x\"\r\nCache-Control: no-cache\r\n")
        );
        assert!(
            text(&Head {
                cache: Cache::EtagFor("\"x\"", 60),
                ..head()
            })
            .contains("ETag: \"x\"\r\nCache-Control: max-age=60\r\n")
        );
        assert!(
            text(&Head {
                cache: Cache::NoStore,
                ..head()
            })
            .contains("Cache-Control: no-store\r\n")
        );
        assert!(
            !text(&Head {
                cache: Cache::Unsaid,
                ..head()
            })
            .contains("Cache-Control")
        );
    }

    #[test]
    fn no_value_can_split_a_head() {
        let plain = text(&head());
        for (name, value) in [
            ("A", "b\r\nSet-Cookie: x"),
            ("A", "b\nc"),
            ("A", "b\0"),
            ("A\r\nB", "c"),
            ("A B", "c"),
            ("", "c"),
            ("A:", "c"),
        ] {
            assert_eq!(
                text(&Head {
                    extra: &[(name, value)],
                    ..head()
                }),
                plain,
                "{name:?} {value:?}"
            );
        }
        assert!(
            !text(&Head {
                content_type: "text/html\r\nX: y",
                ..head()
            })
            .contains("X: y")
        );
        assert!(
            !text(&Head {
                cache: Cache::Etag("\"\r\nX: y\""),
                ..head()
            })
            .contains("X: y")
        );
    }

    #[test]
    fn numbers_and_chunk_heads_are_written_as_the_standard_library_writes_them() {
        for n in (0..64)
            .map(|bits| 1_u64 << bits)
            .chain([0, 9, 10, 99, 100, u64::MAX, 0xabc])
        {
            let mut out = Vec::new();
            decimal(&mut out, n);
            assert_eq!(out, n.to_string().into_bytes());
            if n != 0 {
                out.clear();
                chunk_head(&mut out, n as usize);
                assert_eq!(out, format!("{n:x}\r\n").into_bytes());
            }
        }
    }

    #[test]
    fn an_empty_chunk_is_not_written_since_it_would_end_the_body() {
        let mut out = Vec::new();
        chunk(&mut out, b"");
        chunk(&mut out, b"hello hello hello");
        assert_eq!(out, b"11\r\nhello hello hello\r\n");
    }
}
