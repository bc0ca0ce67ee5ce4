//! CSP on a WebSocket: batches and acknowledgements as messages. The session is made over HTTP on the same
//! connection, which is then upgraded.

use super::{Ack, Cx, Mode, Peer, csp, ws as bare};
use crate::mode::csp::Setup;
use crate::part::{Word, lines};
use crate::proto::http::{self, Body, Event};
use crate::proto::ws;
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct CspWs;

impl Mode for CspWs {
    fn opened(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::handshake(cx, peer);
    }

    fn resumes(&self) -> bool {
        true
    }

    fn resumed(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::resume_upgraded(cx, peer);
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        match csp::set_up(cx, peer, &mut rest)? {
            Setup::More => return Ok(input.len() - rest.len()),
            Setup::Opens => csp::upgrade(cx, peer),
            Setup::Open => {}
        }
        if peer.body != Body::Upgraded {
            match http::next(&mut peer.body, &mut rest)? {
                Event::More => return Ok(input.len() - rest.len()),
                // Of a session that was resumed; another is ready with its first packets.
                Event::Head(101) => peer.ready = cx.is_set_up(peer),
                _ => return Err(Fault::Response),
            }
        }
        while let Some(frame) = ws::next(&mut rest)? {
            match bare::message(cx, &frame)? {
                // `{"a":N}`: our only packet is known to have arrived by its answer.
                None | Some([b'{', ..]) => {}
                Some(batch) => csp::batch(cx, peer, batch)?,
            }
        }
        Ok(input.len() - rest.len())
    }

    fn wants_ack(&self, peer: &Peer) -> Ack {
        csp::ack_after(peer, 32, 40)
    }

    fn acknowledge(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        peer.acknowledged();
        let text = format!("{{\"a\":{}}}", peer.got);
        ws::masked(cx.out, ws::TEXT, text.as_bytes());
    }

    fn goodbye(&self, cx: &mut Cx<'_>, peer: &mut Peer) -> bool {
        let batch = csp::last_words(peer);
        ws::masked(cx.out, ws::TEXT, batch.as_bytes());
        true
    }

    fn speaks(&self) -> bool {
        true
    }

    fn say(&self, cx: &mut Cx<'_>, peer: &mut Peer, words: &[Word]) {
        let batch = csp::upstream(peer, &lines(words));
        ws::masked(cx.out, ws::TEXT, batch.as_bytes());
    }
}
