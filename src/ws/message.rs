//! A message that is still arriving: one buffer whatever the number of fragments and reads, and its text checked on the way.
//!
//! Data in: unmasked pieces in order. Data out: the message. It must not know frames.

use super::decoder::{Event, Fault, Payload};

/// The bytes of a message so far.
#[derive(Debug)]
pub(super) struct Message {
    is_text: bool,
    bytes: Vec<u8>,
    /// For text, the length of the front that is known to be UTF-8. What lies behind it is at most three bytes: the
    /// beginning of a character that may still be completed.
    checked: usize,
}

impl Message {
    pub(super) fn new(is_text: bool) -> Self {
        Self {
            is_text,
            bytes: Vec::new(),
            checked: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes on the heap.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends `chunk`; `whole_max` is the most that the message can still become.
    pub(super) fn append(&mut self, chunk: &[u8], whole_max: usize) -> Result<(), Fault> {
        self.grow(chunk.len(), whole_max);
        self.bytes.extend_from_slice(chunk);
        match self.is_text {
            true => self.check(),
            false => Ok(()),
        }
    }

    /// The event of the complete message; a character that was begun and not ended makes it bad.
    pub(super) fn finish(self) -> Result<Event<'static>, Fault> {
        match self.is_text {
            true if self.checked < self.bytes.len() => Err(Fault::BadUtf8),
            true => Ok(Event::Text(Payload::Owned(self.bytes))),
            false => Ok(Event::Binary(Payload::Owned(self.bytes))),
        }
    }

    /// Doubles, so that copying stays linear and memory stays under twice what has come, yet never beyond `whole_max`.
    fn grow(&mut self, more: usize, whole_max: usize) {
        let need = self.bytes.len() + more;
        if need > self.bytes.capacity() {
            let doubled = (2 * self.bytes.capacity()).max(CAPACITY_MIN);
            let target = doubled.min(whole_max).max(need);
            self.bytes.reserve_exact(target - self.bytes.len());
        }
    }

    fn check(&mut self) -> Result<(), Fault> {
        let fresh = self.bytes.get(self.checked..).unwrap_or_default();
        match std::str::from_utf8(fresh) {
            Ok(_) => self.checked = self.bytes.len(),
            // No error length means that the end was reached inside a character that is good so far.
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Fault::BadUtf8),
        }
        Ok(())
    }
}

/// The event of a data frame that is a whole message in itself.
pub(super) fn whole(is_text: bool, bytes: &[u8]) -> Result<Event<'_>, Fault> {
    if !is_text {
        return Ok(Event::Binary(Payload::Borrowed(bytes)));
    }
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(Event::Text(Payload::Borrowed(bytes))),
        Err(_) => Err(Fault::BadUtf8),
    }
}

/// The first buffer of a message, bytes: what a common small message needs without growing twice.
const CAPACITY_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether some continuation of `bytes` is UTF-8, by trying to complete its last character in every way that matters.
    fn may_become_utf8(bytes: &[u8]) -> bool {
        let tails: [&[u8]; 10] = [
            b"",
            &[0x80],
            &[0xbf],
            &[0x80, 0x80],
            &[0xbf, 0xbf],
            &[0x80, 0x80, 0x80],
            &[0xbf, 0xbf, 0xbf],
            &[0x90, 0x80],
            &[0x90, 0x80, 0x80],
            &[0x8f, 0x80, 0x80],
        ];
        tails
            .iter()
            .any(|tail| String::from_utf8([bytes, tail].concat()).is_ok())
    }

    #[test]
    fn text_is_refused_at_the_first_byte_that_no_continuation_could_save() {
        let edges = [
            0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
            0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xfc, 0xfe, 0xff,
        ];
        let count = edges.len();
        for number in 0..count.pow(4) {
            let bytes = [0, 1, 2, 3].map(|place| edges[number / count.pow(place) % count]);
            let mut message = Message::new(true);
            for end in 1..=4 {
                let good = message.append(&bytes[end - 1..end], 100).is_ok();
                assert_eq!(good, may_become_utf8(&bytes[..end]), "{:x?}", &bytes[..end]);
                if !good {
                    break;
                }
            }
        }
    }

    #[test]
    fn a_buffer_grows_by_doubling_and_not_beyond_what_the_message_can_become() {
        let mut message = Message::new(false);
        let (mut growths, mut before) = (0, 0);
        for piece in 1..=65536 {
            assert!(message.append(&[0; 64], 4 << 20).is_ok());
            growths += usize::from(message.capacity() != before);
            before = message.capacity();
            assert!(before <= (2 * 64 * piece).min(4 << 20));
        }
        assert_eq!(message.len(), 4 << 20);
        assert!(growths < 20, "{growths} growths");
    }
}
