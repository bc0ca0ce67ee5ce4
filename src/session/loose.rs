//! Messages that may be dropped: of channels whose policy says so, for a client that does not keep up.
//!
//! In: such messages, one after the other. Out: a backlog that stays within its bound, and at the place of what is missing
//! a notice of how many. Only what was never written is dropped: the client may have seen the number of anything else.
//! Nothing is kept here for a session that keeps up.

use super::sieve::{Load, Part, Sieve, is_one};
use super::window::Window;
use super::{Carriage, Overflow, PACKETS_MAX, Session, State, cost};
use crate::config::policy::Slow;
use crate::mem::{Charge, Ledger, Msg, Publication};
use crate::metrics::Dropped;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What is remembered of a session while its client does not keep up.
#[derive(Debug)]
pub struct Loose {
    /// Dropped behind everything that waits, by channel; told before the next message of that channel, or at the end.
    missed: BTreeMap<Rc<str>, u64>,
    charge: Charge,
    missed_bytes: usize,
    /// What may be written.
    window: Window,
    /// Queued bytes at which all of this is forgotten.
    calm_bytes: usize,
    /// Notices that wait.
    notices: Load,
    /// What may wait beside them before all of it is looked at: the bound, and a little more where the last look could not
    /// free much.
    look: Load,
    /// Messages that came since the last look at all that waits, and packets that it left.
    fresh: usize,
    left: usize,
    /// Something may wait that a newer message stands for, or two notices of one run.
    unsettled: bool,
    /// Nothing waits that may be dropped.
    barren: bool,
}

/// By whose rules messages are dropped.
#[derive(Debug)]
pub struct Terms<'a> {
    /// Bytes that may wait.
    pub queue_max: usize,
    /// The account of payloads.
    pub ledger: &'a Ledger,
    /// How the client is told that it missed so many of a channel.
    pub spell: fn(&str, u64) -> Vec<u8>,
    /// The counters.
    pub dropped: &'a mut Dropped,
    /// How many messages, right before the one that is offered, its channel held back and sent to nobody.
    pub skipped: u64,
}

impl Terms<'_> {
    fn notice(&self, channel: &Rc<str>, missed: u64) -> Rc<Msg> {
        let notice = Publication::notice(channel.clone(), missed, self.ledger);
        let said = (self.spell)(channel, missed);
        Msg::view(&notice, said.into(), self.ledger)
    }
}

impl Loose {
    fn miss(&mut self, channel: &Rc<str>, missed: u64) {
        match self.missed.get_mut(channel) {
            Some(before) => *before += missed,
            None => {
                self.missed.insert(channel.clone(), missed);
                self.missed_bytes += entry_bytes(channel);
                self.charge.set(self.missed_bytes);
            }
        }
        self.unsettled = true;
    }

    fn take_missed(&mut self, channel: &str) -> Option<u64> {
        let missed = self.missed.remove(channel)?;
        self.missed_bytes -= entry_bytes(channel);
        self.charge.set(self.missed_bytes);
        Some(missed)
    }

    /// What may wait beside notices. An eighth of the bound is theirs on top of it; what they need beyond that is missing
    /// for the rest.
    fn most(&self, queue_max: usize) -> Load {
        let notices = self.notices.bytes + self.missed_bytes;
        Load::most(queue_max.saturating_sub(notices.saturating_sub(queue_max / 8)))
    }

    fn take_all_missed(&mut self) -> BTreeMap<Rc<str>, u64> {
        self.missed_bytes = 0;
        self.charge.set(0);
        std::mem::take(&mut self.missed)
    }
}

/// What a count of missed messages is taken to cost: its name, its place, the notice to come.
fn entry_bytes(channel: &str) -> usize {
    channel.len() + 64
}

