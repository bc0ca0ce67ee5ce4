//! How latency is distributed: some points of it, closer together where it is rare.
//!
//! In: a histogram. Out: points by nines, `1` being 90 % and `2` 99 %.

use hdrhistogram::Histogram;

/// The points, from the fastest to the slowest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// Nines, and the milliseconds within which so many arrived.
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    /// The points of a histogram of microseconds.
    #[must_use]
    pub fn of(latency_us: &Histogram<u64>) -> Self {
        if latency_us.is_empty() {
            return Self::default();
        }
        // Beyond one in all there were, there is nothing to see.
        let steps = (nines_of(latency_us.len()) * STEPS_PER_NINE).floor() as u32;
        let point = |step: u32| {
            let nines = f64::from(step) / STEPS_PER_NINE;
            let quantile = 1.0 - 10_f64.powf(-nines);
            let us = latency_us.value_at_quantile(quantile);
            (nines, us as f64 / 1e3)
        };
        Self {
            points: (0..=steps).map(point).collect(),
        }
    }
}

fn nines_of(count: u64) -> f64 {
    (count.max(1) as f64).log10().min(NINES_MAX)
}

/// `90` for 1, `99.9` for 3.
#[must_use]
pub fn percent(nines: u32) -> String {
    match nines {
        0 => "0".into(),
        1 => "90".into(),
        2 => "99".into(),
        more => format!("99.{}", "9".repeat(more as usize - 2)),
    }
}

const STEPS_PER_NINE: f64 = 16.0;
/// 99.9999 %: what is rarer than that is the machine's.
const NINES_MAX: f64 = 6.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_rise_to_the_slowest() {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000, 2).unwrap();
        assert_eq!(Curve::of(&histogram), Curve::default());
        for us in 1..=10_000 {
            histogram.record(us * 1000).unwrap();
        }
        let curve = Curve::of(&histogram);
        assert_eq!(curve.points.len(), 4 * 16 + 1);
        assert!(curve.points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        let at = |nines: f64| curve.points[(nines * 16.0) as usize].1;
        assert!((at(1.0) / 9000.0 - 1.0).abs() < 0.02, "{}", at(1.0));
        assert!((at(4.0) / 10_000.0 - 1.0).abs() < 0.02, "{}", at(4.0));
    }

    #[test]
    fn nines_are_told_as_percent() {
        let all: Vec<_> = (0..5).map(percent).collect();
        assert_eq!(all, ["0", "90", "99", "99.9", "99.99"]);
    }
}
