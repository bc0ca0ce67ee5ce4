//! Messages that a client is to acknowledge one by one or up to one, whatever carries them.
//!
//! In: publications for a subscription, acknowledgements. Out: which of them may be sent now, and which have arrived. Of each
//! subscription so many are on their way; those behind them wait here, within the session's bound.

use super::PACKETS_MAX;
use crate::mem::Publication;
use std::collections::VecDeque;
use std::rc::Rc;

/// Messages in the order they came.
#[derive(Debug, Default)]
pub struct Unacked {
    list: VecDeque<Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    publication: Rc<Publication>,
    slot: u16,
    sent: bool,
}

/// More waits than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Unacked {
    /// Takes a message for the subscription `slot`, of which at most `window` are on their way. True when it is to be sent
    /// now. One too many is kept too: it is not delivered.
    ///
    /// # Errors
    /// [`Full`] when more than `bytes_max` wait.
    pub fn push(
        &mut self,
        slot: u16,
        publication: Rc<Publication>,
        window: usize,
        bytes_max: usize,
    ) -> Result<bool, Full> {
        let sent = self.on_their_way(slot) < window;
        self.bytes += cost(&publication);
        self.list.push_back(Entry {
            publication,
            slot,
            sent,
        });
        match self.bytes <= bytes_max && self.list.len() <= PACKETS_MAX {
            true => Ok(sent),
            false => Err(Full),
        }
    }

    /// The client has message `number` of `slot`; with `before` everything of `slot` that was sent before it too. Gives them
    /// back.
    pub fn ack(&mut self, slot: u16, number: u64, before: bool) -> Vec<Rc<Publication>> {
        let is_it = |entry: &Entry| entry.sent && entry.slot == slot;
        let named = |entry: &Entry| is_it(entry) && entry.publication.number() == number;
        let Some(last) = self.list.iter().position(named) else {
            return Vec::new();
        };
        let first = if before { 0 } else { last };
        let mut taken = Vec::new();
        let mut at = first;
        for _ in first..=last {
            match self.list.get(at).is_some_and(is_it) {
                true => taken.extend(self.list.remove(at).map(|entry| entry.publication)),
                false => at += 1,
            }
        }
        self.bytes -= taken
            .iter()
            .map(|publication| cost(publication))
            .sum::<usize>();
        taken
    }

    /// The next message of `slot` that may be sent, since there is room among those on their way.
    pub fn next(&mut self, slot: u16, window: usize) -> Option<Rc<Publication>> {
        if self.on_their_way(slot) >= window {
            return None;
        }
        let waits = |entry: &&mut Entry| entry.slot == slot && !entry.sent;
        let next = self.list.iter_mut().find(waits)?;
        next.sent = true;
        Some(next.publication.clone())
    }

    /// Nothing of `slot` that waits is sent any more.
    pub fn forget_waiting(&mut self, slot: u16) {
        self.list.retain(|entry| entry.slot != slot || entry.sent);
        self.bytes = self.list.iter().map(|entry| cost(&entry.publication)).sum();
    }

    /// The subscriptions of what is here.
    pub fn slots(&self) -> impl Iterator<Item = u16> {
        self.list.iter().map(|entry| entry.slot)
    }

    /// All of it, in order.
    pub fn publications(&self) -> impl Iterator<Item = &Rc<Publication>> {
        self.list.iter().map(|entry| &entry.publication)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn memory(&self) -> usize {
        self.list.capacity() * size_of::<Entry>()
    }

    fn on_their_way(&self, slot: u16) -> usize {
        let sent = |entry: &&Entry| entry.slot == slot && entry.sent;
        self.list.iter().filter(sent).count()
    }
}

/// What a message counts: its bytes, and the place it takes.
fn cost(publication: &Publication) -> usize {
    publication.bytes.len() + 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{Content, Ledger};

    fn publication(number: u64) -> Rc<Publication> {
        let bytes = vec![b'x'; 10].into();
        let ledger = Ledger::default();
        let publication = Publication::new("c".into(), None, Content::Text, bytes, &ledger);
        publication.take(number);
        publication
    }

    fn numbers(list: &[Rc<Publication>]) -> Vec<u64> {
        list.iter()
            .map(|publication| publication.number())
            .collect()
    }

    #[test]
    fn a_window_of_each_subscription_is_on_its_way() {
        let mut unacked = Unacked::default();
        let sent: Vec<bool> = (1..=4)
            .map(|n| unacked.push(0, publication(n), 2, 1000).unwrap())
            .collect();
        assert_eq!(sent, [true, true, false, false]);
        assert_eq!(unacked.push(1, publication(4), 2, 1000), Ok(true));
        assert!(unacked.next(0, 2).is_none());
        assert_eq!(numbers(&unacked.ack(0, 2, false)), [2]);
        assert_eq!(unacked.next(0, 2).map(|next| next.number()), Some(3));
        // What was not sent cannot be acknowledged, nor what was acknowledged.
        assert!(unacked.ack(0, 4, false).is_empty() && unacked.ack(0, 2, false).is_empty());
        assert_eq!(numbers(&unacked.ack(0, 3, true)), [1, 3]);
        unacked.forget_waiting(0);
        assert_eq!(unacked.slots().collect::<Vec<_>>(), [1]);
        assert_eq!(numbers(&unacked.ack(1, 4, true)), [4]);
        assert!(unacked.is_empty() && unacked.bytes == 0);
    }

    #[test]
    fn one_too_many_is_kept_and_said() {
        let mut unacked = Unacked::default();
        assert_eq!(unacked.push(0, publication(1), 1, 50), Ok(true));
        assert_eq!(unacked.push(0, publication(2), 1, 50), Err(Full));
        assert_eq!(unacked.publications().count(), 2);
    }
}
