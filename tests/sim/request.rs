//! Spells requests in all the ways in which clients do.
//!
//! In: a path, variables, data. Out: the bytes of a request that means them, in one of the five encodings of
//! csp.md 1.3, by either version, with a body in chunks or of known length.

use super::chance::Chance;
use super::settings::encode;

/// What a request is to say.
pub struct Saying<'a> {
    pub path: &'a str,
    pub pairs: Vec<(&'static str, String)>,
    /// The variable `d`.
    pub data: Option<&'a [u8]>,
    /// A header line, with its end.
    pub header: String,
    /// Only a GET, as script tags and event sources do.
    pub get: bool,
}

/// A request that says it.
pub fn spell(chance: &mut Chance, saying: &Saying<'_>) -> Vec<u8> {
    let data = saying.data.unwrap_or_default();
    let small = data.len() < TARGET_DATA_MAX;
    let get = saying.get && small;
    match chance.below(6) {
        0..=2 if get || small => everything_in_the_target(chance, saying),
        0 | 1 => everything_in_a_form(chance, saying),
        2 if saying.data.is_some() => data_in_a_form(chance, saying),
        _ => data_as_it_is(chance, saying),
    }
}

/// A request without a body.
pub fn bare(chance: &mut Chance, method: &str, target: &str, header: &str) -> Vec<u8> {
    let (version, more) = version(chance);
    format!("{method} {target} {version}\r\n{more}{header}\r\n").into_bytes()
}

/// A POST with a body.
pub fn post(chance: &mut Chance, target: &str, header: &str, body: &[u8]) -> Vec<u8> {
    let (version, more) = version(chance);
    let chunked = version == "HTTP/1.1" && chance.one_in(6);
    let expects = version == "HTTP/1.1" && !body.is_empty() && chance.one_in(10);
    let expect = if expects {
        "Expect: 100-continue\r\n"
    } else {
        ""
    };
    let mut out = format!("POST {target} {version}\r\n{more}{header}{expect}").into_bytes();
    if chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        in_chunks(chance, &mut out, body);
    } else {
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        out.extend_from_slice(body);
    }
    out
}

fn everything_in_the_target(chance: &mut Chance, saying: &Saying<'_>) -> Vec<u8> {
    let mut pairs = saying.pairs.clone();
    if let Some(data) = saying.data {
        pairs.push(("d", String::from_utf8(data.to_vec()).unwrap()));
    }
    let target = format!("{}?{}", saying.path, encode(&pairs));
    if saying.get || chance.one_in(2) {
        bare(chance, "GET", &target, &saying.header)
    } else {
        post(chance, &target, &saying.header, b"")
    }
}

fn everything_in_a_form(chance: &mut Chance, saying: &Saying<'_>) -> Vec<u8> {
    let plain = saying
        .data
        .filter(|data| !data.iter().any(|byte| b"&%+".contains(byte)));
    let mut form = encode(&saying.pairs).into_bytes();
    if let Some(data) = saying.data {
        form.extend_from_slice(b"&d=");
        match plain {
            // The clients of 2009 leave it as it is.
            Some(plain) if chance.one_in(2) => form.extend_from_slice(plain),
            _ => form.extend_from_slice(&escaped(data)),
        }
    }
    post(chance, saying.path, &saying.header, &form)
}

fn data_in_a_form(chance: &mut Chance, saying: &Saying<'_>) -> Vec<u8> {
    let target = format!("{}?{}", saying.path, encode(&saying.pairs));
    let form = [b"d=", &escaped(saying.data.unwrap_or_default())[..]].concat();
    post(chance, &target, &saying.header, &form)
}

fn data_as_it_is(chance: &mut Chance, saying: &Saying<'_>) -> Vec<u8> {
    let target = format!("{}?{}", saying.path, encode(&saying.pairs));
    post(
        chance,
        &target,
        &saying.header,
        saying.data.unwrap_or_default(),
    )
}

fn escaped(data: &[u8]) -> Vec<u8> {
    let encoded = encode(&[("", String::from_utf8(data.to_vec()).unwrap())]);
    encoded.trim_start_matches('=').as_bytes().to_vec()
}

fn version(chance: &mut Chance) -> (&'static str, String) {
    let host = "Host: 127.0.0.1:8000\r\n";
    let cookie = if chance.one_in(25) {
        format!("Cookie: c={}\r\n", "y".repeat(chance.below(3_000)))
    } else {
        String::new()
    };
    match chance.below(30) {
        0 => ("HTTP/1.0", cookie),
        1 | 2 => (
            "HTTP/1.0",
            format!("{host}Connection: keep-alive\r\n{cookie}"),
        ),
        3 => ("HTTP/1.1", format!("{host}{cookie}Connection: close\r\n")),
        _ => ("HTTP/1.1", format!("{host}{cookie}")),
    }
}

fn in_chunks(chance: &mut Chance, out: &mut Vec<u8>, body: &[u8]) {
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(chance.between(rest.len().div_ceil(4), rest.len()));
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = after;
    }
    out.extend_from_slice(b"0\r\n\r\n");
}

/// Data up to this size may stand in a target, where it grows threefold.
const TARGET_DATA_MAX: usize = 9_000;
