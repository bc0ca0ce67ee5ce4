//! Which channels have somebody, where the application wants to be told.
//!
//! In: a channel's first subscriber, and the going of its last. Out: the same in their order, for the node to publish. While
//! nobody reads of them, and nothing is kept, none is noted.

use super::{Channel, Hub, Kind, Scope, names};
use crate::ids::ChannelId;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// A channel has its first subscriber, or none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turnout {
    /// The channel.
    pub channel: Rc<str>,
    /// Whether it has somebody now.
    pub occupied: bool,
}

/// Those that are still to be told: of each channel the last, and none where it is what was told before.
#[derive(Debug, Default)]
pub struct Turnouts {
    order: VecDeque<Rc<str>>,
    /// Of each channel in `order`, whether it has somebody; `None` where that was so before.
    news: BTreeMap<Rc<str>, Option<bool>>,
}

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
        while let Some(channel) = self.turnouts.order.pop_front() {
            if let Some(occupied) = self.turnouts.news.remove(&channel).flatten() {
                return Some(Turnout { channel, occupied });
            }
        }
        None
    }

    /// Whether there may be any.
    #[must_use]
    pub fn has_turnouts(&self) -> bool {
        !self.turnouts.order.is_empty()
    }

    /// Whether so many are to be told that nobody else may come now.
    pub(super) fn is_behind_with_turnouts(&self) -> bool {
        self.turnouts.order.len() >= TURNOUTS_MAX
    }

    /// Whether what is published to one of the node's own channels is read or kept by anybody.
    #[must_use]
    pub fn is_heard(&self, event: &str) -> bool {
        self.book.keeps_events()
            || self.own > 0 && self.subscribers(event) > 0
            || self.heard > 0 && self.is_heard_besides(event)
    }

    /// Others than subscribers read of these of [`names::EVENTS`], a bit for each.
    pub fn hear(&mut self, events: u8) {
        self.heard = events;
    }

    fn is_heard_besides(&self, event: &str) -> bool {
        let mut all = names::EVENTS.iter().enumerate();
        all.any(|(n, name)| *name == event && self.heard >> n & 1 == 1)
    }

    /// Whether a channel outlives its readers: one of kept events does, before the first and behind the last, so that
    /// who comes back is told that nothing happened; and so does one that a promised publication is to come to.
    pub(super) fn stays(&self, row: &Channel) -> bool {
        if matches!(row.kind, Kind::Channel(_, _, 1..)) {
            return true;
        }
        self.book.keeps_events() && names::is_own(&row.name) && row.scope() == Scope::Channel
    }

    /// Notes that a channel's subscribers became some or none.
    pub(super) fn turn_out(&mut self, id: ChannelId, occupied: bool) {
        if self.own == 0 && self.heard == 0 && !self.book.keeps_events() {
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
            self.turnouts.note(turnout);
        }
    }
}

impl Turnouts {
    fn note(&mut self, turnout: Turnout) {
        let Turnout { channel, occupied } = turnout;
        match self.news.get_mut(&channel) {
            // It became the other and was not told yet: then it is what it was.
            Some(news @ Some(_)) => *news = None,
            Some(news) => *news = Some(occupied),
            None => {
                self.news.insert(channel.clone(), Some(occupied));
                self.order.push_back(channel);
            }
        }
    }
}

/// Channels of which news may wait before nobody may subscribe any more: about what a node tells in a few turns.
const TURNOUTS_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_flaps_is_told_of_once_or_not_at_all() {
        let mut turnouts = Turnouts::default();
        let channel: Rc<str> = "a".into();
        for n in 0..1_001 {
            let (channel, occupied) = (channel.clone(), n % 2 == 0);
            turnouts.note(Turnout { channel, occupied });
        }
        assert_eq!((turnouts.order.len(), turnouts.news["a"]), (1, Some(true)));
        let occupied = false;
        turnouts.note(Turnout { channel, occupied });
        assert_eq!((turnouts.order.len(), turnouts.news["a"]), (1, None));
    }
}
