//! What a session has whose client is a URL of the application: what waits for it, and when it is to be called.
//!
//! In: how much may wait, moments. Out: events with their numbers, in order. A number is a packet's: what was let go
//! keeps its own, so that a hole in them is what the application missed.

use super::{Carriage, Due, Session, due};
use crate::mem::Msg;
use crate::time::Tick;
use std::rc::Rc;

impl Session {
    /// It is not to be called before `at`.
    pub fn call_at(&mut self, at: Tick) {
        debug_assert_eq!(self.carriage, Carriage::Callback);
        self.since = at.short();
    }

    /// How many payloads wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// What waits, oldest first, with its number.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &Rc<Msg>)> {
        (self.acked + 1..).zip(self.backlog.iter_from(0))
    }

    /// Everything up to number `id` was written: an acknowledgement may name it.
    pub fn called(&mut self, id: u64, now: Tick) -> u64 {
        self.sent = 0;
        self.wrote(id, now)
    }

    /// Lets the oldest go until a payload of so many bytes has room. Gives back how many, with that one if it has none even
    /// then, and whether it has.
    pub fn make_way(&mut self, bytes: usize, queue_max: usize) -> (u64, bool) {
        let cost = bytes + super::COST;
        let mut gone = 0;
        while let Some(first) = self.backlog.first()
            && (self.queued() + cost > queue_max || self.backlog.len() >= super::PACKETS_MAX)
        {
            self.queued -= super::cost(first) as u32;
            self.backlog.pop();
            self.acked += 1;
            (self.sent, self.tried) = (self.sent.saturating_sub(1), self.tried.saturating_sub(1));
            gone += 1;
        }
        let fits = cost <= queue_max;
        self.acked += u64::from(!fits);
        (gone + u64::from(!fits), fits)
    }

    /// What `now` means for it. While nothing waits it is looked at now and then, since the moment that it keeps is read
    /// only within days.
    pub(super) fn due_of_call(&self, now: Tick) -> Due {
        let since = self.since.near(now);
        match self.backlog.is_empty() {
            true => due::at(now, since + LOOK_MS, Due::Call),
            false => due::at(now, since, Due::Call),
        }
    }
}

const LOOK_MS: u64 = 3_600_000;
