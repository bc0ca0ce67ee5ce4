//! What arrived: how much, how late, what twice, what out of its turn.
//!
//! In: marks, in the order they arrived on each connection. Out: counts that add up over processes.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// What one connection has seen of a run: the number after the highest, and which of the 64 before it. Before it has
/// seen any: the first that it must not miss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    next: u32,
    bits: u64,
}

/// How a message stands to those before it on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// After all before it. What it leaves out is missing, unless it comes late.
    InOrder,
    /// Behind one with a higher number.
    Late,
    /// Seen before, or more than 64 behind, where it is not known any more.
    Repeated,
}

impl Window {
    /// Of a client that comes when others have read for long, before it is known what it is to see.
    pub const LATE: Self = Self::from(u32::MAX);

    /// Of one that may see what was under way when it came, and is to miss nothing from `first` on.
    #[must_use]
    pub const fn from(first: u32) -> Self {
        Self {
            next: first,
            bits: 0,
        }
    }

    /// How many before `seq` are missing that no hole before is.
    #[must_use]
    pub fn missing_to(&self, seq: u32) -> u32 {
        seq.saturating_sub(self.next)
    }

    /// Takes a number in.
    pub fn note(&mut self, seq: u32) -> Turn {
        if seq >= self.next || self.bits == 0 {
            self.next = self.next.min(seq);
            self.bits = match seq - self.next {
                0..63 => self.bits << (seq - self.next + 1) | 1,
                _ => 1,
            };
            self.next = seq.saturating_add(1);
            return Turn::InOrder;
        }
        let behind = self.next - 1 - seq;
        let bit = 1_u64.checked_shl(behind).unwrap_or(0);
        if bit == 0 || self.bits & bit != 0 {
            return Turn::Repeated;
        }
        self.bits |= bit;
        Turn::Late
    }
}

/// The counts of a run.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Messages, each counted once per connection.
    pub arrived: u64,
    /// Messages that came again.
    pub repeated: u64,
    /// Messages that came behind a later one.
    pub reordered: u64,
    /// Holes between messages of a connection that are not filled. Who misses the last has no hole there.
    pub skipped: u64,
    /// Messages that were meant for others.
    pub astray: u64,
    /// Messages of the clients themselves that the server did not take.
    pub refused: u64,
    /// Responses, frames and events that brought messages.
    pub responses: u64,
    /// Longest time until anybody had message 0, which finds the server cold.
    pub burst_us: u64,
    /// Microseconds from when a message was meant to be sent until it was read.
    pub latency_us: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            arrived: 0,
            repeated: 0,
            reordered: 0,
            skipped: 0,
            astray: 0,
            refused: 0,
            responses: 0,
            burst_us: 0,
            latency_us: histogram(),
        }
    }
}

impl Tally {
    /// Counts a message that stands like this and took so long.
    pub fn note(&mut self, turn: Turn, seq: u32, took_ns: u64) {
        match turn {
            Turn::Repeated => return self.repeated += 1,
            Turn::Late => self.reordered += 1,
            Turn::InOrder => {}
        }
        self.arrived += 1;
        let took_us = took_ns / 1000;
        self.latency_us.saturating_record(took_us);
        if seq == 0 {
            self.burst_us = self.burst_us.max(took_us);
        }
    }

    /// Counts what stands between a message that stands like this and those before it.
    pub fn skip(&mut self, turn: Turn, missing: u32) {
        match turn {
            Turn::InOrder => self.skipped += u64::from(missing),
            Turn::Late => self.skipped = self.skipped.saturating_sub(1),
            Turn::Repeated => {}
        }
    }

    /// Adds the counts of another process.
    pub fn add(&mut self, other: &Self) {
        self.arrived += other.arrived;
        self.repeated += other.repeated;
        self.reordered += other.reordered;
        self.skipped += other.skipped;
        self.astray += other.astray;
        self.refused += other.refused;
        self.responses += other.responses;
        self.burst_us = self.burst_us.max(other.burst_us);
        for step in other.latency_us.iter_recorded() {
            let (value, count) = (step.value_iterated_to(), step.count_at_value());
            self.latency_us.saturating_record_n(value, count);
        }
    }

    /// As it goes from a load process to the one that reports.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "arrived": self.arrived,
            "repeated": self.repeated,
            "reordered": self.reordered,
            "skipped": self.skipped,
            "astray": self.astray,
            "refused": self.refused,
            "responses": self.responses,
            "burst_us": self.burst_us,
            "latency_us": steps_to_json(&self.latency_us),
        })
    }

    /// Reads it there; `None` when it is not one.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            arrived: value.get("arrived")?.as_u64()?,
            repeated: value.get("repeated")?.as_u64()?,
            reordered: value.get("reordered")?.as_u64()?,
            skipped: value.get("skipped")?.as_u64()?,
            astray: value.get("astray")?.as_u64()?,
            refused: value.get("refused")?.as_u64()?,
            responses: value.get("responses")?.as_u64()?,
            burst_us: value.get("burst_us")?.as_u64()?,
            latency_us: steps_from_json(value.get("latency_us")?)?,
        })
    }
}

