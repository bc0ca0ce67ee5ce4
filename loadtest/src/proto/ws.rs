//! WebSocket frames: a server's are read, a client's written.
//!
//! In: bytes behind the upgrade. Out: whole frames that borrow from them; masked frames to send.

use crate::trouble::Fault;

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub opcode: u8,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// Text; its continuation is 0.
pub const TEXT: u8 = 1;
/// The end.
pub const CLOSE: u8 = 8;
/// To be answered with a pong.
pub const PING: u8 = 9;
/// The answer to a ping.
pub const PONG: u8 = 10;

/// The key every client here sends. A server must not care.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Reads a whole frame off the front of `input`; `None` when more is needed.
///
/// # Errors
/// [`Fault::Frame`] for a masked frame, [`Fault::TooMuch`] for one over [`FRAME_BYTES_MAX`].
pub fn next<'a>(input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, Fault> {
    let &[first, second, ref rest @ ..] = *input else {
        return Ok(None);
    };
    if second & 0x80 != 0 {
        return Err(Fault::Frame);
    }
    let (length, rest) = match (second, rest) {
        (126, [a, b, rest @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), rest),
        (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
            (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), rest)
        }
        (126 | 127, _) => return Ok(None),
        (length, rest) => (u64::from(length), rest),
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(Fault::TooMuch);
    }
    let Some((payload, rest)) = rest.split_at_checked(length) else {
        return Ok(None);
    };
    *input = rest;
    Ok(Some(Frame {
        opcode: first & 0x0f,
        payload,
    }))
}

/// Writes a whole frame as a client does, masked. The mask is always the same: it costs a server as much.
pub fn masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    head(out, opcode, payload.len(), 0x80);
    out.extend_from_slice(&MASK);
    let bytes = payload.iter().zip(MASK.iter().cycle());
    out.extend(bytes.map(|(byte, mask)| byte ^ mask));
}

/// Writes a whole frame as a server does.
pub fn plain(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    head(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

fn head(out: &mut Vec<u8>, opcode: u8, length: usize, mask: u8) {
    out.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..=125), _) => out.push(mask | length),
        (_, Ok(length)) => {
            out.push(mask | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// A request to upgrade, but for its last empty line, so that fields can follow.
pub fn upgrade(out: &mut Vec<u8>, host: &str, path: &str) {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
    );
    out.extend_from_slice(head.as_bytes());
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Most bytes of one frame from a server.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_read_back() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; length];
            let mut bytes = Vec::new();
            plain(&mut bytes, TEXT, &payload);
            bytes.push(0x8a);
            let mut input = &bytes[..];
            let frame = next(&mut input).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.payload), (TEXT, &payload[..]));
            assert_eq!(input, [0x8a]);
            for cut in [0, 1, 2, 3, 9, bytes.len() - 2] {
                let mut part = &bytes[..cut.min(bytes.len() - 2)];
                let before = part.len();
                assert_eq!(next(&mut part), Ok(None), "{length} cut at {cut}");
                assert_eq!(part.len(), before);
            }
        }
    }

    #[test]
    fn the_frame_of_rfc_6455_is_written_masked() {
        let mut out = Vec::new();
        masked(&mut out, TEXT, b"Hello");
        let expected = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(out, expected);
        assert_eq!(next(&mut &out[..]), Err(Fault::Frame));
    }

    #[test]
    fn a_frame_over_the_cap_is_a_fault() {
        let mut bytes = vec![0x82, 127];
        bytes.extend_from_slice(&u64::MAX.to_be_bytes());
        assert_eq!(next(&mut &bytes[..]), Err(Fault::TooMuch));
    }
}
