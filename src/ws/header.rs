//! Reads the head of one client frame (RFC 6455 section 5.2), and refuses whatever is wrong as soon as its byte is there.
//!
//! Data in: the first bytes of a frame, as many as have come, and what the connection may expect next. Data out: a [`Frame`],
//! or nothing yet, or a fault. It must not know payloads, nor keep anything between calls.

use super::decoder::Fault;
use super::frames::{CONTROL_PAYLOAD_MAX, FIN, LENGTH_16, LENGTH_64, Opcode};
use super::mask::{rotated, unmask};

/// The longest head: two bytes, eight of length, four of key.
pub(super) const HEAD_MAX: usize = 14;

/// What makes one and the same head right or wrong.
pub(super) struct Expect {
    /// A message has begun and not ended, so only its continuation or a control frame may come.
    pub in_message: bool,
    /// The most payload bytes a data frame may declare.
    pub room: usize,
}

/// A frame whose head is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub opcode: Opcode,
    pub fin: bool,
    /// The key, turned so that its first byte is for the next byte of payload.
    pub key: [u8; 4],
    /// Payload bytes still to come.
    pub rest: usize,
}

impl Frame {
    /// Takes from the front of `input` what belongs to this frame, unmasked.
    pub(super) fn take<'a>(&mut self, input: &mut &'a mut [u8]) -> &'a mut [u8] {
        let count = self.rest.min(input.len());
        let chunk = input.split_off_mut(..count).unwrap_or_default();
        unmask(chunk, self.key);
        self.key = rotated(self.key, count);
        self.rest -= count;
        chunk
    }
}

/// Bytes of a head that is not whole yet. One that is [`HEAD_MAX`] bytes long is always whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadBytes {
    bytes: [u8; HEAD_MAX],
    len: u8,
}

