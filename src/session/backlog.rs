//! The packets of a session that the client has not acknowledged.
//!
//! In: payloads at the end, acknowledgements at the front. Out: the payloads in order. One message in
//! flight costs no allocation: a million idle sessions are each waiting for at most one.

use crate::mem::{Charge, Ledger, Msg};
use std::collections::VecDeque;
use std::rc::Rc;

/// A queue that is mostly empty or holds one.
#[derive(Debug, Default)]
pub enum Backlog {
    /// Everything is acknowledged.
    #[default]
    Empty,
    /// One payload.
    One(Rc<Msg>),
    /// Two or more, or what is left of them.
    Many(Box<Queue>),
}

/// Places for two or more payloads, and their account.
#[derive(Debug)]
pub struct Queue {
    list: VecDeque<Rc<Msg>>,
    charge: Charge,
}

impl Queue {
    fn push(&mut self, msg: Rc<Msg>) {
        self.list.push_back(msg);
        self.charge.set(self.list.capacity() * size_of::<Rc<Msg>>());
    }
}

impl Backlog {
    /// Appends a payload; the place it takes is accounted to `ledger`.
    pub fn push(&mut self, msg: Rc<Msg>, ledger: &Ledger) {
        *self = match std::mem::take(self) {
            Backlog::Empty => Backlog::One(msg),
            Backlog::One(first) => {
                let mut queue = Queue {
                    list: VecDeque::new(),
                    charge: ledger.charge(0),
                };
                queue.push(first);
                queue.push(msg);
                Backlog::Many(Box::new(queue))
            }
            Backlog::Many(mut queue) => {
                queue.push(msg);
                Backlog::Many(queue)
            }
        };
    }

    /// Takes the oldest payload.
    pub fn pop(&mut self) -> Option<Rc<Msg>> {
        match std::mem::take(self) {
            Backlog::Empty => None,
            Backlog::One(msg) => Some(msg),
            Backlog::Many(mut queue) => {
                let msg = queue.list.pop_front();
                if !queue.list.is_empty() {
                    *self = Backlog::Many(queue);
                }
                msg
            }
        }
    }

    /// How many payloads wait.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Backlog::Empty => 0,
            Backlog::One(_) => 1,
            Backlog::Many(queue) => queue.list.len(),
        }
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payloads from the `skip`th on, oldest first.
    pub fn iter_from(&self, skip: usize) -> impl Iterator<Item = &Rc<Msg>> {
        let (one, many) = match self {
            Backlog::Empty => (None, None),
            Backlog::One(msg) => (Some(msg).filter(|_| skip == 0), None),
            Backlog::Many(queue) => (None, Some(queue.list.range(skip.min(queue.list.len())..))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_leave_in_the_order_they_came() {
        let ledger = Ledger::default();
        let mut backlog = Backlog::default();
        for n in 0..5_u8 {
            backlog.push(Msg::new(vec![n], &ledger), &ledger);
            assert_eq!(backlog.len(), usize::from(n) + 1);
        }
        let rest: Vec<u8> = backlog.iter_from(3).map(|m| m.bytes()[0]).collect();
        assert_eq!(rest, [3, 4]);
        let all: Vec<u8> = std::iter::from_fn(|| backlog.pop())
            .map(|m| m.bytes()[0])
            .collect();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        assert!(backlog.is_empty() && matches!(backlog, Backlog::Empty));
    }
}
