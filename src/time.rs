//! Time as the node sees it: milliseconds since the process began, given as an argument.
//!
//! In: ticks from the loop (a monotonic clock) or from a simulation. Out: deadlines. Nothing here reads a
//! clock, so a jump of the wall clock moves no deadline.

use std::ops::Add;

/// A moment: milliseconds since the node's start, on a monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// Milliseconds from `earlier` to this moment; 0 when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The low 32 bits, for rows that cannot spend eight bytes on a moment.
    #[must_use]
    pub fn short(self) -> ShortTick {
        ShortTick(self.0 as u32)
    }
}

impl Add<u64> for Tick {
    type Output = Tick;
    fn add(self, ms: u64) -> Tick {
        Tick(self.0.saturating_add(ms))
    }
}

/// A recent moment in four bytes. It is read against a moment at most 24 days later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShortTick(u32);

impl ShortTick {
    /// The whole moment, given that it lies within 24 days of `now`.
    #[must_use]
    pub fn near(self, now: Tick) -> Tick {
        let ahead = self.0.wrapping_sub(now.0 as u32) as i32;
        Tick(now.0.saturating_add_signed(i64::from(ahead)))
    }
}

/// What the loop tells the node at the start of a turn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// The monotonic moment.
    pub tick: Tick,
    /// Milliseconds of the wall clock since 1970: for people and clients, and no deadline.
    pub unix_ms: u64,
}

impl Clock {
    /// Seconds of the wall clock since 1970.
    #[must_use]
    pub fn unix_s(&self) -> u64 {
        self.unix_ms / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_tick_is_read_back_across_the_wrap_of_32_bits() {
        let then = Tick((1 << 32) - 5);
        assert_eq!(then.short().near(then + 4_000), then);
        assert_eq!((then + 9).short().near(then), then + 9);
    }
}
