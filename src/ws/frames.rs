//! Writes what a server sends: frame heads, and the control frames whole (RFC 6455 sections 5.2 and 5.5).
//!
//! Data in: an opcode, a length, or a control frame's payload. Data out: bytes appended to the caller's buffer, never masked
//! (section 5.1) and never fragmented. It must not know messages: a payload of the caller's follows the head as it is.

/// The longest payload of a control frame, bytes (RFC 6455 section 5.5).
pub const CONTROL_PAYLOAD_MAX: usize = 125;

/// What a frame is (RFC 6455 section 5.2). The others of the sixteen are reserved, and refused when received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A further part of the message begun before.
    Continuation,
    /// A UTF-8 message, or its first part.
    Text,
    /// A message of any bytes, or its first part.
    Binary,
    /// The last frame a peer sends.
    Close,
    /// Asks for a Pong with the same payload.
    Ping,
    /// Answers a Ping, or is sent unasked.
    Pong,
}

impl Opcode {
    /// The opcode of a frame's first byte, of which the low four bits count; `None` for a reserved one.
    pub const fn of(first: u8) -> Option<Self> {
        match first & 0x0f {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }

    /// The four bits on the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    /// Whether it is a control frame: short, whole, and allowed between the fragments of a message.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Bytes that [`head`] writes before a payload of `len` bytes: 2, 4 or 10.
pub const fn head_len(len: usize) -> usize {
    match len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// Appends the head of a final, unmasked frame; exactly `len` bytes of payload must follow it.
pub fn head(out: &mut Vec<u8>, opcode: Opcode, len: usize) {
    out.push(FIN | opcode.bits());
    // The arms keep each cast within range, and the length in its shortest form as section 5.2 asks.
    match head_len(len) {
        2 => out.push(len as u8),
        4 => {
            out.push(LENGTH_16);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(LENGTH_64);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

/// Appends a Close frame of `code` and `reason`, the reason cut at a character's edge to the 123 bytes there are.
///
/// A Close received without a code is answered with 1000; 1005, 1006 and 1015 never go on the wire (section 7.4.1).
pub fn close_frame(out: &mut Vec<u8>, code: u16, reason: &str) {
    debug_assert!(crate::codes::may_be_received(code), "close code {code}");
    let cut = reason.floor_char_boundary(CONTROL_PAYLOAD_MAX - 2);
    let (reason, _) = reason.split_at(cut);
    head(out, Opcode::Close, 2 + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Appends a Ping of at most [`CONTROL_PAYLOAD_MAX`] bytes.
pub fn ping(out: &mut Vec<u8>, payload: &[u8]) {
    control(out, Opcode::Ping, payload);
}

/// Appends a Pong with the payload of the Ping it answers, at most [`CONTROL_PAYLOAD_MAX`] bytes.
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    control(out, Opcode::Pong, payload);
}

fn control(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    debug_assert!(payload.len() <= CONTROL_PAYLOAD_MAX);
    let payload = payload.get(..CONTROL_PAYLOAD_MAX).unwrap_or(payload);
    head(out, opcode, payload.len());
    out.extend_from_slice(payload);
}

pub(super) const FIN: u8 = 0x80;
/// Values of the seven length bits that announce a longer length field.
pub(super) const LENGTH_16: u8 = 126;
pub(super) const LENGTH_64: u8 = 127;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Cursor;
    use tungstenite::protocol::frame::FrameHeader;

    #[test]
    fn another_implementation_reads_the_heads_as_they_were_meant() {
        let lens = [
            0,
            1,
            125,
            126,
            127,
            255,
            256,
            65535,
            65536,
            1 << 24,
            1 << 40,
        ];
        let opcodes = [
            Opcode::Continuation,
            Opcode::Text,
            Opcode::Binary,
            Opcode::Close,
            Opcode::Ping,
            Opcode::Pong,
        ];
        for (len, opcode) in lens
            .iter()
            .flat_map(|l| opcodes.iter().map(move |o| (*l, *o)))
        {
            let mut out = Vec::new();
            head(&mut out, opcode, len);
            assert_eq!(out.len(), head_len(len));
            let (read, length) = FrameHeader::parse(&mut Cursor::new(&out)).unwrap().unwrap();
            assert_eq!(length, len as u64);
            assert_eq!(u8::from(read.opcode), opcode.bits());
            assert!(read.is_final && !read.rsv1 && !read.rsv2 && !read.rsv3);
            assert_eq!(read.mask, None);
        }
    }

    #[test]
    fn opcodes_and_their_bits_are_inverse() {
        for bits in 0..16 {
            assert!(Opcode::of(bits).is_none_or(|opcode| opcode.bits() == bits));
        }
        assert_eq!((0..16).filter_map(Opcode::of).count(), 6);
    }

    #[test]
    fn a_close_reason_too_long_is_cut_between_characters() {
        let mut out = Vec::new();
        close_frame(&mut out, 1001, &"é".repeat(100));
        assert_eq!(out[..4], [0x88, 124, 0x03, 0xe9]);
        assert_eq!(out[4..], *"é".repeat(61).as_bytes());
    }

    #[test]
    fn control_frames_are_written_whole() {
        let mut out = Vec::new();
        ping(&mut out, b"a");
        pong(&mut out, b"");
        close_frame(&mut out, 1000, "bye");
        assert_eq!(out, b"\x89\x01a\x8a\x00\x88\x05\x03\xe8bye");
    }
}
