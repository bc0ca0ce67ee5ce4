//! Who is to be sent a heartbeat: everybody, once in a time, spread evenly over it, some milliseconds' worth at once.
//!
//! In: moments, and how many places are in use. Out: places.

use std::time::Duration;

/// A hand that goes over all places once in a time.
#[derive(Debug)]
pub struct Beat {
    every_ns: u64,
    /// Until when those were reached whose turn it was.
    done_ns: u64,
    /// The place after the last that was reached.
    at: usize,
}

impl Beat {
    /// Once in `every`, from `now_ns` on.
    #[must_use]
    pub fn new(every: Duration, now_ns: u64) -> Self {
        let every_ns = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
        Self {
            every_ns: every_ns.max(1),
            done_ns: now_ns,
            at: 0,
        }
    }

    /// The places of so many whose turn has come.
    pub fn due(&mut self, now_ns: u64, places: usize) -> impl Iterator<Item = usize> + use<> {
        let step_ns = self.step_ns(places);
        let since_ns = now_ns.saturating_sub(self.done_ns);
        let count = match places {
            0 => 0,
            // Nobody twice, however long the turn was.
            _ => usize::try_from(since_ns / step_ns).map_or(places, |count| count.min(places)),
        };
        self.done_ns = now_ns - since_ns % step_ns;
        let from = self.at;
        self.at = (from + count) % places.max(1);
        (from..from + count).map(move |place| place % places)
    }

    /// How long until the next is worth waking up; for ever when there is nobody.
    #[must_use]
    pub fn wait(&self, now_ns: u64, places: usize) -> Option<Duration> {
        let step_ns = self.step_ns(places).max(GRANULE_NS);
        let next_ns = self.done_ns.saturating_add(step_ns);
        let wait_ns = next_ns.saturating_sub(now_ns);
        (places > 0).then(|| Duration::from_nanos(wait_ns))
    }

    fn step_ns(&self, places: usize) -> u64 {
        (self.every_ns / (places as u64).max(1)).max(1)
    }
}

/// What a wake-up is for: the node's timers are as coarse.
const GRANULE_NS: u64 = 8_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn everybody_is_reached_once_in_each_time() {
        for step in [1, 7, 8, 250, 999] {
            let mut beat = Beat::new(Duration::from_secs(1), 5 * MS);
            let mut reached = [0; 25];
            for now in (5..=4005).step_by(step).chain([4005]) {
                let due = beat.due(now as u64 * MS, 25);
                due.for_each(|place| reached[place] += 1);
            }
            assert_eq!(reached, [4; 25], "{step}");
        }
    }

    #[test]
    fn a_turn_that_takes_long_reaches_nobody_twice() {
        let mut beat = Beat::new(Duration::from_millis(100), 0);
        assert_eq!(beat.due(950 * MS, 10).count(), 10);
        assert_eq!(beat.due(959 * MS, 10).count(), 0);
        assert_eq!(beat.due(961 * MS, 10).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn a_wake_up_is_for_several() {
        let mut beat = Beat::new(Duration::from_secs(1), 0);
        assert_eq!(beat.wait(0, 0), None);
        assert_eq!(beat.wait(0, 10), Some(Duration::from_millis(100)));
        assert_eq!(beat.wait(0, 1000), Some(Duration::from_millis(8)));
        assert_eq!(beat.due(8 * MS, 1000).count(), 8);
        assert_eq!(beat.wait(9 * MS, 1000), Some(Duration::from_millis(7)));
    }
}
