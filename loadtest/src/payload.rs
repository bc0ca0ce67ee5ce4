//! What a published message says: which run, which number, and when it was meant to be sent.
//!
//! In: those and a size. Out: printable ASCII without quotes, so that no spelling of any protocol changes it,
//! and the marks found in whatever came back around it.

use memchr::memmem;
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

const START: &[u8] = b"~lt";

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

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes.get(..MARK_BYTES)?).ok()?;
        let mut parts = text.strip_prefix("~lt")?.strip_suffix('~')?.split('.');
        Some(Self {
            run: u16::from_str_radix(parts.next()?, 16).ok()?,
            seq: u32::from_str_radix(parts.next()?, 16).ok()?,
            at_ns: u64::from_str_radix(parts.next()?, 16).ok()?,
        })
    }
}

/// Finds the mark of one message, or of each in turn when the rest is searched again.
#[must_use]
pub fn find(bytes: &[u8]) -> Option<(Mark, &[u8])> {
    let mut rest = bytes;
    loop {
        let at = memmem::find(rest, START)?;
        rest = rest.get(at..)?;
        if let Some(mark) = Mark::read(rest) {
            return Some((mark, rest.get(MARK_BYTES..).unwrap_or_default()));
        }
        rest = rest.get(START.len()..)?;
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
    fn several_messages_are_found_in_turn() {
        let two = [MARK.message(50), MARK.message(34)].concat();
        let (_, rest) = find(&two).unwrap();
        assert_eq!(find(rest).unwrap().0, MARK);
    }
}
