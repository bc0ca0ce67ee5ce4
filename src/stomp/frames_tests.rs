//! Frames against a slow twin, in any pieces; and each fault by itself.

use super::*;
use crate::rng::Rng;

const LIMITS: Limits = Limits {
    line_bytes_max: 40,
    head_bytes_max: 100,
    lines_max: 4,
    body_bytes_max: 20,
};

/// Command, headers, body.
type Plain = (Command, Vec<(String, String)>, Vec<u8>);

/// Everything that `pieces` bring, and the fault it ends with.
fn read<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    version: Option<Version>,
) -> (Vec<Plain>, Option<Fault>) {
    let (mut partial, mut frames) = (None, Vec::new());
    for mut input in pieces {
        loop {
            match next(&mut partial, &mut input, version, &LIMITS) {
                Ok(Some(frame)) => frames.push(plain(&frame)),
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault)),
            }
        }
        assert!(input.is_empty());
    }
    (frames, None)
}

fn plain(frame: &Frame<'_>) -> Plain {
    let own = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| (name.to_string(), value.to_string());
    let headers = frame.headers.iter().map(own).collect();
    (frame.command, headers, frame.body.to_vec())
}

/// The frames of `bytes`, found the obvious way: all of it is there, and is cut and replaced.
fn twin(bytes: &[u8], version: Version) -> Vec<Plain> {
    let (mut rest, mut frames) = (bytes.to_vec(), Vec::new());
    while let Some((frame, behind)) = twin_one(&rest, version) {
        frames.push(frame);
        rest = behind;
    }
    frames
}

fn twin_one(bytes: &[u8], version: Version) -> Option<(Plain, Vec<u8>)> {
    let begin = bytes.iter().position(|b| *b != b'\n' && *b != b'\r')?;
    let mut rest = bytes[begin..].to_vec();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut used = 0;
    loop {
        let end = rest.iter().position(|b| *b == b'\n')?;
        used += end + 1;
        let mut line: Vec<u8> = rest.drain(..=end).collect();
        line.pop();
        if line.len() > LIMITS.line_bytes_max || used > LIMITS.head_bytes_max + 1 {
            return None;
        }
        if version == Version::V12 && line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let command = Command::parse(&lines.remove(0))?;
    if lines.len() > LIMITS.lines_max || lines.iter().any(|line| line.contains(&0)) {
        return None;
    }
    let length = |line: &Vec<u8>| line.strip_prefix(b"content-length:").map(<[u8]>::to_vec);
    let end = match lines.iter().find_map(length) {
        Some(text) => {
            let text = String::from_utf8(text.trim_ascii().to_vec()).ok()?;
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok())??
        }
        None => rest.iter().position(|b| *b == 0)?,
    };
    let max = if command == Command::Send {
        LIMITS.body_bytes_max
    } else {
        0
    };
    if end > max || rest.get(end) != Some(&0) {
        return None;
    }
    let body = rest[..end].to_vec();
    let escaped = version != Version::V10 && command != Command::Connect;
    let headers = lines.iter().map(|line| twin_header(line, version, escaped));
    let mut headers: Vec<_> = headers.collect::<Option<_>>()?;
    if version == Version::V10 && command != Command::Connect {
        let trim = |text: &mut String| *text = text.trim_matches(' ').to_owned();
        headers
            .iter_mut()
            .for_each(|(name, value)| (trim(name), trim(value)).0);
    }
    Some(((command, headers, body), rest[end + 1..].to_vec()))
}

fn twin_header(line: &[u8], version: Version, escaped: bool) -> Option<(String, String)> {
    let text = String::from_utf8(line.to_vec()).ok()?;
    let at = text.find(':').filter(|at| *at > 0)?;
    let plain = |text: &str| {
        if !escaped {
            return Some(text.to_owned());
        }
        let cr = if version == Version::V12 { "\r" } else { "\0" };
        let out: Vec<String> = text
            .split("\\\\")
            .map(|part| {
                part.replace("\\n", "\n")
                    .replace("\\c", ":")
                    .replace("\\r", cr)
            })
            .collect();
        let bad = |part: &String| part.contains('\\') || part.contains('\0');
        (!out.iter().any(bad)).then(|| out.join("\\"))
    };
    Some((plain(&text[..at])?, plain(&text[at + 1..])?))
}

/// A frame, or almost one.
fn random(rng: &mut Rng) -> String {
    const PARTS: [&[&str]; 4] = [
        &[
            "SEND\n",
            "SEND\n",
            "SEND\r\n",
            "ACK\n",
            "CONNECT\n",
            "\n\r\nSEND\n",
            "MESSAGE\n",
        ],
        &[
            "",
            "destination:/topic/a\n",
            "a:b\n",
            "a: b \n",
            "k\\c:x\\\\\\n\n",
            "k:\\r\n",
            "k:\\x\n",
            "k:\\\n",
            "k\n",
            ":v\n",
            "k:v\r\n",
            "k:\r\n",
            "content-length:3\n",
            "content-length:x\n",
            "é:\n",
        ],
        &["\n", "\n", "\n", "\r\n", ""],
        &[
            "\0",
            "\0",
            "abc\0",
            "abc\0\n",
            "a\0c\0",
            "é\0\n\n",
            "",
            "0123456789012345678901\0",
        ],
    ];
    let mut text = String::new();
    for (n, parts) in PARTS.iter().enumerate() {
        let count = if n == 1 { rng.below(4) } else { 1 };
        for _ in 0..count {
            text.push_str(parts[rng.below(parts.len() as u64) as usize]);
        }
    }
    text
}

