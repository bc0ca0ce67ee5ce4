//! Why a request is refused before anything above HTTP sees it, and what the peer is told.
//!
//! Data in: a cause found by the codec. Data out: status, code, reason and hint, all static, from one table.
//! It must not know connections. Every refusal closes its connection: after a framing error nothing that follows can be trusted
//! (RFC 9112 section 11.2), so there is never a second reply.

use super::fault::{self, Fault};

/// One cause for which a request is refused and the connection closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Refusal {
    /// `Content-Length` twice, or as a list; identical values too.
    LengthRepeated,
    /// `Content-Length` that is not plain decimal digits.
    LengthBad,
    /// `Content-Length` beside `Transfer-Encoding`.
    LengthWithCoding,
    /// A transfer coding other than exactly `chunked`.
    CodingUnknown,
    /// `Transfer-Encoding` in an HTTP/1.0 request.
    CodingInHttp10,
    /// A header line that starts with a blank.
    ObsFold,
    /// A CR that no LF follows.
    BareCr,
    /// A LF that no CR precedes.
    BareLf,
    /// NUL or another control character.
    Control,
    /// No `Host` in an HTTP/1.1 request.
    HostMissing,
    /// `Host` more than once.
    HostRepeated,
    /// `Host`, or the authority of an absolute target, that is no host and port.
    HostBad,
    /// A blank between a header's name and its colon.
    SpaceBeforeColon,
    /// A header line without a colon.
    HeaderLine,
    /// A header name that is no token.
    HeaderName,
    /// A first line that is not `METHOD target HTTP/1.x`.
    RequestLine,
    /// A target that is no path, no absolute `http` URL and no `*`.
    Target,
    /// A version other than 1.0 and 1.1.
    Version,
    /// A first line without a version.
    Http09,
    /// The first line of HTTP/2 with prior knowledge.
    Http2Preface,
    /// A method nobody here has heard of.
    MethodUnknown,
    /// A method known but not served.
    MethodNotAllowed,
    /// A request line beyond its limit.
    LineTooLong,
    /// A header block beyond its limit.
    HeadTooBig,
    /// More header lines than [`super::reader::HEADERS_MAX`].
    HeadersTooMany,
    /// A body, declared or received, beyond its limit.
    BodyTooBig,
    /// A chunk size that is not 1 to 16 hex digits.
    ChunkSize,
    /// A chunk-size line that ends badly, or a bad byte in an extension.
    ChunkLine,
    /// Chunk data that no CRLF follows.
    ChunkEnd,
    /// Chunk extensions or framing out of proportion to the body.
    ChunkOverhead,
    /// A trailer that is no header line, or too long a trailer section.
    Trailer,
    /// A `Content-Encoding` other than `identity`.
    ContentEncoding,
}

