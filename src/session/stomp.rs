//! What a session of STOMP has beside its backlog: its version, its subscriptions, and while there are some, what was sent
//! and is not acknowledged, transactions, the beginning of a frame.
//!
//! In: what CONNECT and SUBSCRIBE agreed. Out: the same, when a message comes. All subscriptions are one piece of memory:
//! most sessions have one, and it is looked at from front to back.

use super::Session;
use super::desk::Desk;
use super::unacked::Unacked;
use crate::mem::{Ledger, Publication};
use crate::stomp::{Partial, Version};
use crate::time::Tick;
use std::rc::Rc;

/// What CONNECT agreed, and what was subscribed to since.
#[derive(Debug)]
pub struct Stomp {
    subs: Box<[u8]>,
    /// Tenths of a second of silence after which the server says something; 0 is never.
    pub beat_ds: u16,
    /// Tenths of a second of silence after which the client has gone; 0 is never.
    pub watch_ds: u16,
    /// What is spoken.
    pub version: Version,
}

/// How messages of a subscription are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// What is written counts as arrived.
    Auto,
    /// An acknowledgement is one of everything before it too.
    Client,
    /// Each by itself.
    Individual,
}

/// A subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sub<'a> {
    /// Its number in message ids; never that of another while either waits for an acknowledgement.
    pub slot: u16,
    /// How it is acknowledged.
    pub ack: Ack,
    /// Whether it is for messages to the session or its user, and `topic` the destination as the client wrote it.
    pub private: bool,
    /// What the client calls it, at most 255 bytes; empty where it has no name, as in 1.0.
    pub id: &'a str,
    /// The channel or pattern, at most 255 bytes.
    pub topic: &'a str,
}

/// A transaction that is not over.
#[derive(Debug)]
pub struct Transaction {
    /// What the client calls it.
    pub id: Box<str>,
    /// Its frames as they came.
    pub frames: Vec<Box<[u8]>>,
    /// What they take.
    pub bytes: usize,
}

/// What a session of STOMP has for a moment only.
#[derive(Debug, Default)]
pub struct Busy {
    /// Of a frame that is not whole.
    pub partial: Option<Box<Partial>>,
    /// When that began to come.
    pub begun: Tick,
    /// What is not acknowledged.
    pub unacked: Unacked,
    /// Transactions that are not over.
    pub transactions: Vec<Transaction>,
    /// Of the application.
    pub desk: Option<Box<Desk>>,
}

impl Stomp {
    /// Just connected.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self {
            subs: Box::default(),
            beat_ds: 0,
            watch_ds: 0,
            version,
        }
    }

    /// Its subscriptions, the oldest first.
    pub fn subs(&self) -> impl Iterator<Item = Sub<'_>> {
        let mut rest = &*self.subs;
        std::iter::from_fn(move || {
            let (sub, behind) = unpack(rest)?;
            rest = behind;
            Some(sub)
        })
    }

    fn put_sub(&mut self, sub: &Sub<'_>) {
        let mut subs = std::mem::take(&mut self.subs).into_vec();
        pack(&mut subs, sub);
        self.subs = subs.into();
    }

    fn remove_sub(&mut self, slot: u16) {
        let mut left = Vec::with_capacity(self.subs.len());
        let others = self.subs().filter(|sub| sub.slot != slot);
        others.for_each(|sub| pack(&mut left, &sub));
        self.subs = left.into();
    }
}

/// Slot, flags, two lengths, two texts.
fn pack(out: &mut Vec<u8>, sub: &Sub<'_>) {
    let flags = sub.ack as u8 | if sub.private { PRIVATE } else { 0 };
    out.extend_from_slice(&sub.slot.to_le_bytes());
    out.extend_from_slice(&[flags, sub.id.len() as u8, sub.topic.len() as u8]);
    out.extend_from_slice(sub.id.as_bytes());
    out.extend_from_slice(sub.topic.as_bytes());
}

fn unpack(bytes: &[u8]) -> Option<(Sub<'_>, &[u8])> {
    let ([low, high, flags, id_len, topic_len], rest) = bytes.split_first_chunk::<5>()?;
    let (id, rest) = rest.split_at_checked(usize::from(*id_len))?;
    let (topic, rest) = rest.split_at_checked(usize::from(*topic_len))?;
    let ack = match flags & !PRIVATE {
        0 => Ack::Auto,
        1 => Ack::Client,
        _ => Ack::Individual,
    };
    let sub = Sub {
        slot: u16::from_le_bytes([*low, *high]),
        ack,
        private: flags & PRIVATE > 0,
        id: std::str::from_utf8(id).ok()?,
        topic: std::str::from_utf8(topic).ok()?,
    };
    Some((sub, rest))
}

const PRIVATE: u8 = 0x80;

impl Busy {
    pub(super) fn is_empty(&self) -> bool {
        self.partial.is_none()
            && self.unacked.is_empty()
            && self.transactions.is_empty()
            && self.desk.is_none()
    }

