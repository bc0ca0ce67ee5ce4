//! A run as lines of a Markdown table, a figure each.
//!
//! In: a report, its bars. Out: text.

use crate::report::{Bar, LOSSES, Report, grouped};

/// The head of a table.
pub const HEAD: &str = "| run | figure | server | floor | ratio | bar | met |\n\
    |---|---|---:|---:|---:|---|---|\n";

/// The lines of a run called `name`: a figure for each bar, then `shown`. In a quick run only what [`is_held`] is said to be met or not.
#[must_use]
pub fn lines(name: &str, report: &Report, bars: &[Bar], shown: &[&str], quick: bool) -> String {
    let asked = bars.iter().map(|bar| {
        let met = match (is_held(bar, report, quick), bar.is_met(report)) {
            (false, _) => "",
            (true, true) => "yes",
            (true, false) => "**no**",
        };
        (&*bar.figure, bar.wanted(), met)
    });
    let shown = shown.iter().map(|name| (*name, String::new(), ""));
    let mut name = Some(format!("`{name}`"));
    let line = |(figure, wanted, met): (&str, String, &str)| {
        let cells = cells(report, figure);
        let name = name.take().unwrap_or_default();
        format!("| {name} | {cells} | {wanted} | {met} |\n")
    };
    let lines: String = asked.chain(shown).map(line).collect();
    lines + &disturbed(report)
}

/// Whether the run is bad when this bar is not met. A few connections say nothing of memory and time, but nothing may
/// be lost, and everything must have been measured.
#[must_use]
pub fn is_held(bar: &Bar, report: &Report, quick: bool) -> bool {
    !quick || bar.figure == LOSSES || bar.found(report).is_none()
}

/// Whoever reads the figures should know that something else ran.
fn disturbed(report: &Report) -> String {
    let line = |(server, floor): (f64, Option<f64>)| {
        let floor = floor.map(|floor| format!("{floor:.0}")).unwrap_or_default();
        format!("|  | waited for a processor (% of the time) | {server:.0} | {floor} |  |  |  |\n")
    };
    report.disturbed().map(line).unwrap_or_default()
}

fn cells(report: &Report, name: &str) -> String {
    let server = report
        .value(name)
        .map_or_else(|| "not measured".into(), grouped);
    let floor = report.floor_value(name).map(grouped).unwrap_or_default();
    let ratio = report.compared(name).map(|ratio| format!("{ratio:.2}"));
    let unit = report.unit(name);
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(" ({unit})")
    };
    let name = name.replace('_', " ");
    let ratio = ratio.unwrap_or_default();
    format!("{name}{unit} | {server} | {floor} | {ratio}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::Glance;
    use crate::report::{figure, sample};

    fn report() -> Report {
        sample(
            vec![
                figure("p99", 6.0, "ms"),
                figure("p50", 3.0, "ms"),
                figure("missing", 2.0, ""),
            ],
            vec![figure("p99", 5.0, "ms")],
        )
    }

    fn bars() -> Vec<Bar> {
        let all = ["p99/floor<=1.15", "losses<=0", "idle_cpu<=1"];
        all.map(|bar| Bar::parse(bar).unwrap()).to_vec()
    }

    #[test]
    fn a_figure_stands_beside_the_floors_and_its_bar() {
        assert_eq!(
            lines("fanout -n 9", &report(), &bars(), &["p50"], false),
            "| `fanout -n 9` | p99 (ms) | 6 | 5 | 1.20 | ≤ 1.15 × floor | **no** |\n\
             |  | losses | 2 |  |  | ≤ 0 | **no** |\n\
             |  | idle cpu | not measured |  |  | ≤ 1 | **no** |\n\
             |  | p50 (ms) | 3 |  |  |  |  |\n"
        );
        let columns = |line: &str| line.matches('|').count();
        assert!(
            lines("fanout -n 9", &report(), &bars(), &[], false)
                .lines()
                .all(|line| columns(line) == 8)
        );
        assert!(HEAD.lines().all(|line| columns(line) == 8));
    }

    #[test]
    fn a_disturbed_run_says_so() {
        let mut report = report();
        for (at_ms, waited_ns) in [(0, 0), (1000, 300_000_000)] {
            let look = Glance {
                waited_ns,
                ..Glance::default()
            };
            report.server.seen.samples.note(at_ms, &look);
        }
        let text = lines("fanout", &report, &[], &[], false);
        assert_eq!(
            text,
            "|  | waited for a processor (% of the time) | 30 | 0 |  |  |  |\n"
        );
    }

    #[test]
    fn a_quick_run_is_bad_by_losses_and_by_what_it_did_not_measure() {
        let held: Vec<_> = bars()
            .iter()
            .map(|bar| is_held(bar, &report(), true))
            .collect();
        assert_eq!(held, [false, true, true]);
        let met = lines("fanout -n 9", &report(), &bars(), &[], true);
        assert_eq!(met.matches("**no**").count(), 2);
    }
}
