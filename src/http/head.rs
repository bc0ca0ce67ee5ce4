//! Parses a whole head: request line, header fields, and how the body is framed (RFC 9112 sections 3 to 6).
//!
//! Data in: a head that [`super::scan`] found, its lines ending in CRLF, at most 64 of them. Data out: a [`Request`] without its body and a
//! [`Framing`], or a [`Refusal`]. It must not know buffers.

use super::field::{check_line, is_token};
use super::host::Host;
use super::reader::Limits;
use super::refusal::Refusal;
use super::request::{Headers, Method, Request, Version, tokens};

/// How the end of the body is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// So many bytes; 0 without any length (RFC 9112 section 6.3 rule 7).
    Known(usize),
    /// Chunks.
    Chunked,
}

/// What a head says.
pub(super) struct Parsed<'a> {
    /// The request, its body still empty.
    pub(super) request: Request<'a>,
    /// Where its body ends.
    pub(super) framing: Framing,
    /// Whether the peer waits for `100 Continue`.
    pub(super) expects: bool,
}

/// Parses `head`, request line to empty line.
pub(super) fn parse<'a>(head: &'a [u8], limits: &Limits) -> Result<Parsed<'a>, Refusal> {
    let (line, block) = split_line(head).ok_or(Refusal::RequestLine)?;
    let (method, target, version) = request_line(line)?;
    let headers = Headers::parse(block).ok_or_else(|| cause(block))?;
    let method = parse_method(method)?;
    let target = parse_target(target, method)?;
    let host = check_host(&headers, version)?;
    let framing = framing(&headers, version, limits)?;
    check_encoding(&headers)?;
    // RFC 9110 section 10.1.1: ignored in HTTP/1.0, and other expectations may be ignored anywhere.
    let expects = version == Version::Http11 && headers.has_token("expect", "100-continue");
    let request = Request {
        method,
        version,
        path: target.path,
        query: target.query,
        host: target.host.unwrap_or(host),
        keep_alive: keep_alive(&headers, version),
        headers,
        body: &[],
    };
    Ok(Parsed {
        request,
        framing,
        expects,
    })
}

/// Checks that a request line ends in a version served, and says what it is otherwise.
pub(super) fn check_version(line: &[u8]) -> Result<(), Refusal> {
    if line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0") {
        return Ok(());
    }
    if line == b"PRI * HTTP/2.0" {
        return Err(Refusal::Http2Preface);
    }
    if line.contains(&b'\r') {
        return Err(Refusal::BareCr);
    }
    let last = line.rsplit(|b| *b == b' ').next().unwrap_or_default();
    Err(match last {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::Version
        }
        [b'H', b'T', b'T', b'P', b'/', ..] => Refusal::RequestLine,
        [b'/', ..] if line.split(|b| *b == b' ').count() == 2 => Refusal::Http09,
        _ => Refusal::RequestLine,
    })
}

/// The request line without CRLF, and the rest.
fn split_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let lf = memchr::memchr(b'\n', head)?;
    let (line, block) = head.split_at_checked(lf + 1)?;
    Some((line.strip_suffix(b"\r\n")?, block))
}

/// Method, target and version. One space between them, nothing else (RFC 9112 section 3).
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], Version), Refusal> {
    check_version(line)?;
    let version = if line.ends_with(b"1") {
        Version::Http11
    } else {
        Version::Http10
    };
    let rest = line
        .get(..line.len().saturating_sub(b" HTTP/1.1".len()))
        .unwrap_or_default();
    let space = memchr::memchr(b' ', rest).ok_or(Refusal::RequestLine)?;
    let (method, target) = rest.split_at_checked(space).ok_or(Refusal::RequestLine)?;
    let target = target.get(1..).unwrap_or_default();
    if !is_token(method) || target.is_empty() {
        return Err(Refusal::RequestLine);
    }
    match target.iter().find(|b| **b <= b' ' || **b == 0x7f) {
        None => Ok((method, target, version)),
        Some(b'\r') => Err(Refusal::BareCr),
        Some(b' ') => Err(Refusal::RequestLine),
        Some(_) => Err(Refusal::Control),
    }
}

