//! A bare WebSocket that speaks Revolved: `/_/revolved/ws`, SUBSCRIBE.

use super::{Cx, Mode, Peer, refusals};
use crate::part::{Word, lines};
use crate::proto::http::{self, Body, Event};
use crate::proto::ws::{self, Frame};
use crate::trouble::Fault;
use memchr::memmem;

/// The mode.
#[derive(Debug)]
pub struct Ws {
    /// Nobody answers a SUBSCRIBE: the floor.
    pub bare: bool,
}

impl Mode for Ws {
    fn opened(&self, cx: &mut Cx<'_>, _: &mut Peer) {
        ws::upgrade(cx.out, cx.host, "/_/revolved/ws");
        cx.out.extend_from_slice(b"\r\n");
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        if peer.body != Body::Upgraded {
            match http::next(&mut peer.body, &mut rest)? {
                Event::More => return Ok(0),
                Event::Head(101) if self.bare || cx.is_set_up(peer) => peer.ready = true,
                Event::Head(101) => ws::masked(cx.out, ws::TEXT, cx.hello(peer).as_bytes()),
                _ => return Err(Fault::Response),
            }
        }
        while let Some(frame) = ws::next(&mut rest)? {
            if let Some(data) = message(cx, &frame)? {
                if !peer.ready {
                    answers(cx, peer, data)?;
                }
                cx.arrived(peer, data);
            }
        }
        Ok(input.len() - rest.len())
    }

    fn goodbye(&self, cx: &mut Cx<'_>, _: &mut Peer) -> bool {
        // 1001: a page that is left.
        ws::masked(cx.out, ws::CLOSE, &1001_u16.to_be_bytes());
        !self.bare
    }

    fn speaks(&self) -> bool {
        !self.bare
    }

    fn say(&self, cx: &mut Cx<'_>, _: &mut Peer, words: &[Word]) {
        ws::masked(cx.out, ws::TEXT, lines(words).as_bytes());
    }
}

/// Counts answers until all have come.
fn answers(cx: &Cx<'_>, peer: &mut Peer, data: &[u8]) -> Result<(), Fault> {
    if refusals(data) > 0 {
        return Err(Fault::Response);
    }
    peer.got += memmem::find_iter(data, b"[\"OK\"").count() as u32;
    peer.ready = cx.is_set_up(peer);
    Ok(())
}

/// Whether frames are next: the upgrade is over, or its answer has just been read.
///
/// # Errors
/// An answer that is no upgrade.
pub fn upgraded(peer: &mut Peer, rest: &mut &[u8]) -> Result<bool, Fault> {
    if peer.body == Body::Upgraded {
        return Ok(true);
    }
    match http::next(&mut peer.body, rest)? {
        Event::More => Ok(false),
        Event::Head(101) => Ok(true),
        _ => Err(Fault::Response),
    }
}

/// What a frame says to the application; a ping is answered here.
///
/// # Errors
/// [`Fault::Frame`] when the server closes.
pub fn message<'a>(cx: &mut Cx<'_>, frame: &Frame<'a>) -> Result<Option<&'a [u8]>, Fault> {
    match frame.opcode {
        ws::PING => ws::masked(cx.out, ws::PONG, frame.payload),
        ws::CLOSE => return Err(Fault::Frame),
        ws::PONG => {}
        _ => return Ok(Some(frame.payload)),
    }
    Ok(None)
}
