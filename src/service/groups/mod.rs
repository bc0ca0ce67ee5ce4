//! Groups: how several subscriptions of the application share the events that it is told (`notice`).
//!
//! In: events, subscriptions that come, acknowledge and go. Out: which event is for whom. Each group gets each event that
//! it wants once, and is kept for a while when nobody is there. How an event is spelled is its protocol's business, and when
//! it is given the node's.

mod group;

pub use group::{Event, Gift, Member};

use super::Cx;
use crate::cmd::{Cmd, Cmds};
use crate::config::Config;
use crate::hub::names;
use crate::ids::SessionId;
use crate::mem::{Charge, Content, Ledger, Publication};
use crate::time::Tick;
use group::Group;
use std::rc::Rc;

/// All groups of a node.
#[derive(Debug)]
pub struct Groups {
    all: Vec<Group>,
    queue_max: usize,
    window_bytes: usize,
    keep_ms: u64,
    /// What the last event was given as.
    tag: u64,
    /// A command to give out what waits is on its way.
    called: bool,
    /// Sessions that came.
    came: Vec<SessionId>,
    charge: Charge,
}

/// There is no place for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded;

/// Lets a subscription of the session at hand take part in the group called `name`.
///
/// # Errors
/// [`Crowded`]: too many groups, or too many in this one.
pub fn join(cx: &mut Cx<'_>, name: &str, member: Member) -> Result<(), Crowded> {
    cx.groups.join(name, member, cx.now)?;
    cx.hub.hear(cx.groups.wants());
    cx.groups.call(cx.cmds);
    Ok(())
}

/// The session at hand, or one of its subscriptions, takes part no more: others get what it has not acknowledged.
pub fn leave(cx: &mut Cx<'_>, slot: Option<u16>) {
    cx.groups.leave(cx.id, slot, cx.now);
    cx.groups.call(cx.cmds);
}

impl Groups {
    /// No groups, with the bounds of `config`.
    #[must_use]
    pub fn new(config: &Config, ledger: &Ledger) -> Self {
        Self {
            all: Vec::new(),
            queue_max: config.callback_queue,
            window_bytes: config.max_queue,
            keep_ms: config
                .event_history
                .map_or(KEEP_MS, |history| history.ttl_ms),
            tag: 0,
            called: false,
            came: Vec::new(),
            charge: ledger.charge(0),
        }
    }

    /// Which events any of them wants, a bit for each of [`names::EVENTS`].
    #[must_use]
    pub fn wants(&self) -> u8 {
        self.all.iter().fold(0, |all, group| all | group.wants())
    }

    /// Takes an event in for each group that wants it. Gives back how many went for it.
    pub fn take(
        &mut self,
        publication: &Rc<Publication>,
        about: Option<SessionId>,
        ledger: &Ledger,
    ) -> u64 {
        let mut all = names::EVENTS.iter();
        let kind = all.position(|name| **name == *publication.target);
        let Some(kind) = kind.filter(|kind| self.wants() >> kind & 1 == 1) else {
            return 0;
        };
        // One alone is not to make all others go.
        let publication = match publication.bytes.len() > self.queue_max / 2 {
            true => {
                let told = super::notice::too_big(publication).into();
                Publication::new(
                    publication.target.clone(),
                    None,
                    Content::Json,
                    told,
                    ledger,
                )
            }
            false => publication.clone(),
        };
        let mut gone = 0;
        for group in &mut self.all {
            if group.wants() >> kind & 1 == 1 {
                let event = Event {
                    publication: publication.clone(),
                    about,
                    again: false,
                    refused: None,
                };
                gone += group.take(kind, event, self.queue_max);
            }
        }
        self.account();
        gone
    }

    /// Lets a subscription take part in the group called `name`.
    ///
    /// # Errors
    /// [`Crowded`]: too many groups, or too many in this one.
    pub fn join(&mut self, name: &str, member: Member, now: Tick) -> Result<(), Crowded> {
        let at = self.all.iter().position(|group| &*group.name == name);
        if at.is_none() && self.all.len() >= GROUPS_MAX {
            return Err(Crowded);
        }
        let at = at.unwrap_or_else(|| {
            self.all.push(Group::new(name));
            self.all.len() - 1
        });
        let group = self.all.get_mut(at).filter(|group| group.has_place());
        let group = group.ok_or(Crowded)?;
        self.came.push(member.session);
        group.join(member, now);
        Ok(())
    }

    /// Ends the part of a session in all of them, or that of one of its subscriptions.
    pub fn leave(&mut self, session: SessionId, slot: Option<u16>, now: Tick) {
        for group in &mut self.all {
            group.leave(session, slot, (now, self.queue_max));
        }
        if slot.is_none() {
            self.came.retain(|came| *came != session);
        }
    }

    /// A subscription has what it was given as `tag`, or will not have it. False where it takes part in none.
    pub fn settle(&mut self, whose: (SessionId, u16), tag: u64, taken: bool) -> bool {
        let queue_max = self.queue_max;
        let mut all = self.all.iter_mut();
        let settled = all.any(|group| group.settle(whose, tag, taken, queue_max));
        self.account();
        settled
    }

    /// Has what waits given out, if it can be.
    pub fn call(&mut self, cmds: &mut Cmds) {
        let is_due = !self.came.is_empty() || self.all.iter().any(Group::is_due);
        if is_due && !self.called {
            self.called = true;
            cmds.push(Cmd::Share);
        }
    }

    /// What was asked for by [`Groups::call`] is being done. Gives back the sessions that came.
    pub fn begin(&mut self) -> Vec<SessionId> {
        self.called = false;
        std::mem::take(&mut self.came)
    }

    /// The next event for somebody.
    pub fn next_gift(&mut self) -> Option<Gift> {
        let (tag, window) = (self.tag + 1, self.window_bytes);
        let mut due = self.all.iter_mut().filter(|group| group.is_due());
        let gift = due.find_map(|group| group.next_gift(tag, window))?;
        self.tag = tag;
        Some(gift)
    }

    /// When the next of them forgets something.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        let due = self
            .all
            .iter()
            .filter_map(|group| group.next_due(self.keep_ms));
        due.min()
    }

    /// Forgets what nobody has come back for. False where there is nothing to forget.
    pub fn expire(&mut self, now: Tick) -> bool {
        if self.next_due().is_none_or(|due| due > now) {
            return false;
        }
        for group in &mut self.all {
            let gone = group.expire(now, self.keep_ms);
            if gone > 0 {
                log::warn!("nobody came back for the events of a group: events={gone} are lost");
            }
        }
        self.all.retain(|group| !group.is_over());
        self.account();
        true
    }

    /// Forgets all of them. Gives back how many events went.
    pub fn clear(&mut self) -> usize {
        let gone = self.waiting();
        self.all.clear();
        self.account();
        gone
    }

    /// Whether somebody has what it has not acknowledged.
    #[must_use]
    pub fn has_unacked(&self) -> bool {
        self.all.iter().any(Group::has_unacked)
    }

    /// Events that wait or are not acknowledged.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.all.iter().map(Group::len).sum()
    }

    fn account(&mut self) {
        let places = self.waiting() * group::COST;
        self.charge
            .set(places + self.all.len() * size_of::<Group>());
    }
}

/// Groups of a node: each keeps what it wants, of what all of them share.
const GROUPS_MAX: usize = 64;
/// Milliseconds for which a group is kept that nobody is in: a new version of the application is there by then.
const KEEP_MS: u64 = 10 * 60 * 1000;

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
