//! Numbers of many senders that cross on their way: what a connection in several rooms has seen.
//!
//! In: numbers that were dealt out to senders in turn, some at once. Out: whether each is new, came before, or came behind a later
//! one of its own sender. Those of different senders may come in any order.

use crate::tally::Turn;

/// What one connection has seen.
#[derive(Debug, Clone)]
pub struct Crossing {
    senders: u32,
    /// How many numbers a sender is dealt at once.
    burst: u32,
    next: u32,
    /// Which of the numbers up to `next` came, in a ring.
    bits: Box<[u64]>,
}

impl Crossing {
    /// Remembers what was sent in at least the last four turns of everyone.
    #[must_use]
    pub fn new(senders: u32, burst: u32) -> Self {
        let turn = senders as usize * burst as usize;
        let words = (turn * 4).max(BITS_MIN).div_ceil(64);
        Self {
            senders: senders.max(1),
            burst: burst.max(1),
            next: 0,
            bits: vec![0; words].into_boxed_slice(),
        }
    }

    /// Takes a number in.
    pub fn note(&mut self, number: u32) -> Turn {
        let size = self.bits.len() as u32 * 64;
        if number >= self.next {
            match number - self.next {
                gap if gap >= size => self.bits.fill(0),
                _ => (self.next..number).for_each(|between| self.set(between, false)),
            }
            self.next = number.saturating_add(1);
            self.set(number, true);
            return Turn::InOrder;
        }
        if self.next - number > size || self.has(number) {
            return Turn::Repeated;
        }
        self.set(number, true);
        match self.later(number).any(|later| self.has(later)) {
            true => Turn::Late,
            false => Turn::InOrder,
        }
    }

    /// What the sender of a number was dealt behind it, up to `next`.
    fn later(&self, number: u32) -> impl Iterator<Item = u32> + use<'_> {
        let first = number / self.burst * self.burst;
        let deals = (first..self.next).step_by(self.senders as usize * self.burst as usize);
        let of = |first: u32| first..first.saturating_add(self.burst).min(self.next);
        deals.flat_map(of).filter(move |later| *later > number)
    }

    fn place(&self, number: u32) -> (usize, u64) {
        let at = number as usize % (self.bits.len() * 64);
        (at / 64, 1 << (at % 64))
    }

    fn has(&self, number: u32) -> bool {
        let (word, bit) = self.place(number);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    fn set(&mut self, number: u32, on: bool) {
        let (word, bit) = self.place(number);
        if let Some(word) = self.bits.get_mut(word) {
            *word = if on { *word | bit } else { *word & !bit };
        }
    }
}

/// At 10,000 messages a second more than a second, by which one sender may be behind others.
const BITS_MIN: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_senders_own_numbers_have_an_order() {
        let mut seen = Crossing::new(10, 1);
        assert_eq!(seen.note(5), Turn::InOrder);
        assert_eq!(seen.note(3), Turn::InOrder);
        assert_eq!(seen.note(25), Turn::InOrder);
        // Before 25, of the same sender.
        assert_eq!(seen.note(15), Turn::Late);
        assert_eq!(seen.note(14), Turn::InOrder);
        for again in [3, 5, 14, 15, 25] {
            assert_eq!(seen.note(again), Turn::Repeated);
        }
    }

    #[test]
    fn the_ring_forgets_what_is_too_far_behind() {
        let mut seen = Crossing::new(10, 1);
        let size = BITS_MIN as u32;
        assert_eq!(seen.note(0), Turn::InOrder);
        assert_eq!(seen.note(size), Turn::InOrder);
        // In the place where 0 was.
        assert_eq!(seen.note(1), Turn::InOrder);
        assert_eq!(seen.note(0), Turn::Repeated);
        assert_eq!(seen.note(10 * size), Turn::InOrder);
        assert_eq!(seen.note(10 * size - 1), Turn::InOrder);
        assert_eq!(seen.note(9 * size), Turn::Repeated);
    }

    #[test]
    fn a_crossing_says_what_a_set_of_all_numbers_says() {
        for burst in [1, 3] {
            let (mut seen, mut set, mut state) = (Crossing::new(7, burst), vec![], 1_u32);
            for step in 0..4000_u32 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let number = (step + 60).saturating_sub(state >> 26);
                let sender = |n: u32| n / burst % 7;
                let later = |n: &u32| *n > number && sender(*n) == sender(number);
                let expected = match (set.contains(&number), set.iter().any(later)) {
                    (true, _) => Turn::Repeated,
                    (false, true) => Turn::Late,
                    (false, false) => Turn::InOrder,
                };
                assert_eq!(seen.note(number), expected, "step {step} of {burst}");
                set.push(number);
            }
        }
    }
}
