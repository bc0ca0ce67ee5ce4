//! What a session carries for the hub: the hub's to write, the session's to keep.
//!
//! It stands here since neither of the two knows the other.

/// A session's end of its subscriptions, in eight bytes.
#[derive(Debug)]
pub struct Seat {
    /// First link of the hub's list of this session's subscriptions; `u32::MAX` for none.
    pub first: u32,
    /// Slot of the session's user, the row whose subscribers are the user's sessions; `u32::MAX` for none.
    /// The slot is the user's as long as this session is subscribed to it.
    pub user: u32,
}

impl Default for Seat {
    fn default() -> Self {
        Self {
            first: u32::MAX,
            user: u32::MAX,
        }
    }
}
