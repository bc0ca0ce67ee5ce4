//! One deadline per slot of another table, in twelve bytes, without allocation.
//!
//! In: deadlines by slot index. Out: the indices that are due, and when to wake next. Two levels of 256
//! lists: 8 ms each, and 2.048 s each; a later deadline waits in the farthest list. Putting a deadline off
//! is one store: the entry stays in its list and is moved on when that list comes up.

use crate::time::Tick;
use std::marker::PhantomData;

/// Deadlines for the rows of one table, one each.
#[derive(Debug)]
pub struct TimerWheel<Tag> {
    links: Vec<Link>,
    heads: Box<[u32; LISTS]>,
    occupied: [u64; LISTS / 64],
    /// The granule reached; lists and links know its low half.
    now: u64,
    armed: usize,
    tag: PhantomData<fn() -> Tag>,
}

/// A row's place in a list and its deadline.
#[derive(Debug, Clone, Copy)]
struct Link {
    next: u32,
    /// The entry before, or `HEAD | list` for the first, or `OUT`.
    prev: u32,
    /// In granules; may be later than the list it hangs in.
    due: u32,
}

impl<Tag> TimerWheel<Tag> {
    /// A wheel for a table of at most `limit` rows; memory is spent on first use of a slot.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            links: Vec::with_capacity(limit.min(HEAD as usize)),
            heads: Box::new([NIL; LISTS]),
            occupied: [0; LISTS / 64],
            now: 0,
            armed: 0,
            tag: PhantomData,
        }
    }

    /// Sets the deadline of slot `index`, whatever it was. It never fires early, and at most 8 ms late.
    pub fn set(&mut self, index: u32, due: Tick) {
        let due = (due.0.div_ceil(GRANULE_MS)) as u32;
        if index as usize >= self.links.len() {
            self.links.resize(
                index as usize + 1,
                Link {
                    next: NIL,
                    prev: OUT,
                    due: 0,
                },
            );
        }
        let Some(link) = self.links.get_mut(index as usize) else {
            return;
        };
        let armed = link.prev != OUT;
        let put_off = armed && due.wrapping_sub(link.due) as i32 >= 0;
        link.due = due;
        if put_off {
            return;
        }
        if armed {
            self.unlink(index);
        }
        self.link(index);
        self.armed += usize::from(!armed);
    }

    /// Sets the deadline of slot `index` to one that is past: it fires at the next look at `now` or later, however often
    /// this is said meanwhile.
    pub fn set_past(&mut self, index: u32, now: Tick) {
        self.set(index, Tick(now.0 / GRANULE_MS * GRANULE_MS));
    }

    /// Forgets the deadline of slot `index`.
    pub fn clear(&mut self, index: u32) {
        if self
            .links
            .get(index as usize)
            .is_some_and(|link| link.prev != OUT)
        {
            self.unlink(index);
            self.armed -= 1;
        }
    }

    /// The next slot whose deadline is not after `now`, its deadline forgotten; `None` when there is none.
    pub fn pop_due(&mut self, now: Tick) -> Option<u32> {
        let target = now.0 / GRANULE_MS;
        loop {
            let list = self.now as usize % SPAN;
            while let Some(index) = self.first(list) {
                self.unlink(index);
                if self.ahead(self.due_of(index)) <= 0 {
                    self.armed -= 1;
                    return Some(index);
                }
                self.link(index);
            }
            if target <= self.now {
                return None;
            }
            self.step(target);
        }
    }

    /// When [`TimerWheel::pop_due`] should be called next; `None` when nothing is armed.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        if self.armed == 0 {
            return None;
        }
        let span = SPAN as u64;
        let near = (self.now..self.now + span).find(|granule| self.has(*granule as usize % SPAN));
        let window = self.now / span;
        let far = (window + 1..=window + span).find(|far| self.has(SPAN + *far as usize % SPAN));
        let soonest = near.into_iter().chain(far.map(|far| far * span)).min()?;
        Some(Tick(soonest * GRANULE_MS))
    }

    /// How many slots have a deadline.
    #[must_use]
    pub fn armed(&self) -> usize {
        self.armed
    }

    /// Whether slot `index` has a deadline.
    #[must_use]
    pub fn is_armed(&self, index: u32) -> bool {
        self.links
            .get(index as usize)
            .is_some_and(|link| link.prev != OUT)
    }

    /// Whether slot `index` has a deadline, and none after `moment`.
    #[must_use]
    pub fn is_due_by(&self, index: u32, moment: Tick) -> bool {
        let by = moment.0.div_ceil(GRANULE_MS) as u32;
        self.is_armed(index) && by.wrapping_sub(self.due_of(index)) as i32 >= 0
    }

    /// Goes on to the next granule that may hold work, at most to `target`, and spreads a far list whose
    /// window has begun over the near ones.
    fn step(&mut self, target: u64) {
        if self.armed == 0 {
            self.now = target;
            return;
        }
        let boundary = (self.now / SPAN as u64 + 1) * SPAN as u64;
        let mut next = self.now + 1;
        while next != target && next != boundary && !self.has(next as usize % SPAN) {
            next += 1;
        }
        self.now = next;
        if next == boundary {
            self.spread(SPAN + (next / SPAN as u64) as usize % SPAN);
        }
    }

    /// Granules from now to `due`, by their low halves: deadlines lie within 198 days.
    fn ahead(&self, due: u32) -> i32 {
        due.wrapping_sub(self.now as u32) as i32
    }

    /// Links every entry of `list` anew. An entry may land in the same list again (a deadline beyond the
    /// wheel's reach), so the list is cut off first.
    fn spread(&mut self, list: usize) {
        let mut index = self.heads[list];
        self.heads[list] = NIL;
        self.occupied[list / 64] &= !(1 << (list % 64));
        while let Some(link) = self.links.get(index as usize).copied() {
            self.link(index);
            index = link.next;
        }
    }

    fn has(&self, list: usize) -> bool {
        self.occupied[list / 64] & (1 << (list % 64)) != 0
    }

    fn first(&self, list: usize) -> Option<u32> {
        Some(self.heads[list]).filter(|index| *index != NIL)
    }

    fn due_of(&self, index: u32) -> u32 {
        self.links
            .get(index as usize)
            .map_or(self.now as u32, |link| link.due)
    }

    fn link(&mut self, index: u32) {
        let list = self.list_for(self.due_of(index));
        let old = self.heads[list];
        if let Some(first) = self.links.get_mut(old as usize) {
            first.prev = index;
        }
        if let Some(link) = self.links.get_mut(index as usize) {
            link.next = old;
            link.prev = HEAD | list as u32;
        }
        self.heads[list] = index;
        self.occupied[list / 64] |= 1 << (list % 64);
    }

    fn list_for(&self, due: u32) -> usize {
        let due = self.now + self.ahead(due).max(0) as u64;
        if due - self.now < SPAN as u64 {
            return due as usize % SPAN;
        }
        let window = self.now / SPAN as u64;
        let far = (due / SPAN as u64).min(window + SPAN as u64 - 1);
        SPAN + far as usize % SPAN
    }

    fn unlink(&mut self, index: u32) {
        let Some(link) = self.links.get_mut(index as usize) else {
            return;
        };
        let Link { next, prev, .. } = *link;
        link.prev = OUT;
        if prev & HEAD != 0 {
            let list = (prev & !HEAD) as usize;
            self.heads[list] = next;
            if next == NIL {
                self.occupied[list / 64] &= !(1 << (list % 64));
            }
        } else if let Some(before) = self.links.get_mut(prev as usize) {
            before.next = next;
        }
        if let Some(after) = self.links.get_mut(next as usize) {
            after.prev = prev;
        }
    }
}

