//! The Autobahn test suite's cases as tables, and what else proves the decoder: each input is fed whole, cut in two at every
//! byte, and byte by byte, and must mean the same each time.
//!
//! Data in: client bytes. Data out: what was seen. It must not know how the decoder holds what it holds.

mod bulk;
mod framing;
mod text;

use super::decoder::{Event, Fault, Limits, Partial, next};

/// An event with its payload copied, or the end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Bad(Fault),
}

/// A numbered case: bytes of a client, and what they mean to a server.
struct Case {
    id: String,
    input: Vec<u8>,
    seen: Vec<Seen>,
}

fn case(id: &str, frames: &[Vec<u8>], seen: &[Seen]) -> Case {
    Case {
        id: id.to_owned(),
        input: frames.concat(),
        seen: seen.to_vec(),
    }
}

/// A reader that keeps what a connection would keep.
struct Reader {
    partial: Option<Box<Partial>>,
    limits: Limits,
    seen: Vec<Seen>,
    /// The most heap bytes held between reads.
    heap_peak: usize,
}

impl Reader {
    fn new(message_bytes_max: usize) -> Self {
        Self {
            partial: None,
            limits: Limits { message_bytes_max },
            seen: Vec::new(),
            heap_peak: 0,
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.seen.last(), Some(Seen::Close(_) | Seen::Bad(_)))
    }

    fn heap_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |kept| kept.heap_bytes())
    }

    /// One read of a connection.
    fn read(&mut self, bytes: &[u8]) {
        let mut buffer = bytes.to_vec();
        let mut input = buffer.as_mut_slice();
        while !self.is_over() {
            match next(&mut self.partial, &mut input, &self.limits) {
                Ok(Event::More) => break,
                Ok(event) => self.seen.push(copied(event)),
                Err(fault) => self.seen.push(Seen::Bad(fault)),
            }
        }
        assert!(self.is_over() || input.is_empty(), "input is left");
        assert!(
            !self.is_over() || self.partial.is_none(),
            "memory is held after the end"
        );
        self.heap_peak = self.heap_peak.max(self.heap_bytes());
    }
}

fn copied(event: Event<'_>) -> Seen {
    match event {
        Event::Text(bytes) => Seen::Text(bytes.to_vec()),
        Event::Binary(bytes) => Seen::Binary(bytes.to_vec()),
        Event::Ping(bytes) => Seen::Ping(bytes.to_vec()),
        Event::Pong => Seen::Pong,
        Event::Close(code) => Seen::Close(code),
        Event::More => panic!("More is no event"),
    }
}

fn read_in<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut reader = Reader::new(16 << 20);
    for piece in pieces {
        reader.read(piece);
    }
    reader.seen
}

/// Runs a table, every case in every way of cutting it.
fn run(cases: &[Case]) {
    for Case { id, input, seen } in cases {
        assert_eq!(&read_in([input.as_slice()]), seen, "{id} whole");
        assert_eq!(&read_in(input.chunks(1)), seen, "{id} byte by byte");
        for cut in 0..=input.len() {
            let (front, back) = input.split_at(cut);
            assert_eq!(&read_in([front, back]), seen, "{id} cut at {cut}");
        }
    }
}

/// A masked frame of a client; the first byte as on the wire.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        long @ 126..=0xffff => {
            out.push(0xfe);
            out.extend((long as u16).to_be_bytes());
        }
        longer => {
            out.push(0xff);
            out.extend((longer as u64).to_be_bytes());
        }
    }
    out.extend(KEY);
    out.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    out
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// Fragments: the first of a text, of a binary message, one in the middle, the last.
const TEXT_BEGIN: u8 = 0x01;
const BINARY_BEGIN: u8 = 0x02;
const MIDDLE: u8 = 0x00;
const END: u8 = 0x80;
const REFUSED: Seen = Seen::Bad(Fault::Protocol);
