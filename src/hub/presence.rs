//! Who is in which channel, where a rule wants that listed.
//!
//! In: users' sessions that came and went, in the order in which that is told. Out: members, and when a user is new or
//! gone for all of its sessions. What is told and what is listed change together: whoever reads a list and then what is
//! told behind it has the truth.

use crate::ids::ChannelId;
use crate::time::Tick;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;

/// A user's session came to a channel or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The channel.
    pub channel: ChannelId,
    /// The user.
    pub user: Rc<str>,
    /// Which of them.
    pub what: What,
}

/// What a [`Change`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A session more.
    Came,
    /// A session less, which may come back.
    Went,
    /// A session less: it is another user's from now on.
    Renamed,
    /// The last session went at that moment, and the grace for coming back is over.
    Stayed(Tick),
}

/// All lists.
#[derive(Debug, Default)]
pub struct Presence {
    rooms: BTreeMap<ChannelId, Room>,
    /// How many sessions watch a channel, where any does.
    watchers: BTreeMap<ChannelId, u32>,
    changes: VecDeque<Change>,
    /// Who has no session left, in the order in which their grace ends.
    leaving: VecDeque<(Tick, ChannelId, Rc<str>)>,
    grace_ms: u64,
}

/// The members of a channel.
#[derive(Debug, Default)]
pub struct Room(BTreeMap<Rc<str>, Member>);

/// A user in a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Member {
    /// Its sessions there.
    pub sessions: u32,
    /// When the last of them went.
    left: Tick,
}

impl Presence {
    /// Nobody; who goes has `grace_ms` to come back before it is told.
    #[must_use]
    pub fn new(grace_ms: u64) -> Self {
        Self {
            grace_ms,
            ..Self::default()
        }
    }

    /// Notes a change to be told.
    pub fn note(&mut self, channel: ChannelId, user: &Rc<str>, what: What) {
        let user = user.clone();
        self.changes.push_back(Change {
            channel,
            user,
            what,
        });
    }

    /// The next change to be told.
    pub fn next_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// Whether so many are to be told, or may come back, that nobody else may come or go now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.changes.len() + self.leaving.len() >= CHANGES_MAX
    }

    /// Whether any is to be told.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Brings the list up to a change. Gives back whether the user is in the channel from now on, or is not any more;
    /// `None` when others of its sessions are, or it may come back.
    pub fn apply(&mut self, change: &Change, now: Tick) -> Option<bool> {
        let room = match change.what {
            What::Came => self.rooms.entry(change.channel).or_default(),
            _ => self.rooms.get_mut(&change.channel)?,
        };
        if change.what == What::Came {
            let known = room.0.contains_key(&change.user);
            room.0.entry(change.user.clone()).or_default().sessions += 1;
            return (!known).then_some(true);
        }
        let member = room.0.get_mut(&change.user)?;
        if matches!(change.what, What::Went | What::Renamed) {
            member.sessions = member.sessions.saturating_sub(1);
        }
        if member.sessions > 0 {
            return None;
        }
        if change.what == What::Went {
            member.left = now;
            let until = now + self.grace_ms;
            let who = (until, change.channel, change.user.clone());
            self.leaving.push_back(who);
            return None;
        }
        if matches!(change.what, What::Stayed(left) if left != member.left) {
            return None;
        }
        room.0.remove(&change.user);
        if room.0.is_empty() {
            self.rooms.remove(&change.channel);
        }
        Some(false)
    }

    /// A session more watches a channel, or one less.
    pub fn watch(&mut self, channel: ChannelId, more: bool) {
        let watchers = self.watchers.entry(channel).or_default();
        *watchers = match more {
            true => *watchers + 1,
            false => watchers.saturating_sub(1),
        };
        if *watchers == 0 {
            self.watchers.remove(&channel);
        }
    }

    /// Whether anybody watches a channel.
    #[must_use]
    pub fn is_watched(&self, channel: ChannelId) -> bool {
        self.watchers.contains_key(&channel)
    }

    /// A channel is gone: there is nobody to be told.
    pub fn forget(&mut self, channel: ChannelId) {
        self.rooms.remove(&channel);
    }

    /// The members of a channel.
    #[must_use]
    pub fn room(&self, channel: ChannelId) -> Option<&Room> {
        self.rooms.get(&channel)
    }

    /// When somebody's grace ends.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        self.leaving.front().map(|(until, ..)| *until)
    }

    /// Notes who did not come back in time. False when nobody's time is over.
    pub fn expire(&mut self, now: Tick) -> bool {
        let mut any = false;
        while let Some((until, channel, user)) =
            self.leaving.pop_front_if(|(until, ..)| *until <= now)
        {
            let left = Tick(until.0 - self.grace_ms);
            self.note(channel, &user, What::Stayed(left));
            any = true;
        }
        any
    }

    /// Whether every list is of a channel that exists and has somebody in it; for tests and the simulation.
    #[must_use]
    pub fn is_within(&self, exists: impl Fn(ChannelId) -> bool) -> bool {
        let is_right = |(id, room): (&ChannelId, &Room)| exists(*id) && !room.0.is_empty();
        self.rooms.iter().all(is_right) && self.watchers.keys().all(|id| exists(*id))
    }
}

