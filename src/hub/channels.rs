//! Publications in the hub: their places, whom they go to, what is kept of them.
//!
//! In: publications, positions of readers who come back. Out: places, fan-outs, runs of what was kept.

use super::history::Ring;
use super::{Channel, Hub, Kind, Refused, Scope, Turn, names};
use crate::config::policy::Who;
use crate::ids::ChannelId;
use crate::mem::{Position, Publication, Seat};
use crate::time::Tick;
use std::rc::Rc;

/// A publication that the hub has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its place in its channel.
    pub place: Position,
    /// What each of its readers must be or have, where not all of them were asked for it when they came.
    pub needs: Who,
    /// When it goes out: only now there is a fan-out.
    pub turn: Turn,
}

/// What a reader who comes back is to get.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Whether `missed` is everything between the reader's position and the channel's.
    pub whole: bool,
    /// Oldest first; empty where it is not whole.
    pub missed: Vec<Rc<Publication>>,
}

/// A page of a channel's history.
#[derive(Debug, Default)]
pub struct Page {
    /// Where the channel stands.
    pub position: Position,
    /// In the order that was asked for.
    pub messages: Vec<Rc<Publication>>,
    /// Whether there is more behind them.
    pub more: bool,
}

/// Where a page begins and how long it is.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Forwards: the offset behind which it begins; backwards: the one in front of which. `None` is the very end.
    pub from: Option<u64>,
    /// Newest first.
    pub backwards: bool,
    /// Messages at most.
    pub messages: usize,
    /// Bytes of them at most; one message is given whatever it weighs.
    pub bytes: usize,
}

impl Hub {
    /// Takes a publication into its channel, keeps it if the channel's policy says so, and begins its fan-out:
    /// [`Hub::next_subscriber`] gives the sessions. One fan-out ends before the next begins.
    ///
    /// Gives back its place. A channel without subscribers and history does not exist, so its first and last
    /// publication has offset 1, under no epoch.
    ///
    /// # Errors
    /// It is to be kept and there are as many channels as there may be.
    pub fn publish(
        &mut self,
        publication: &Rc<Publication>,
        now: Tick,
    ) -> Result<Published, Refused> {
        let name = &*publication.target;
        let found = self.find(Scope::Channel, name);
        let policy = match found
            .and_then(|id| self.channels.get(id))
            .map(|row| &row.kind)
        {
            Some(Kind::Channel(_, policy, _)) => *policy,
            _ => self.book.id_of(name),
        };
        let policy = self.book.get(policy);
        publication.follow(policy.slow);
        policy
            .lazy_ms
            .into_iter()
            .for_each(|ms| publication.put_off(ms));
        let (who, keep) = (policy.subscribe, policy.history);
        let id = match (found, keep) {
            (None, Some(_)) => Some(self.find_or_make(Scope::Channel, name)?),
            (found, _) => found,
        };
        let mut lists = Vec::new();
        let mut place = NOWHERE;
        if let Some((id, row)) = id.and_then(|id| Some((id, self.channels.get_mut(id)?))) {
            lists.push((row.first, row.subscribers));
            if let Kind::Channel(position, ..) = &mut row.kind {
                position.offset += 1;
                place = *position;
                match keep {
                    Some(keep) => self.archive.push(id, publication, keep, now),
                    None => self.archive.forget(id),
                }
            }
            self.prune(id);
            self.shed();
        }
        publication.put(place);
        // Who reads by a pattern may read what everybody may, with a name what every user may, and with a token what that
        // names. What is the application's alone begins with a slash.
        let by_name = lists.len();
        if self.patterns > 0 && !who.reads_by_name() && !names::is_own(name) {
            self.match_patterns(name, &mut lists);
        }
        let needs = needs(who, lists.len() > by_name);
        let read = lists.iter().any(|(_, len)| *len > 0);
        let turn = self.turn_of(publication, now, read);
        if turn == Turn::Now {
            self.reach.begin(&mut lists);
        }
        Ok(Published { place, needs, turn })
    }