impl HeadBytes {
    /// Appends from the front of `input` as much as there is room for.
    pub(super) fn fill(&mut self, input: &[u8]) {
        let filled = self.len();
        for (slot, byte) in self.bytes.iter_mut().skip(filled).zip(input) {
            *slot = *byte;
            self.len += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }
}

/// The frame at the front of `bytes` and the length of its head; `None` when the head is not whole.
pub(super) fn parse(bytes: &[u8], expect: &Expect) -> Result<Option<(Frame, usize)>, Fault> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let (opcode, fin) = kind(first, expect)?;
    let Some((&second, rest)) = rest.split_first() else {
        return Ok(None);
    };
    let Some((declared, rest)) = length(second, opcode, rest)? else {
        return Ok(None);
    };
    let len = admitted(declared, opcode, expect)?;
    let Some((&key, rest)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    let frame = Frame {
        opcode,
        fin,
        key,
        rest: len,
    };
    Ok(Some((frame, bytes.len() - rest.len())))
}

/// Section 5.2 for the reserved bits and opcodes, 5.5 for control frames, 5.4 for the order of fragments.
fn kind(first: u8, expect: &Expect) -> Result<(Opcode, bool), Fault> {
    let fin = first & FIN != 0;
    if first & RSV != 0 {
        return Err(Fault::Protocol);
    }
    let opcode = Opcode::of(first).ok_or(Fault::Protocol)?;
    let fits = match opcode {
        Opcode::Close | Opcode::Ping | Opcode::Pong => fin,
        Opcode::Continuation => expect.in_message,
        Opcode::Text | Opcode::Binary => !expect.in_message,
    };
    fits.then_some((opcode, fin)).ok_or(Fault::Protocol)
}

/// The declared length and what follows it. Section 5.2: the shortest form must be used, and the top bit of 64 is zero.
fn length(second: u8, opcode: Opcode, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Fault> {
    let short = second & !MASKED;
    // Section 5.1: a server closes the connection on a frame that is not masked.
    if second & MASKED == 0 || opcode.is_control() && usize::from(short) > CONTROL_PAYLOAD_MAX {
        return Err(Fault::Protocol);
    }
    let (long, rest, least, most) = match short {
        LENGTH_16 => match rest.split_first_chunk() {
            Some((field, rest)) => (u64::from(u16::from_be_bytes(*field)), rest, 126, 0xffff),
            None => return Ok(None),
        },
        LENGTH_64 => match rest.split_first_chunk() {
            Some((field, rest)) => (u64::from_be_bytes(*field), rest, 0x1_0000, u64::MAX >> 1),
            None => return Ok(None),
        },
        _ => (u64::from(short), rest, 0, 125),
    };
    match (least..=most).contains(&long) {
        true => Ok(Some((long, rest))),
        false => Err(Fault::Protocol),
    }
}

/// The length as one that memory can have, checked against the limit before any payload is read.
fn admitted(declared: u64, opcode: Opcode, expect: &Expect) -> Result<usize, Fault> {
    let len = usize::try_from(declared).map_err(|_| Fault::TooBig)?;
    match opcode.is_control() || len <= expect.room {
        true => Ok(len),
        false => Err(Fault::TooBig),
    }
}

const RSV: u8 = 0x70;
const MASKED: u8 = 0x80;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Cursor;
    use tungstenite::protocol::frame::FrameHeader;

    const FRESH: Expect = Expect {
        in_message: false,
        room: 1000,
    };

    fn len_of(bytes: &[u8], room: usize) -> Result<Option<(usize, usize)>, Fault> {
        let expect = Expect {
            in_message: false,
            room,
        };
        parse(bytes, &expect).map(|found| found.map(|(frame, used)| (frame.rest, used)))
    }

    #[test]
    fn a_head_is_read_at_each_of_its_lengths() {
        assert_eq!(len_of(b"\x81\x85abcdXX", 9), Ok(Some((5, 6))));
        assert_eq!(len_of(b"\x81\xfe\x00\x7eabcdX", 999), Ok(Some((126, 8))));
        let long = b"\x81\xff\0\0\0\0\0\x01\0\0abcdX";
        assert_eq!(len_of(long, 1 << 20), Ok(Some((65536, HEAD_MAX))));
    }

    #[test]
    fn a_head_cut_anywhere_waits() {
        let long = b"\x81\xff\0\0\0\0\0\x01\0\0abcd";
        for cut in 0..long.len() {
            assert_eq!(len_of(&long[..cut], 1 << 20), Ok(None), "cut {cut}");
        }
    }

    #[test]
    fn a_length_is_refused_as_soon_as_it_is_known_and_before_the_key() {
        assert_eq!(len_of(b"\x82\xfe\x03\xe9", 1000), Err(Fault::TooBig));
        assert_eq!(len_of(b"\x82\xfe\x03\xe8", 1000), Ok(None));
        assert_eq!(len_of(b"\x82\x85", 4), Err(Fault::TooBig));
        assert_eq!(
            len_of(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 9),
            Err(Fault::TooBig)
        );
    }

    #[test]
    fn a_64_bit_length_with_its_top_bit_set_is_a_protocol_error_under_any_limit() {
        let head = b"\x82\xff\x80\0\0\0\0\0\0\0";
        assert_eq!(len_of(head, 9), Err(Fault::Protocol));
        assert_eq!(len_of(head, usize::MAX), Err(Fault::Protocol));
        assert_eq!(
            len_of(b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", usize::MAX),
            Err(Fault::Protocol)
        );
    }

    #[test]
    fn a_length_not_in_its_shortest_form_is_refused() {
        assert_eq!(len_of(b"\x82\xfe\0\x7d", 1000), Err(Fault::Protocol));
        assert_eq!(
            len_of(b"\x82\xff\0\0\0\0\0\0\xff\xff", 1 << 20),
            Err(Fault::Protocol)
        );
    }

    #[test]
    fn the_first_byte_alone_is_enough_to_refuse_it() {
        for first in 0..=255u8 {
            let good = [0x01, 0x02, 0x81, 0x82, 0x88, 0x89, 0x8a].contains(&first);
            assert_eq!(parse(&[first], &FRESH).is_ok(), good, "{first:#x}");
            let inside = Expect {
                in_message: true,
                room: 1000,
            };
            let good = [0x00, 0x80, 0x88, 0x89, 0x8a].contains(&first);
            assert_eq!(parse(&[first], &inside).is_ok(), good, "{first:#x} inside");
        }
    }

    #[test]
    fn unmasked_frames_and_long_control_frames_are_refused_at_the_second_byte() {
        assert_eq!(len_of(b"\x81\x05", 99), Err(Fault::Protocol));
        assert_eq!(len_of(b"\x89\xfe", 999), Err(Fault::Protocol));
        assert_eq!(len_of(b"\x89\xff", 999), Err(Fault::Protocol));
        assert_eq!(len_of(b"\x89\xfdabcd", 0), Ok(Some((125, 6))));
    }

    #[test]
    fn every_head_that_is_taken_means_the_same_to_another_implementation() {
        let seconds = [0x80, 0x81, 0xfd, 0xfe, 0xff];
        let lengths = [
            [0, 0, 0, 0, 0, 1, 0, 0],
            [1, 0, 0, 0, 0, 0, 0, 0],
            [0xff; 8],
        ];
        let mut taken = 0;
        for (first, second) in (0..=255).flat_map(|f| seconds.map(|s| (f, s))) {
            for length in lengths {
                let bytes = [&[first, second][..], &length, b"keyy"].concat();
                let expect = Expect {
                    in_message: first & 0x0f == 0,
                    room: usize::MAX,
                };
                let Ok(Some((frame, used))) = parse(&bytes, &expect) else {
                    continue;
                };
                let mut cursor = Cursor::new(&bytes);
                let (theirs, len) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
                assert_eq!(frame.rest as u64, len);
                assert_eq!(used as u64, cursor.position());
                assert_eq!(Some(frame.key), theirs.mask);
                assert_eq!(frame.fin, theirs.is_final);
                assert_eq!(frame.opcode.bits(), u8::from(theirs.opcode));
                taken += 1;
            }
        }
        assert!(taken > 50, "{taken} heads");
    }
}
