//! Autobahn group 9 and beyond: big messages, memory under hostile streams, and random streams made by another implementation.
//!
//! Data in: generated streams. Data out: verdicts. It must not know the decoder's insides but for the heap bytes it reports.

#![allow(clippy::unwrap_used)]

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

use super::{
    BINARY, BINARY_BEGIN, END, Fault, MIDDLE, PING, REFUSED, Reader, Seen, TEXT, TEXT_BEGIN, frame,
    read_in,
};

/// More than a `Partial` itself, with a control frame's buffer in it.
const FIXED_BYTES: usize = 512;

/// xorshift64*: a seed gives the same stream for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn text(&mut self, len: usize) -> Vec<u8> {
        let alphabet = ["a", " ", "é", "€", "😀", "\u{0}", "\u{10ffff}"];
        (0..len)
            .flat_map(|_| alphabet[self.below(7)].bytes())
            .collect()
    }

    /// Pieces of at most `piece_max` bytes, empty ones among them.
    fn pieces<'a>(&mut self, mut bytes: &'a [u8], piece_max: usize) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (front, back) = bytes.split_at(self.below(piece_max + 1).min(bytes.len()));
            pieces.push(front);
            bytes = back;
        }
        pieces
    }
}

/// A client frame whose head tungstenite writes.
fn oracle_frame(random: &mut Random, opcode: u8, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let key: [u8; 4] = (random.next() as u32).to_ne_bytes();
    let header = FrameHeader {
        is_final,
        opcode: OpCode::from(opcode),
        mask: Some(key),
        ..FrameHeader::default()
    };
    let mut out = Vec::new();
    header.format(payload.len() as u64, &mut out).unwrap();
    out.extend(
        payload
            .iter()
            .enumerate()
            .map(|(i, byte)| byte ^ key[i % 4]),
    );
    out
}

/// A message in fragments with pings between them, appended to the stream and to what it means.
fn push_message(random: &mut Random, stream: &mut Vec<u8>, seen: &mut Vec<Seen>) {
    let len = [0, 1, 7, 60, 130, 70_000][random.below(6)];
    let is_text = random.below(2) == 0;
    let message = if is_text {
        random.text(len)
    } else {
        random.bytes(len)
    };
    let mut fragments = random.pieces(&message, len + 1);
    fragments.push(b"");
    let last = fragments.len() - 1;
    for (place, fragment) in fragments.into_iter().enumerate() {
        let opcode = if place > 0 { 0 } else { 2 - u8::from(is_text) };
        stream.extend(oracle_frame(random, opcode, place == last, fragment));
        if place < last && random.below(3) == 0 {
            let count = random.below(126);
            let payload = random.bytes(count);
            stream.extend(oracle_frame(random, 9, true, &payload));
            seen.push(Seen::Ping(payload));
        }
    }
    seen.push(if is_text {
        Seen::Text(message)
    } else {
        Seen::Binary(message)
    });
}

#[test]
fn random_streams_of_another_implementation_arrive_as_sent_however_they_are_cut() {
    for seed in 1..=12 {
        let mut random = Random(seed);
        let (mut stream, mut seen) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            push_message(&mut random, &mut stream, &mut seen);
        }
        for piece_max in [1, 9, 1460, 65536] {
            let mut reader = Reader::new(1 << 20);
            for piece in random.pieces(&stream, piece_max) {
                reader.read(piece);
            }
            assert!(reader.seen == seen, "seed {seed} piece_max {piece_max}");
            assert_eq!(
                reader.heap_bytes(),
                0,
                "seed {seed}: something is held when idle"
            );
        }
    }
}

#[test]
fn damaged_streams_mean_the_same_however_they_are_cut() {
    for seed in 1..=1000 {
        let mut random = Random(seed);
        let (mut stream, mut seen) = (Vec::new(), Vec::new());
        while seen.len() < 3 {
            push_message(&mut random, &mut stream, &mut seen);
        }
        stream.truncate(2000);
        for _ in 0..random.below(4) {
            let place = random.below(stream.len());
            stream[place] ^= 1 << random.below(8);
        }
        let whole = read_in([stream.as_slice()]);
        assert!(
            whole == read_in(stream.chunks(1)),
            "seed {seed} byte by byte"
        );
        let pieces = random.pieces(&stream, 40);
        assert!(whole == read_in(pieces), "seed {seed} in pieces");
    }
}

#[test]
fn noise_never_breaks_the_decoder() {
    for seed in 1..=20_000 {
        let mut random = Random(seed);
        let len = random.below(200);
        let noise = random.bytes(len);
        assert_eq!(
            read_in([noise.as_slice()]),
            read_in(noise.chunks(1)),
            "seed {seed}"
        );
    }
}

