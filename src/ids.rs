//! Typed, generational names for rows of the node's tables.
//!
//! In: a slot index and a generation given out by [`crate::mem::Slots`]. Out: an eight-byte copyable
//! name that fails its look-up once the row it named is gone. It knows nothing of what a row holds.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU32;

/// Marks ids of connections.
#[derive(Debug)]
pub enum ConnTag {}
/// Marks ids of sessions.
#[derive(Debug)]
pub enum SessionTag {}
/// Marks ids of channels.
#[derive(Debug)]
pub enum ChannelTag {}

/// A connection: one accepted socket.
pub type ConnId = Id<ConnTag>;
/// A session: one client's reliable stream.
pub type SessionId = Id<SessionTag>;
/// A channel, or a user's inbox, of the hub.
pub type ChannelId = Id<ChannelTag>;

/// What holds for a channel: the number of its policy in the hub's book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyId(pub u16);

impl PolicyId {
    /// What holds where no rule says otherwise, and for the node's own channels.
    pub const DEFAULT: Self = Self(0);
}

/// Slot index and non-zero generation: 8 bytes, and so is its `Option`.
pub struct Id<Tag> {
    index: u32,
    generation: NonZeroU32,
    tag: PhantomData<fn() -> Tag>,
}

impl<Tag> Id<Tag> {
    /// Names slot `index` in its `generation`.
    #[must_use]
    pub fn new(index: u32, generation: NonZeroU32) -> Self {
        Self {
            index,
            generation,
            tag: PhantomData,
        }
    }

    /// The slot's index.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// The slot's generation when the id was given out.
    #[must_use]
    pub fn generation(self) -> NonZeroU32 {
        self.generation
    }

    /// Both halves in one number: generation above, index below. Never less than 2^32.
    #[must_use]
    pub fn pack(self) -> u64 {
        (u64::from(self.generation.get()) << 32) | u64::from(self.index)
    }

    /// The reverse of [`Id::pack`]; `None` for a number that no id packs to.
    #[must_use]
    pub fn unpack(packed: u64) -> Option<Self> {
        let generation = NonZeroU32::new((packed >> 32) as u32)?;
        Some(Self::new(packed as u32, generation))
    }
}

impl<Tag> Clone for Id<Tag> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Tag> Copy for Id<Tag> {}

impl<Tag> PartialEq for Id<Tag> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && self.generation == other.generation
    }
}

impl<Tag> Eq for Id<Tag> {}

impl<Tag> Hash for Id<Tag> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pack().hash(state);
    }
}

impl<Tag> PartialOrd for Id<Tag> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<Tag> Ord for Id<Tag> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pack().cmp(&other.pack())
    }
}

impl<Tag> fmt::Debug for Id<Tag> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

impl<Tag> fmt::Display for Id<Tag> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_packing() {
        let id = ConnId::new(7, NonZeroU32::MAX);
        assert_eq!(ConnId::unpack(id.pack()), Some(id));
    }

    #[test]
    fn a_number_without_generation_is_no_id() {
        assert_eq!(SessionId::unpack(41), None);
    }
}
