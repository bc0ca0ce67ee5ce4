//! Channels that are fanned out at most once in a time, and what they hold back meanwhile.
//!
//! In: publications, moments, who subscribes and who goes. Out: what may go out now, and later the newest of what may not.
//! A quiet channel is known here only until its time is over, and its next publication goes out at once.

use super::names;
use super::{Hub, Kind};
use crate::config::policy::{Slow, Who};
use crate::ids::SessionId;
use crate::mem::{Position, Publication, Seat};
use crate::time::Tick;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::rc::Rc;

/// Every channel whose time is not over.
#[derive(Debug, Default)]
pub struct Paces {
    by_name: BTreeMap<Rc<str>, Pace>,
    due: BTreeSet<(Tick, Rc<str>)>,
}

#[derive(Debug, Default)]
struct Pace {
    /// The newest that is held back.
    held: Option<Rc<Publication>>,
    /// How many were held back since the last fan-out.
    taken: u64,
    /// Who subscribed since then, and how many were held back before: those are nothing that they miss.
    newcomers: BTreeMap<SessionId, u64>,
}

/// What a channel held back, on its way.
#[derive(Debug)]
pub struct Released {
    /// The newest.
    pub publication: Rc<Publication>,
    /// How many there were, with it.
    pub taken: u64,
    /// Of who came meanwhile: how many of them were before.
    pub newcomers: BTreeMap<SessionId, u64>,
    /// Only sessions with a user's name may have it.
    pub users_only: bool,
}

/// Whether a publication goes out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// When its channel's time is over, unless a newer one takes its place.
    Held {
        /// It took the place of another, which goes to nobody.
        instead: bool,
    },
}

impl Paces {
    /// When the next channel's time is over.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Whether no channel waits for its time to be over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Where a channel that stands at `position` was when it was last fanned out.
    #[must_use]
    pub fn fanned_out(&self, name: &str, position: Position) -> Position {
        let held = self.by_name.get(name).map_or(0, |pace| pace.taken);
        Position {
            offset: position.offset.saturating_sub(held),
            ..position
        }
    }

    /// Takes a publication that is not to go out before `ms` are over since the one before.
    fn take(&mut self, publication: &Rc<Publication>, ms: u64, now: Tick) -> Turn {
        if let Some(pace) = self.by_name.get_mut(&*publication.target) {
            pace.taken += 1;
            let instead = pace.held.replace(publication.clone()).is_some();
            return Turn::Held { instead };
        }
        if self.by_name.len() < PACES_MAX {
            self.wait(publication.target.clone(), now + ms);
        }
        Turn::Now
    }

    fn wait(&mut self, name: Rc<str>, until: Tick) {
        self.due.insert((until, name.clone()));
        self.by_name.insert(name, Pace::default());
    }
}

impl Hub {
    /// Whether a publication of a channel that somebody reads goes out now.
    pub(super) fn turn_of(&mut self, publication: &Rc<Publication>, now: Tick) -> Turn {
        match publication.slow() {
            Slow::Every(ms) => self.paces.take(publication, ms, now),
            Slow::Close | Slow::DropOldest | Slow::Latest => Turn::Now,
        }
    }

    /// The next channel whose time is over and that held something back: [`Hub::release`] is to follow.
    pub fn pop_paced(&mut self, now: Tick) -> Option<Rc<str>> {
        while let Some((due, name)) = self.paces.due.pop_first() {
            if due > now {
                self.paces.due.insert((due, name));
                return None;
            }
            let held = self.paces.by_name.get(&name).map(|pace| &pace.held);
            if matches!(held, Some(Some(_))) {
                return Some(name);
            }
            self.paces.by_name.remove(&name);
        }
        None
    }

    /// Takes what a channel held back, and begins its fan-out; its time begins anew.
    pub fn release(&mut self, name: &str, now: Tick) -> Option<Released> {
        let (name, pace) = self.paces.by_name.remove_entry(name)?;
        let publication = pace.held?;
        if let Slow::Every(ms) = publication.slow() {
            self.paces.wait(name.clone(), now + ms);
        }
        let who = self.policy(&name).subscribe;
        let mut lists = Vec::from_iter(self.list(&name));
        if self.patterns > 0 && matches!(who, Who::Anyone | Who::User) {
            self.match_patterns(&name, &mut lists);
        }
        self.reach.begin(&mut lists);
        Some(Released {
            publication,
            taken: pace.taken,
            newcomers: pace.newcomers,
            users_only: who == Who::User,
        })
    }

    /// `session` is about to subscribe to `topic`: of what is held back there, it misses nothing.
    pub(super) fn greet(&mut self, session: SessionId, seat: &Seat, topic: &str) {
        let mut paces = std::mem::take(&mut self.paces.by_name);
        // Who gets the channel by another subscription already is no newcomer to it.
        let meet = |(name, pace): (&Rc<str>, &mut Pace)| {
            if pace.held.is_some() && !self.is_reached(seat, name) {
                pace.newcomers.insert(session, pace.taken);
            }
        };
        match names::is_pattern(topic) {
            true => {
                let of_topic = |(name, _): &(&Rc<str>, &mut Pace)| names::covers(topic, name);
                paces.iter_mut().filter(of_topic).for_each(meet);
            }
            false => {
                let only = (Bound::Included(topic), Bound::Included(topic));
                paces.range_mut::<str, _>(only).for_each(meet);
            }
        }
        self.paces.by_name = paces;
    }

    /// Whether who stands at `since` has all of a channel that was fanned out; then it is no newcomer to what is held back.
    pub fn readmit(&mut self, session: SessionId, name: &str, since: Position) -> bool {
        let Some(at) = self.channel(name).map(|(position, _)| position) else {
            return false;
        };
        let met = self.paces.fanned_out(name, at) == since;
        if met && let Some(pace) = self.paces.by_name.get_mut(name) {
            pace.newcomers.remove(&session);
        }
        met
    }

    fn is_reached(&self, seat: &Seat, name: &str) -> bool {
        let mut topics = self.topics(seat);
        topics.any(|topic| names::covers(topic, name))
    }

    /// The names that a session is subscribed to.
    fn topics(&self, seat: &Seat) -> impl Iterator<Item = &str> {
        let rows = self.links.channels(seat.first);
        let rows = rows.filter_map(|index| self.row_at(index));
        let topics = rows.filter(|row| !matches!(row.kind, Kind::User(_)));
        topics.map(|row| &*row.name)
    }

    /// A session goes for good.
    pub(super) fn see_off(&mut self, seat: &Seat) {
        let Some((session, _)) = self.links.session_and_next(seat.first) else {
            return;
        };
        let mut paces = std::mem::take(&mut self.paces.by_name);
        for topic in self.topics(seat) {
            match names::is_pattern(topic) {
                false => {
                    if let Some(pace) = paces.get_mut(topic) {
                        pace.newcomers.remove(&session);
                    }
                }
                true => {
                    let met = paces.values_mut().filter(|pace| !pace.newcomers.is_empty());
                    met.for_each(|pace| {
                        pace.newcomers.remove(&session);
                    });
                }
            }
        }
        self.paces.by_name = paces;
    }
}

/// Channels whose time runs at once; what is published to a further one goes out as it comes. A name that nobody reads is
/// none of them.
const PACES_MAX: usize = 64 * 1024;