/// Why a block of header lines did not parse: the first bad line's fault.
#[cold]
fn cause(block: &[u8]) -> Refusal {
    let lines = block
        .split(|b| *b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let bad = lines
        .filter(|line| !line.is_empty())
        .find_map(|line| check_line(line).err());
    bad.unwrap_or(Refusal::HeaderLine)
}

fn parse_method(method: &[u8]) -> Result<Method, Refusal> {
    match method {
        b"GET" => Ok(Method::Get),
        b"POST" => Ok(Method::Post),
        b"HEAD" => Ok(Method::Head),
        b"OPTIONS" => Ok(Method::Options),
        b"PUT" | b"DELETE" | b"PATCH" | b"TRACE" | b"CONNECT" => Err(Refusal::MethodNotAllowed),
        _ => Err(Refusal::MethodUnknown),
    }
}

/// A target taken apart; the host only of an absolute one.
struct Target<'a> {
    path: &'a str,
    query: &'a [u8],
    host: Option<&'a str>,
}

/// Origin form, absolute form, or `*` with OPTIONS (RFC 9112 section 3.2). A fragment has no place in a target. Non-ASCII is refused in the
/// path, where no client of ours puts it and proxies disagree about it, and passed on in the query.
fn parse_target(target: &[u8], method: Method) -> Result<Target<'_>, Refusal> {
    if target.contains(&b'#') {
        return Err(Refusal::Target);
    }
    if target == b"*" && method == Method::Options {
        return Ok(Target {
            path: "*",
            query: &[],
            host: None,
        });
    }
    let (host, rest) = match target {
        [b'/', ..] => (None, target),
        _ => absolute(target).map(|(host, rest)| (Some(host), rest))?,
    };
    let mark = memchr::memchr(b'?', rest).unwrap_or(rest.len());
    let (path, query) = rest.split_at_checked(mark).ok_or(Refusal::Target)?;
    let path = str::from_utf8(path)
        .ok()
        .filter(|path| path.is_ascii())
        .ok_or(Refusal::Target)?;
    let path = if path.is_empty() { "/" } else { path };
    Ok(Target {
        path,
        query: query.get(1..).unwrap_or_default(),
        host,
    })
}

/// The authority of `http://authority/path?query`, and what is behind it.
fn absolute(target: &[u8]) -> Result<(&str, &[u8]), Refusal> {
    let rest = strip_scheme(target, b"http://")
        .or_else(|| strip_scheme(target, b"https://"))
        .ok_or(Refusal::Target)?;
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).ok_or(Refusal::Target)?;
    match Host::parse(authority) {
        Some(host) if !host.name.is_empty() => Ok((host.text, rest)),
        _ => Err(Refusal::HostBad),
    }
}

fn strip_scheme<'a>(target: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// RFC 9112 section 3.2: 400 to a missing, a repeated and a malformed `Host`. An empty one is well-formed, and load balancers' probes send it.
fn check_host<'a>(headers: &Headers<'a>, version: Version) -> Result<&'a str, Refusal> {
    let mut values = headers.all("host");
    match (values.next(), values.next()) {
        (None, _) if version == Version::Http10 => Ok(""),
        (None, _) => Err(Refusal::HostMissing),
        (Some(_), Some(_)) => Err(Refusal::HostRepeated),
        (Some(value), None) => Host::parse(value)
            .map(|host| host.text)
            .ok_or(Refusal::HostBad),
    }
}

/// RFC 9112 section 6.3, refusing wherever two readers could differ.
pub(super) fn framing(
    headers: &Headers<'_>,
    version: Version,
    limits: &Limits,
) -> Result<Framing, Refusal> {
    let mut lengths = headers.all("content-length");
    let mut codings = headers.all("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Framing::Known(0)),
        (_, Some(_)) if version == Version::Http10 => Err(Refusal::CodingInHttp10),
        (Some(_), Some(_)) => Err(Refusal::LengthWithCoding),
        (None, Some(coding))
            if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() =>
        {
            Ok(Framing::Chunked)
        }
        (None, Some(_)) => Err(Refusal::CodingUnknown),
        (Some(_), None) if lengths.next().is_some() => Err(Refusal::LengthRepeated),
        (Some(length), None) => parse_length(length, limits.body_bytes_max).map(Framing::Known),
    }
}

/// Digits only, never `str::parse`, which takes `+5` (CVE-2021-32715); what overflows is too big like what is only large.
fn parse_length(digits: &[u8], max: usize) -> Result<usize, Refusal> {
    if digits.contains(&b',') {
        return Err(Refusal::LengthRepeated);
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::LengthBad);
    }
    let add = |sum: usize, digit: &u8| sum.checked_mul(10)?.checked_add(usize::from(digit - b'0'));
    let length = digits.iter().try_fold(0, add);
    length
        .filter(|length| *length <= max)
        .ok_or(Refusal::BodyTooBig)
}