/// The filled steps of a histogram, as they go from one process to another.
#[must_use]
pub fn steps_to_json(histogram: &Histogram<u64>) -> Value {
    let steps = histogram.iter_recorded();
    let steps = steps.map(|step| json!([step.value_iterated_to(), step.count_at_value()]));
    steps.collect::<Vec<_>>().into()
}

/// Reads them there; `None` when they are none.
#[must_use]
pub fn steps_from_json(steps: &Value) -> Option<Histogram<u64>> {
    let mut filled = histogram();
    for step in steps.as_array()? {
        let (at, count) = (step.get(0)?.as_u64()?, step.get(1)?.as_u64()?);
        filled.saturating_record_n(at, count);
    }
    Some(filled)
}

/// A microsecond to a minute; later counts as a minute. Two digits keep it at some 40 KB in each process.
#[expect(clippy::expect_used, reason = "constants that are in order")]
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 2).expect("bounds in order")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(numbers: &[u32]) -> Vec<Turn> {
        let mut window = Window::default();
        numbers.iter().map(|n| window.note(*n)).collect()
    }

    #[test]
    fn numbers_that_rise_are_in_order_gaps_or_not() {
        assert_eq!(turns(&[0, 1, 2, 70, 71, 4_000_000]), [Turn::InOrder; 6]);
    }

    #[test]
    fn a_gap_that_is_filled_is_late_and_only_once() {
        let expected = [
            Turn::InOrder,
            Turn::InOrder,
            Turn::Late,
            Turn::Repeated,
            Turn::Repeated,
        ];
        assert_eq!(turns(&[0, 2, 1, 1, 0]), expected);
    }

    #[test]
    fn what_is_too_far_behind_counts_as_repeated() {
        assert_eq!(turns(&[0, 64, 1])[2], Turn::Late);
        assert_eq!(turns(&[0, 65, 1])[2], Turn::Repeated);
        assert_eq!(turns(&[5, 5])[1], Turn::Repeated);
    }

    #[test]
    fn who_begins_later_misses_what_is_after_its_beginning() {
        let mut window = Window::from(10);
        assert_eq!((window.missing_to(10), window.missing_to(12)), (0, 2));
        // Under way when it began.
        assert_eq!((window.missing_to(8), window.note(8)), (0, Turn::InOrder));
        assert_eq!((window.missing_to(9), window.missing_to(11)), (0, 2));
    }

    #[test]
    fn a_hole_counts_until_it_is_filled() {
        let (mut window, mut tally) = (Window::LATE, Tally::default());
        let mut note = |seq| {
            let missing = window.missing_to(seq);
            tally.skip(window.note(seq), missing);
            tally.skipped
        };
        let skipped = [5, 6, 9, 9, 7, 20, 8].map(&mut note);
        assert_eq!(skipped, [0, 0, 2, 2, 1, 11, 10]);
    }

    #[test]
    fn a_window_says_what_a_set_of_all_numbers_says() {
        let (mut window, mut set, mut top, mut state) = (Window::default(), vec![], None, 1_u32);
        for step in 0..5000_u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let seq = (step + 40).saturating_sub(state >> 26);
            let expected = match (set.contains(&seq), top) {
                (true, _) => Turn::Repeated,
                (false, Some(top)) if seq < top => Turn::Late,
                _ => Turn::InOrder,
            };
            assert_eq!(window.note(seq), expected, "step {step}");
            set.push(seq);
            top = top.max(Some(seq));
        }
    }

    #[test]
    fn tallies_add_up_over_processes_and_survive_the_way() {
        let mut one = Tally::default();
        one.note(Turn::InOrder, 0, 5_000_000);
        one.note(Turn::InOrder, 1, 1_000_000);
        one.note(Turn::Repeated, 1, 9_000_000);
        let mut two = Tally::default();
        two.note(Turn::InOrder, 0, 90_000_000_000);
        two.note(Turn::Late, 1, 2_000);
        one.add(&Tally::from_json(&two.to_json()).unwrap());
        assert_eq!((one.arrived, one.repeated, one.reordered), (4, 1, 1));
        assert_eq!(one.burst_us, 90_000_000);
        assert_eq!(one.latency_us.len(), 4);
        assert_eq!(one.latency_us.value_at_quantile(0.5) / 100, 10);
        assert_eq!(one.latency_us.value_at_quantile(0.1), 2);
        assert!(one.latency_us.max() >= 59_000_000);
    }

    #[test]
    fn what_is_no_tally_is_not_read_as_one() {
        assert!(Tally::from_json(&json!({"arrived": 1})).is_none());
        assert!(Tally::from_json(&json!(null)).is_none());
    }
}