    /// Promises that a publication to the channel called `name` will be taken, whatever comes before it: where it is to be
    /// kept, its channel is there from now on. Each promise is redeemed.
    ///
    /// # Errors
    /// It is to be kept and there are as many channels as there may be.
    pub fn promise(&mut self, name: &str) -> Result<(), Refused> {
        if self.policy(name).history.is_none() {
            return Ok(());
        }
        let id = self.find_or_make(Scope::Channel, name)?;
        if let Some(Kind::Channel(_, _, promised)) = self.kind_mut(id) {
            *promised += 1;
            self.promised += 1;
        }
        Ok(())
    }

    /// What was promised of a publication to the channel called `name` is done.
    pub fn redeem(&mut self, name: &str) {
        if self.promised == 0 {
            return;
        }
        let Some(id) = self.find(Scope::Channel, name) else {
            return;
        };
        if let Some(Kind::Channel(_, _, promised @ 1..)) = self.kind_mut(id) {
            *promised -= 1;
            self.promised -= 1;
        }
        self.prune(id);
    }

    /// How many promises are not redeemed.
    #[must_use]
    pub fn promised(&self) -> usize {
        self.promised
    }

    fn kind_mut(&mut self, id: ChannelId) -> Option<&mut Kind> {
        self.channels.get_mut(id).map(|row| &mut row.kind)
    }

    /// The lists of the patterns that match `name`: looked up, as many as the name has segments and one.
    pub(super) fn match_patterns(&self, name: &str, lists: &mut Vec<(u32, u32)>) {
        each_pattern(name, |pattern| lists.extend(self.list(pattern)));
    }

    /// Whether a session reads the channel called `name` by a pattern.
    #[must_use]
    pub fn reads_widely(&self, seat: &Seat, name: &str) -> bool {
        let mut reads = false;
        each_pattern(name, |pattern| {
            let row = self.find(Scope::Channel, pattern);
            reads |= row.is_some_and(|row| self.links.find(seat.first, row).is_some());
        });
        reads
    }

    pub(super) fn list(&self, name: &str) -> Option<(u32, u32)> {
        let row = self.channels.get(self.find(Scope::Channel, name)?)?;
        Some((row.first, row.subscribers))
    }

    /// What was published to a channel since `since`, if that is so many messages and bytes at most.
    #[must_use]
    pub fn recover(
        &self,
        name: &str,
        since: Position,
        (messages_max, bytes_max): (usize, usize),
    ) -> Recovered {
        let Some((position, history)) = self.channel(name) else {
            return Recovered::default();
        };
        let (position, kept) = self.shown_of(name, position, history);
        let (Some(missing), true) = (
            position.offset.checked_sub(since.offset),
            position.epoch == since.epoch,
        ) else {
            return Recovered::default();
        };
        let Some(skip) = usize::try_from(missing)
            .ok()
            .and_then(|missing| kept.checked_sub(missing))
        else {
            return Recovered::default();
        };
        let mut missed = Vec::new();
        let mut bytes = 0;
        let run = history.into_iter().flat_map(|ring| ring.iter_from(skip));
        let run = run.take(kept - skip);
        for publication in run {
            bytes += publication.bytes.len();
            if bytes > bytes_max || missed.len() >= messages_max {
                return Recovered::default();
            }
            missed.push(publication.clone());
        }
        Recovered {
            whole: true,
            missed,
        }
    }

    /// A page of what a channel has kept.
    #[must_use]
    pub fn page(&self, name: &str, asked: Asked) -> Page {
        let Some((position, history)) = self.channel(name) else {
            return Page::default();
        };
        let (position, kept) = self.shown_of(name, position, history);
        // The offset in front of the oldest that is kept.
        let base = position.offset - kept as u64;
        let place = |offset: u64| {
            usize::try_from(offset.saturating_sub(base))
                .unwrap_or(kept)
                .min(kept)
        };
        let run: Box<dyn Iterator<Item = &Rc<Publication>>> = match (history, asked.backwards) {
            (None, _) => Box::new(std::iter::empty()),
            (Some(history), false) => {
                let begin = asked.from.map_or(0, place);
                Box::new(history.iter_from(begin).take(kept - begin))
            }
            (Some(history), true) => {
                let end = asked
                    .from
                    .map_or(kept, |from| place(from.saturating_sub(1)));
                Box::new(history.iter_from(0).take(end).rev())
            }
        };
        let mut page = Page {
            position,
            ..Page::default()
        };
        let mut bytes = 0;
        for publication in run {
            bytes += publication.weight();
            let first = page.messages.is_empty();
            if page.messages.len() >= asked.messages || (bytes > asked.bytes && !first) {
                page.more = true;
                break;
            }
            page.messages.push(publication.clone());
        }
        page
    }

