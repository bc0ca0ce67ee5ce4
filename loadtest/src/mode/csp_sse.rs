//! CSP on server-sent events: one streaming response, a batch per event.

use super::{Ack, Cx, Mode, Peer, csp, events};
use crate::proto::sse;
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct CspSse;

impl Mode for CspSse {
    fn opened(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::handshake(cx, peer);
    }

    fn resumes(&self) -> bool {
        true
    }

    fn resumed(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::resume(cx, peer, "sse");
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        csp::stream(cx, peer, input, "sse", |cx, peer, data| {
            events::pieces(peer, data, sse::event, |peer, event| {
                match sse::data(event) {
                    Some(batch) => csp::batch(cx, peer, batch),
                    None => Ok(()),
                }
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
