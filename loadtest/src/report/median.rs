//! One report of several runs: the median of each figure, but the worst of what must not be.
//!
//! In: reports of the same run. Out: one, with the charts of the last.

use super::{Figure, Found, LOST, Report};

/// The one; `None` of none.
#[must_use]
pub fn median(mut runs: Vec<Report>) -> Option<Report> {
    let mut last = runs.pop()?;
    let servers: Vec<_> = runs.iter().map(|run| &run.server).collect();
    last.server.figures = middle(&last.server, &servers);
    if let Some(floor) = &mut last.floor {
        let floors: Vec<_> = runs.iter().filter_map(|run| run.floor.as_ref()).collect();
        floor.figures = middle(floor, &floors);
    }
    Some(last)
}

fn middle(last: &Found, others: &[&Found]) -> Vec<Figure> {
    let of_all = |figure: &Figure| {
        let others = others.iter().filter_map(|found| found.value(figure.name));
        let mut values: Vec<f64> = others.chain([figure.value]).collect();
        values.sort_by(f64::total_cmp);
        let value = match LOST.contains(&figure.name) {
            true => values.last(),
            false => values.get(values.len() / 2),
        };
        Figure {
            value: value.copied().unwrap_or(figure.value),
            ..*figure
        }
    };
    last.figures.iter().map(of_all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure;

    fn run(p99: f64, missing: f64, floor: f64) -> Report {
        Report {
            scenario: "fanout",
            mode: "ws",
            connections: 10,
            server: Found::from(vec![
                figure("p99", p99, "ms"),
                figure("missing", missing, ""),
            ]),
            floor: Some(Found::from(vec![figure("p99", floor, "ms")])),
        }
    }

    #[test]
    fn the_median_of_times_and_the_worst_of_losses() {
        let runs = vec![run(9.0, 7.0, 2.0), run(1.0, 0.0, 1.0), run(4.0, 0.0, 8.0)];
        let report = median(runs).unwrap();
        assert_eq!(report.value("p99"), Some(4.0));
        assert_eq!(report.ratio("p99"), Some(2.0));
        assert_eq!(report.value("missing"), Some(7.0));
        assert!(median(Vec::new()).is_none());
    }
}
