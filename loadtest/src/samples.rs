//! What a server used from moment to moment of a run, thinned so that a long run keeps as few samples as a short one.
//!
//! In: looks at the server, at equal intervals. Out: at most [`KEPT_MAX`] samples, and the highest of all there were.

use crate::proc::Glance;
use serde_json::{Value, json};

/// A look at the server, and its share of a processor since the look before.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// Resident bytes.
    pub rss: u64,
    /// Those of them that belong to no file.
    pub user: u64,
    /// Percent of a core.
    pub cpu: f64,
    /// Open descriptors.
    pub descriptors: u64,
}

/// The samples of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// In the order of time.
    pub kept: Vec<Sample>,
    /// The highest of each, thinned or not.
    pub peak: Sample,
    /// How many looks make one sample that is kept, less one: it doubles.
    more: u32,
    /// Looks that make no whole sample yet, and how many.
    part: Sample,
    parts: u32,
    last: Option<(u64, Glance)>,
    first: Option<(u64, Glance)>,
}

impl Samples {
    /// Takes a look in.
    pub fn note(&mut self, at_ms: u64, look: &Glance) {
        let last = self.last.replace((at_ms, *look));
        self.first.get_or_insert((at_ms, *look));
        let cpu = last.map_or(0.0, |(before_ms, before)| {
            percent(
                look.cpu_ns.saturating_sub(before.cpu_ns),
                at_ms - before_ms.min(at_ms),
            )
        });
        let sample = Sample {
            at_ms,
            rss: look.rss,
            user: look.user,
            cpu,
            descriptors: look.descriptors,
        };
        self.peak = self.peak.highest(sample);
        self.part = match self.parts {
            0 => sample,
            parts => self.part.with(sample, parts),
        };
        self.parts += 1;
        if self.parts > self.more {
            self.kept.push(self.part);
            self.parts = 0;
        }
        if self.kept.len() >= KEPT_MAX {
            self.thin();
        }
    }

    /// Makes one of two.
    fn thin(&mut self) {
        let pairs = self.kept.chunks(2);
        self.kept = pairs
            .filter_map(|pair| pair.iter().copied().reduce(|one, two| one.with(two, 1)))
            .collect();
        self.more = self.more * 2 + 1;
    }

    /// Percent of the time that the server was ready to run and something else ran: how much a run was disturbed.
    #[must_use]
    pub fn waited(&self) -> f64 {
        match (self.first, self.last) {
            (Some((from_ms, from)), Some((to_ms, to))) => percent(
                to.waited_ns.saturating_sub(from.waited_ns),
                to_ms - from_ms.min(to_ms),
            ),
            _ => 0.0,
        }
    }

    /// The highest, as it stands in a line of JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self.kept.is_empty() {
            true => Value::Null,
            false => json!({
                "rss": self.peak.rss,
                "user": self.peak.user,
                "cpu": self.peak.cpu,
                "descriptors": self.peak.descriptors,
                "waited": self.waited(),
            }),
        }
    }
}

impl Sample {
    fn highest(self, other: Self) -> Self {
        Self {
            at_ms: other.at_ms,
            rss: self.rss.max(other.rss),
            user: self.user.max(other.user),
            cpu: self.cpu.max(other.cpu),
            descriptors: self.descriptors.max(other.descriptors),
        }
    }

    /// One of this, which `looks` were made into, and the next: memory at its highest, processor time shared out.
    fn with(self, next: Self, looks: u32) -> Self {
        let looks = f64::from(looks);
        Self {
            cpu: (self.cpu * looks + next.cpu) / (looks + 1.0),
            ..self.highest(next)
        }
    }
}

/// So many nanoseconds of so many milliseconds.
fn percent(ns: u64, of_ms: u64) -> f64 {
    match of_ms {
        0 => 0.0,
        of_ms => ns as f64 / (of_ms as f64 * 1e6) * 100.0,
    }
}

/// Most samples that are kept: as many as a chart has room for.
pub const KEPT_MAX: usize = 240;

#[cfg(test)]
mod tests {
    use super::*;

    fn look(rss: u64, cpu_ns: u64) -> Glance {
        Glance {
            rss,
            user: rss / 2,
            cpu_ns,
            waited_ns: cpu_ns / 5,
            descriptors: 7,
        }
    }

    #[test]
    fn processor_time_is_a_share_of_the_time_between_looks() {
        let mut samples = Samples::default();
        samples.note(0, &look(10, 5_000_000));
        samples.note(250, &look(30, 130_000_000));
        samples.note(500, &look(20, 130_000_000));
        let cpu: Vec<_> = samples.kept.iter().map(|sample| sample.cpu).collect();
        assert_eq!(cpu, [0.0, 50.0, 0.0]);
        assert_eq!((samples.peak.rss, samples.peak.cpu), (30, 50.0));
        assert_eq!(samples.waited(), 5.0);
        assert_eq!(samples.to_json()["user"], 15);
        assert_eq!(Samples::default().to_json(), Value::Null);
    }

    #[test]
    fn a_long_run_is_thinned_and_keeps_its_peak_and_its_mean() {
        let mut samples = Samples::default();
        for turn in 0..100_000_u64 {
            let rss = if turn == 777 { 5000 } else { 100 };
            samples.note(turn * 250, &look(rss, turn * 25_000_000));
        }
        assert!(samples.kept.len() < KEPT_MAX && samples.kept.len() >= KEPT_MAX / 2);
        assert_eq!(samples.peak.rss, 5000);
        let highest = samples.kept.iter().map(|sample| sample.rss).max();
        assert_eq!(highest, Some(5000));
        let last = samples.kept.last().unwrap();
        assert!((last.cpu - 10.0).abs() < 1e-9, "{}", last.cpu);
        assert!(last.at_ms > 99_000 * 250);
        assert!(samples.kept.is_sorted_by_key(|sample| sample.at_ms));
    }
}
