//! When the heap's free pages go back to the system: after a burst, once.
//!
//! In: what the queues hold, now and then. Out: whether so much less than before that the pages are worth it. An
//! allocator keeps what was freed in small pieces, so a second of unacknowledged first answers (a fast ramp, a
//! slow consumer) would be paid for as long as the process lives.

use crate::time::Tick;

/// The highest level since pages were given back.
#[derive(Debug, Default)]
pub struct Ebb {
    peak: u64,
    next: Tick,
}

impl Ebb {
    /// Whether to give back, with `queued` bytes in the queues.
    pub fn is_out(&mut self, queued: u64, now: Tick) -> bool {
        self.peak = self.peak.max(queued);
        let out = self.due(queued).is_some_and(|due| now >= due);
        if out {
            self.peak = queued;
            self.next = now + PAUSE_MS;
        }
        out
    }

    /// When to ask again if nothing else happens.
    pub fn due(&self, queued: u64) -> Option<Tick> {
        let fell = self.peak.saturating_sub(queued);
        (queued < self.peak / 4 && fell >= WORTH_BYTES).then_some(self.next)
    }
}

/// Less is soon used again.
const WORTH_BYTES: u64 = 1024 * 1024;
/// Milliseconds between two times: looking through a large heap takes some.
const PAUSE_MS: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_back_once_after_a_burst_and_not_between_waves() {
        let mut ebb = Ebb::default();
        let mib = WORTH_BYTES;
        let levels = [0, mib, 10 * mib, 6 * mib, 2 * mib, 0];
        let out: Vec<bool> = levels.iter().map(|l| ebb.is_out(*l, Tick(1))).collect();
        assert_eq!(out, [false, false, false, false, true, false]);
        assert_eq!(ebb.due(0), Some(Tick(2_001)), "too soon before");
        assert!(ebb.is_out(0, Tick(2_001)), "the rest");
        assert_eq!(ebb.due(0), None);
        assert!(!ebb.is_out(mib / 2, Tick(60_000)));
        assert!(!ebb.is_out(0, Tick(90_000)), "not worth it");
    }
}
