//! The ORBIT protocol as a codec: bytes to what an application asks for, and what it is told to bytes.
//!
//! In: bytes in whatever pieces. Out: frames of 0.4, or events of 1.0, or why the bytes are none; and the other way round.
//! Which of them is spoken, and what ends a frame, is told by the first bytes. What is asked for is the service's business.

pub mod events;
pub mod frames;
pub mod reader;
pub mod spell;

pub use events::Event;
pub use frames::Frame;
pub use reader::{Fault, Item, Limits, Reader};
pub use spell::Style;

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OP 1.0: events with their recipients, each answered by itself.
    Events,
    /// OP 0.4: frames, which end as the first one did.
    Frames(Terminator),
}

/// What ends a frame, both ways.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Terminator {
    /// One zero byte.
    #[default]
    Nul,
    /// What can be typed: `^@`, CR, LF.
    Typed,
}

impl Terminator {
    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Nul => b"\0",
            Self::Typed => b"^@\r\n",
        }
    }
}
