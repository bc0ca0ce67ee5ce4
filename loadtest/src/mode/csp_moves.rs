//! CSP by clients that move: one that was cut off comes back on a WebSocket or on server-sent events, whichever
//! follows from how many packets it has.

use super::csp_stream::SSE;
use super::csp_ws::CspWs;
use super::{Ack, Cx, Mode, Peer, csp};
use crate::part::Word;
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct CspMoves;

/// A step of [`Peer::step`] behind [`csp::OPEN`]: its downstream is a WebSocket.
const ON_SOCKET: u8 = csp::OPEN + 1;

/// What it is on now. Everybody begins with events.
fn now(peer: &Peer) -> &'static dyn Mode {
    match peer.step {
        ON_SOCKET => &CspWs,
        _ => &SSE,
    }
}

impl Mode for CspMoves {
    fn opened(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        SSE.opened(cx, peer);
    }

    fn resumes(&self) -> bool {
        true
    }

    fn resumed(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        if peer.got.is_multiple_of(2) {
            CspWs.resumed(cx, peer);
            peer.step = ON_SOCKET;
        } else {
            SSE.resumed(cx, peer);
        }
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        now(peer).received(cx, peer, input)
    }

    fn wants_ack(&self, peer: &Peer) -> Ack {
        now(peer).wants_ack(peer)
    }

    fn acknowledge(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        now(peer).acknowledge(cx, peer);
    }

    fn goodbye(&self, cx: &mut Cx<'_>, peer: &mut Peer) -> bool {
        now(peer).goodbye(cx, peer)
    }

    fn speaks(&self) -> bool {
        true
    }

    fn say(&self, cx: &mut Cx<'_>, peer: &mut Peer, words: &[Word]) {
        now(peer).say(cx, peer, words);
    }
}
