//! How a session's packets look on a wire.
//!
//! In: a session's settings ([`Profile`]) and its packets. Out: bytes in an output queue, by one of two
//! writers: [`http`] interprets every HTTP transport (a [`rows::Row`] of settings each), [`websocket`] writes
//! frames. What is no packet but a message of a channel, for clients without a library, [`plain`] puts into the same
//! responses, by rows of its own. None of them knows what a session is for, nor when it writes.

pub mod bayeux;
pub mod http;
pub mod location;
pub mod plain;
pub mod post;
pub mod profile;
pub mod rows;
pub mod websocket;

pub use profile::{ContentType, Profile, VariableError, is_callback};
pub use rows::{BAYEUX, Endless, PLAIN, ROWS, Row, Way};

use crate::http::response::decimal;
use crate::mem::{Form, Msg, OutQueue};
use std::rc::Rc;

/// A numbered payload on its way to the client (CSP 1.4).
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// 1, 2, 3 ... over the whole session.
    pub id: u64,
    /// The payload, and which of its spellings the client reads; `None` is the close packet.
    pub body: Option<(&'a Rc<Msg>, Form)>,
}

/// Appends `[packet,packet,...]`; gives back the last id, or `None` when there was no packet.
fn array<'a>(out: &mut OutQueue, packets: impl Iterator<Item = Packet<'a>>) -> Option<u64> {
    let mut last = None;
    out.tail().push(b'[');
    for packet in packets {
        let begin: &[u8] = if last.is_some() { b",[" } else { b"[" };
        out.tail().extend_from_slice(begin);
        decimal(out.tail(), packet.id);
        match packet.body {
            Some((msg, form)) => out.push_shared(msg, form),
            None => out.tail().extend_from_slice(b",0,null]"),
        }
        last = Some(packet.id);
    }
    out.tail().push(b']');
    last
}
