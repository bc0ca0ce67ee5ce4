//! Presence in the hub: which comings and goings count, who is told, who is there.
//!
//! In: subscriptions begun and ended. Out: changes for the node to tell one after another, and lists.

use super::presence::{Change, What};
use super::{Hub, Kind, Scope};
use crate::config::policy::Presence as Mode;
use crate::ids::ChannelId;
use crate::mem::Seat;
use crate::time::Tick;
use std::rc::Rc;

/// Who is in a channel, as far as its policy lets it be known.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Sessions subscribed to it by its name.
    pub sessions: usize,
    /// Users among them and a page of these with the sessions of each, where the channel lists them.
    pub users: Option<(usize, Vec<(String, u32)>)>,
    /// Whether there are more behind the page.
    pub more: bool,
}

impl Hub {
    /// The same hub with this grace for users who lose their last session and come back.
    #[must_use]
    pub fn with_grace(mut self, grace_ms: u64) -> Self {
        self.presence = super::presence::Presence::new(grace_ms);
        self
    }

    /// Whether the session is told who comes to the channel called `name` and goes, from now on.
    pub fn watch(&mut self, seat: &Seat, name: &str, watching: bool) {
        let channel = self.find(Scope::Channel, name);
        let link = channel.and_then(|channel| self.links.find(seat.first, channel));
        if let (Some(channel), Some(link)) = (channel, link)
            && self.links.set_watching(link, watching) != watching
        {
            self.presence.watch(channel, watching);
        }
    }

    /// Whether the session is told who comes to a channel and goes.
    #[must_use]
    pub fn is_watching(&self, seat: &Seat, channel: ChannelId) -> bool {
        let link = self.links.find(seat.first, channel);
        link.is_some_and(|link| self.links.is_watching(link))
    }

    /// Who is in the channel called `name`: at most `limit` users behind `after`, in the order of their names. `None`
    /// where that is nobody's business.
    pub fn members(&mut self, name: &str, after: Option<&str>, limit: usize) -> Option<Members> {
        let mode = self.policy(name).presence;
        if mode == Mode::Off {
            return None;
        }
        let id = self.find(Scope::Channel, name);
        let row = id.and_then(|id| self.channels.get(id));
        let mut members = Members {
            sessions: row.map_or(0, |row| row.subscribers as usize),
            ..Members::default()
        };
        if mode == Mode::List {
            let room = id.and_then(|id| self.presence.room(id));
            let behind = room.into_iter().flat_map(|room| room.behind(after));
            let mut page: Vec<_> = behind
                .take(limit + 1)
                .map(|(user, member)| (user.to_owned(), member.sessions))
                .collect();
            members.more = page.len() > limit;
            page.truncate(limit);
            members.users = Some((room.map_or(0, |room| room.len()), page));
        }
        Some(members)
    }

    /// The next change that is to be told.
    pub fn next_change(&mut self) -> Option<Change> {
        self.presence.next_change()
    }

    /// Whether so many comings and goings wait to be told that there may be no more now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.presence.is_busy() || self.is_behind_with_turnouts()
    }

    /// Whether there is any.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.presence.has_changes()
    }

    /// Brings the list of a channel up to a change, and begins its fan-out if there is something to tell:
    /// [`Hub::next_subscriber`] gives the sessions, of which those that watch are told. Gives back the channel's name
    /// and whether the user has joined it or left.
    pub fn begin_change(&mut self, change: &Change, now: Tick) -> Option<(Rc<str>, bool)> {
        // A channel that is gone took its list along.
        let row = self.channels.get(change.channel)?;
        let (name, list) = (Rc::from(&*row.name), (row.first, row.subscribers));
        let joined = self.presence.apply(change, now)?;
        // Nobody is told: nobody is looked for.
        if !self.presence.is_watched(change.channel) {
            return None;
        }
        self.reach.begin(&mut [list]);
        Some((name, joined))
    }

    /// A session of `user` came to a channel or went.
    pub(super) fn note(&mut self, channel: ChannelId, user: Option<&Rc<str>>, what: What) {
        if let Some(user) = user
            && self.lists(channel)
        {
            self.presence.note(channel, user, what);
        }
    }

    /// A session that was `old`, if anybody, is `new` from now on, in all its channels.
    pub(super) fn note_rename(&mut self, seat: &Seat, old: Option<&Rc<str>>, new: &Rc<str>) {
        let channels: Vec<ChannelId> = self.channels_of(seat).collect();
        for channel in channels {
            self.note(channel, old, What::Renamed);
            self.note(channel, Some(new), What::Came);
        }
    }

    /// The name by which a session's coming to a channel, or going, is told; none where it is not.
    pub(super) fn told_name(&self, seat: &Seat, channel: ChannelId) -> Option<Rc<str>> {
        let user = self.lists(channel).then(|| self.user_name(seat));
        user.flatten().map(Rc::from)
    }

    /// The same where any channel of the session tells it.
    pub(super) fn told_anywhere(&self, seat: &Seat) -> Option<Rc<str>> {
        if self.book.is_plain() {
            return None;
        }
        self.channels_of(seat)
            .find_map(|channel| self.told_name(seat, channel))
    }

    fn channels_of(&self, seat: &Seat) -> impl Iterator<Item = ChannelId> {
        let slots = self.links.channels(seat.first);
        slots.filter_map(|slot| self.channels.id_at(slot))
    }

    fn lists(&self, channel: ChannelId) -> bool {
        match self.channels.get(channel).map(|row| &row.kind) {
            Some(Kind::Channel(_, policy, _)) => self.book.get(*policy).presence == Mode::List,
            _ => false,
        }
    }
}
