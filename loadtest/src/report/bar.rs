//! Bars: what is asked of a figure, as `NAME<=VALUE`, `NAME>=VALUE`, or `NAME/floor<=VALUE` for the ratio.
//!
//! In: such a text, a report. Out: whether it is met, in a line that can be read without either.

use super::{LOSSES, Report, number};
use std::fmt;

/// One thing that is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// The figure's name.
    pub figure: String,
    /// Its ratio to the floor's is meant.
    pub to_floor: bool,
    side: Side,
    value: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    AtMost,
    AtLeast,
}

impl Bar {
    /// Reads one.
    ///
    /// # Errors
    /// What was wanted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = [("<=", Side::AtMost), (">=", Side::AtLeast)]
            .into_iter()
            .find_map(|(sign, side)| Some((text.split_once(sign)?, side)));
        let bar = parts.and_then(|((name, value), side)| {
            let (figure, to_floor) = match name.trim().strip_suffix("/floor") {
                Some(figure) => (figure, true),
                None => (name.trim(), false),
            };
            let value = value.trim().parse().ok().filter(|v: &f64| v.is_finite())?;
            let plain = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'0'..=b'9');
            (!figure.is_empty() && figure.bytes().all(plain)).then(|| Self {
                figure: figure.to_owned(),
                to_floor,
                side,
                value,
            })
        });
        bar.ok_or_else(|| "wants NAME<=VALUE or NAME>=VALUE, NAME perhaps with /floor".into())
    }

    /// Nothing missing, repeated, reordered, refused or lost, but for so many together.
    #[must_use]
    pub fn losses(most: f64) -> Self {
        Self {
            figure: LOSSES.into(),
            to_floor: false,
            side: Side::AtMost,
            value: most,
        }
    }

    /// What the report has of it.
    #[must_use]
    pub fn found(&self, report: &Report) -> Option<f64> {
        match self.to_floor {
            true => report.ratio(&self.figure),
            false => report.value(&self.figure),
        }
    }

    /// The number that is asked.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// What is asked, without the name: `≤ 1.2 × floor`.
    #[must_use]
    pub fn wanted(&self) -> String {
        let sign = match self.side {
            Side::AtMost => '≤',
            Side::AtLeast => '≥',
        };
        let floor = if self.to_floor { " × floor" } else { "" };
        format!("{sign} {}{floor}", self.value)
    }

    /// Whether it is met. One on a figure that this run does not have is not: who asks for it without `--floor` or
    /// `--pid` should hear of it. Not a number is within nothing.
    #[must_use]
    pub fn is_met(&self, report: &Report) -> bool {
        self.found(report).is_some_and(|found| match self.side {
            Side::AtMost => found <= self.value,
            Side::AtLeast => found >= self.value,
        })
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let floor = if self.to_floor { "/floor" } else { "" };
        let sign = match self.side {
            Side::AtMost => "<=",
            Side::AtLeast => ">=",
        };
        write!(f, "{}{floor}{sign}{}", self.figure, self.value)
    }
}

/// The bars that were not met, a line each.
#[must_use]
pub fn missed(report: &Report, bars: &[Bar]) -> Vec<String> {
    let line = |bar: &Bar| {
        let (scenario, mode) = (report.scenario, report.mode);
        let found = match bar.found(report) {
            Some(found) => format!("it is {}", number(found)),
            None => "it was not measured".to_owned(),
        };
        format!("{scenario} {mode}: {bar}: {found}")
    };
    let missed = bars.iter().filter(|bar| !bar.is_met(report));
    missed.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{figure, sample};

    fn report() -> Report {
        sample(
            vec![
                figure("cpu_per_delivery", 6.0, "us"),
                figure("idle_cpu", f64::NAN, "%"),
                figure("missing", 1.0, ""),
                figure("repeated", 2.0, ""),
            ],
            vec![figure("cpu_per_delivery", 4.0, "us")],
        )
    }

    fn not_met(bars: &[&str]) -> Vec<String> {
        let bars: Vec<_> = bars.iter().map(|bar| Bar::parse(bar).unwrap()).collect();
        missed(&report(), &bars)
    }

    #[test]
    fn a_bar_is_written_as_it_is_read() {
        for text in ["p99/floor<=1.15", "connect_rate>=1000", "losses<=0"] {
            assert_eq!(Bar::parse(text).unwrap().to_string(), text);
        }
        let spaced = Bar::parse("connect_rate/floor >= 0.9").unwrap();
        assert_eq!(spaced.to_string(), "connect_rate/floor>=0.9");
        assert_eq!(spaced.wanted(), "≥ 0.9 × floor");
        assert_eq!(Bar::parse("losses<=4").unwrap(), Bar::losses(4.0));
    }

    #[test]
    fn what_is_no_bar_is_refused() {
        for bad in [
            "",
            "p99",
            "p99<1",
            "p99=1",
            "<=1",
            "/floor<=1",
            "p99<=",
            "p99<=x",
            "p99<=NaN",
            "p99<=inf",
            "P99<=1",
            "p99/peer<=1",
            "a b<=1",
        ] {
            assert!(Bar::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bar_is_missed_from_its_own_side() {
        let met = [
            "cpu_per_delivery/floor<=1.5",
            "cpu_per_delivery>=6",
            "losses<=3",
        ];
        assert_eq!(not_met(&met), Vec::<String>::new());
        assert_eq!(
            not_met(&["cpu_per_delivery/floor<=1.4", "cpu_per_delivery>=6.5"]),
            [
                "fanout ws: cpu_per_delivery/floor<=1.4: it is 1.50",
                "fanout ws: cpu_per_delivery>=6.5: it is 6",
            ]
        );
        assert_eq!(not_met(&["losses<=2"]).len(), 1);
    }

    #[test]
    fn what_was_not_measured_or_is_no_number_meets_no_bar() {
        assert_eq!(
            not_met(&["missing/floor<=9", "nope>=0", "idle_cpu<=9"]),
            [
                "fanout ws: missing/floor<=9: it was not measured",
                "fanout ws: nope>=0: it was not measured",
                "fanout ws: idle_cpu<=9: it is NaN",
            ]
        );
    }
}
