//! The browser's own EventSource: `/_/events?channel=C`.

use super::{Cx, Mode, Peer};
use crate::proto::http::{self, Event};
use crate::proto::sse;
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct Events;

impl Mode for Events {
    fn opened(&self, cx: &mut Cx<'_>, _: &mut Peer) {
        let target = format!("/_/events?channel={}", cx.channel);
        cx.get(&target, "Accept: text/event-stream\r\n");
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        loop {
            match http::next(&mut peer.body, &mut rest)? {
                Event::More => return Ok(input.len() - rest.len()),
                Event::Head(200) => peer.ready = true,
                Event::Head(_) | Event::End => return Err(Fault::Response),
                Event::Data(data) => pieces(peer, data, sse::event, |peer, event| {
                    cx.arrived(peer, event);
                    Ok(())
                })?,
            }
        }
    }
}

/// Finds the first whole piece, and what is behind it.
pub type Cut = fn(&[u8]) -> Option<(&[u8], &[u8])>;

/// Cuts a body's text into pieces, keeping the last until its end has come.
///
/// # Errors
/// What `each` says, and [`Fault::TooMuch`] for a piece over [`PIECE_BYTES_MAX`].
pub fn pieces(
    peer: &mut Peer,
    data: &[u8],
    cut: Cut,
    mut each: impl FnMut(&mut Peer, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let held = peer.text.take();
    let joined = (!held.is_empty()).then(|| [&held[..], data].concat());
    let mut rest = joined.as_deref().unwrap_or(data);
    while let Some((piece, behind)) = cut(rest) {
        each(peer, piece)?;
        rest = behind;
    }
    if rest.len() > PIECE_BYTES_MAX {
        return Err(Fault::TooMuch);
    }
    peer.text.push(rest);
    Ok(())
}

/// Most bytes of one event or line.
const PIECE_BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_however_the_text_is_cut() {
        let text = b"one\ntwo\nthree\nfo";
        for step in 1..text.len() {
            let (mut peer, mut found) = (Peer::default(), Vec::new());
            for part in text.chunks(step) {
                pieces(&mut peer, part, sse::line, |_, line| {
                    found.push(line.to_vec());
                    Ok(())
                })
                .unwrap();
            }
            assert_eq!(found, [&b"one"[..], b"two", b"three"], "{step}");
            assert_eq!(peer.text.take(), b"fo");
        }
    }
}
