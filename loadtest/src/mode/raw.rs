//! A socket that says nothing: what the kernel and an accept cost.

use super::{Cx, Mode, Peer};
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct Raw;

impl Mode for Raw {
    fn opened(&self, _: &mut Cx<'_>, peer: &mut Peer) {
        peer.ready = true;
    }

    fn received(&self, _: &mut Cx<'_>, _: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        Ok(input.len())
    }
}
