//! Figures: as a table and as lines of JSON; `bar` holds them against what is asked of them, `html` makes a page of
//! them with the charts of `chart`, `sheet` puts all of it where it belongs. `median` makes one report of several.
//!
//! In: figures of the server and perhaps of the floor. Out: text.

mod bar;
mod chart;
mod html;
mod median;
mod sheet;

pub use bar::{Bar, missed};
pub use median::median;
pub use sheet::Sheet;

use crate::watch::Seen;
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
    /// What was found of the server.
    pub server: Found,
    /// What of the floor, in the same run.
    pub floor: Option<Found>,
}

/// What was found of one server.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its figures.
    pub figures: Vec<Figure>,
    /// What was seen of it meanwhile.
    pub seen: Seen,
}

impl From<Vec<Figure>> for Found {
    fn from(figures: Vec<Figure>) -> Self {
        Self {
            figures,
            seen: Seen::default(),
        }
    }
}

/// Everything that must not be, added up: a name that bars may use though no table has it.
pub const LOSSES: &str = "losses";
/// Whose ratio to the floor says something.
const COMPARED: [&str; 17] = [
    "bytes_per_conn",
    "closed_rate",
    "connect_rate",
    "cpu_per_connect",
    "cpu_per_delivery",
    "cpu_per_reconnect",
    "cpu_per_reopen",
    "deliveries",
    "done_p50",
    "done_p99",
    "first_to_last",
    "max",
    "p50",
    "p99",
    "reconnect_rate",
    "reopen_rate",
    "storm_time",
];
/// Percent from which on others on the machine are worth a word.
const DISTURBED: f64 = 2.0;
/// What [`LOSSES`] adds up.
const LOST: [&str; 6] = [
    "missing",
    "repeated",
    "reordered",
    "astray",
    "refused",
    "lost",
];

impl Report {
    /// What was run, in words.
    #[must_use]
    pub fn title(&self) -> String {
        let (scenario, mode) = (self.scenario, self.mode);
        let connections = grouped(self.connections.into());
        format!("{scenario}, {mode}, {connections} connections")
    }

    /// The server's figure of this name; [`LOSSES`] are a sum.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        match name {
            LOSSES => LOST
                .iter()
                .filter_map(|name| self.server.value(name))
                .reduce(|sum, more| sum + more),
            name => self.server.value(name),
        }
    }

    /// The floor's figure of this name.
    #[must_use]
    pub fn floor_value(&self, name: &str) -> Option<f64> {
        self.floor.as_ref()?.value(name)
    }

    /// The server's figure divided by the floor's.
    #[must_use]
    pub fn ratio(&self, name: &str) -> Option<f64> {
        let floor = self.floor_value(name)?;
        (floor > 0.0).then_some(self.value(name)? / floor)
    }

    /// The ratio of a figure whose ratio says something.
    #[must_use]
    pub fn compared(&self, name: &str) -> Option<f64> {
        let ratio = self.ratio(name).filter(|ratio| ratio.is_finite());
        ratio.filter(|_| COMPARED.contains(&name))
    }

    /// Of what a figure is; nothing for one that is not there.
    #[must_use]
    pub fn unit(&self, name: &str) -> &'static str {
        let mut figures = self.server.figures.iter();
        let figure = figures.find(|figure| figure.name == name);
        figure.map_or("", |figure| figure.unit)
    }

    /// Percent of the time that the server and the floor were kept from their processor, where it is worth a word.
    #[must_use]
    pub fn disturbed(&self) -> Option<(f64, Option<f64>)> {
        let server = self.server.seen.samples.waited();
        let floor = self.floor.as_ref().map(|floor| floor.seen.samples.waited());
        (server.max(floor.unwrap_or_default()) >= DISTURBED).then_some((server, floor))
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
        for figure in &self.server.figures {
            let value = number(figure.value);
            let _ = write!(out, "  {:<20} {value:>12}", figure.name);
            if self.floor.is_some() {
                let floor = self.floor_value(figure.name).map(number);
                let floor = floor.unwrap_or_default();
                let ratio = self.compared(figure.name);
                let ratio = ratio.map(|r| format!("{r:.2}")).unwrap_or_default();
                let _ = write!(out, " {floor:>12} {ratio:>7}");
            }
            let _ = writeln!(out, "  {}", figure.unit);
        }
        if let Some((server, floor)) = self.disturbed() {
            let floor = floor.map(|floor| format!(", the floor {floor:.0} %"));
            let floor = floor.unwrap_or_default();
            let _ = writeln!(
                out,
                "  disturbed: the server waited {server:.0} % of the time for a processor{floor}"
            );
        }
        out
    }

    /// A line of JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "scenario": self.scenario,
            "mode": self.mode,
            "connections": self.connections,
            "server": self.server.to_json(),
            "floor": self.floor.as_ref().map(Found::to_json),
            "peak": self.server.seen.samples.to_json(),
            "floor_peak": self.floor.as_ref().map(|floor| floor.seen.samples.to_json()),
        })
    }
}

impl Found {
    fn value(&self, name: &str) -> Option<f64> {
        let figure = self.figures.iter().find(|figure| figure.name == name);
        figure.map(|figure| figure.value)
    }

    fn to_json(&self) -> Value {
        let figures = self.figures.iter();
        let pairs = figures.map(|figure| (figure.name.to_owned(), json!(figure.value)));
        pairs.collect::<Map<_, _>>().into()
    }
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

/// The same with commas between thousands, for who does not read it by a program.
#[must_use]
pub fn grouped(value: f64) -> String {
    let text = number(value);
    let (sign, digits) = text.split_at(usize::from(text.starts_with('-')));
    if digits.len() <= 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text;
    }
    let (first, rest) = digits.split_at(digits.len() % 3);
    let mut groups = vec![first];
    groups.extend(
        rest.as_bytes()
            .chunks(3)
            .filter_map(|group| std::str::from_utf8(group).ok()),
    );
    groups.retain(|group| !group.is_empty());
    format!("{sign}{}", groups.join(","))
}

/// A report of ten clients, for tests.
#[cfg(test)]
pub fn sample(server: Vec<Figure>, floor: Vec<Figure>) -> Report {
    Report {
        scenario: "fanout",
        mode: "ws",
        connections: 10,
        server: Found::from(server),
        floor: Some(Found::from(floor)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        sample(
            vec![
                figure("cpu_per_delivery", 6.0, "us"),
                figure("missing", 1.0, ""),
                figure("repeated", 2.0, ""),
            ],
            vec![figure("cpu_per_delivery", 4.0, "us")],
        )
    }

    #[test]
    fn large_numbers_have_commas() {
        let all = [
            999.0,
            1999.0,
            19_000.0,
            100_000.0,
            -1_234_567.0,
            1.5,
            f64::NAN,
        ];
        let all = all.map(grouped);
        let expected = [
            "999",
            "1999",
            "19,000",
            "100,000",
            "-1,234,567",
            "1.50",
            "NaN",
        ];
        assert_eq!(all, expected);
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
