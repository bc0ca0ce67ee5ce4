//! The hub's rows one by one, for who lists them a slice at a time.
//!
//! In: slots, in the order of the table. Out: what stands in them. A row keeps its slot as long as it lives, so whoever
//! walks all slots meets every row that was there from the beginning to the end, once.

use super::{Hub, Kind, Scope, names};
use crate::ids::SessionId;
use crate::mem::{Position, Seat};

/// A channel or a pattern, as it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name.
    pub name: &'a str,
    /// Sessions subscribed to it by this name.
    pub subscribers: u32,
    /// Where it stands; a pattern stands nowhere.
    pub position: Option<Position>,
    /// Publications kept of it.
    pub kept: usize,
}

impl Hub {
    /// Channels and users with a session.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether nobody is subscribed to anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Subscriptions, users' among them.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.links.len()
    }

    /// The slot behind the last.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.channels.end()
    }

    /// The channel or pattern in a slot. Users are not listed here, nor the node's own channels.
    #[must_use]
    pub fn listed(&self, slot: u32) -> Option<Listed<'_>> {
        let id = self.channels.id_at(slot)?;
        let row = self.channels.get(id)?;
        let position = match row.kind {
            Kind::User(_) => return None,
            Kind::Pattern => None,
            Kind::Channel(position, ..) => Some(position),
        };
        (!names::is_own(&row.name)).then(|| Listed {
            name: &row.name,
            subscribers: row.subscribers,
            position,
            kept: self.archive.of(id).map_or(0, |history| history.len()),
        })
    }

    /// The sessions of the user called `name`, if they are so many at most.
    #[must_use]
    pub fn sessions_of(&self, name: &str, sessions_max: usize) -> Option<Vec<SessionId>> {
        let user = self.find(Scope::User, name);
        let Some(user) = user.and_then(|user| self.channels.get(user)) else {
            return Some(Vec::new());
        };
        let mut sessions = Vec::new();
        let mut link = user.first;
        while let Some((session, next)) = self.links.session_and_next(link) {
            if sessions.len() == sessions_max {
                return None;
            }
            sessions.push(session);
            link = next;
        }
        Some(sessions)
    }

    /// The channels and patterns that a session is subscribed to.
    #[must_use]
    pub fn topics(&self, seat: &Seat) -> Vec<Box<str>> {
        let rows = self.links.channels(seat.first);
        let rows = rows.filter_map(|row| self.channels.get(self.channels.id_at(row)?));
        let topics = rows.filter(|row| row.scope() == Scope::Channel);
        topics.map(|row| row.name.clone()).collect()
    }

    /// Whether a session is subscribed to the channel called `name`, not by a pattern.
    #[must_use]
    pub fn is_subscribed(&self, seat: &Seat, name: &str) -> bool {
        let channel = self.find(Scope::Channel, name);
        channel.is_some_and(|channel| self.links.find(seat.first, channel).is_some())
    }

    /// How many channels and patterns a session is subscribed to.
    #[must_use]
    pub fn subscribed_to(&self, seat: &Seat) -> usize {
        self.links.count(seat.first) - usize::from(self.user_name(seat).is_some())
    }
}