    /// When something is to be forgotten or told, or a channel's time is over.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        let due = self.archive.next_due().into_iter();
        let due = due.chain(self.presence.next_due());
        due.chain(self.paces.next_due()).min()
    }

    /// Lets go what was kept for its time, of one channel, or notes who is gone for good. False when nothing is due.
    pub fn expire(&mut self, now: Tick) -> bool {
        let Some(id) = self.archive.pop_due(now) else {
            return self.presence.expire(now);
        };
        self.archive.expire(id, now);
        self.prune(id);
        true
    }

    /// Bytes and publications that all channels have kept.
    #[must_use]
    pub fn kept(&self) -> (usize, usize) {
        (self.archive.bytes(), self.archive.messages())
    }

    /// Forgets a channel that nobody reads: that of the oldest publication, as far as it is looked for. False when there
    /// is none.
    pub(super) fn forget_one(&mut self) -> bool {
        let unread = |id: &ChannelId| {
            let row = self.channels.get(*id);
            row.is_some_and(|row| row.subscribers == 0 && !self.stays(row))
        };
        let Some(id) = self.archive.oldest_channels().take(LOOKED_AT).find(unread) else {
            return false;
        };
        self.archive.forget(id);
        self.prune(id);
        true
    }

    /// As long as all histories together hold too much, the oldest publication of all goes.
    fn shed(&mut self) {
        while let Some(id) = self.archive.pop_surplus() {
            self.prune(id);
        }
    }

    /// Where a channel stands for its readers, and how much of its history they may see.
    fn shown_of(
        &self,
        name: &str,
        position: Position,
        history: Option<&Ring>,
    ) -> (Position, usize) {
        let shown = self.shown(name, position);
        let held = usize::try_from(position.offset - shown.offset).unwrap_or(usize::MAX);
        (shown, history.map_or(0, Ring::len).saturating_sub(held))
    }

    pub(super) fn channel(&self, name: &str) -> Option<(Position, Option<&Ring>)> {
        let id = self.find(Scope::Channel, name)?;
        match self.channels.get(id)?.kind {
            Kind::Channel(position, ..) => Some((position, self.archive.of(id))),
            Kind::Pattern | Kind::User(_) => None,
        }
    }

    /// Whether the account of the histories is what they hold.
    pub(super) fn is_archive_consistent(&self) -> bool {
        let kept = |(id, _): (ChannelId, &Channel)| {
            self.archive.of(id).map_or((0, 0), |history| {
                let bytes = history
                    .iter_from(0)
                    .map(|publication| publication.weight())
                    .sum();
                (bytes, history.len())
            })
        };
        let sum =
            |(bytes, many): (usize, usize), (more, len): (usize, usize)| (bytes + more, many + len);
        self.channels.iter().map(kept).fold((0, 0), sum) == self.kept()
    }
}

/// What is asked of each reader of a channel that is for `who`. Whoever reads a channel of tokens by its name was asked when
/// it came, or let in by the application; not so who reads it by a pattern.
pub(super) fn needs(who: Who, by_pattern: bool) -> Who {
    match who {
        Who::User => Who::User,
        Who::Token if by_pattern => Who::Token,
        _ => Who::Anyone,
    }
}

/// Names every pattern that matches `name`.
fn each_pattern(name: &str, mut each: impl FnMut(&str)) {
    let mut pattern = String::with_capacity(name.len() + 2);
    let ends = name.match_indices('/').map(|(at, _)| at + 1);
    for end in std::iter::once(0).chain(ends) {
        pattern.clear();
        pattern.push_str(name.get(..end).unwrap_or_default());
        let rest = name.get(end..).unwrap_or_default();
        if !rest.contains('/') {
            pattern.push('*');
            each(&pattern);
            pattern.pop();
        }
        pattern.push_str("**");
        each(&pattern);
    }
}

/// Publications that are looked at to find a channel that nobody reads.
const LOOKED_AT: usize = 1_000;
/// The place in a channel that nobody reads and that keeps nothing.
const NOWHERE: Position = Position {
    epoch: 0,
    offset: 1,
};