/// No decompression, so no bombs: RFC 9110 section 15.5.16.
fn check_encoding(headers: &Headers<'_>) -> Result<(), Refusal> {
    let mut codings = headers.all("content-encoding").flat_map(tokens);
    let plain = codings.all(|coding| coding.eq_ignore_ascii_case(b"identity"));
    if plain {
        Ok(())
    } else {
        Err(Refusal::ContentEncoding)
    }
}

pub(super) fn keep_alive(headers: &Headers<'_>, version: Version) -> bool {
    let close = headers.has_token("connection", "close");
    !close && (version == Version::Http11 || headers.has_token("connection", "keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        line_bytes_max: 32768,
        head_bytes_max: 16384,
        body_bytes_max: 1000,
    };

    fn target(text: &str) -> (String, Vec<u8>, String) {
        let head = format!("OPTIONS {text} HTTP/1.1\r\nHost: h\r\n\r\n");
        let request = parse(head.as_bytes(), &LIMITS).unwrap().request;
        (
            request.path.to_owned(),
            request.query.to_vec(),
            request.host.to_owned(),
        )
    }

    fn refused(head: &[u8]) -> Refusal {
        parse(head, &LIMITS).err().unwrap()
    }

    #[test]
    fn targets_are_taken_apart_and_absolute_ones_give_the_host() {
        let cases = [
            ("/", "/", "", "h"),
            (
                "/a%20b//c?d=[[1,0,\"x;\"]]&{}",
                "/a%20b//c",
                "d=[[1,0,\"x;\"]]&{}",
                "h",
            ),
            ("/a?b?c", "/a", "b?c", "h"),
            ("http://x:8000/p?q", "/p", "q", "x:8000"),
            ("HTTPS://[::1]?q/r", "/", "q/r", "[::1]"),
            ("http://x", "/", "", "x"),
            ("*", "*", "", "h"),
        ];
        for (text, path, query, host) in cases {
            assert_eq!(
                target(text),
                (path.to_owned(), query.as_bytes().to_vec(), host.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn raw_bytes_that_are_not_utf_8_pass_in_the_query_and_not_in_the_path() {
        let head = b"GET /?d=\xe9\xff HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(parse(head, &LIMITS).unwrap().request.query, b"d=\xe9\xff");
        assert_eq!(
            refused(b"GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n"),
            Refusal::Target
        );
        assert_eq!(
            refused("GET /é HTTP/1.1\r\nHost: h\r\n\r\n".as_bytes()),
            Refusal::Target
        );
    }

    #[test]
    fn targets_of_other_forms_are_refused() {
        for (text, refusal) in [
            ("*", Refusal::Target),
            ("a", Refusal::Target),
            ("h:80", Refusal::Target),
            ("/#f", Refusal::Target),
            ("ftp://h/", Refusal::Target),
            ("http:///", Refusal::HostBad),
            ("http://u@h/", Refusal::HostBad),
            ("http://h:x/", Refusal::HostBad),
        ] {
            assert_eq!(
                refused(format!("GET {text} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()),
                refusal,
                "{text}"
            );
        }
    }

    #[test]
    fn connections_persist_as_version_and_header_say() {
        for (version, connection, kept) in [
            ("1.1", "", true),
            ("1.1", "Connection: x, Close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            (
                "1.0",
                "Connection: keep-alive\r\nConnection: close\r\n",
                false,
            ),
        ] {
            let head = format!("GET / HTTP/{version}\r\nHost: h\r\n{connection}\r\n");
            assert_eq!(
                parse(head.as_bytes(), &LIMITS).unwrap().request.keep_alive,
                kept,
                "{head}"
            );
        }
    }

    #[test]
    fn a_line_is_refused_with_a_cause_exactly_when_the_parser_refuses_it() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let alphabet = b"aZ-: \t\r\0\x7f\xe9[\"";
        for _ in 0..200_000 {
            let mut line = Vec::new();
            for _ in 0..=xorshift(&mut seed) % 6 {
                line.push(alphabet[(xorshift(&mut seed) % alphabet.len() as u64) as usize]);
            }
            let block = [&line[..], b"\r\n\r\n"].concat();
            let shown = line.escape_ascii().to_string();
            assert_eq!(
                Headers::parse(&block).is_some(),
                check_line(&line).is_ok(),
                "{shown}"
            );
        }
    }

    fn xorshift(seed: &mut u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    }
}
