//! Every line about HTTP/1.1 requests in the hardening table, each as a stream that must get exactly one refusal and no second reply.
//!
//! Data in: streams with a request smuggled behind the bad one. Data out: tests only.

use super::reader::{Limits, Step, next};
use super::refusal::Refusal;

const LIMITS: Limits = Limits {
    line_bytes_max: 32 * 1024,
    head_bytes_max: 16 * 1024,
    body_bytes_max: 64 * 1024,
};

/// Feeds `stream` and then a good request, in pieces of `size`; answers the paths served and the refusal that ended it.
fn replies(stream: &[u8], size: usize) -> (Vec<String>, Option<Refusal>) {
    let all = [stream, b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    let (mut partial, mut served) = (None, Vec::new());
    for piece in all.chunks(size) {
        let mut input = piece;
        loop {
            match next(&mut partial, &mut input, &LIMITS) {
                Ok(Step::Ready(request)) => served.push(request.path.to_owned()),
                Ok(Step::Continue) => continue,
                Ok(Step::More) => break,
                Err(refusal) => {
                    assert!(input.is_empty(), "nothing behind a refusal is looked at");
                    return (served, Some(refusal));
                }
            }
            partial = None;
        }
    }
    (served, None)
}

fn refused(stream: &[u8]) -> Refusal {
    for size in [1, 7, usize::MAX] {
        let (served, refusal) = replies(stream, size);
        assert!(
            served.is_empty() && refusal.is_some(),
            "{} {served:?}",
            stream.escape_ascii()
        );
    }
    replies(stream, usize::MAX).1.unwrap()
}

fn line(line: &str) -> Refusal {
    refused(format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n").as_bytes())
}

fn post(headers: &str, body: &str) -> Refusal {
    refused(format!("POST / HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n{body}").as_bytes())
}

#[test]
fn host_missing_twice_or_malformed_gets_400() {
    assert_eq!(refused(b"GET / HTTP/1.1\r\n\r\n"), Refusal::HostMissing);
    assert_eq!(line("Host: h"), Refusal::HostRepeated);
    assert_eq!(line("hOST: other"), Refusal::HostRepeated);
    for host in [
        "a b", "a, b", "x/y", "a@b", "x:99999x", "a\"<b>", "é", "[::1", "x:+80",
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(refused(head.as_bytes()), Refusal::HostBad, "{host}");
    }
}

#[test]
fn versions_but_1_0_and_1_1_get_400_or_505() {
    for (version, refusal) in [
        ("HTTP/1.10", Refusal::RequestLine),
        ("HTTP/1.01", Refusal::RequestLine),
        ("HTTP/2.0", Refusal::Version),
        ("HTTP/1.2", Refusal::Version),
        ("HTTP/0.9", Refusal::Version),
        ("HTTP/11", Refusal::RequestLine),
        ("http/1.1", Refusal::RequestLine),
        ("HTTP/1.1 ", Refusal::RequestLine),
        ("HTTP/+1.1", Refusal::RequestLine),
    ] {
        assert_eq!(
            refused(format!("GET / {version}\r\nHost: h\r\n\r\n").as_bytes()),
            refusal,
            "{version}"
        );
    }
    assert_eq!(
        refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        Refusal::Http2Preface
    );
}

#[test]
fn the_form_without_a_version_gets_400() {
    assert_eq!(refused(b"GET /\r\n"), Refusal::Http09);
    assert_eq!(refused(b"GET /a\r\nHost: h\r\n\r\n"), Refusal::Http09);
}

#[test]
fn request_lines_that_are_not_exactly_three_words_get_400() {
    for first in [
        "GET  / HTTP/1.1",
        "GET / x HTTP/1.1",
        "GET HTTP/1.1",
        "GET /  HTTP/1.1",
        "G(T / HTTP/1.1",
        "/ HTTP/1.1",
        "garbage",
    ] {
        assert_eq!(
            refused(format!("{first}\r\nHost: h\r\n\r\n").as_bytes()),
            Refusal::RequestLine,
            "{first}"
        );
    }
    assert_eq!(
        refused(b"GET /\t HTTP/1.1\r\nHost: h\r\n\r\n"),
        Refusal::Control
    );
    assert_eq!(
        refused(b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"),
        Refusal::Control
    );
    assert_eq!(
        refused(b"GET /\rx HTTP/1.1\r\nHost: h\r\n\r\n"),
        Refusal::BareCr
    );
    assert_eq!(
        refused(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
        Refusal::RequestLine
    );
}

#[test]
fn header_lines_without_colon_with_bad_names_or_blanks_get_400() {
    assert_eq!(line("no colon here"), Refusal::HeaderLine);
    assert_eq!(line("X[A]: b"), Refusal::HeaderName);
    assert_eq!(line("\u{e9}: b"), Refusal::HeaderName);
    assert_eq!(line(": b"), Refusal::HeaderName);
    assert_eq!(line("X Y: b"), Refusal::HeaderName);
    assert_eq!(line("X : b"), Refusal::SpaceBeforeColon);
    assert_eq!(line("X: a\r\n folded"), Refusal::ObsFold);
    assert_eq!(
        refused(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
        Refusal::ObsFold
    );
}

#[test]
fn control_characters_bare_cr_and_bare_lf_get_400() {
    assert_eq!(line("X: a\0b"), Refusal::Control);
    assert_eq!(line("X: a\x7fb"), Refusal::Control);
    assert_eq!(line("X: a\x01"), Refusal::Control);
    assert_eq!(line("X: a\rb"), Refusal::BareCr);
    assert_eq!(line("X: a\r"), Refusal::BareCr);
    assert_eq!(line("X: a\nY: b"), Refusal::BareLf);
    assert_eq!(refused(b"GET / HTTP/1.1\nHost: h\n\n"), Refusal::BareLf);
    assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: h\r\n\n"), Refusal::BareLf);
}

#[test]
fn ambiguous_lengths_and_codings_get_400_or_501_and_never_two_replies() {
    let smuggled = "0\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(
        post("Content-Length: 5\r\nTransfer-Encoding: chunked", smuggled),
        Refusal::LengthWithCoding
    );
    assert_eq!(
        post("Transfer-Encoding: chunked\r\nContent-Length: 5", smuggled),
        Refusal::LengthWithCoding
    );
    for coding in [
        "chunked, gzip",
        "gzip, chunked",
        "gzip",
        "identity",
        "xchunked",
        "chunked, chunked",
        "",
        "\"chunked\"",
        "chunked;q=1",
    ] {
        let header = format!("Transfer-Encoding: {coding}");
        assert_eq!(post(&header, smuggled), Refusal::CodingUnknown, "{coding}");
    }
    assert_eq!(
        post(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            smuggled
        ),
        Refusal::CodingUnknown
    );
    assert_eq!(
        post("Transfer-Encoding: chunked\r", smuggled),
        Refusal::BareCr
    );
    assert_eq!(
        post("Transfer-Encoding:\x0bchunked", smuggled),
        Refusal::Control
    );
    assert_eq!(
        post("Transfer-Encoding : chunked", smuggled),
        Refusal::SpaceBeforeColon
    );
    assert_eq!(
        post("Content-Length: 5\r\nContent-Length: 6", smuggled),
        Refusal::LengthRepeated
    );
    assert_eq!(
        post("Content-Length: 5\r\nContent-Length: 5", smuggled),
        Refusal::LengthRepeated
    );
    assert_eq!(
        post("Content-Length: 5, 5", smuggled),
        Refusal::LengthRepeated
    );
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(refused(old.as_bytes()), Refusal::CodingInHttp10);
}

#[test]
fn lengths_that_are_not_digits_get_400_and_large_ones_413_at_once() {
    for length in ["+5", "-5", "0x5", "5 5", "5.0", "", "five", "\u{665}", "5;"] {
        assert_eq!(
            post(&format!("Content-Length: {length}"), "hello"),
            Refusal::LengthBad,
            "{length}"
        );
    }
    for length in [
        "1099511627776",
        "65537",
        "18446744073709551617",
        "99999999999999999999999999",
    ] {
        assert_eq!(
            post(&format!("Content-Length: {length}"), ""),
            Refusal::BodyTooBig,
            "{length}"
        );
    }
}

#[test]
fn chunks_with_bare_lf_nul_bad_trailers_or_too_much_framing_are_refused() {
    let chunked = |body: &str| post("Transfer-Encoding: chunked", body);
    assert_eq!(chunked("5;a\nhello\r\n0\r\n\r\n"), Refusal::ChunkLine);
    assert_eq!(chunked("5;a\0\r\nhello\r\n0\r\n\r\n"), Refusal::ChunkLine);
    assert_eq!(chunked("5\nhello\r\n0\r\n\r\n"), Refusal::ChunkLine);
    assert_eq!(chunked("0\r\nbad trailer\r\n\r\n"), Refusal::Trailer);
    assert_eq!(chunked("0\r\nX : y\r\n\r\n"), Refusal::Trailer);
    assert_eq!(
        chunked(&format!("5;{}", "x".repeat(17 * 1024))),
        Refusal::ChunkOverhead
    );
    assert_eq!(
        chunked(&format!("1;{}\r\nx\r\n", "x".repeat(4096)).repeat(400)),
        Refusal::ChunkOverhead
    );
    assert_eq!(chunked("10001\r\n"), Refusal::BodyTooBig);
    assert_eq!(chunked("fffffffffffffffff\r\n"), Refusal::BodyTooBig);
}

#[test]
fn a_head_without_end_is_cut_at_its_limit() {
    assert_eq!(
        line(&format!("X: {}", "x".repeat(16 * 1024))),
        Refusal::HeadTooBig
    );
    assert_eq!(line(&"X: y\r\n".repeat(64)), Refusal::HeadersTooMany);
    assert_eq!(
        refused(format!("GET /{}", "x".repeat(33 * 1024)).as_bytes()),
        Refusal::LineTooLong
    );
    assert_eq!(refused("\r\n".repeat(20).as_bytes()), Refusal::RequestLine);
}

#[test]
fn a_target_of_32_kib_is_served() {
    let stream = format!(
        "GET /{} HTTP/1.1\r\nHost: h\r\n\r\n",
        "x".repeat(32 * 1024 - 14)
    );
    let (served, refusal) = replies(stream.as_bytes(), usize::MAX);
    assert_eq!((served.len(), refusal), (2, None));
}

#[test]
fn the_body_of_any_method_is_consumed_and_never_read_as_a_request() {
    for method in ["GET", "HEAD", "OPTIONS", "POST"] {
        let stream = format!(
            "{method} /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 34\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n"
        );
        for size in [1, 7, usize::MAX] {
            let (served, refusal) = replies(stream.as_bytes(), size);
            assert_eq!(
                (served, refusal),
                (vec!["/1".to_owned(), "/smuggled".to_owned()], None)
            );
        }
    }
}

#[test]
fn methods_known_but_not_served_get_405_and_unknown_ones_501() {
    for (method, refusal) in [
        ("PUT", Refusal::MethodNotAllowed),
        ("DELETE", Refusal::MethodNotAllowed),
        ("PATCH", Refusal::MethodNotAllowed),
        ("TRACE", Refusal::MethodNotAllowed),
        ("CONNECT", Refusal::MethodNotAllowed),
        ("BREW", Refusal::MethodUnknown),
        ("get", Refusal::MethodUnknown),
    ] {
        assert_eq!(
            refused(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()),
            refusal,
            "{method}"
        );
    }
}

#[test]
fn compressed_bodies_get_415() {
    assert_eq!(
        post("Content-Encoding: gzip\r\nContent-Length: 1", "x"),
        Refusal::ContentEncoding
    );
    assert_eq!(
        post("Content-Encoding: identity, br\r\nContent-Length: 1", "x"),
        Refusal::ContentEncoding
    );
    let plain =
        "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Encoding: Identity\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(replies(plain.as_bytes(), usize::MAX).1, None);
}

#[test]
fn sixty_four_headers_pass_with_an_upgrade_among_them_and_one_more_does_not() {
    let head = |n: usize| {
        format!(
            "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n{}\r\n",
            "X: y\r\n".repeat(n)
        )
    };
    assert_eq!(replies(head(62).as_bytes(), usize::MAX).1, None);
    assert_eq!(refused(head(63).as_bytes()), Refusal::HeadersTooMany);
}
