//! CSP on one response that stays open, a batch per piece: server-sent events, or XHR streaming's lines behind blanks.

use super::events::Cut;
use super::{Ack, Cx, Mode, Peer, csp, events};
use crate::part::Word;
use crate::proto::sse;
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct CspStream {
    /// What the server is asked for.
    transport: &'static str,
    /// How the body is cut into pieces.
    cut: Cut,
    /// The batch of a piece; `None` when there is none in it.
    batch: fn(&[u8]) -> Option<&[u8]>,
}

/// A batch per event.
pub const SSE: CspStream = CspStream {
    transport: "sse",
    cut: sse::event,
    batch: sse::data,
};

/// A batch per line.
pub const XHR: CspStream = CspStream {
    transport: "xhrstream",
    cut: sse::line,
    batch: |line| Some(line),
};

impl Mode for CspStream {
    fn opened(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::handshake(cx, peer);
    }

    fn resumes(&self) -> bool {
        true
    }

    fn resumed(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::resume(cx, peer, self.transport);
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        csp::stream(cx, peer, input, self.transport, |cx, peer, data| {
            events::pieces(peer, data, self.cut, |peer, piece| {
                let batch = (self.batch)(piece);
                batch.map_or(Ok(()), |batch| csp::batch(cx, peer, batch))
            })
        })
    }

    fn wants_ack(&self, peer: &Peer) -> Ack {
        csp::stream_ack(peer)
    }

    fn acknowledge(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::send_ack(cx, peer);
    }

    fn goodbye(&self, cx: &mut Cx<'_>, peer: &mut Peer) -> bool {
        csp::goodbye(cx, peer);
        true
    }

    fn speaks(&self) -> bool {
        true
    }

    fn say(&self, cx: &mut Cx<'_>, peer: &mut Peer, words: &[Word]) {
        csp::say(cx, peer, words);
    }
}
