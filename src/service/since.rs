//! Where a reader of channels stands, as text: `epoch:offset` of each, joined by commas, in the order it named them.
//!
//! In: what a client says it has (`since=`, `Last-Event-ID`). Out: positions; and the other way round. It stands here
//! since the services write what the node reads: one file for both ways, in a room that both see. An epoch is
//! in hexadecimal, as in the answer to SUBSCRIBE.

use crate::mem::Position;
use std::io::Write as _;

/// Appends the text of `positions`.
pub fn spell(out: &mut Vec<u8>, positions: impl Iterator<Item = Position>) {
    for (n, Position { epoch, offset }) in positions.enumerate() {
        let comma = if n > 0 { "," } else { "" };
        // Writing to a vector cannot fail.
        let _ = write!(out, "{comma}{epoch:x}:{offset}");
    }
}

/// Reads the text of as many positions as there are `channels`; an item left empty is a channel of which the
/// client has nothing. `None` for whatever [`spell`] does not write.
#[must_use]
pub fn parse(text: &[u8], channels: usize) -> Option<Vec<Option<Position>>> {
    let mut positions = Vec::new();
    for item in text.split(|byte| *byte == b',') {
        if positions.len() == channels {
            return None;
        }
        positions.push(match item {
            b"" => None,
            item => Some(position(item)?),
        });
    }
    (positions.len() == channels).then_some(positions)
}

fn position(item: &[u8]) -> Option<Position> {
    let colon = item.iter().position(|byte| *byte == b':')?;
    let (epoch, offset) = item.split_at(colon);
    Some(Position {
        epoch: number(epoch, 16)?,
        offset: number(offset.get(1..)?, 10)?,
    })
}

/// Digits only: no sign, no blank, nothing over 64 bits, and not more of them than that needs.
#[must_use]
pub fn number(digits: &[u8], radix: u32) -> Option<u64> {
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        sum.checked_mul(radix.into())?.checked_add(digit.into())
    })
}

/// Of 2^64 - 1 in decimal.
const DIGITS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn at(epoch: u64, offset: u64) -> Option<Position> {
        Some(Position { epoch, offset })
    }

    fn spelled(positions: &[Position]) -> Vec<u8> {
        let mut out = Vec::new();
        spell(&mut out, positions.iter().copied());
        out
    }

    #[test]
    fn positions_are_read_in_their_order_and_may_be_missing() {
        assert_eq!(parse(b"1f:3", 1), Some(vec![at(0x1f, 3)]));
        assert_eq!(
            parse(b"1F:3,,0:0", 3),
            Some(vec![at(0x1f, 3), None, at(0, 0)])
        );
        assert_eq!(parse(b",", 2), Some(vec![None, None]));
        assert_eq!(parse(b"", 1), Some(vec![None]));
        assert_eq!(
            parse(b"ffffffffffffffff:18446744073709551615", 1),
            Some(vec![at(u64::MAX, u64::MAX)])
        );
    }

    #[test]
    fn nothing_else_is_a_position() {
        for text in [
            &b":"[..],
            b"1",
            b"1:",
            b":1",
            b"1:1:1",
            b"1: 1",
            b" 1:1",
            b"+1:1",
            b"1:-1",
            b"0x1:1",
            b"g:1",
            b"1:a",
            b"10000000000000000:1",
            b"1:18446744073709551616",
            b"000000000000000000001:1",
            b"1:1\r\nX: y",
            b"1:1\0",
            b"\xff:1",
            "١:1".as_bytes(),
            b"1:1,",
            b"1:1,1:2",
        ] {
            assert_eq!(parse(text, 1), None, "{}", text.escape_ascii());
        }
        assert_eq!(parse(b"1:1", 2), None);
        assert_eq!(parse(&b",".repeat(1 << 20), 3), None);
        assert_eq!(parse(b"", 0), None);
    }

    #[test]
    fn what_is_spelled_is_read_back_and_noise_never_is_more_than_was_asked_for() {
        let mut rng = Rng::new([7; 32]);
        for _ in 0..5_000 {
            let many = 1 + rng.below(5) as usize;
            let shift = rng.below(64);
            let one = |rng: &mut Rng| Position {
                epoch: rng.next_u64() >> shift,
                offset: rng.next_u64() >> (63 - shift),
            };
            let positions: Vec<_> = (0..many).map(|_| one(&mut rng)).collect();
            let mut text = spelled(&positions);
            let all: Vec<_> = positions.iter().copied().map(Some).collect();
            assert_eq!(parse(&text, many), Some(all));
            let noise = b",:0fg \xff-";
            for _ in 0..rng.below(4) {
                let place = rng.below(text.len() as u64) as usize;
                text[place] = noise[rng.below(noise.len() as u64) as usize];
            }
            if let Some(read) = parse(&text, many) {
                assert_eq!(read.len(), many, "{}", text.escape_ascii());
            }
        }
    }
}
