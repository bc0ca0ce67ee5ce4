//! A WebSocket client: masked frames out, whole messages in, RFC 6455 checked where a server could get it wrong.
//!
//! In: a connection and a path. Out: messages and close codes.

use crate::client::Client;

/// An open WebSocket.
pub struct WebSocket {
    /// The connection below.
    pub client: Client,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// The answer to a ping.
    Pong(Vec<u8>),
    /// The end, with its code.
    Close(u16),
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const CONTINUATION: u8 = 0;

impl WebSocket {
    /// Upgrades a connection, with the key and its answer that the RFC itself gives (section 1.3).
    pub fn open(mut client: Client, path: &str) -> Self {
        let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        client.ask("GET", path, fields, b"");
        let answer = client.response_head();
        assert_eq!(answer.status, 101, "{}", answer.head);
        assert_eq!(
            answer.field("sec-websocket-accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        Self { client }
    }

    /// Sends text in one frame.
    pub fn text(&mut self, text: &str) {
        self.client.send(&frame(true, TEXT, text.as_bytes()));
    }

    /// Sends a message in fragments of `size` bytes, with a ping between each two.
    pub fn fragmented(&mut self, binary: bool, bytes: &[u8], size: usize) {
        let mut opcode = if binary { BINARY } else { TEXT };
        let mut pieces = bytes.chunks(size).peekable();
        while let Some(piece) = pieces.next() {
            let last = pieces.peek().is_none();
            self.client.send(&frame(last, opcode, piece));
            opcode = CONTINUATION;
            if !last {
                self.client.send(&frame(true, PING, b"between"));
            }
        }
    }

    /// Sends a ping.
    pub fn ping(&mut self, bytes: &[u8]) {
        self.client.send(&frame(true, PING, bytes));
    }

    /// Sends a close frame.
    pub fn close(&mut self, code: u16) {
        self.client.send(&frame(true, CLOSE, &code.to_be_bytes()));
    }

    /// The next frame. Servers do not mask, and this one does not fragment.
    pub fn next(&mut self) -> Message {
        let head = self.client.take(2);
        assert_eq!(head[0] & 0xF0, 0x80, "one whole frame per message");
        assert_eq!(head[1] & 0x80, 0, "not masked");
        let length = match head[1] {
            126 => self.number(2),
            127 => self.number(8),
            short => usize::from(short),
        };
        let body = self.client.take(length);
        match head[0] & 0x0F {
            TEXT => Message::Text(String::from_utf8(body).unwrap()),
            BINARY => Message::Binary(body),
            PONG => Message::Pong(body),
            CLOSE => Message::Close(u16::from_be_bytes([body[0], body[1]])),
            PING => {
                self.client.send(&frame(true, PONG, &body));
                self.next()
            }
            other => panic!("opcode {other}"),
        }
    }

    /// The next text; pongs are passed over.
    pub fn next_text(&mut self) -> String {
        loop {
            match self.next() {
                Message::Text(text) => return text,
                Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn number(&mut self, bytes: usize) -> usize {
        let digits = self.client.take(bytes);
        digits
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    }
}

/// A masked frame.
pub fn frame(last: bool, opcode: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![u8::from(last) << 7 | opcode];
    match body.len() {
        short @ ..126 => frame.push(0x80 | short as u8),
        medium @ ..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    let mask = [0x5A, 0xC3, 0x0F, 0x99];
    frame.extend_from_slice(&mask);
    let masked = body.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m);
    frame.extend(masked);
    frame
}
