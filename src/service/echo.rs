//! Sends back what it gets: what conformance suites and protocol tests are pointed at.
//!
//! In: bytes. Out: the same bytes. A line `!close` makes it say goodbye.

use super::{Cx, Hello, Service};
use crate::cmd::Cause;
use crate::hub::Refused;
use crate::mem::Msg;
use crate::session::Session;

/// The service; it remembers nothing.
#[derive(Debug)]
pub struct Echo;

impl Service for Echo {
    fn opened(&self, _: &mut Cx<'_>, _: &mut Session, _: &Hello<'_>) -> Result<(), Refused> {
        Ok(())
    }

    fn message(&self, cx: &mut Cx<'_>, session: &mut Session, bytes: &[u8], binary: bool) {
        let close = close_line(bytes);
        let bytes = bytes.get(..close.unwrap_or(bytes.len())).unwrap_or(bytes);
        let msg = if binary {
            Msg::binary(bytes, cx.ledger)
        } else {
            Msg::new(bytes, cx.ledger)
        };
        if close.is_none() || !bytes.is_empty() {
            cx.push(session, msg);
        }
        if close.is_some() {
            cx.end(session, Cause::Closed);
        }
    }
}

/// Where a line `!close` begins.
fn close_line(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        if line.strip_suffix(b"\r").unwrap_or(line) == b"!close" {
            return Some(at);
        }
        at += line.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::close_line;

    #[test]
    fn only_a_whole_line_closes() {
        assert_eq!(close_line(b"!close"), Some(0));
        assert_eq!(close_line(b"ab\n!close\r\nx"), Some(3));
        assert_eq!(close_line(b"!closed\n"), None);
    }
}
