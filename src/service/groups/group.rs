//! One group of subscriptions of the application, which share its events.
//!
//! In: events, members, acknowledgements. Out: each event for one member, in order; one that is not acknowledged is for
//! another. What waits is bounded in bytes: beyond that the oldest goes, and how many went is told.

use crate::ids::SessionId;
use crate::mem::Publication;
use crate::session::Ack;
use crate::time::Tick;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Kinds of events.
pub const KINDS: usize = crate::hub::names::EVENTS.len();

/// A group.
#[derive(Debug)]
pub struct Group {
    /// What it is called.
    pub name: Box<str>,
    kinds: [Kind; KINDS],
    members: Vec<Member>,
    /// Who has events of a session that are not acknowledged, and how many: those behind them go to the same.
    held: BTreeMap<SessionId, (SessionId, usize)>,
    /// The number of the last event.
    seq: u64,
    /// Events that were let go since the last that was given.
    missed: u64,
    /// Of all that waits.
    bytes: usize,
    /// Who is asked first next time.
    turn: usize,
}

/// Events of one kind: those that wait for somebody who wants them.
#[derive(Debug, Default)]
struct Kind {
    wanted: bool,
    /// Since when nobody is there who wants them.
    away: Option<Tick>,
    waiting: BTreeMap<u64, Event>,
}

/// An event that waits or is not acknowledged.
#[derive(Debug, Clone)]
pub struct Event {
    /// As it was told.
    pub publication: Rc<Publication>,
    /// The session that it is about.
    pub about: Option<SessionId>,
    /// It was given before.
    pub again: bool,
    /// Who would not have it.
    pub refused: Option<SessionId>,
}

/// A subscription that takes part.
#[derive(Debug)]
pub struct Member {
    /// The session of the application.
    pub session: SessionId,
    /// The subscription's number in it.
    pub slot: u16,
    /// Which kinds, a bit for each.
    pub wants: u8,
    /// How it acknowledges.
    pub ack: Ack,
    /// What it has not acknowledged, in the order it was given.
    lane: VecDeque<Given>,
    bytes: usize,
}

#[derive(Debug)]
struct Given {
    tag: u64,
    seq: u64,
    kind: usize,
    event: Event,
}

/// An event for a member.
#[derive(Debug)]
pub struct Gift {
    /// Whose.
    pub session: SessionId,
    /// The number of the subscription.
    pub slot: u16,
    /// What it is acknowledged by.
    pub tag: u64,
    /// Its number in the group.
    pub seq: u64,
    /// Events that were let go before it.
    pub missed: u64,
    /// Itself.
    pub event: Event,
}

impl Member {
    /// A subscription that has nothing yet.
    #[must_use]
    pub fn new((session, slot): (SessionId, u16), wants: u8, ack: Ack) -> Self {
        Self {
            session,
            slot,
            wants,
            ack,
            lane: VecDeque::new(),
            bytes: 0,
        }
    }

    fn wants(&self, kind: usize) -> bool {
        self.wants >> kind & 1 == 1
    }

    fn has_room(&self, window_bytes: usize) -> bool {
        self.lane.len() < WINDOW && self.bytes < window_bytes
    }
}

