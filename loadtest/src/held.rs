//! Bytes that wait, in eight bytes when there are none.
//!
//! In: what could not be used yet. Out: the same, once. Of very many connections few hold any at a time.

/// The bytes, or nothing.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "24 bytes in each of very many connections for what few have"
)]
pub struct Held(Option<Box<Vec<u8>>>);

impl Held {
    /// Nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds bytes behind those that are held.
    pub fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().extend_from_slice(bytes);
        }
    }

    /// Gives back what was held and holds nothing.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.0.take().map_or_else(Vec::new, |held| *held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_back_once() {
        let mut held = Held::default();
        held.push(b"");
        assert!(held.is_empty());
        held.push(b"ab");
        held.push(b"c");
        assert!(!held.is_empty());
        assert_eq!(held.take(), b"abc");
        assert!(held.is_empty() && held.take().is_empty());
        assert_eq!(size_of::<Held>(), 8);
    }
}
