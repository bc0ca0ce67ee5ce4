//! Socket.IO 4 on a WebSocket: packets of Engine.IO 4 as text, whose first digit is their kind.
//! <https://socket.io/docs/v4/engine-io-protocol/>

use crate::mode::{Cx, Mode, Peer, ws as bare};
use crate::proto::ws;
use crate::trouble::Fault;

/// The mode.
#[derive(Debug)]
pub struct SocketIo;

impl Mode for SocketIo {
    fn opened(&self, cx: &mut Cx<'_>, _: &mut Peer) {
        ws::upgrade(cx.out, cx.host, "/socket.io/?EIO=4&transport=websocket");
        cx.out.extend_from_slice(b"\r\n");
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        if !bare::upgraded(peer, &mut rest)? {
            return Ok(input.len() - rest.len());
        }
        while let Some(frame) = ws::next(&mut rest)? {
            match bare::message(cx, &frame)? {
                None => {}
                // Open: joins the namespace `/`.
                Some([b'0', ..]) => ws::masked(cx.out, ws::TEXT, b"40"),
                Some([b'4', b'0', ..]) => peer.ready = true,
                Some([b'4', b'2', event @ ..]) => cx.arrived(peer, event),
                // Ping, which here the server sends.
                Some([b'2', ..]) => ws::masked(cx.out, ws::TEXT, b"3"),
                // No-op.
                Some([b'6', ..]) => {}
                Some(_) => return Err(Fault::Response),
            }
        }
        Ok(input.len() - rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::client::{Client, message, play};

    fn frames(texts: &[&str]) -> Vec<u8> {
        let mut out = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        for text in texts {
            ws::plain(&mut out, ws::TEXT, text.as_bytes());
        }
        out
    }

    #[test]
    fn it_joins_answers_pings_and_counts_messages() {
        let event = format!("42[\"m\",\"{}\"]", String::from_utf8(message(0)).unwrap());
        let server = frames(&["0{\"sid\":\"a\"}", "40{\"sid\":\"b\"}", "2", &event]);
        let (said, arrived, ready) = play(|| Client::open(&SocketIo), &server);
        let mut expected = Vec::new();
        ws::masked(&mut expected, ws::TEXT, b"40");
        ws::masked(&mut expected, ws::TEXT, b"3");
        assert!(said.starts_with(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"));
        assert!(said.ends_with(&expected));
        assert_eq!((arrived, ready), (1, true));
    }

    #[test]
    fn a_refusal_or_an_end_is_a_fault() {
        for bad in ["44{\"message\":\"no\"}", "41", "1", "x"] {
            let heard = Client::open(&SocketIo).hears(&frames(&[bad]));
            assert_eq!(heard, Err(Fault::Response), "{bad}");
        }
    }
}