impl Group {
    /// A group in which nothing has happened.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            kinds: Default::default(),
            members: Vec::new(),
            held: BTreeMap::new(),
            seq: 0,
            missed: 0,
            bytes: 0,
            turn: 0,
        }
    }

    /// Which kinds it takes, a bit for each.
    #[must_use]
    pub fn wants(&self) -> u8 {
        let kinds = self.kinds.iter().enumerate();
        kinds.fold(0, |all, (n, kind)| all | u8::from(kind.wanted) << n)
    }

    /// Takes an event in, of a kind that it wants. Gives back how many went for it.
    pub fn take(&mut self, kind: usize, event: Event, queue_max: usize) -> u64 {
        self.seq += 1;
        self.put(kind, self.seq, event);
        self.make_way(queue_max)
    }

    fn put(&mut self, kind: usize, seq: u64, event: Event) {
        if let Some(kind) = self.kinds.get_mut(kind) {
            self.bytes += cost(&event);
            kind.waiting.insert(seq, event);
        }
    }

    fn remove(&mut self, kind: usize, seq: u64) -> Option<Event> {
        let event = self.kinds.get_mut(kind)?.waiting.remove(&seq)?;
        self.bytes -= cost(&event);
        Some(event)
    }

    /// Lets the oldest go until the rest is within the bound.
    fn make_way(&mut self, queue_max: usize) -> u64 {
        let mut gone = 0;
        while self.bytes > queue_max {
            let kinds = self.kinds.iter().enumerate();
            let firsts = kinds.filter_map(|(n, kind)| Some((*kind.waiting.keys().next()?, n)));
            let Some((seq, kind)) = firsts.min() else {
                break;
            };
            self.remove(kind, seq);
            gone += 1;
        }
        self.missed += gone;
        gone
    }

    /// Lets a subscription take part.
    pub fn join(&mut self, member: Member, now: Tick) {
        self.members.push(member);
        self.attend(now);
    }

    /// Whether there is room for one more.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.members.len() < MEMBERS_MAX
    }

    /// Notes of which kinds somebody is there.
    fn attend(&mut self, now: Tick) {
        for (n, kind) in self.kinds.iter_mut().enumerate() {
            let is_there = self.members.iter().any(|member| member.wants(n));
            kind.wanted |= is_there;
            kind.away = match is_there || !kind.wanted {
                true => None,
                false => kind.away.or(Some(now)),
            };
        }
    }

    /// Ends the part of a session, or of one of its subscriptions: what it did not acknowledge waits again, in its place.
    pub fn leave(
        &mut self,
        session: SessionId,
        slot: Option<u16>,
        (now, queue_max): (Tick, usize),
    ) {
        let goes = |member: &Member| {
            member.session == session && slot.is_none_or(|slot| slot == member.slot)
        };
        let gone: Vec<Member> = self.members.extract_if(.., |member| goes(member)).collect();
        if gone.is_empty() {
            return;
        }
        for given in gone.into_iter().flat_map(|member| member.lane) {
            self.release(&given.event, session);
            let event = Event {
                again: true,
                ..given.event
            };
            self.put(given.kind, given.seq, event);
        }
        self.make_way(queue_max);
        self.attend(now);
    }

    /// One event less that `holder` has of its session.
    fn release(&mut self, event: &Event, holder: SessionId) {
        let Some(about) = event.about else { return };
        let Some((its, count)) = self.held.get_mut(&about) else {
            return;
        };
        if *its == holder {
            *count -= 1;
            if *count == 0 {
                self.held.remove(&about);
            }
        }
    }

    /// A member has what it was given as `tag`, or will not have it; where that is agreed everything before it too. False
    /// where there is no such member.
    pub fn settle(
        &mut self,
        (session, slot): (SessionId, u16),
        tag: u64,
        taken: bool,
        queue_max: usize,
    ) -> bool {
        let is_it = |member: &&mut Member| member.session == session && member.slot == slot;
        let Some(member) = self.members.iter_mut().find(is_it) else {
            return false;
        };
        let found = member.lane.binary_search_by_key(&tag, |given| given.tag);
        let Ok(last) = found else { return true };
        let first = if member.ack == Ack::Client { 0 } else { last };
        let gone: Vec<Given> = member.lane.drain(first..=last).collect();
        member.bytes -= gone.iter().map(|given| cost(&given.event)).sum::<usize>();
        for given in gone {
            self.release(&given.event, session);
            if !taken {
                let event = Event {
                    again: true,
                    refused: Some(session),
                    ..given.event
                };
                self.put(given.kind, given.seq, event);
            }
        }
        self.make_way(queue_max);
        true
    }

    /// Whether something waits, and somebody is there.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.bytes > 0 && !self.members.is_empty()
    }

    /// Whether somebody has what it has not acknowledged.
    #[must_use]
    pub fn has_unacked(&self) -> bool {
        self.members.iter().any(|member| !member.lane.is_empty())
    }

    /// The next event that somebody may be given, who has it from now on as `tag`.
    pub fn next_gift(&mut self, tag: u64, window_bytes: usize) -> Option<Gift> {
        if !self.members.iter().any(|one| one.has_room(window_bytes)) {
            return None;
        }
        let mut best: Option<(u64, usize, usize)> = None;
        let kinds = self.kinds.iter().enumerate();
        for (n, kind) in kinds.filter(|(_, kind)| kind.away.is_none()) {
            // What waits for one who is busy is overtaken, but not by much.
            for (seq, event) in kind.waiting.iter().take(OVERTAKEN_MAX) {
                if best.is_some_and(|(first, ..)| first < *seq) {
                    break;
                }
                if let Some(at) = self.taker(n, event, window_bytes) {
                    best = Some((*seq, n, at));
                    break;
                }
            }
        }
        let (seq, kind, at) = best?;
        let event = self.remove(kind, seq)?;
        let member = self.members.get_mut(at)?;
        self.turn = at + 1;
        let gift = Gift {
            session: member.session,
            slot: member.slot,
            tag,
            seq,
            missed: std::mem::take(&mut self.missed),
            event: event.clone(),
        };
        if member.ack == Ack::Auto {
            return Some(gift);
        }
        if let Some(about) = event.about {
            let held = self.held.entry(about).or_insert((member.session, 0));
            held.1 += u64::from(held.0 == member.session) as usize;
        }
        member.bytes += cost(&event);
        member.lane.push_back(Given {
            tag,
            seq,
            kind,
            event,
        });
        Some(gift)
    }

    /// Who is to have an event: of those who want it and have room the next in turn; who has others of the same session, if
    /// anybody; and another one than who would not have it, if there is one.
    fn taker(&self, kind: usize, event: &Event, window_bytes: usize) -> Option<usize> {
        let wants = |member: &&Member| member.wants(kind);
        let mut able = self.members.iter().filter(wants);
        let another = event
            .refused
            .is_some_and(|refused| able.any(|one| one.session != refused));
        let holder = event.about.and_then(|about| self.held.get(&about));
        let holder = holder.map(|(holder, _)| *holder).filter(|holder| {
            let is_it = |member: &Member| member.session == *holder && member.wants(kind);
            !another && self.members.iter().any(is_it)
        });
        let fits = |at: &usize| {
            self.members.get(*at).is_some_and(|member| {
                member.wants(kind)
                    && member.has_room(window_bytes)
                    && holder.is_none_or(|holder| holder == member.session)
                    && !(another && event.refused == Some(member.session))
            })
        };
        let len = self.members.len();
        (0..len).map(|n| (self.turn + n) % len).find(fits)
    }

    /// When it forgets the next kind that nobody wants any more.
    #[must_use]
    pub fn next_due(&self, keep_ms: u64) -> Option<Tick> {
        self.kinds
            .iter()
            .filter_map(|kind| kind.away)
            .min()
            .map(|away| away + keep_ms)
    }

    /// Forgets kinds that nobody wants any more. Gives back how many events went with them.
    pub fn expire(&mut self, now: Tick, keep_ms: u64) -> usize {
        let mut gone = 0;
        for kind in &mut self.kinds {
            if kind.away.is_some_and(|away| away + keep_ms <= now) {
                gone += kind.waiting.len();
                self.bytes -= kind.waiting.values().map(cost).sum::<usize>();
                *kind = Kind::default();
            }
        }
        gone
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.members.is_empty() && self.wants() == 0
    }

    /// Events that wait or are not acknowledged.
    #[must_use]
    pub fn len(&self) -> usize {
        let waiting = self.kinds.iter().map(|kind| kind.waiting.len());
        let given = self.members.iter().map(|member| member.lane.len());
        waiting.sum::<usize>() + given.sum::<usize>()
    }
}

/// What an event counts: its bytes, and the place it takes.
fn cost(event: &Event) -> usize {
    event.publication.bytes.len() + COST
}

/// The place that an event takes in its list.
pub const COST: usize = 96;
/// Events of a member that may be on their way.
const WINDOW: usize = 1_000;
/// Events in front of one that is given: they are of sessions with which somebody is busy who has no room.
const OVERTAKEN_MAX: usize = 64;
/// Subscriptions of a group: each is looked at for each event.
const MEMBERS_MAX: usize = 64;
