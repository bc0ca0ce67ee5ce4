//! Figures: as a table, as lines of JSON, and held against bars.
//!
//! In: figures of the server and perhaps of the floor. Out: text, and which bars were missed.

use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// One number with its name and unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// What it is; also its key in JSON.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// Makes one.
#[must_use]
pub fn figure(name: &'static str, value: f64, unit: &'static str) -> Figure {
    Figure { name, value, unit }
}

/// What a scenario found.
#[derive(Debug, Clone)]
pub struct Report {
    /// `hold`, `fanout` …
    pub scenario: &'static str,
    /// The mode's name.
    pub mode: &'static str,
    /// How many connections.
    pub connections: u32,
    /// The server's figures.
    pub server: Vec<Figure>,
    /// The floor's, of the same run.
    pub floor: Option<Vec<Figure>>,
}

/// What is asked of the figures; what is not given is not asked.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Bars {
    /// Most of `bytes_per_conn`.
    pub bytes_per_conn: Option<f64>,
    /// Most of `idle_cpu`, percent of a core.
    pub idle_cpu: Option<f64>,
    /// Most of [`RATIO_OF`]'s figures against the floor's.
    pub ratio: Option<f64>,
    /// Most of `missing` + `repeated` + `reordered` + `lost`.
    pub lost: Option<f64>,
}

/// What `--max-ratio` compares: CPU for a delivery, a reopened connection.
const RATIO_OF: [&str; 2] = ["cpu_per_delivery", "cpu_per_reopen"];
/// Whose ratio to the floor says something.
const COMPARED: [&str; 10] = [
    "bytes_per_conn",
    "connect_rate",
    "cpu_per_connect",
    "cpu_per_delivery",
    "cpu_per_reopen",
    "first_to_last",
    "max",
    "p50",
    "p99",
    "reopen_rate",
];
/// What `--lost` adds up.
const LOST: [&str; 5] = ["missing", "repeated", "reordered", "refused", "lost"];

impl Report {
    /// The server's figure of this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        find(&self.server, name)
    }

    /// The server's figure divided by the floor's.
    #[must_use]
    pub fn ratio(&self, name: &str) -> Option<f64> {
        let floor = find(self.floor.as_deref()?, name)?;
        (floor > 0.0).then_some(self.value(name)? / floor)
    }

    /// The table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!(
            "{} {}: {} connections\n",
            self.scenario, self.mode, self.connections
        );
        // Writing to a string cannot fail.
        if self.floor.is_some() {
            let _ = writeln!(
                out,
                "  {:<20} {:>12} {:>12} {:>7}",
                "", "server", "floor", "ratio"
            );
        }
        for figure in &self.server {
            let value = number(figure.value);
            let _ = write!(out, "  {:<20} {value:>12}", figure.name);
            if let Some(floor) = &self.floor {
                let floor = find(floor, figure.name).map(number).unwrap_or_default();
                let ratio = self
                    .ratio(figure.name)
                    .filter(|_| COMPARED.contains(&figure.name));
                let ratio = ratio.map(|r| format!("{r:.2}")).unwrap_or_default();
                let _ = write!(out, " {floor:>12} {ratio:>7}");
            }
            let _ = writeln!(out, "  {}", figure.unit);
        }
        out
    }

    /// A line of JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let object = |figures: &[Figure]| -> Value {
            let pairs = figures.iter().map(|f| (f.name.to_owned(), json!(f.value)));
            pairs.collect::<Map<_, _>>().into()
        };
        json!({
            "scenario": self.scenario,
            "mode": self.mode,
            "connections": self.connections,
            "server": object(&self.server),
            "floor": self.floor.as_deref().map(object),
        })
    }

    /// The bars that were not met, a line each. One on a figure that this run does not have is not met: who asks
    /// for it without `--floor` or `--pid` should hear of it.
    #[must_use]
    pub fn missed(&self, bars: &Bars) -> Vec<String> {
        let lost = LOST.iter().filter_map(|name| self.value(name)).sum();
        let ratio = RATIO_OF.iter().find_map(|name| self.ratio(name));
        let held = [
            (
                "bytes_per_conn",
                self.value("bytes_per_conn"),
                bars.bytes_per_conn,
            ),
            ("idle_cpu", self.value("idle_cpu"), bars.idle_cpu),
            ("CPU to the floor's", ratio, bars.ratio),
            ("lost and doubled", Some(lost), bars.lost),
        ];
        let missed = |(name, value, most): &(&str, Option<f64>, Option<f64>)| {
            let most = (*most)?;
            let (scenario, mode) = (self.scenario, self.mode);
            let found = match *value {
                // Not a number is not within anything.
                Some(value) if value <= most => return None,
                Some(value) => format!("is {}", number(value)),
                None => "was not measured".to_owned(),
            };
            let most = number(most);
            Some(format!("{scenario} {mode}: {name} {found}, the bar {most}"))
        };
        held.iter().filter_map(missed).collect()
    }
}

fn find(figures: &[Figure], name: &str) -> Option<f64> {
    figures.iter().find(|f| f.name == name).map(|f| f.value)
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            scenario: "fanout",
            mode: "ws",
            connections: 10,
            server: vec![
                figure("cpu_per_delivery", 6.0, "us"),
                figure("missing", 1.0, ""),
                figure("repeated", 2.0, ""),
            ],
            floor: Some(vec![figure("cpu_per_delivery", 4.0, "us")]),
        }
    }

    #[test]
    fn figures_stand_beside_the_floors() {
        assert_eq!(report().ratio("cpu_per_delivery"), Some(1.5));
        assert_eq!(report().ratio("missing"), None);
        let text = report().text();
        let row = text.lines().find(|line| line.contains("cpu_per")).unwrap();
        let words: Vec<_> = row.split_whitespace().collect();
        assert_eq!(words, ["cpu_per_delivery", "6", "4", "1.50", "us"]);
        assert_eq!(report().json()["server"]["missing"], 1.0);
    }

    #[test]
    fn a_bar_is_missed_by_what_is_over_it() {
        let bars = |ratio, lost| Bars {
            ratio: Some(ratio),
            lost: Some(lost),
            ..Bars::default()
        };
        assert_eq!(report().missed(&bars(1.5, 3.0)), Vec::<String>::new());
        assert_eq!(report().missed(&bars(1.4, 2.0)).len(), 2);
        let unmeasured = Report {
            floor: None,
            ..report()
        };
        assert_eq!(unmeasured.missed(&bars(1.5, 3.0)).len(), 1);
        assert_eq!(report().missed(&Bars::default()).len(), 0);
    }

    #[test]
    fn what_is_not_a_number_meets_no_bar() {
        let mut report = report();
        report.server = vec![figure("idle_cpu", f64::NAN, "%")];
        let bars = Bars {
            idle_cpu: Some(9.0),
            ..Bars::default()
        };
        assert_eq!(report.missed(&bars).len(), 1);
    }
}
