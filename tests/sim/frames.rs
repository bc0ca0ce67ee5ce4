//! WebSocket as a client speaks it: masked frames out, the server's frames in.
//!
//! In: payloads; bytes of the server. Out: bytes; frames. A server's frame that RFC 6455 forbids is a panic.

use super::chance::Chance;

/// A server's frame.
#[derive(Debug)]
pub struct Frame {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// Reads the server's frames.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    closed: bool,
}

impl Frames {
    /// Bytes came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub fn next(&mut self) -> Option<Frame> {
        let [first, second, rest @ ..] = self.buffer.as_slice() else {
            return None;
        };
        assert!(!self.closed, "a frame behind the close frame");
        let opcode = first & 0x0f;
        assert_eq!(first & 0xf0, 0x80, "reserved bits, or a fragment");
        assert!(matches!(opcode, 1 | 2 | 8 | 9 | 10), "opcode {opcode}");
        assert_eq!(second & 0x80, 0, "a server's frame is masked");
        let (len, head) = match second & 0x7f {
            126 => (be(rest.get(..2)?), 4),
            127 => (be(rest.get(..8)?), 10),
            short => (usize::from(short), 2),
        };
        assert!(
            head == 2 || len > 125 && (head == 4 || len > 0xffff),
            "a length in too long a form"
        );
        assert!(opcode < 8 || len <= 125, "a long control frame");
        let payload = self.buffer.get(head..head + len)?.to_vec();
        self.buffer.drain(..head + len);
        self.closed = opcode == CLOSE;
        Some(Frame { opcode, payload })
    }
}

impl Frame {
    /// A close frame's code, 1005 for none.
    pub fn code(&self) -> u16 {
        self.payload.get(..2).map_or(1005, |two| be(two) as u16)
    }

    /// A text message.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("a text message is UTF-8")
    }
}

fn be(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// A text message, perhaps in fragments, perhaps with pings between them.
pub fn message(chance: &mut Chance, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut opcode = TEXT;
    while chance.one_in(8) && rest.len() > 1 {
        let (part, after) = rest.split_at(chance.between(0, rest.len() - 1));
        frame(&mut out, chance, opcode, part);
        if chance.one_in(3) {
            ping(&mut out, chance);
        }
        (rest, opcode) = (after, CONTINUATION);
    }
    frame(&mut out, chance, opcode | FIN, rest);
    out
}

/// The answer to a ping.
pub fn pong(chance: &mut Chance, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame(&mut out, chance, PONG | FIN, payload);
    out
}

/// A ping.
pub fn ping(out: &mut Vec<u8>, chance: &mut Chance) {
    let payload = vec![b'p'; chance.below(126)];
    frame(out, chance, PING | FIN, &payload);
}

/// A close frame.
pub fn close(chance: &mut Chance, code: u16) -> Vec<u8> {
    let mut out = Vec::new();
    frame(&mut out, chance, CLOSE | FIN, &code.to_be_bytes());
    out
}

/// A binary message.
pub fn binary(chance: &mut Chance, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame(&mut out, chance, BINARY | FIN, bytes);
    out
}

fn frame(out: &mut Vec<u8>, chance: &mut Chance, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let mask = (chance.below(1 << 32) as u32).to_be_bytes();
    out.extend_from_slice(&mask);
    out.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
}

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
pub const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