#[test]
fn frames_are_what_a_slow_reader_finds_in_whatever_pieces() {
    let mut rng = Rng::new([5; 32]);
    let mut whole = 0;
    for round in 0..30_000 {
        let text: String = (0..1 + rng.below(3)).map(|_| random(&mut rng)).collect();
        let bytes = text.as_bytes();
        let version = Version::ALL[round % 3];
        let (frames, fault) = read(std::iter::once(bytes), Some(version));
        assert_eq!(frames, twin(bytes, version), "{version:?} {text:?}");
        let dribbled = read(bytes.chunks(1), Some(version));
        assert_eq!(dribbled, (frames.clone(), fault), "{version:?} {text:?}");
        let size = 1 + rng.below(9) as usize;
        assert_eq!(
            read(bytes.chunks(size), Some(version)),
            dribbled,
            "{text:?}"
        );
        whole += frames.len();
    }
    assert!(whole > 5_000, "only {whole} frames were frames");
}

fn fault(text: &str) -> Option<Fault> {
    read(text.as_bytes().chunks(1), Some(Version::V12)).1
}

#[test]
fn every_fault_is_told() {
    for (text, want) in [
        ("GET / HTTP/1.1\r\n", Fault::UnknownCommand),
        ("send\n", Fault::UnknownCommand),
        (
            "SEND\nk:0123456789012345678901234567890123456789",
            Fault::LineTooLong,
        ),
        (
            "SEND\na:012345678901234567890123456789\nb:012345678901234567890123456789\nc:0123456789012345678901234567890123456",
            Fault::HeadTooBig,
        ),
        ("SEND\na:\na:\na:\na:\na:\n", Fault::TooManyLines),
        ("SEND\nnone\n\n\0", Fault::NoColon),
        ("SEND\n:v\n\n\0", Fault::NoColon),
        ("SEND\nk:\0", Fault::NulInHead),
        ("SEND\nk:\\t\n\n\0", Fault::BadEscape),
        ("SEND\nk:\\\n\n\0", Fault::BadEscape),
        ("SEND\ncontent-length:-1\n\n", Fault::BadLength),
        (
            "SEND\ncontent-length:99999999999999999999999\n\n",
            Fault::BodyTooBig,
        ),
        ("SEND\n\n012345678901234567890", Fault::BodyTooBig),
        ("ACK\n\nx", Fault::NoBodyHere),
        ("ACK\ncontent-length:1\n\n", Fault::NoBodyHere),
        ("SEND\ncontent-length:1\n\nab", Fault::NoNul),
    ] {
        assert_eq!(fault(text), Some(want), "{text:?}");
        assert!(!want.reason().is_empty());
    }
    let (_, not_text) = read(std::iter::once(&b"SEND\nk:\xff\n\n\0"[..]), None);
    assert_eq!(not_text, Some(Fault::NotUtf8));
    assert!(Fault::BodyTooBig.is_size() && !Fault::NoNul.is_size());
}

#[test]
fn the_first_of_two_headers_counts_and_a_value_keeps_its_colons() {
    let mut input = &b"SEND\ndestination:/topic/a:b\ndestination:/x\n\nhi\0"[..];
    let mut partial = None;
    let frame = next(&mut partial, &mut input, Some(Version::V11), &LIMITS);
    let frame = frame.unwrap().unwrap();
    assert_eq!(frame.header("destination"), Some("/topic/a:b"));
    assert_eq!(
        (frame.body, frame.header("Destination")),
        (&b"hi"[..], None)
    );
}

#[test]
fn a_counted_body_may_hold_anything() {
    let bytes = b"SEND\ncontent-length:5\n\na\0\nb\0\0\nACK\n\n\0";
    for pieces in [1, 3, 99] {
        let (frames, fault) = read(bytes.chunks(pieces), Some(Version::V11));
        assert_eq!((frames.len(), fault), (2, None));
        assert_eq!(frames[0].2, b"a\0\nb\0");
    }
}

#[test]
fn what_opens_a_connection_may_end_its_lines_as_1_2_does_and_is_not_unescaped() {
    let (frames, fault) = read(
        std::iter::once(&b"\nCONNECT\r\nlogin:a\\nb\r\n\r\n\0"[..]),
        None,
    );
    assert_eq!(fault, None);
    assert_eq!(frames[0].1, [("login".to_owned(), "a\\nb".to_owned())]);
}
