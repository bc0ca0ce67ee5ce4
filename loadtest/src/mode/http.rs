//! A browser's idle keep-alive connection: one request, its answer, silence.

use super::{Cx, Mode, Peer};
use crate::proto::http::{self, Event};
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct Http {
    path: String,
}

impl Http {
    /// Asks for this path.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
        }
    }
}

impl Mode for Http {
    fn opened(&self, cx: &mut Cx<'_>, _: &mut Peer) {
        cx.get(&self.path, "");
    }

    fn received(&self, _: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        loop {
            match http::next(&mut peer.body, &mut rest)? {
                Event::More => return Ok(input.len() - rest.len()),
                Event::Head(100..=199 | 400..) => return Err(Fault::Response),
                Event::Head(_) | Event::Data(_) => {}
                Event::End => peer.ready = true,
            }
        }
    }
}