/// Milliseconds per near list: finer than any promise made in milliseconds needs.
const GRANULE_MS: u64 = 8;
/// Lists per level.
const SPAN: usize = 256;
const LISTS: usize = 2 * SPAN;
const NIL: u32 = u32::MAX;
const OUT: u32 = u32::MAX;
const HEAD: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnTag;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    fn drain(wheel: &mut TimerWheel<ConnTag>, now: Tick) -> Vec<u32> {
        std::iter::from_fn(|| wheel.pop_due(now)).collect()
    }

    #[test]
    fn a_deadline_fires_once_and_never_early() {
        let mut wheel = TimerWheel::new(10);
        wheel.set(3, Tick(100));
        assert!(drain(&mut wheel, Tick(99)).is_empty());
        assert_eq!(drain(&mut wheel, Tick(104)), [3]);
        assert!(drain(&mut wheel, Tick(100_000)).is_empty());
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn a_past_deadline_is_put_off_by_nobody() {
        let mut wheel = TimerWheel::new(10);
        wheel.set(3, Tick(100));
        // Said again at every moment, in the middle of granules too.
        for now in 105..109 {
            wheel.set_past(3, Tick(now));
        }
        wheel.set_past(4, Tick(109));
        let mut fired = drain(&mut wheel, Tick(109));
        fired.sort_unstable();
        assert_eq!(fired, [3, 4]);
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn a_deadline_of_hours_fires_at_its_time() {
        let mut wheel = TimerWheel::new(10);
        wheel.set(0, Tick(7_200_000));
        let mut wakes = 0;
        while let Some(due) = wheel.next_due() {
            wakes += 1;
            assert!(wakes < 100);
            let fired = drain(&mut wheel, due);
            assert_eq!(!fired.is_empty(), due >= Tick(7_200_000));
        }
    }

    #[test]
    fn deadlines_hold_after_more_than_a_year() {
        let year = 400 * 86_400_000;
        let mut wheel = TimerWheel::<ConnTag>::new(10);
        assert!(drain(&mut wheel, Tick(year)).is_empty());
        wheel.set(1, Tick(year + 10_000));
        let due = wheel.next_due().unwrap();
        assert!(due > Tick(year) && due <= Tick(year + 10_000));
        assert!(drain(&mut wheel, Tick(year + 9_999)).is_empty());
        assert_eq!(drain(&mut wheel, Tick(year + 10_008)), [1]);
    }

    #[test]
    fn the_wheel_agrees_with_a_slow_twin() {
        let mut rng = Rng::new([9; 32]);
        let mut wheel = TimerWheel::<ConnTag>::new(64);
        let mut twin: BTreeMap<u32, u64> = BTreeMap::new();
        let mut now = 0;
        for _ in 0..200_000 {
            let index = rng.below(64) as u32;
            match rng.below(8) {
                0 => {
                    wheel.clear(index);
                    twin.remove(&index);
                }
                1..=4 => {
                    let reach = [50, 3_000, 600_000, 2_000_000][rng.below(4) as usize];
                    let due = now + rng.below(reach);
                    wheel.set(index, Tick(due));
                    twin.insert(index, due.div_ceil(GRANULE_MS));
                }
                _ => {
                    let reach = [5, 500, 5_000][rng.below(3) as usize];
                    now += rng.below(reach);
                    let mut fired = drain(&mut wheel, Tick(now));
                    fired.sort_unstable();
                    let due: Vec<u32> = twin
                        .iter()
                        .filter(|(_, d)| **d <= now / GRANULE_MS)
                        .map(|(i, _)| *i)
                        .collect();
                    assert_eq!(fired, due);
                    twin.retain(|_, d| *d > now / GRANULE_MS);
                }
            }
            assert_eq!(wheel.armed(), twin.len());
            let first = twin.values().min().map(|d| Tick(d * GRANULE_MS));
            assert!(
                wheel.next_due() <= first.or(wheel.next_due()),
                "never sleeps past a deadline"
            );
            assert_eq!(wheel.next_due().is_none(), twin.is_empty());
        }
    }
}
