//! CSP on XHR streaming: one streaming response, a batch per line behind blanks.

use super::{Ack, Cx, Mode, Peer, csp, events};
use crate::proto::sse;
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct CspStream;

impl Mode for CspStream {
    fn opened(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::handshake(cx, peer);
    }

    fn resumes(&self) -> bool {
        true
    }

    fn resumed(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::resume(cx, peer, "xhrstream");
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        csp::stream(cx, peer, input, "xhrstream", |cx, peer, data| {
            events::pieces(peer, data, sse::line, |peer, line| {
                csp::batch(cx, peer, line)
            })
        })
    }

    fn wants_ack(&self, peer: &Peer) -> Ack {
        csp::stream_ack(peer)
    }

    fn acknowledge(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::send_ack(cx, peer);
    }

    fn speaks(&self) -> bool {
        true
    }

    fn say(&self, cx: &mut Cx<'_>, peer: &mut Peer, line: &str) {
        csp::say(cx, peer, line);
    }
}