    pub(super) fn memory(&self) -> usize {
        let partial = self
            .partial
            .as_ref()
            .map_or(0, |partial| partial.heap_bytes());
        let desk = self.desk.as_ref().map_or(0, |desk| desk.memory());
        partial + self.unacked.memory() + self.transacted().1 + desk
    }

    /// Frames of all transactions, and what they take.
    #[must_use]
    pub fn transacted(&self) -> (usize, usize) {
        let all = self.transactions.iter();
        all.fold((0, 0), |(count, bytes), one| {
            let own = one.id.len() + size_of::<Transaction>() + one.bytes;
            (count + one.frames.len(), bytes + own)
        })
    }
}

impl Session {
    /// What CONNECT agreed; `None` before.
    #[must_use]
    pub fn stomp(&self) -> Option<&Stomp> {
        self.extra.as_ref()?.stomp()
    }

    /// The client has connected.
    pub fn put_stomp(&mut self, stomp: Stomp) {
        self.extra().put_stomp(stomp);
    }

    /// It came by the port of STOMP, to which no page can speak.
    pub fn put_port(&mut self) {
        self.extra().put_port();
    }

    /// Whether it did, and has not connected yet.
    #[must_use]
    pub fn is_by_port(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.is_by_port())
    }

    /// Adds a subscription.
    pub fn put_sub(&mut self, sub: &Sub<'_>) {
        self.extra().change_stomp(|stomp| stomp.put_sub(sub));
    }

    /// Ends a subscription; what was not sent of it never is.
    pub fn remove_sub(&mut self, slot: u16) {
        self.extra().change_stomp(|stomp| stomp.remove_sub(slot));
    }

    /// A number that no subscription has, nor what waits for its acknowledgement.
    #[must_use]
    pub fn free_slot(&self) -> u16 {
        let subs = self.stomp().into_iter().flat_map(Stomp::subs);
        let waiting = self
            .busy()
            .into_iter()
            .flat_map(|busy| busy.unacked.slots());
        let used: Vec<u16> = subs.map(|sub| sub.slot).chain(waiting).collect();
        // Of so many and one more at least one is free.
        let mut taken = vec![false; used.len() + 1];
        for slot in used {
            if let Some(taken) = taken.get_mut(usize::from(slot)) {
                *taken = true;
            }
        }
        let free = taken.iter().position(|taken| !taken);
        free.and_then(|slot| slot.try_into().ok())
            .unwrap_or(u16::MAX)
    }

    /// What it has for a moment.
    #[must_use]
    pub fn busy(&self) -> Option<&Busy> {
        self.extra.as_ref()?.busy()
    }

    /// The same, to be changed; accounted afterwards, and let go when it is empty.
    pub fn with_busy<T>(&mut self, ledger: &Ledger, change: impl FnOnce(&mut Busy) -> T) -> T {
        let result = self.extra().with_busy(ledger, change);
        self.drop_empty_extra();
        result
    }

    /// Takes what has come of a frame, to put it back when more came.
    pub fn take_partial(&mut self, ledger: &Ledger) -> Option<Box<Partial>> {
        self.busy()?.partial.as_ref()?;
        self.with_busy(ledger, |busy| busy.partial.take())
    }

    /// Keeps what has come of a frame.
    pub fn put_partial(&mut self, partial: Option<Box<Partial>>, begun: Tick, ledger: &Ledger) {
        if partial.is_some() {
            self.with_busy(ledger, |busy| (busy.partial, busy.begun) = (partial, begun));
        }
    }

    /// On a connection without HTTP: tenths of a second of silence after which the client has gone, 0 for never; `None`
    /// before it said who it is.
    #[must_use]
    pub fn watched_ds(&self) -> Option<u16> {
        let op = self.op().filter(|op| op.connected).map(|_| 0);
        self.stomp().map(|stomp| stomp.watch_ds).or(op)
    }

    /// When the frame began to come that is not whole.
    #[must_use]
    pub fn partial_since(&self) -> Option<Tick> {
        if let Some(op) = self.op() {
            return op.reader.is_begun().then_some(op.begun);
        }
        let busy = self.busy()?;
        busy.partial.as_ref().map(|_| busy.begun)
    }

    /// Of a session that is closed, nothing is kept but what its client did not acknowledge.
    pub(super) fn keep_unacked(&mut self) {
        let kept = self.extra.take().and_then(|extra| extra.of_unacked());
        self.extra = kept.map(Box::new);
    }

    /// What was published and the client never acknowledged, by whatever way, each once and in the order it was sent.
    #[must_use]
    pub fn undelivered(&self) -> Vec<Rc<Publication>> {
        let mut all: Vec<_> = self.unwritten().cloned().collect();
        if let Some(busy) = self.busy() {
            all.extend(busy.unacked.publications().cloned());
            all.sort_by_key(|publication| publication.number());
            all.dedup_by(|a, b| Rc::ptr_eq(a, b));
        }
        all
    }
}
