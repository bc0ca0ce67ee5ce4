//! Heartbeats: how late they come.
//!
//! In: how long a connection heard nothing until something came. Out: how much longer that was than the server lets a
//! silence last. A server may speak sooner, which is not late; nothing is said of that.

use crate::tally::{histogram, steps_from_json, steps_to_json};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The heartbeats of a run.
#[derive(Debug, Clone)]
pub struct Beats {
    interval_ms: u32,
    /// How many came.
    pub heard: u64,
    /// Connections on which one is due that has not come.
    pub overdue: u64,
    /// Microseconds from when each was due at the latest.
    pub late_us: Histogram<u64>,
}

impl Beats {
    /// After so long a silence one is due.
    #[must_use]
    pub fn new(interval_ms: u32) -> Self {
        Self {
            interval_ms,
            heard: 0,
            overdue: 0,
            late_us: histogram(),
        }
    }

    /// Something came after so long.
    pub fn note(&mut self, silence_ms: u32) {
        // What follows at once belongs to the one before.
        if silence_ms > self.interval_ms / 2 {
            self.heard += 1;
            self.record(silence_ms);
        }
    }

    /// Nothing has come for so long, and the run is over: what is late has been so for that long at least.
    pub fn end(&mut self, silence_ms: u32) {
        if silence_ms > self.interval_ms {
            self.overdue += 1;
            self.record(silence_ms);
        }
    }

    fn record(&mut self, silence_ms: u32) {
        let late_ms = silence_ms.saturating_sub(self.interval_ms);
        self.late_us.saturating_record(u64::from(late_ms) * 1000);
    }

    /// Adds those of another process.
    pub fn add(&mut self, other: &Self) {
        self.heard += other.heard;
        self.overdue += other.overdue;
        // Of the same bounds.
        let _ = self.late_us.add(&other.late_us);
    }

    /// As they go from a load process to the one that reports.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "interval_ms": self.interval_ms,
            "heard": self.heard,
            "overdue": self.overdue,
            "late_us": steps_to_json(&self.late_us),
        })
    }

    /// Reads them there; `None` when they are none.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name)?.as_u64();
        Some(Self {
            interval_ms: u32::try_from(number("interval_ms")?).ok()?,
            heard: number("heard")?,
            overdue: number("overdue")?,
            late_us: steps_from_json(value.get("late_us")?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_over_the_interval_is_late() {
        let mut beats = Beats::new(1000);
        [900, 1000, 1250].into_iter().for_each(|ms| beats.note(ms));
        assert_eq!(beats.heard, 3);
        assert_eq!(beats.late_us.max() / 10_000, 25);
        assert_eq!(beats.late_us.value_at_quantile(0.6), 0);
        // The second piece of one.
        beats.note(3);
        assert_eq!(beats.heard, 3);
    }

    #[test]
    fn one_that_never_came_is_late_too() {
        let mut beats = Beats::new(1000);
        beats.end(999);
        assert_eq!((beats.overdue, beats.late_us.len()), (0, 0));
        beats.end(3000);
        assert_eq!((beats.heard, beats.overdue), (0, 1));
        assert!(beats.late_us.max() >= 1_990_000);
    }

    #[test]
    fn beats_add_up_over_processes() {
        let mut one = Beats::new(1000);
        one.note(1100);
        let mut two = Beats::new(1000);
        two.end(1200);
        one.add(&Beats::from_json(&two.to_json()).unwrap());
        assert_eq!((one.heard, one.overdue, one.late_us.len()), (1, 1, 2));
        assert!(Beats::from_json(&json!({})).is_none());
    }
}
