//! Frames and events of OP are the same whole, in pieces and dribbled, within their limits, and what is told of one ends where
//! it should, whatever it says.

use super::pieces;
use orbited::op::{Dialect, Frame, Item, Limits, Reader, Style, Terminator, events};

const LIMITS: Limits = Limits {
    head_bytes_max: 120,
    body_bytes_max: 64,
};

/// Panics where the reader breaks its word.
pub fn run(data: &[u8]) {
    let [whole, ways @ ..] = pieces::ways(data).map(|pieces| items(&pieces));
    for way in ways {
        assert_eq!(way, whole);
    }
}

/// What a connection would see, up to the end it comes to.
fn items(pieces: &[&[u8]]) -> Vec<String> {
    let (mut reader, mut seen) = (Reader::default(), Vec::new());
    for piece in pieces {
        reader.push(piece);
        loop {
            let item = match reader.next(&LIMITS) {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(fault) => {
                    seen.push(format!("{fault:?}"));
                    return seen;
                }
            };
            check(&item);
            seen.push(format!("{item:?} {:?}", reader.dialect()));
        }
        assert!(reader.heap_bytes() <= 1024);
    }
    seen
}

fn check(item: &Item) {
    match item {
        Item::Frame(frame) => {
            assert!(frame.body.len() <= LIMITS.body_bytes_max);
            for terminator in [Terminator::Nul, Terminator::Typed] {
                for lengths in [false, true] {
                    tell(frame, Style { terminator, lengths });
                }
            }
        }
        Item::Event(event) => {
            let told = events::failure(&event.id, "x", event.recipients.iter().map(String::as_str));
            let told = String::from_utf8_lossy(&told);
            assert_eq!(told.lines().count(), 4 + event.recipients.len());
        }
        Item::Unparsable => {}
    }
}

/// Told back, it is one frame, which says the same.
fn tell(frame: &Frame, style: Style) {
    let said = |(name, _): &&(String, String)| {
        !["length", "encoding"].iter().any(|own| name.eq_ignore_ascii_case(own))
    };
    let headers: Vec<_> = frame.headers.iter().filter(said).collect();
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let told = style.frame("A", &headers, &frame.body);
    let mut reader = Reader::default();
    reader.push(style.frame("A", &[], b"").as_slice());
    reader.push(&told);
    let wide = Limits {
        head_bytes_max: 1000,
        body_bytes_max: 1000,
    };
    assert!(matches!(reader.next(&wide), Ok(Some(Item::Frame(_)))));
    assert_eq!(reader.dialect(), Some(Dialect::Frames(style.terminator)));
    let Ok(Some(Item::Frame(again))) = reader.next(&wide) else {
        panic!("{:?}", told.escape_ascii().to_string());
    };
    assert!(!reader.is_begun());
    for (name, value) in headers {
        assert!(again.headers.iter().any(|(n, v)| (n.as_str(), v.as_str()) == (name, value)));
    }
    match again.header("encoding") {
        None => assert_eq!(again.body, frame.body),
        Some(encoding) => assert_eq!(encoding, "base64"),
    }
}
