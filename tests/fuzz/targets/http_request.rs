//! Requests are the same whole, in pieces and dribbled.

use super::pieces;
use orbited::http::reader::{self, Limits, Step};

/// Small ones, so that mutations reach them.
const LIMITS: Limits = Limits {
    line_bytes_max: 256,
    head_bytes_max: 512,
    body_bytes_max: 64,
};

/// Panics where a parser breaks its word.
pub fn run(data: &[u8]) {
    let [whole, ways @ ..] = pieces::ways(data).map(|pieces| steps(&pieces));
    for way in ways {
        assert_eq!(way, whole);
    }
}

/// What a connection would see. `Continue` is left out: it depends on what has come of a body.
fn steps(pieces: &[&[u8]]) -> Vec<String> {
    let (mut partial, mut seen) = (None, Vec::new());
    for piece in pieces {
        let mut input = *piece;
        loop {
            match reader::next(&mut partial, &mut input, &LIMITS) {
                Ok(Step::More) => break,
                Ok(Step::Continue) => {}
                Ok(Step::Ready(request)) => {
                    assert!(request.body.len() <= LIMITS.body_bytes_max);
                    seen.push(format!("{request:?}"));
                    partial = None;
                }
                Err(refusal) => {
                    assert!(input.is_empty());
                    seen.push(format!("{refusal:?}"));
                    return seen;
                }
            }
        }
        assert!(input.is_empty());
    }
    seen
}