impl Refusal {
    /// Every variant, in the order of its number: for tables indexed by `refusal as usize`, counters say.
    pub const ALL: [Refusal; 32] = [
        Refusal::LengthRepeated,
        Refusal::LengthBad,
        Refusal::LengthWithCoding,
        Refusal::CodingUnknown,
        Refusal::CodingInHttp10,
        Refusal::ObsFold,
        Refusal::BareCr,
        Refusal::BareLf,
        Refusal::Control,
        Refusal::HostMissing,
        Refusal::HostRepeated,
        Refusal::HostBad,
        Refusal::SpaceBeforeColon,
        Refusal::HeaderLine,
        Refusal::HeaderName,
        Refusal::RequestLine,
        Refusal::Target,
        Refusal::Version,
        Refusal::Http09,
        Refusal::Http2Preface,
        Refusal::MethodUnknown,
        Refusal::MethodNotAllowed,
        Refusal::LineTooLong,
        Refusal::HeadTooBig,
        Refusal::HeadersTooMany,
        Refusal::BodyTooBig,
        Refusal::ChunkSize,
        Refusal::ChunkLine,
        Refusal::ChunkEnd,
        Refusal::ChunkOverhead,
        Refusal::Trailer,
        Refusal::ContentEncoding,
    ];

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// The kebab-case name, stable: in bodies, logs and metrics.
    pub const fn code(self) -> &'static str {
        self.row().1
    }

    /// What is wrong, in a sentence.
    pub const fn reason(self) -> &'static str {
        self.row().2
    }

    /// What to do about it, in a sentence.
    pub const fn hint(self) -> &'static str {
        self.row().3
    }

    /// Header fields the answer owes: `Allow` with 405 (RFC 9110 section 15.5.6), `Accept-Encoding` with 415 (section 15.5.16).
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Refusal::MethodNotAllowed => &[("Allow", ALLOW)],
            Refusal::ContentEncoding => &[("Accept-Encoding", "identity")],
            _ => &[],
        }
    }

    /// The answer's body: `{"code":…,"reason":…,"hint":…}`.
    pub fn body_json(self) -> String {
        fault::body_json(self.code(), self.reason(), self.hint())
    }

    #[rustfmt::skip]
    const fn row(self) -> Row {
        use Refusal as R;
        match self {
            R::LengthRepeated   => (400, "content-length-repeated", "Content-Length is given more than once.", "Send one Content-Length field with one number."),
            R::LengthBad        => (400, "content-length-bad", "Content-Length is not a decimal number.", "Send digits only: no sign, no unit."),
            R::LengthWithCoding => (400, "content-length-with-transfer-encoding", "Content-Length and Transfer-Encoding are both given.", "Send one or the other."),
            R::CodingUnknown    => (501, "transfer-encoding-unknown", "The transfer coding is not served.", "Use Content-Length, or Transfer-Encoding: chunked alone."),
            R::CodingInHttp10   => (400, "transfer-encoding-in-http-1-0", "HTTP/1.0 has no Transfer-Encoding.", "Use Content-Length, or HTTP/1.1."),
            R::ObsFold          => (400, "header-folded", "A header line starts with a blank.", "Send each header on one line."),
            R::BareCr           => (400, "bare-cr", "A CR stands without LF.", "End lines with CR LF, and keep CR out of values."),
            R::BareLf           => (400, "bare-lf", "A line ends with LF alone.", "End lines with CR LF."),
            R::Control          => (400, "control-character", "The head holds a control character.", "Percent-encode or remove it."),
            R::HostMissing      => (400, "host-missing", "Host is missing.", "HTTP/1.1 requests carry one Host field."),
            R::HostRepeated     => (400, "host-repeated", "Host is given more than once.", "Send one Host field."),
            R::HostBad          => (400, "host-bad", "The host is not a name or address with an optional port.", "Send Host: name[:port], in ASCII (punycode for other names)."),
            R::SpaceBeforeColon => (400, "space-before-colon", "A blank stands before a header's colon.", "Remove it."),
            R::HeaderLine       => (400, "header-line-bad", "A header line has no colon.", "Send name: value lines, then an empty line."),
            R::HeaderName       => (400, "header-name-bad", "A header name is not a token.", "Use letters, digits and -."),
            R::RequestLine      => (400, "request-line-bad", "The first line is not METHOD target HTTP/1.1.", "This port speaks HTTP/1.1 in clear; for TLS put a proxy before it."),
            R::Target           => (400, "target-bad", "The request target is not a path.", "Send /path?query in ASCII, percent-encode the rest, leave the fragment out."),
            R::Version          => (505, "version-unsupported", "This HTTP version is not served.", "Use HTTP/1.1."),
            R::Http09           => (400, "http-0-9", "The first line has no version.", "Use HTTP/1.1."),
            R::Http2Preface     => (505, "http-2", "HTTP/2 is not served on this port.", "Use HTTP/1.1, or let a proxy translate."),
            R::MethodUnknown    => (501, "method-unknown", "The method is not known.", "Use GET, HEAD, POST or OPTIONS; methods are upper-case."),
            R::MethodNotAllowed => (405, "method-not-allowed", "The method is not served here.", "Use GET, HEAD, POST or OPTIONS."),
            R::LineTooLong      => (414, "target-too-long", "The request line is too long.", "Send the data in a POST body."),
            R::HeadTooBig       => (431, "headers-too-big", "The header block is too big.", "Send fewer or shorter headers, cookies above all."),
            R::HeadersTooMany   => (431, "headers-too-many", "There are too many header lines.", "Send at most 64."),
            R::BodyTooBig       => (413, "body-too-big", "The body is too big.", "Send it in smaller requests."),
            R::ChunkSize        => (400, "chunk-size-bad", "A chunk size is not a hexadecimal number.", "Send 1 to 16 hex digits, no sign, no 0x."),
            R::ChunkLine        => (400, "chunk-line-bad", "A chunk-size line is malformed.", "End it with CR LF, extensions after a semicolon."),
            R::ChunkEnd         => (400, "chunk-end-bad", "Chunk data is not followed by CR LF.", "Check that the chunk size matches the data."),
            R::ChunkOverhead    => (400, "chunk-overhead", "The chunks hold more framing than data.", "Send larger chunks, without extensions."),
            R::Trailer          => (400, "trailer-bad", "The trailer section is malformed or too long.", "Leave trailers out: they are not used."),
            R::ContentEncoding  => (415, "content-encoding-unsupported", "Compressed request bodies are not served.", "Send the body without Content-Encoding."),
        }
    }
}

/// Status, code, reason, hint.
type Row = (u16, &'static str, &'static str, &'static str);

/// The methods served, as `Allow` lists them.
pub const ALLOW: &str = "GET, HEAD, POST, OPTIONS";

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        let fault = Fault::new(
            refusal.status(),
            refusal.code(),
            refusal.reason(),
            refusal.hint(),
        );
        fault.with_headers(refusal.headers())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_all_refusals_is_in_the_order_of_their_numbers() {
        for (at, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(*refusal as usize, at);
        }
    }

    #[test]
    fn every_code_is_kebab_case_and_used_once() {
        for refusal in Refusal::ALL {
            let code = refusal.code();
            assert!(
                code.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{code}"
            );
            assert_eq!(
                Refusal::ALL
                    .iter()
                    .filter(|other| other.code() == code)
                    .count(),
                1,
                "{code}"
            );
            assert!((400..600).contains(&refusal.status()), "{code}");
        }
    }

    #[test]
    fn the_texts_need_no_escaping_in_json() {
        for refusal in Refusal::ALL {
            for text in [refusal.code(), refusal.reason(), refusal.hint()] {
                assert!(
                    !text.is_empty()
                        && !text.contains(['"', '\\'])
                        && text.bytes().all(|b| (0x20..0x7f).contains(&b))
                );
            }
        }
        assert_eq!(
            Refusal::Http09.body_json(),
            r#"{"code":"http-0-9","reason":"The first line has no version.","hint":"Use HTTP/1.1."}"#
        );
    }

    #[test]
    fn a_method_not_allowed_names_the_methods_that_are() {
        let fault = Fault::from(Refusal::MethodNotAllowed);
        assert_eq!(fault.status, 405);
        assert_eq!(fault.headers, [("Allow", "GET, HEAD, POST, OPTIONS")]);
    }
}
