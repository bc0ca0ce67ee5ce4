//! The second writer: a session's packets as WebSocket messages.
//!
//! In: packets, acknowledgements, plain payloads. Out: frames in an output queue. A CSP batch is a text
//! message holding a JSON array, an acknowledgement is `{"a":N}`; a bare stream is one message per payload.

use super::{Packet, array};
use crate::mem::{Form, Msg, OutQueue};
use crate::ws::frames::{self, Opcode};
use std::io::Write as _;
use std::rc::Rc;

/// One batch. Gives back the id of the last packet in it.
pub fn batch<'a>(
    out: &mut OutQueue,
    scratch: &mut OutQueue,
    packets: impl Iterator<Item = Packet<'a>>,
) -> Option<u64> {
    scratch.clear();
    let last = array(scratch, packets);
    frames::head(out.tail(), Opcode::Text, scratch.len());
    out.append(scratch);
    last
}

/// Tells the client that everything up to packet `id` has arrived.
pub fn ack(out: &mut OutQueue, id: u64) {
    let mut text = [0_u8; 32];
    let mut rest = &mut text[..];
    let _ = write!(rest, "{{\"a\":{id}}}");
    let unused = rest.len();
    let text = text.get(..32 - unused).unwrap_or(&[]);
    frames::head(out.tail(), Opcode::Text, text.len());
    out.tail().extend_from_slice(text);
}

/// A ping; with this text behind it where a script is to see the sign of life too.
pub fn heartbeat(out: &mut OutQueue, shown: &[u8]) {
    frames::ping(out.tail(), b"");
    if !shown.is_empty() {
        frames::head(out.tail(), Opcode::Text, shown.len());
        out.tail().extend_from_slice(shown);
    }
}

/// One payload as one message, text where it is text.
pub fn bare(out: &mut OutQueue, msg: &Rc<Msg>) {
    let opcode = if msg.is_binary() {
        Opcode::Binary
    } else {
        Opcode::Text
    };
    frames::head(out.tail(), opcode, msg.bytes().len());
    out.push_shared(msg, Form::Raw);
}

/// Two payloads as one message, text where both are text.
pub fn joined(out: &mut OutQueue, first: &Rc<Msg>, rest: &Rc<Msg>) {
    let opcode = match first.is_binary() || rest.is_binary() {
        true => Opcode::Binary,
        false => Opcode::Text,
    };
    let len = first.bytes().len() + rest.bytes().len();
    frames::head(out.tail(), opcode, len);
    out.push_shared(first, Form::Raw);
    out.push_shared(rest, Form::Raw);
}

/// A batch of no packets.
pub const EMPTY: &[u8] = b"[]";
