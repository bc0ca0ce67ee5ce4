//! CSP on long-polls: a batch per response, and the next request acknowledges it.

use super::{Cx, Mode, Peer, csp};
use crate::mode::csp::Setup;
use crate::part::Word;
use crate::proto::http;
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct CspLongPoll;

impl Mode for CspLongPoll {
    fn opened(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::handshake(cx, peer);
    }

    fn resumes(&self) -> bool {
        true
    }

    fn resumed(&self, cx: &mut Cx<'_>, peer: &mut Peer) {
        csp::resume_asking(cx, peer);
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        match csp::set_up(cx, peer, &mut rest)? {
            Setup::More => return Ok(input.len() - rest.len()),
            Setup::Opens => {
                peer.ready = cx.is_set_up(peer);
                csp::comet(cx, peer, "longpoll");
            }
            Setup::Open => {}
        }
        while let Some(batch) = http::whole(&mut peer.body, &mut rest)? {
            csp::batch(cx, peer, batch)?;
            csp::comet(cx, peer, "longpoll");
        }
        Ok(input.len() - rest.len())
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
