//! STOMP frames are the same whole, in pieces and dribbled, within their limits, and what is told of one can be read again.

use super::pieces;
use orbited::stomp::{Frame, Limits, Version, next, spell};

const LIMITS: Limits = Limits {
    line_bytes_max: 64,
    head_bytes_max: 200,
    lines_max: 6,
    body_bytes_max: 64,
};

/// Panics where the reader breaks its word.
pub fn run(data: &[u8]) {
    for version in [None, Some(Version::V10), Some(Version::V11), Some(Version::V12)] {
        let [whole, ways @ ..] = pieces::ways(data).map(|pieces| frames(&pieces, version));
        for way in ways {
            assert_eq!(way, whole);
        }
    }
}

/// What a connection would see, up to the end it comes to.
fn frames(pieces: &[&[u8]], version: Option<Version>) -> Vec<String> {
    let (mut partial, mut seen) = (None, Vec::new());
    for piece in pieces {
        let mut input = *piece;
        loop {
            match next(&mut partial, &mut input, version, &LIMITS) {
                Ok(Some(frame)) => {
                    check(&frame, version);
                    seen.push(format!("{frame:?}"));
                }
                Ok(None) => break,
                Err(fault) => {
                    seen.push(format!("{fault:?}"));
                    return seen;
                }
            }
        }
        assert!(input.is_empty());
        let held = partial.as_ref().map_or(0, |partial| partial.heap_bytes());
        assert!(held <= 4096);
    }
    seen
}

fn check(frame: &Frame<'_>, version: Option<Version>) {
    assert!(frame.headers.len() <= LIMITS.lines_max);
    assert!(frame.body.len() <= LIMITS.body_bytes_max);
    // Alone it is the same, which transactions count on.
    let (mut partial, mut input) = (None, frame.raw);
    let again = next(&mut partial, &mut input, version, &LIMITS).ok().flatten();
    assert_eq!(again.as_ref(), Some(frame));
    let Some(version) = version.filter(|version| *version != Version::V10) else {
        return;
    };
    // Whatever its headers say can be said.
    let mut told = b"SEND\n".to_vec();
    for (name, value) in &frame.headers {
        spell::header(&mut told, Some(version), name, value);
    }
    told.extend_from_slice(b"\n\0");
    let wide = Limits {
        line_bytes_max: 1000,
        head_bytes_max: 4000,
        ..LIMITS
    };
    let (mut partial, mut input) = (None, &told[..]);
    let read = next(&mut partial, &mut input, Some(version), &wide);
    // A length that was no body's is one here.
    if frame.header("content-length").is_none() {
        let read = read.ok().flatten().map(|read| read.headers.clone());
        assert_eq!(read.as_ref(), Some(&frame.headers));
    }
}
