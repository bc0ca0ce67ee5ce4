//! What a session carries for the hub: the hub's to write, the session's to keep.
//!
//! It stands here since neither of the two knows the other.

use crate::ids::ChannelId;

/// A session's end of its subscriptions.
#[derive(Debug)]
pub struct Seat {
    /// First link of the hub's list of this session's subscriptions.
    pub first: u32,
    /// How many there are.
    pub count: u16,
    /// The session's user: the row whose subscribers are the user's sessions.
    pub user: Option<ChannelId>,
}

impl Default for Seat {
    fn default() -> Self {
        Self {
            first: u32::MAX,
            count: 0,
            user: None,
        }
    }
}
