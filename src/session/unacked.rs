//! Messages that a client is to acknowledge one by one or up to one, whatever carries them.
//!
//! In: publications for a subscription, acknowledgements. Out: which of them may be sent now, and which have arrived. Of each
//! subscription so many are on their way; those behind them wait here, within the session's bound. Those of a subscription
//! that ended stay too: what was sent of it may be acknowledged yet, and what waits was never delivered.

use super::PACKETS_MAX;
use crate::mem::Publication;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Messages of each subscription in the order they came.
#[derive(Debug, Default)]
pub struct Unacked {
    lanes: BTreeMap<u16, Lane>,
    /// Of all lanes.
    len: usize,
    bytes: usize,
}

/// What is here of a subscription: never nothing. The numbers grow from front to back, since publications are numbered as
/// they are given out.
#[derive(Debug, Default)]
struct Lane {
    list: VecDeque<Rc<Publication>>,
    /// So many from the front are on their way.
    sent: usize,
    /// An acknowledgement is one of everything before it too.
    before: bool,
}

/// More waits than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Unacked {
    /// Takes a message for the subscription `slot`, of which at most `window` are on their way; with `before` an
    /// acknowledgement is one of everything before it too. True when it is to be sent now. One too many is kept too: it is
    /// not delivered.
    ///
    /// # Errors
    /// [`Full`] when more than `bytes_max` wait.
    pub fn push(
        &mut self,
        (slot, before): (u16, bool),
        publication: Rc<Publication>,
        window: usize,
        bytes_max: usize,
    ) -> Result<bool, Full> {
        self.bytes += publication.weight();
        self.len += 1;
        let lane = self.lanes.entry(slot).or_default();
        lane.before = before;
        let sent = lane.sent < window;
        lane.sent += usize::from(sent);
        lane.list.push_back(publication);
        match self.bytes <= bytes_max && self.len <= PACKETS_MAX {
            true => Ok(sent),
            false => Err(Full),
        }
    }

    /// Keeps, within the same bounds, a message that is never sent: as of the subscription `slot`.
    pub fn keep(&mut self, slot: u16, publication: &Rc<Publication>, bytes_max: usize) {
        if self.bytes < bytes_max && self.len < PACKETS_MAX {
            let _ = self.push((slot, false), publication.clone(), 0, bytes_max);
        }
    }

    /// The client has message `number` of `slot`, and where that is agreed everything of `slot` that was sent before it.
    /// Gives them back.
    pub fn ack(&mut self, slot: u16, number: u64) -> Vec<Rc<Publication>> {
        let Some(lane) = self.lanes.get_mut(&slot) else {
            return Vec::new();
        };
        let found = lane.list.binary_search_by_key(&number, |one| one.number());
        let Some(last) = found.ok().filter(|last| *last < lane.sent) else {
            return Vec::new();
        };
        let first = if lane.before { 0 } else { last };
        let taken: Vec<_> = lane.list.drain(first..=last).collect();
        lane.sent -= taken.len();
        if lane.list.len() < lane.list.capacity() / 4 {
            lane.list.shrink_to(lane.list.len() * 2);
        }
        if lane.list.is_empty() {
            self.lanes.remove(&slot);
        }
        self.len -= taken.len();
        self.bytes -= taken.iter().map(|one| one.weight()).sum::<usize>();
        taken
    }

    /// The next message of `slot` that may be sent, since there is room among those on their way.
    pub fn next(&mut self, slot: u16, window: usize) -> Option<Rc<Publication>> {
        let lane = self.lanes.get_mut(&slot)?;
        let next = lane.list.get(lane.sent).filter(|_| lane.sent < window)?;
        lane.sent += 1;
        Some(next.clone())
    }

    /// The subscriptions of what is here.
    pub fn slots(&self) -> impl Iterator<Item = u16> {
        self.lanes.keys().copied()
    }

    /// All of it; of each subscription in order.
    pub fn publications(&self) -> impl Iterator<Item = &Rc<Publication>> {
        self.lanes.values().flat_map(|lane| &lane.list)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// About: queues have room for twice what they hold.
    pub(super) fn memory(&self) -> usize {
        self.len * 2 * size_of::<Rc<Publication>>() + self.lanes.len() * size_of::<(u16, Lane)>()
    }
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
        let mut push = |at, n| unacked.push(at, publication(n), 2, 9_000);
        let sent: Vec<_> = (1..=4).map(|n| push((0, false), n).unwrap()).collect();
        assert_eq!(sent, [true, true, false, false]);
        assert_eq!(push((1, true), 4), Ok(true));
        assert_eq!(push((1, true), 5), Ok(true));
        assert!(unacked.next(0, 2).is_none());
        assert_eq!(numbers(&unacked.ack(0, 2)), [2]);
        assert_eq!(unacked.next(0, 2).map(|next| next.number()), Some(3));
        // What was not sent cannot be acknowledged, nor what was acknowledged.
        assert!(unacked.ack(0, 4).is_empty() && unacked.ack(0, 2).is_empty());
        assert_eq!(numbers(&unacked.ack(0, 3)), [3]);
        assert_eq!(numbers(&unacked.ack(0, 1)), [1]);
        assert_eq!(unacked.slots().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(numbers(&unacked.ack(1, 5)), [4, 5]);
        assert_eq!(unacked.next(0, 2).map(|next| next.number()), Some(4));
        assert_eq!(numbers(&unacked.ack(0, 4)), [4]);
        assert!(unacked.is_empty() && unacked.bytes == 0 && unacked.memory() == 0);
    }

    #[test]
    fn one_too_many_is_kept_and_said() {
        let mut unacked = Unacked::default();
        let max = publication(1).weight() * 3 / 2;
        assert_eq!(unacked.push((0, false), publication(1), 1, max), Ok(true));
        assert_eq!(unacked.push((0, false), publication(2), 1, max), Err(Full));
        unacked.keep(0, &publication(3), max);
        assert_eq!(unacked.publications().count(), 2);
    }
}
