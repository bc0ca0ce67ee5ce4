//! What only some sessions have for a moment: packets that came before their turn, an unfinished line.
//!
//! In: packets beyond the next id, bytes without their line end. Out: the same in order. Bounded; boxed by
//! the session only while there is something in it.

/// The rarely used part of a session.
#[derive(Debug, Default)]
pub struct Extra {
    held: Vec<Held>,
    /// The beginning of a line.
    pub line: Vec<u8>,
}

/// An upstream packet that came before its turn.
#[derive(Debug)]
pub struct Held {
    /// Low half of its id.
    pub id: u32,
    /// Its bytes; `None` is the close packet.
    pub data: Option<Vec<u8>>,
}

impl Extra {
    /// Keeps `packet` until its turn; false when the gap is over its bound.
    pub fn hold(&mut self, packet: Held) -> bool {
        if self.held.iter().any(|held| held.id == packet.id) {
            return true;
        }
        let len = |held: &Held| held.data.as_ref().map_or(0, Vec::len);
        let bytes: usize = self.held.iter().map(len).sum();
        if self.held.len() >= GAP_PACKETS_MAX || bytes + len(&packet) > GAP_BYTES_MAX {
            return false;
        }
        self.held.push(packet);
        true
    }

    /// Takes packet `id`, if it is kept.
    pub fn unhold(&mut self, id: u32) -> Option<Held> {
        let at = self.held.iter().position(|held| held.id == id)?;
        Some(self.held.swap_remove(at))
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.line.is_empty()
    }
}

/// Packets kept before their turn: js.io never makes a gap, so a larger one is a fault (1.7).
pub const GAP_PACKETS_MAX: usize = 16;
/// Bytes kept before their turn.
pub const GAP_BYTES_MAX: usize = 64 * 1024;