#[test]
fn big_messages_arrive_in_one_frame_and_in_fragments_of_every_size() {
    let message = Random(9).text(1 << 18);
    for size in [64, 256, 1 << 10, 1 << 14, 1 << 18, message.len()] {
        let mut stream = frame(TEXT_BEGIN, b"");
        for chunk in message.chunks(size) {
            stream.extend(frame(MIDDLE, chunk));
        }
        stream.extend(frame(END, b""));
        stream.extend(frame(TEXT, &message));
        for read in [64, 1460, 65536, stream.len()] {
            let seen = read_in(stream.chunks(read));
            let expected = [Seen::Text(message.clone()), Seen::Text(message.clone())];
            assert!(seen == expected, "fragments of {size}, reads of {read}");
        }
    }
}

#[test]
fn four_mebibytes_in_64_byte_fragments_cost_no_more_than_their_bytes() {
    let limit = 4 << 20;
    let mut reader = Reader::new(limit);
    reader.read(&frame(BINARY_BEGIN, &[7; 64]));
    let middle = frame(MIDDLE, &[7; 64]);
    for sent in 2..limit / 64 {
        reader.read(&middle);
        let bound = FIXED_BYTES + (2 * 64 * sent).min(limit);
        assert!(
            reader.heap_bytes() <= bound,
            "{} after {sent}",
            reader.heap_bytes()
        );
    }
    reader.read(&frame(END, &[7; 64]));
    assert!(reader.seen == [Seen::Binary(vec![7; limit])]);
    assert_eq!(reader.heap_bytes(), 0);
}

#[test]
fn a_flood_of_empty_fragments_holds_nothing() {
    let mut reader = Reader::new(1000);
    reader.read(&frame(TEXT_BEGIN, b""));
    let flood = frame(MIDDLE, b"").repeat(10_000);
    for _ in 0..20 {
        reader.read(&flood);
    }
    assert!(reader.heap_peak <= FIXED_BYTES, "{}", reader.heap_peak);
    reader.read(&frame(END, b"still here"));
    assert_eq!(reader.seen, [Seen::Text(b"still here".to_vec())]);
}

#[test]
fn memory_follows_what_arrives_and_not_what_is_declared() {
    let mut reader = Reader::new(1 << 30);
    reader.read(b"\x82\xff\0\0\0\0\x3f\xff\xff\xffabcd");
    assert!(reader.heap_bytes() <= FIXED_BYTES);
    for kibibytes in 1..=64 {
        reader.read(&[0; 1024]);
        assert!(reader.heap_bytes() <= FIXED_BYTES + 2 * 1024 * kibibytes);
    }
}

#[test]
fn a_message_over_the_limit_is_refused_at_the_head_that_takes_it_over() {
    let big = Seen::Bad(Fault::TooBig);
    let mut one = Reader::new(300);
    one.read(b"\x82\xfe\x01\x2d");
    assert_eq!(one.seen, std::slice::from_ref(&big));

    let mut whole = Reader::new(300);
    whole.read(&frame(BINARY, &[1; 300]));
    whole.read(&frame(BINARY, &[1; 301]));
    assert_eq!(whole.seen, [Seen::Binary(vec![1; 300]), big.clone()]);

    let mut many = Reader::new(300);
    many.read(&frame(BINARY_BEGIN, &[1; 200]));
    many.read(&frame(MIDDLE, &[1; 100]));
    many.read(&frame(PING, &[1; 125]));
    assert_eq!(many.seen, [Seen::Ping(vec![1; 125])]);
    many.read(b"\x80\x81");
    assert_eq!(many.seen.last(), Some(&big));
}

#[test]
fn a_length_with_its_top_bit_set_is_a_protocol_error_and_not_a_size() {
    assert_eq!(
        read_in([b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff".as_slice()]),
        [REFUSED]
    );
}

#[test]
fn a_frame_whole_in_the_buffer_is_handed_out_where_it_lies_even_after_its_head_came_alone() {
    use super::super::decoder::{Event, Limits, Payload, next};
    let limits = Limits {
        message_bytes_max: 100,
    };
    let mut bytes = frame(TEXT, b"Hello");
    let (head, mut body) = bytes.split_at_mut(6);
    let (mut partial, mut head) = (None, head);
    assert_eq!(next(&mut partial, &mut head, &limits), Ok(Event::More));
    let event = next(&mut partial, &mut body, &limits);
    assert_eq!(event, Ok(Event::Text(Payload::Borrowed(b"Hello"))));
    assert!(partial.is_none());
}
