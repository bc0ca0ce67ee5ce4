//! What a published message says: which run, which number, and when it was meant to be sent.
//!
//! In: those and a size. Out: printable ASCII without quotes, so that no spelling of any protocol changes it,
//! and the marks found in whatever came back around it.

use memchr::memchr;
use std::io::Write as _;

/// The mark of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The run it belongs to; marks of others are not counted.
    pub run: u16,
    /// Its number; 0, 1, 2 … in a run.
    pub seq: u32,
    /// When it was meant to be sent, by `sys::now_ns`.
    pub at_ns: u64,
}

/// Bytes of a mark: the smallest message.
pub const MARK_BYTES: usize = 34;

impl Mark {
    /// A message of `size` bytes, at least [`MARK_BYTES`].
    #[must_use]
    pub fn message(self, size: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(size.max(MARK_BYTES));
        // Writing to a vector cannot fail.
        let _ = write!(
            out,
            "~lt{:04x}.{:08x}.{:016x}~",
            self.run, self.seq, self.at_ns
        );
        // Not all the same letter, so that nothing on the way compresses it to nothing.
        let filler = b"the quick brown fox jumps over the lazy dog ";
        let missing = size.saturating_sub(out.len());
        out.extend(filler.iter().cycle().take(missing));
        out
    }

    /// `~ltRRRR.SSSSSSSS.TTTTTTTTTTTTTTTT~`, by place: a load reads very many.
    fn read(bytes: &[u8]) -> Option<Self> {
        let [b'~', b'l', b't', rest @ ..] = bytes.first_chunk::<MARK_BYTES>()? else {
            return None;
        };
        let (run, rest) = rest.split_first_chunk::<4>()?;
        let (seq, rest) = rest.split_first_chunk::<9>()?;
        let (at_ns, end) = rest.split_first_chunk::<17>()?;
        let ([b'.', seq @ ..], [b'.', at_ns @ ..], b"~") = (seq, at_ns, end) else {
            return None;
        };
        Some(Self {
            run: u16::try_from(hex(run)?).ok()?,
            seq: u32::try_from(hex(seq)?).ok()?,
            at_ns: hex(at_ns)?,
        })
    }
}

/// At most 16 digits. What is no digit sets a bit above them, which is looked at once.
fn hex(digits: &[u8]) -> Option<u64> {
    let (mut value, mut wrong) = (0_u64, 0);
    for byte in digits {
        let digit = DIGITS.get(usize::from(*byte)).copied().unwrap_or(NO_DIGIT);
        wrong |= digit;
        value = value << 4 | u64::from(digit);
    }
    (wrong < 16).then_some(value)
}

const NO_DIGIT: u8 = 0xf0;
/// What each byte is worth.
const DIGITS: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit as usize] as usize] = digit;
        digit += 1;
    }
    table
};

/// Finds the mark of one message, or of each in turn when the rest is searched again.
#[must_use]
pub fn find(bytes: &[u8]) -> Option<(Mark, &[u8])> {
    let mut rest = bytes;
    loop {
        // The one byte is rare in everything around a mark, and found faster than several.
        rest = rest.get(memchr(b'~', rest)?..)?;
        if let Some(mark) = Mark::read(rest) {
            return Some((mark, rest.get(MARK_BYTES..).unwrap_or_default()));
        }
        rest = rest.get(1..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark {
        run: 0xbeef,
        seq: 7,
        at_ns: 123_456_789_012,
    };

    #[test]
    fn a_mark_is_found_again_wherever_it_stands() {
        let message = MARK.message(200);
        assert_eq!(message.len(), 200);
        let line = [b"[\"PUBLISH\",[\"~lt\",null,\"", &message[..], b"\"]]\n"].concat();
        let (mark, rest) = find(&line).unwrap();
        assert_eq!(mark, MARK);
        assert_eq!(find(rest), None);
    }

    #[test]
    fn a_message_has_at_least_its_mark() {
        assert_eq!(MARK.message(0).len(), MARK_BYTES);
        assert_eq!(find(&MARK.message(0)).unwrap().0, MARK);
    }

    #[test]
    fn half_a_mark_is_none() {
        assert_eq!(find(&MARK.message(0)[..MARK_BYTES - 1]), None);
        assert_eq!(find(b"~lt"), None);
    }

    #[test]
    fn what_is_broken_is_no_mark_and_hides_none() {
        let whole = MARK.message(0);
        for at in 0..MARK_BYTES {
            let mut broken = whole.clone();
            broken[at] = b'x';
            assert_eq!(find(&broken), None, "{at}");
            let both = [&broken[..], &whole].concat();
            assert_eq!(find(&both).map(|(mark, _)| mark), Some(MARK), "{at}");
        }
    }

    #[test]
    fn several_messages_are_found_in_turn() {
        let two = [MARK.message(50), MARK.message(34)].concat();
        let (_, rest) = find(&two).unwrap();
        assert_eq!(find(rest).unwrap().0, MARK);
    }
}
