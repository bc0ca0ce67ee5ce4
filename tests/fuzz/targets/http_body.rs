//! Chunked bodies are the same whole, in pieces and dribbled, and never more than their limit.

use super::pieces;
use orbited::http::body::Chunked;

const BODY_BYTES_MAX: usize = 64;

/// Panics where a decoder breaks its word.
pub fn run(data: &[u8]) {
    let [whole, ways @ ..] = pieces::ways(data).map(|pieces| decode(&pieces));
    for way in ways {
        assert_eq!(way, whole);
    }
}

/// The body and how much of the data is not its own, or what was refused, or how the end is missing.
fn decode(pieces: &[&[u8]]) -> String {
    let (mut chunked, mut body) = (Chunked::default(), Vec::new());
    let mut left: usize = pieces.iter().map(|piece| piece.len()).sum();
    for piece in pieces {
        let mut input = *piece;
        let done = chunked.feed(&mut input, &mut body, BODY_BYTES_MAX);
        assert!(body.len() <= BODY_BYTES_MAX);
        left -= piece.len() - input.len();
        match done {
            Ok(true) => return format!("{} and {left} more", body.escape_ascii()),
            Ok(false) => assert!(input.is_empty()),
            Err(refusal) => return format!("{refusal:?}"),
        }
    }
    format!("{} and no end", body.escape_ascii())
}
