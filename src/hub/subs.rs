//! Subscriptions: one 24-byte link in two lists, the channel's and the session's.
//!
//! In: who joins what. Out: links by index. The channel's list is double, so that a link leaves it at once;
//! the session's is single, as it is walked from its head anyway.

use crate::ids::{ChannelId, SessionId};

/// All subscriptions of the node.
#[derive(Debug, Default)]
pub struct Subscriptions {
    rows: Vec<Subscription>,
    free: Option<u32>,
    used: usize,
}

#[derive(Debug, Clone, Copy)]
struct Subscription {
    session: SessionId,
    /// The channel's slot, and in its highest bit whether the session is told who comes and goes.
    channel: u32,
    next_in_channel: u32,
    prev_in_channel: u32,
    /// In a free row: the next free row.
    next_in_session: u32,
}

impl Subscription {
    fn channel(&self) -> u32 {
        self.channel & !WATCHING
    }
}

/// What a removed link leaves to be mended.
#[derive(Debug)]
pub struct Gone {
    /// The channel's slot.
    pub channel: u32,
    /// Who came after it in the channel's list.
    pub next: u32,
    /// Whether its session was told who comes and goes.
    pub watched: bool,
}

impl Subscriptions {
    /// A link in front of both lists, whose firsts are `first` and `subscriptions`.
    pub fn insert(
        &mut self,
        session: SessionId,
        channel: u32,
        first: u32,
        subscriptions: u32,
    ) -> u32 {
        let link = Subscription {
            session,
            channel,
            next_in_channel: first,
            prev_in_channel: NIL,
            next_in_session: subscriptions,
        };
        let index = self.place(link);
        if let Some(second) = self.rows.get_mut(first as usize) {
            second.prev_in_channel = index;
        }
        self.used += 1;
        index
    }

    /// Takes `link` out of the channel's list and out of the session's, whose first is `subscriptions`.
    pub fn remove(&mut self, link: u32, subscriptions: &mut u32) -> Option<Gone> {
        let row = *self.rows.get(link as usize)?;
        if let Some(before) = self.rows.get_mut(row.prev_in_channel as usize) {
            before.next_in_channel = row.next_in_channel;
        }
        if let Some(after) = self.rows.get_mut(row.next_in_channel as usize) {
            after.prev_in_channel = row.prev_in_channel;
        }
        self.cut_from_session(link, row.next_in_session, subscriptions);
        if let Some(free) = self.rows.get_mut(link as usize) {
            free.next_in_session = self.free.unwrap_or(NIL);
        }
        self.free = Some(link);
        self.used -= 1;
        Some(Gone {
            channel: row.channel(),
            next: row.next_in_channel,
            watched: row.channel & WATCHING != 0,
        })
    }

    /// The link of a session's list that leads to `channel`.
    #[must_use]
    pub fn find(&self, subscriptions: u32, channel: ChannelId) -> Option<u32> {
        let mut at = subscriptions;
        while let Some(link) = self.rows.get(at as usize) {
            if link.channel() == channel.index() {
                return Some(at);
            }
            at = link.next_in_session;
        }
        None
    }

    /// Sets whether a link's session is told who comes and goes. Gives back whether it was before.
    pub fn set_watching(&mut self, link: u32, watching: bool) -> bool {
        let Some(row) = self.rows.get_mut(link as usize) else {
            return watching;
        };
        let before = row.channel & WATCHING != 0;
        row.channel = row.channel() | if watching { WATCHING } else { 0 };
        before
    }

    /// Whether a link's session is told who comes and goes.
    #[must_use]
    pub fn is_watching(&self, link: u32) -> bool {
        self.rows
            .get(link as usize)
            .is_some_and(|row| row.channel & WATCHING != 0)
    }

    /// The channels of a session's list, by their slots, the latest first.
    pub fn channels(&self, subscriptions: u32) -> impl Iterator<Item = u32> {
        let next = |link: &&Subscription| self.rows.get(link.next_in_session as usize);
        std::iter::successors(self.rows.get(subscriptions as usize), next)
            .map(|link| link.channel())
    }

    /// How many links a session's list has.
    #[must_use]
    pub fn count(&self, subscriptions: u32) -> usize {
        self.channels(subscriptions).count()
    }

    /// Whose link it is, and who comes next in the channel.
    #[must_use]
    pub fn session_and_next(&self, link: u32) -> Option<(SessionId, u32)> {
        self.rows
            .get(link as usize)
            .map(|link| (link.session, link.next_in_channel))
    }

    /// How many links a channel's list has.
    #[must_use]
    pub fn walk(&self, first: u32) -> usize {
        std::iter::successors(self.rows.get(first as usize), |l| {
            self.rows.get(l.next_in_channel as usize)
        })
        .take(self.rows.len() + 1)
        .count()
    }

    /// How many links there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used
    }

    fn place(&mut self, link: Subscription) -> u32 {
        let free = self
            .free
            .and_then(|index| Some((index, self.rows.get_mut(index as usize)?)));
        let Some((index, row)) = free else {
            self.rows.push(link);
            return (self.rows.len() - 1) as u32;
        };
        self.free = Some(row.next_in_session).filter(|next| *next != NIL);
        *row = link;
        index
    }

    fn cut_from_session(&mut self, link: u32, next: u32, subscriptions: &mut u32) {
        if *subscriptions == link {
            *subscriptions = next;
            return;
        }
        let mut at = *subscriptions;
        while let Some(row) = self.rows.get_mut(at as usize) {
            if row.next_in_session == link {
                row.next_in_session = next;
                return;
            }
            at = row.next_in_session;
        }
    }
}

/// Slots stay below 2^24: the table of flags says so.
const WATCHING: u32 = 1 << 31;
/// No link.
pub const NIL: u32 = u32::MAX;
