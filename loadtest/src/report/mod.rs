//! Figures: as a table and as lines of JSON; `bar` holds them against what is asked of them.
//!
//! In: figures of the server and perhaps of the floor. Out: text.

mod bar;

pub use bar::{Bar, missed};

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

/// Everything that must not be, added up: a name that bars may use though no table has it.
pub const LOSSES: &str = "losses";
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
/// What [`LOSSES`] adds up.
const LOST: [&str; 5] = ["missing", "repeated", "reordered", "refused", "lost"];

impl Report {
    /// The server's figure of this name; [`LOSSES`] are a sum.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        match name {
            LOSSES => LOST
                .iter()
                .filter_map(|name| find(&self.server, name))
                .reduce(|sum, more| sum + more),
            name => find(&self.server, name),
        }
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
}

fn find(figures: &[Figure], name: &str) -> Option<f64> {
    figures.iter().find(|f| f.name == name).map(|f| f.value)
}

/// A number as it is read best: three digits or so.
#[must_use]
pub fn number(value: f64) -> String {
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
        assert_eq!(report().value(LOSSES), Some(3.0));
        assert_eq!(report().ratio("missing"), None);
        let text = report().text();
        let row = text.lines().find(|line| line.contains("cpu_per")).unwrap();
        let words: Vec<_> = row.split_whitespace().collect();
        assert_eq!(words, ["cpu_per_delivery", "6", "4", "1.50", "us"]);
        assert_eq!(report().json()["server"]["missing"], 1.0);
    }
}
