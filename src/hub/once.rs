//! Publications that may come twice: their publisher did not hear the answer and asks again.
//!
//! In: keys made of a publisher's own words, and what became of the first. Out: the same answer for the second, within a
//! window of time and of numbers.

use crate::cmd::OnceKey;
use crate::time::Tick;
use std::collections::{BTreeMap, VecDeque};

/// What was answered to a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Its place in its channel.
    pub offset: u64,
    /// Sessions it went to.
    pub subscribers: usize,
}

/// The keys of the window.
#[derive(Debug)]
pub struct Once {
    answered: BTreeMap<u128, Answered>,
    /// The oldest first.
    order: VecDeque<(Tick, u128)>,
    window_ms: u64,
}

impl Once {
    /// No keys yet; each is known for `window_ms`, and at most `KEYS_MAX` of them.
    #[must_use]
    pub fn new(window_ms: u64) -> Self {
        Self {
            answered: BTreeMap::new(),
            order: VecDeque::new(),
            window_ms,
        }
    }

    /// What the publication of this key was answered, if it was before.
    pub fn find(&mut self, key: OnceKey, now: Tick) -> Option<Answered> {
        self.expire(now);
        self.answered.get(&key.0).copied()
    }

    /// Remembers what a publication was answered.
    pub fn put(&mut self, key: OnceKey, answered: Answered, now: Tick) {
        if self.order.len() >= KEYS_MAX
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.answered.remove(&oldest);
        }
        self.answered.insert(key.0, answered);
        self.order.push_back((now + self.window_ms, key.0));
    }

    /// When the oldest key is to be forgotten.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        self.order.front().map(|(until, _)| *until)
    }

    /// Forgets the keys whose time is over. False when there was none.
    pub fn expire(&mut self, now: Tick) -> bool {
        let mut any = false;
        while let Some((_, key)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            self.answered.remove(&key);
            any = true;
        }
        any
    }
}

/// Keys that are known at once: the oldest go first, so that whoever makes them up takes 6 MiB at most.
const KEYS_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_for_its_time_and_as_one_of_so_many() {
        let mut once = Once::new(1000);
        let answered = |offset| Answered {
            offset,
            subscribers: 1,
        };
        once.put(OnceKey(1), answered(1), Tick(0));
        once.put(OnceKey(2), answered(2), Tick(500));
        assert_eq!(once.find(OnceKey(1), Tick(999)), Some(answered(1)));
        assert_eq!(once.find(OnceKey(1), Tick(1000)), None);
        assert_eq!(once.next_due(), Some(Tick(1500)));
        for n in 0..2 * KEYS_MAX as u128 {
            once.put(OnceKey(n), answered(3), Tick(600));
        }
        assert_eq!(
            (once.answered.len(), once.order.len()),
            (KEYS_MAX, KEYS_MAX)
        );
        assert!(once.expire(Tick(1600)) && once.next_due().is_none());
        assert!(once.answered.is_empty());
    }
}