impl Session {
    /// Appends the parts of a message that may be dropped: all of them, or none. Several are a message behind a line that
    /// says where its reader stands in all of its channels.
    ///
    /// # Errors
    /// [`Overflow`] when the notices of what was dropped are more than half of what may wait.
    pub fn offer(&mut self, parts: &[Rc<Msg>], terms: &mut Terms<'_>) -> Result<(), Overflow> {
        let source = parts.first().and_then(|msg| msg.source());
        let Some(source) = source.filter(|_| self.is_open()).cloned() else {
            return Ok(());
        };
        let whole = self.queued() + parts.iter().map(|msg| cost(msg)).sum::<usize>();
        if self.is_calm(&source, whole, terms.queue_max) {
            if terms.skipped > 0 {
                self.append(terms.notice(&source.target, terms.skipped), terms.ledger);
            }
            return self.append_all(parts, terms);
        }
        let loose = self.loose_mut(terms);
        let whole = whole.saturating_sub(loose.notices.bytes);
        let most = loose.most(terms.queue_max);
        if terms.skipped > 0 {
            loose.miss(&source.target, terms.skipped);
        }
        // One that waits for room is let in when there is some, or each would be followed by a look at everything.
        let bound = match source.slow() {
            Slow::DropOldest => most.rested(),
            _ => most,
        };
        if loose.barren && whole > bound.bytes {
            loose.miss(&source.target, 1);
            terms.dropped.count(source.slow(), 1);
            return self.within(terms);
        }
        loose.barren = false;
        loose.fresh += 1;
        loose.unsettled |= source.slow() != Slow::DropOldest;
        // A few that wait are looked at each time, of many each once in a while.
        let many = loose.fresh > loose.left.saturating_sub(LOOK_ALWAYS) && loose.unsettled;
        let missed = match parts {
            [_] => loose.take_missed(&source.target),
            _ => None,
        };
        match missed {
            Some(missed) => self.give_notice(&source.target, missed, terms),
            None if parts.len() > 1 => self.tell_missed(terms),
            None => {}
        }
        let over = self.append_all(parts, terms).is_err();
        if over || many {
            self.sift(terms);
        }
        self.widen();
        self.within(terms)
    }

    /// Appends the parts of one message, which are several for a bare session only.
    ///
    /// # Errors
    /// [`Overflow`]: more would wait than may.
    pub fn push_all(&mut self, parts: &[Rc<Msg>], terms: &Terms<'_>) -> Result<(), Overflow> {
        let pushed = self.append_all(parts, terms);
        self.widen();
        pushed
    }

    /// The same, for whoever widens the window afterwards: that may forget what is still looked at.
    fn append_all(&mut self, parts: &[Rc<Msg>], terms: &Terms<'_>) -> Result<(), Overflow> {
        if let [msg] = parts {
            return self.push_unseen(msg.clone(), terms.queue_max, terms.ledger);
        }
        // Only bare sessions are given several, which no packet is too small for.
        for msg in parts {
            self.append(msg.clone(), terms.ledger);
        }
        if self.load().fits(self.look(terms.queue_max)) {
            return Ok(());
        }
        self.state = State::Overflowed;
        Err(Overflow)
    }

    /// Drops what may be dropped after a push that was one too many.
    ///
    /// # Errors
    /// [`Overflow`]: there was not enough of it.
    pub fn make_room(&mut self, terms: &mut Terms<'_>) -> Result<(), Overflow> {
        self.sift(terms);
        self.widen();
        self.within(terms)
    }