/// Changes that may wait, and users who may come back: 64 bytes each and a name that is shared.
const CHANGES_MAX: usize = 128 * 1024;

impl Room {
    /// Users in the channel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The users behind `after`, in the order of their names.
    pub fn behind(&self, after: Option<&str>) -> impl Iterator<Item = (&str, Member)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.0.range::<str, _>((from, Bound::Unbounded));
        range.map(|(user, member)| (&**user, *member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn told(presence: &mut Presence, now: u64) -> Vec<(String, bool)> {
        presence.expire(Tick(now));
        let mut told = Vec::new();
        while let Some(change) = presence.next_change() {
            let user = change.user.to_string();
            told.extend(
                presence
                    .apply(&change, Tick(now))
                    .map(|joined| (user, joined)),
            );
        }
        told
    }

    #[test]
    fn a_user_joins_by_the_first_session_and_leaves_some_time_after_the_last() {
        let mut presence = Presence::new(100);
        let (a, ann) = (ChannelId::new(1, NonZeroU32::MIN), Rc::from("ann"));
        let joined = [("ann".to_owned(), true)];
        let left = [("ann".to_owned(), false)];
        presence.note(a, &ann, What::Came);
        presence.note(a, &ann, What::Came);
        assert_eq!(told(&mut presence, 0), joined);
        presence.note(a, &ann, What::Went);
        presence.note(a, &ann, What::Went);
        assert_eq!(told(&mut presence, 10), []);
        presence.note(a, &ann, What::Came);
        assert_eq!(told(&mut presence, 50), [], "it came back in time");
        presence.note(a, &ann, What::Went);
        assert_eq!(told(&mut presence, 60), []);
        assert_eq!(
            told(&mut presence, 110),
            [],
            "its first grace was over, not its last"
        );
        assert_eq!(presence.room(a).map(Room::len), Some(1));
        assert_eq!(told(&mut presence, 160), left);
        presence.note(a, &ann, What::Came);
        presence.note(a, &ann, What::Renamed);
        let both = [joined, left].concat();
        assert_eq!(told(&mut presence, 200), both, "another name is for good");
        assert!(presence.is_within(|_| false) && presence.next_due().is_none());
    }

    #[test]
    fn members_are_listed_by_name_from_any_of_them_on() {
        let mut presence = Presence::new(0);
        let a = ChannelId::new(1, NonZeroU32::MIN);
        for user in ["eve", "ann", "bob"] {
            presence.note(a, &Rc::from(user), What::Came);
        }
        told(&mut presence, 0);
        let names = |after| -> Vec<String> {
            let room = presence.room(a).into_iter();
            room.flat_map(|room| room.behind(after))
                .map(|(user, _)| user.to_owned())
                .collect()
        };
        assert_eq!(names(None), ["ann", "bob", "eve"]);
        assert_eq!(names(Some("b")), ["bob", "eve"]);
        assert_eq!(names(Some("eve")), [""; 0]);
    }

    #[test]
    fn as_many_may_come_and_go_as_may_wait_to_be_told() {
        let mut presence = Presence::new(100);
        let (a, ann) = (ChannelId::new(1, NonZeroU32::MIN), Rc::from("ann"));
        for _ in 1..CHANGES_MAX {
            presence.note(a, &ann, What::Came);
        }
        assert!(!presence.is_busy());
        presence.note(a, &ann, What::Came);
        assert!(presence.is_busy());
        told(&mut presence, 0);
        assert!(!presence.is_busy());
    }
}
