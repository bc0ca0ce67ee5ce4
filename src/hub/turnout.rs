//! Which channels have somebody, where the application wants to be told.
//!
//! In: a channel's first subscriber, and the going of its last. Out: the same in their order, for the node to publish. While
//! nobody reads of them, and nothing is kept, none is noted.

use super::{Channel, Hub, Kind, Scope, names};
use crate::ids::ChannelId;
use std::collections::VecDeque;
use std::rc::Rc;

/// A channel has its first subscriber, or none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turnout {
    /// The channel.
    pub channel: Rc<str>,
    /// Whether it has somebody now.
    pub occupied: bool,
}

/// Those that are still to be told.
#[derive(Debug, Default)]
pub struct Turnouts(VecDeque<Turnout>);

impl Turnout {
    /// The channel of the hub on which it is told.
    #[must_use]
    pub fn event(&self) -> &'static str {
        match self.occupied {
            true => names::OCCUPIED,
            false => names::VACATED,
        }
    }
}

impl Hub {
    /// The next channel whose subscribers became some or none.
    pub fn next_turnout(&mut self) -> Option<Turnout> {
        self.turnouts.0.pop_front()
    }

    /// Whether there is any.
    #[must_use]
    pub fn has_turnouts(&self) -> bool {
        !self.turnouts.0.is_empty()
    }

    /// Whether what is published to one of the node's own channels is read or kept by anybody.
    #[must_use]
    pub fn is_heard(&self, event: &str) -> bool {
        self.book.keeps_events() || self.own > 0 && self.subscribers(event) > 0
    }

    /// Whether a channel outlives its readers: one of kept events does, before the first and behind the last, so that
    /// who comes back is told that nothing happened.
    pub(super) fn stays(&self, row: &Channel) -> bool {
        self.book.keeps_events() && names::is_own(&row.name) && row.scope() == Scope::Channel
    }

    /// Notes that a channel's subscribers became some or none.
    pub(super) fn turn_out(&mut self, id: ChannelId, occupied: bool) {
        if self.own == 0 && !self.book.keeps_events() {
            return;
        }
        let row = self.channels.get(id);
        let Some(row) = row.filter(|row| matches!(row.kind, Kind::Channel(..))) else {
            return;
        };
        if names::is_own(&row.name) {
            return;
        }
        let turnout = Turnout {
            channel: Rc::from(&*row.name),
            occupied,
        };
        if self.is_heard(turnout.event()) {
            self.turnouts.0.push_back(turnout);
        }
    }
}
