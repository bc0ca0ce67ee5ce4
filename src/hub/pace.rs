//! Channels that are fanned out at most once in a time, and what they hold back meanwhile.
//!
//! In: publications, moments. Out: what may go out now, and later the newest of what may not. For its readers a channel
//! stands where it was when it last went out: what is held back has its place and is kept, and nobody is told of it before
//! the newest goes out to everybody who reads then. A quiet channel is known here only until its time is over.

use super::Hub;
use super::channels::needs;
use crate::config::policy::{Slow, Who};
use crate::mem::{Position, Publication};
use crate::time::Tick;
use std::collections::{BTreeMap, BTreeSet};
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
    /// How many of these were published where the newest stands: the channel may have been forgotten and made anew meanwhile.
    here: u64,
}

/// What a channel held back, on its way.
#[derive(Debug)]
pub struct Released {
    /// The newest.
    pub publication: Rc<Publication>,
    /// How many there were, with it.
    pub taken: u64,
    /// How many of these its channel's readers stand in front of; the rest is of one of that name that was forgotten.
    pub here: u64,
    /// As of [`super::Published`].
    pub needs: Who,
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

    /// How many of the last publications to a channel are held back.
    pub(super) fn held(&self, name: &str) -> u64 {
        self.by_name.get(name).map_or(0, |pace| pace.taken)
    }

    /// Takes a publication that is not to go out before `ms` are over since the one before; where nobody reads it, no
    /// time begins.
    fn take(&mut self, publication: &Rc<Publication>, ms: u64, (now, read): (Tick, bool)) -> Turn {
        if let Some(pace) = self.by_name.get_mut(&*publication.target) {
            let epoch = |of: &Publication| of.place().map(|at| at.epoch);
            let before = pace.held.replace(publication.clone());
            let moved = before
                .as_ref()
                .is_some_and(|before| epoch(before) != epoch(publication));
            pace.taken += 1;
            pace.here = if moved { 1 } else { pace.here + 1 };
            let instead = before.is_some();
            return Turn::Held { instead };
        }
        if read && self.by_name.len() < PACES_MAX {
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
    /// Whether a publication goes out now.
    pub(super) fn turn_of(&mut self, publication: &Rc<Publication>, now: Tick, read: bool) -> Turn {
        match publication.slow() {
            Slow::Every(ms) => self.paces.take(publication, ms, (now, read)),
            Slow::Close | Slow::DropOldest | Slow::Latest => Turn::Now,
        }
    }

    /// Where a channel stands for its readers: without what it holds back.
    pub(super) fn shown(&self, name: &str, position: Position) -> Position {
        let offset = position.offset.saturating_sub(self.paces.held(name));
        Position { offset, ..position }
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
        let who = self.policy(&name).subscribe;
        // Who came to a channel that had been forgotten meanwhile came behind it.
        let is_of = |position: Position| {
            publication
                .place()
                .is_some_and(|at| at.epoch == position.epoch)
        };
        let mut lists = match self.channel(&name) {
            Some((position, _)) if is_of(position) => Vec::from_iter(self.list(&name)),
            _ => {
                publication.displace();
                Vec::new()
            }
        };
        let by_name = lists.len();
        if self.patterns > 0 && !who.reads_by_name() {
            self.match_patterns(&name, &mut lists);
        }
        let needs = needs(who, lists.len() > by_name);
        let read = lists.iter().any(|(_, len)| *len > 0);
        if let (Slow::Every(ms), true) = (publication.slow(), read) {
            self.paces.wait(name, now + ms);
        }
        self.reach.begin(&mut lists);
        Some(Released {
            publication,
            taken: pace.taken,
            here: pace.here,
            needs,
        })
    }
}

/// Channels whose time runs at once; what is published to a further one goes out as it comes. A name that nobody reads is
/// none of them.
const PACES_MAX: usize = 64 * 1024;
