//! WebSocket messages are the same whole, in pieces and dribbled, and never more than their limit.

use super::pieces;
use orbited::ws::decoder::{self, Event, Limits};

const LIMITS: Limits = Limits {
    message_bytes_max: 256,
};

/// Panics where the decoder breaks its word.
pub fn run(data: &[u8]) {
    let [whole, ways @ ..] = pieces::ways(data).map(|pieces| events(&pieces));
    for way in ways {
        assert_eq!(way, whole);
    }
}

/// What a connection would see, up to the end it comes to.
fn events(pieces: &[&[u8]]) -> Vec<String> {
    let (mut partial, mut seen) = (None, Vec::new());
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        loop {
            match decoder::next(&mut partial, &mut input, &LIMITS) {
                Ok(Event::More) => break,
                Ok(event) => {
                    check(&event);
                    seen.push(show(&event));
                    if matches!(event, Event::Close(_)) {
                        return seen;
                    }
                }
                Err(fault) => {
                    seen.push(format!("{fault:?}"));
                    return seen;
                }
            }
        }
        assert!(input.is_empty());
    }
    seen
}

fn check(event: &Event<'_>) {
    match event {
        Event::Text(text) => {
            assert!(std::str::from_utf8(text).is_ok());
            assert!(text.len() <= LIMITS.message_bytes_max);
        }
        Event::Binary(bytes) => assert!(bytes.len() <= LIMITS.message_bytes_max),
        Event::Ping(bytes) => assert!(bytes.len() <= 125),
        Event::Pong | Event::Close(_) | Event::More => {}
    }
}

/// Borrowed or owned is how it came, not what it says.
fn show(event: &Event<'_>) -> String {
    match event {
        Event::Text(bytes) => format!("text {}", bytes.escape_ascii()),
        Event::Binary(bytes) => format!("binary {}", bytes.escape_ascii()),
        Event::Ping(bytes) => format!("ping {}", bytes.escape_ascii()),
        other => format!("{other:?}"),
    }
}