    /// Whether the client is behind, and what waits for it is not what it is to get.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        let loose = self.loose();
        loose.is_some_and(|loose| loose.unsettled || !loose.missed.is_empty())
    }

    /// Makes what waits what the client is to get: the latest where that is enough, and every notice in its place.
    ///
    /// # Errors
    /// [`Overflow`] when the notices are too much.
    pub fn settle(&mut self, terms: &mut Terms<'_>) -> Result<(), Overflow> {
        if !self.is_unsettled() {
            return Ok(());
        }
        self.sift(terms);
        self.tell_missed(terms);
        self.widen();
        self.within(terms)
    }

    /// Puts the notices of all that was dropped behind what waits. What says where its reader stands in several channels is
    /// to stand behind them: who comes back with that has been told.
    pub fn tell_missed(&mut self, terms: &Terms<'_>) {
        let loose = self.extra.as_mut().and_then(|extra| extra.loose.as_mut());
        let missed = loose.map(|loose| loose.take_all_missed());
        for (channel, missed) in missed.into_iter().flatten() {
            self.give_notice(&channel, missed, terms);
        }
    }

    /// Messages that were dropped and of which no notice was acknowledged.
    #[must_use]
    pub fn missed(&self) -> u64 {
        let sources = self.backlog.iter_from(0).filter_map(|msg| msg.source());
        let waiting = sources.filter_map(|source| source.missed());
        let behind = self.loose().into_iter().flat_map(|l| l.missed.values());
        waiting.chain(behind.copied()).sum()
    }

    /// Whether the client is behind.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.loose().is_some()
    }

    /// Packets from the front that may be written.
    pub(super) fn writable(&self) -> usize {
        match self.loose() {
            Some(loose) => self.packets().min(loose.window.open()),
            None => self.packets(),
        }
    }

    /// Whether packets may be written, or all are but notices that are not even made.
    #[cold]
    pub(super) fn has_more(&self) -> bool {
        let owes = self.loose().filter(|loose| !loose.missed.is_empty());
        usize::from(self.sent) < self.writable()
            || owes.is_some_and(|loose| loose.window.open() >= self.backlog.len())
    }

    /// The client has the first packet that waited.
    #[cold]
    pub(super) fn released(&mut self, msg: &Msg) {
        if let Some(loose) = self.extra.as_mut().and_then(|extra| extra.loose.as_mut()) {
            loose.window.released(msg);
            loose.notices.take(notice_load(msg));
            self.widen();
        }
    }

    /// Whether more may wait than the bound says, as the last look at all of it could not free much.
    #[cold]
    pub(super) fn has_more_room(&self, queue_max: usize) -> bool {
        self.load().fits(self.look(queue_max))
    }

    /// Whether the window is as large as it says, and open as far as it goes.
    pub(super) fn has_true_window(&self) -> bool {
        self.loose().is_none_or(|loose| {
            let notices = self.backlog.iter_from(0).map(|msg| notice_load(msg));
            let notices = notices.fold(Load::default(), Load::and);
            loose.window.is_true(&self.backlog) && notices == loose.notices
        })
    }

    fn loose(&self) -> Option<&Loose> {
        self.extra.as_ref()?.loose.as_deref()
    }

    fn loose_mut(&mut self, terms: &Terms<'_>) -> &mut Loose {
        let open_bytes_max = match self.carriage {
            Carriage::Csp => terms.queue_max / 2,
            _ => usize::MAX,
        };
        let tried = usize::from(self.tried);
        let notices = self.backlog.iter_from(0).map(|msg| notice_load(msg));
        let extra = self.extra.get_or_insert_default();
        extra.loose.get_or_insert_with(|| {
            Box::new(Loose {
                missed: BTreeMap::new(),
                charge: terms.ledger.charge(0),
                missed_bytes: 0,
                window: Window::new(&self.backlog, tried, open_bytes_max),
                calm_bytes: terms.queue_max / 2,
                notices: notices.fold(Load::default(), Load::and),
                look: Load::most(terms.queue_max),
                fresh: 0,
                left: 0,
                unsettled: false,
                barren: false,
            })
        })
    }

    /// Whether `msg` may simply be appended: nothing was dropped or held back, and nothing will be for its sake.
    fn is_calm(&self, source: &Publication, whole: usize, queue_max: usize) -> bool {
        let waits = self.backlog.len() > usize::from(self.tried);
        let replaces = waits && source.slow() != Slow::DropOldest;
        self.loose().is_none()
            && !replaces
            && whole <= queue_max / 2
            && self.backlog.len() < PACKETS_MAX / 2
    }

    /// What waits, notices not counted.
    fn load(&self) -> Load {
        let mut load = Load {
            bytes: self.queued(),
            packets: self.backlog.len(),
        };
        if let Some(loose) = self.loose() {
            load.take(loose.notices);
        }
        load
    }

    /// What may wait before all of it is looked at.
    fn look(&self, queue_max: usize) -> Load {
        let most = Load::most(queue_max);
        self.loose().map_or(most, |loose| loose.look)
    }

    fn give_notice(&mut self, channel: &Rc<str>, missed: u64, terms: &Terms<'_>) {
        let notice = terms.notice(channel, missed);
        let loose = self.loose_mut(terms);
        loose.notices = loose.notices.and(notice_load(&notice));
        self.append(notice, terms.ledger);
    }

    fn append(&mut self, msg: Rc<Msg>, ledger: &Ledger) {
        self.queued += cost(&msg) as u32;
        self.backlog.push(msg, ledger);
    }

    /// Opens the window as far as it goes, and forgets everything when the client keeps up again. To be done after whatever
    /// puts something behind what waits, or nothing of that is written before more comes.
    #[cold]
    pub(super) fn widen(&mut self) {
        let Some(extra) = &mut self.extra else { return };
        let Some(loose) = &mut extra.loose else {
            return;
        };
        loose.window.widen(&self.backlog);
        let told = loose.missed.is_empty() && !loose.unsettled;
        let all =
            loose.window.open() >= self.backlog.len() && self.queued as usize <= loose.calm_bytes;
        // Where many wait, when they were last looked at is to be known.
        let few = self.backlog.len() <= usize::from(self.tried) + LOOK_ALWAYS;
        if told && all && few {
            extra.loose = None;
            self.drop_empty_extra();
        }
    }

    fn within(&mut self, terms: &Terms<'_>) -> Result<(), Overflow> {
        let told = self.loose().is_none_or(|loose| {
            let (bytes, packets) = (loose.notices.bytes, loose.notices.packets);
            bytes + loose.missed_bytes <= terms.queue_max / 2
                && packets + loose.missed.len() <= PACKETS_MAX / 2
        });
        if !told {
            self.state = State::Overflowed;
        }
        match self.state {
            State::Overflowed => Err(Overflow),
            _ => Ok(()),
        }
    }

    /// Looks at all that was never written: of what is to be the latest only that stays, and where too much waits the
    /// oldest that may be dropped goes, a quarter of the bound at once.
    fn sift(&mut self, terms: &mut Terms<'_>) {
        let most = self.loose_mut(terms).most(terms.queue_max);
        let mut load = self.load();
        let from = self.first_unwritten();
        let tail: Vec<Rc<Msg>> = self.backlog.iter_from(from).cloned().collect();
        let mut sieve = Sieve::new(&tail);
        sieve.refuse_last(&mut load, most, terms.dropped);
        sieve.keep_latest(&mut load, terms.dropped);
        sieve.drop_oldest(&mut load, most, terms.dropped);
        let fits = load.fits(most);
        self.backlog.truncate(from);
        self.queued -= tail.iter().map(|msg| cost(msg) as u32).sum::<u32>();
        let barren = self.put_back(&sieve, terms);
        if fits && self.state == State::Overflowed {
            self.state = State::Open;
        }
        let left = self.backlog.len().saturating_sub(from);
        let loose = self.loose_mut(terms);
        loose.window.shut(from, &tail);
        (loose.fresh, loose.left) = (0, left);
        loose.look = load.looked_at(most);
        (loose.unsettled, loose.barren) = (false, barren);
    }

    /// Appends what stays, each notice in front of the next message of its channel. True when nothing of it may be
    /// dropped.
    fn put_back(&mut self, sieve: &Sieve<'_>, terms: &Terms<'_>) -> bool {
        let mut barren = true;
        let mut missed: BTreeMap<Rc<str>, u64> = BTreeMap::new();
        for part in &sieve.parts {
            if let Some((channel, more)) = part.notice() {
                let gone = part.packets.iter().map(|msg| notice_load(msg));
                let gone = gone.fold(Load::default(), Load::and);
                self.loose_mut(terms).notices.take(gone);
                *missed.entry(channel.clone()).or_default() += more;
                continue;
            }
            if let Some(source) = part.loose() {
                if !part.stays {
                    *missed.entry(source.target.clone()).or_default() += 1;
                    continue;
                }
                barren = false;
                if let Some(missed) = missed.remove(&source.target) {
                    self.give_notice(&source.target, missed, terms);
                }
            }
            if self.names_places(part) {
                for (channel, missed) in std::mem::take(&mut missed) {
                    self.give_notice(&channel, missed, terms);
                }
            }
            for msg in part.packets {
                self.append(msg.clone(), terms.ledger);
            }
        }
        for (channel, missed) in missed {
            self.loose_mut(terms).miss(&channel, missed);
        }
        barren
    }

    /// Whether a message says where its reader stands in several channels.
    fn names_places(&self, part: &Part<'_>) -> bool {
        self.carriage == Carriage::Bare && part.packets.len() > 1
    }

    /// The first packet of the first message of which nothing was written; what was written of one may be acknowledged.
    fn first_unwritten(&self) -> usize {
        let tried = usize::from(self.tried);
        let Some(before) = tried.checked_sub(1) else {
            let packets = self.backlog.iter_from(0);
            return packets.take_while(|next| next.is_rest()).count();
        };
        let mut packets = self.backlog.iter_from(before);
        let Some(last) = packets.next() else {
            return tried;
        };
        tried + packets.take_while(|next| is_one(last, next)).count()
    }
}

/// What a packet counts as a notice; nothing where it is none.
fn notice_load(msg: &Msg) -> Load {
    let is_notice = msg.source().is_some_and(|source| source.missed().is_some());
    match is_notice {
        true => Load {
            bytes: cost(msg),
            packets: 1,
        },
        false => Load::default(),
    }
}

/// Packets that may wait and be looked at with each message that comes: a look at more comes after as many messages more,
/// so that each message bears the same.
const LOOK_ALWAYS: usize = 16;

#[cfg(test)]
#[path = "loose_tests.rs"]
mod tests;
