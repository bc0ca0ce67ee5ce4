//! Answers are the same whole, in pieces and dribbled, and never more than their limit.

use super::pieces;
use orbited::http::answer::{BODY_BYTES_MAX, HEADS_BYTES_MAX, Partial};

/// Panics where a parser breaks its word.
pub fn run(data: &[u8]) {
    let [whole, ways @ ..] = pieces::ways(data).map(|pieces| read(&pieces));
    for way in ways {
        assert_eq!(way, whole);
    }
}

/// The answer and how much of the data is behind it, or what is wrong with it, or how its end is missing.
fn read(pieces: &[&[u8]]) -> String {
    let mut partial = Partial::default();
    let mut left: usize = pieces.iter().map(|piece| piece.len()).sum();
    for piece in pieces {
        let mut input = *piece;
        let fed = partial.feed(&mut input);
        left -= piece.len() - input.len();
        assert!(partial.heap_bytes() < 3 * (HEADS_BYTES_MAX + BODY_BYTES_MAX));
        match fed {
            Ok(Some(answer)) => {
                assert!((200..1000).contains(&answer.status));
                assert!(answer.body.len() <= BODY_BYTES_MAX);
                return format!("{answer:?} and {left} more");
            }
            Ok(None) => assert!(input.is_empty()),
            Err(no) => return format!("{no:?}"),
        }
    }
    format!("{:?} at the end", partial.end())
}
