//! STOMP 1.2 over TCP, on the port that HTTP has too: CONNECT, SUBSCRIBE with a receipt.

use super::{Cx, Mode, Peer};
use crate::trouble::Fault;
use memchr::memchr;

/// The mode.
#[derive(Debug)]
pub struct Stomp;

impl Mode for Stomp {
    fn opened(&self, cx: &mut Cx<'_>, _: &mut Peer) {
        let channel = cx.channel;
        let frames = format!(
            "CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0\
             SUBSCRIBE\nid:sub-0\ndestination:/topic/{channel}\nreceipt:1\n\n\0"
        );
        cx.out.extend_from_slice(frames.as_bytes());
    }

    /// What is published to it holds no NUL, so that a frame ends with the first.
    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        while let Some(end) = memchr(0, rest) {
            let (frame, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            let is = |command: &[u8]| frame.trim_ascii_start().starts_with(command);
            match () {
                () if is(b"MESSAGE\n") => cx.arrived(peer, frame),
                () if is(b"RECEIPT\n") => peer.ready = true,
                () if is(b"CONNECTED\n") => {}
                () => return Err(Fault::Response),
            }
        }
        if rest.len() > FRAME_BYTES_MAX {
            return Err(Fault::TooMuch);
        }
        Ok(input.len() - rest.len())
    }

    fn goodbye(&self, cx: &mut Cx<'_>, _: &mut Peer) -> bool {
        cx.out.extend_from_slice(b"DISCONNECT\n\n\0");
        true
    }
}

/// Most bytes of one frame.
const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
