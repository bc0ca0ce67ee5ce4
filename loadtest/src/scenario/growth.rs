//! Whether a server grows: what it used when it was first looked at, and last.
//!
//! In: looks, in the order of time. Out: figures.

use crate::proc::Usage;
use crate::report::{Figure, figure};
use crate::sys::now_ns;
use crate::trend::Trend;

/// What was seen of the server, when all were there.
#[derive(Debug, Default)]
pub struct Seen {
    first: Usage,
    last: Usage,
    from_ns: u64,
    to_ns: u64,
    /// Bytes, over hours.
    pss: Trend,
}

impl Seen {
    /// Takes in what it uses now.
    pub fn note(&mut self, usage: Usage) {
        let now = now_ns();
        if self.from_ns == 0 {
            (self.first, self.from_ns) = (usage, now);
        }
        (self.last, self.to_ns) = (usage, now);
        let hours = (now - self.from_ns) as f64 / 1e9 / 3600.0;
        self.pss.note(hours, usage.pss as f64);
    }

    /// From the first look to the last.
    pub fn growth(&self) -> Vec<Figure> {
        let (first, last) = (&self.first, &self.last);
        let percent = (last.pss as f64 / first.pss.max(1) as f64 - 1.0) * 100.0;
        let descriptors = last.descriptors as f64 - first.descriptors as f64;
        let time_ns = (self.to_ns - self.from_ns).max(1) as f64;
        let cpu = last.cpu_ns.saturating_sub(first.cpu_ns) as f64 / time_ns;
        let mut figures = vec![
            figure("pss_growth", percent, "%"),
            figure("descriptors_growth", descriptors, ""),
            figure("cpu", cpu * 100.0, "% of a core"),
        ];
        if let Some(slope) = self.pss.slope() {
            figures.push(figure("pss_slope", slope / 1024.0, "KiB an hour"));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_from_the_first_look_to_the_last() {
        let usage = |pss, descriptors| Usage {
            pss,
            descriptors,
            ..Usage::default()
        };
        let mut seen = Seen::default();
        seen.note(usage(1_000_000, 20));
        seen.note(usage(1_500_000, 21));
        seen.note(usage(1_100_000, 23));
        let growth = seen.growth();
        let value = |name| growth.iter().find(|figure| figure.name == name);
        let value = |name| value(name).map(|figure| figure.value.round());
        assert_eq!(value("pss_growth"), Some(10.0));
        assert_eq!(value("descriptors_growth"), Some(3.0));
    }
}
