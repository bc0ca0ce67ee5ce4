//! The reports of an invocation as one page that needs nothing else: no script, no font, no network.
//!
//! In: reports, their bars, the provenance, the command. Out: HTML, every text in it escaped.

use super::chart::{Axis, Line, Ratio, lines, ratios};
use super::{Bar, COMPARED, Found, Report, grouped};
use crate::curve::percent;
use crate::provenance::Provenance;
use crate::samples::Sample;
use std::fmt::Write as _;
use std::iter;

/// A report under its title, and what is asked of it.
#[derive(Debug)]
pub struct Judged {
    /// What was run.
    pub title: String,
    /// What was found.
    pub report: Report,
    /// What is asked.
    pub bars: Vec<Bar>,
}

/// The whole page.
#[must_use]
pub fn page(runs: &[Judged], provenance: &Provenance, command: &str) -> String {
    let (from, command) = (escaped(&provenance.line()), escaped(command));
    let sections: String = runs.iter().enumerate().map(section).collect();
    let contents = match runs {
        [] | [_] => String::new(),
        runs => contents(runs),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>orbited-loadtest</title>\n\
         <style>\n{STYLE}</style></head><body>\n<header><h1>Load test</h1><p>{from}</p>\
         <pre>{command}</pre></header>\n{contents}{sections}</body></html>\n"
    )
}

/// Text as it stands in HTML, between tags and in quotes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn contents(runs: &[Judged]) -> String {
    let entry = |(n, run): (usize, &Judged)| {
        let (name, verdict) = (escaped(&run.title), verdict(run));
        format!("<li><a href=\"#run{n}\">{name}</a> {verdict}</li>")
    };
    let entries: String = runs.iter().enumerate().map(entry).collect();
    format!("<nav><ul>{entries}</ul></nav>\n")
}

fn verdict(run: &Judged) -> String {
    let (report, bars) = (&run.report, &run.bars);
    let missed = bars.iter().filter(|bar| !bar.is_met(report)).count();
    match (bars.len(), missed) {
        (0, _) => String::new(),
        (all, 0) => format!("<span class=\"chip\">{all} of {all} bars met</span>"),
        (all, missed) => {
            let met = all - missed;
            format!("<span class=\"chip missed\">{met} of {all} bars met</span>")
        }
    }
}

fn section((n, run): (usize, &Judged)) -> String {
    let (report, bars) = (&run.report, &run.bars);
    let (name, verdict) = (escaped(&run.title), verdict(run));
    let charts = [
        latency(report),
        over_time(report, "Memory of the server", "MiB", &MEMORY),
        over_time(report, "Processor", "% of a core", &PROCESSOR),
        beside_the_floor(report, bars),
    ];
    let (charts, asked, table) = (charts.concat(), asked(report, bars), table(report));
    let disturbed = report.disturbed().map(disturbed).unwrap_or_default();
    format!(
        "<section id=\"run{n}\"><h2>{name} {verdict}</h2>{asked}{disturbed}\n<div class=\"charts\">{charts}</div>\n{table}</section>\n"
    )
}

fn asked(report: &Report, bars: &[Bar]) -> String {
    let item = |bar: &Bar| {
        let class = if bar.is_met(report) { "met" } else { "missed" };
        let sign = if bar.is_met(report) { "✓" } else { "✗" };
        let found = bar
            .found(report)
            .map_or_else(|| "not measured".into(), grouped);
        let (name, wanted) = (escaped(&bar.figure), escaped(&bar.wanted()));
        format!("<li class=\"{class}\">{sign} {name} {wanted}: <b>{found}</b></li>")
    };
    let items: String = bars.iter().map(item).collect();
    match items.is_empty() {
        true => items,
        false => format!("<ul class=\"asked\">{items}</ul>"),
    }
}

fn disturbed((server, floor): (f64, Option<f64>)) -> String {
    let floor = floor.map(|floor| format!(", the floor {floor:.0} %"));
    let floor = floor.unwrap_or_default();
    format!(
        "<p class=\"disturbed\">The server waited {server:.0} % of the time for a processor{floor}.</p>"
    )
}

fn table(report: &Report) -> String {
    let has_floor = report.floor.is_some();
    let mut out = String::from("<table><thead><tr><th>figure</th><th>server</th>");
    if has_floor {
        out.push_str("<th>floor</th><th>ratio</th>");
    }
    out.push_str("</tr></thead><tbody>\n");
    for figure in &report.server.figures {
        let (name, unit) = (
            escaped(&figure.name.replace('_', " ")),
            escaped(figure.unit),
        );
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<tr><th>{name} <span>{unit}</span></th><td>{}</td>",
            grouped(figure.value)
        );
        if has_floor {
            let floor = report
                .floor_value(figure.name)
                .map(grouped)
                .unwrap_or_default();
            let ratio = report
                .compared(figure.name)
                .map(|ratio| format!("{ratio:.2}"));
            let ratio = ratio.unwrap_or_default();
            let _ = write!(out, "<td>{floor}</td><td>{ratio}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
    out
}

fn latency(report: &Report) -> String {
    let line = |name: &str, class, found: &Found| Line {
        name: name.into(),
        class,
        points: found.seen.latency.points.clone(),
    };
    let server = line("server", "server", &report.server);
    let floor = report.floor.as_ref().map(|f| line("floor", "floor", f));
    let all: Vec<_> = floor.into_iter().chain([server]).collect();
    let most = all.iter().filter_map(|line| line.points.last());
    let most = most.map(|(nines, _)| *nines).fold(0.0, f64::max);
    if most == 0.0 {
        return String::new();
    }
    let half = (2_f64.log10(), "50".to_owned());
    let nines = (1..=most as u32).map(|nines| (f64::from(nines), percent(nines)));
    let axis = Axis {
        most,
        ticks: iter::once(half).chain(nines).collect(),
        marks: Vec::new(),
    };
    lines("Latency", "ms, by percentile", &axis, &all)
}

/// What is drawn of samples: a name, and how to take it.
type Part = (&'static str, &'static str, fn(&Sample) -> f64);

const MEMORY: [Part; 2] = [
    ("user", "server", |sample| mebibytes(sample.user)),
    ("resident", "server second", |sample| mebibytes(sample.rss)),
];
const PROCESSOR: [Part; 1] = [("server", "server", |sample| sample.cpu)];

fn over_time(report: &Report, title: &str, unit: &str, parts: &[Part]) -> String {
    let line = |(name, class, value): &Part, found: &Found| Line {
        name: (*name).into(),
        class,
        points: points(found, *value),
    };
    let mut all: Vec<_> = parts
        .iter()
        .map(|part| line(part, &report.server))
        .collect();
    if let (Some(floor), Some((name, _, value))) = (&report.floor, parts.first()) {
        let name = match parts.len() {
            1 => "floor".to_owned(),
            _ => format!("{name}, floor"),
        };
        all.insert(0, line(&("", "floor", *value), floor));
        if let Some(first) = all.first_mut() {
            first.name = name;
        }
    }
    let ends = all.iter().filter_map(|line| line.points.last());
    let most = ends.map(|(at, _)| *at).fold(0.0, f64::max);
    if most == 0.0 {
        return String::new();
    }
    lines(title, unit, &Axis::seconds(most, marks(report, most)), &all)
}

fn points(found: &Found, value: fn(&Sample) -> f64) -> Vec<(f64, f64)> {
    let kept = found.seen.samples.kept.iter();
    kept.map(|sample| (sample.at_ms as f64 / 1e3, value(sample)))
        .collect()
}

/// Phases that are not so close to the one before that their names would lie upon each other.
fn marks(report: &Report, most: f64) -> Vec<(f64, String)> {
    let mut marks: Vec<(f64, String)> = Vec::new();
    for (at_ms, phase) in &report.server.seen.phases {
        let at = *at_ms as f64 / 1e3;
        let free = marks
            .last()
            .is_none_or(|(last, _)| at - last > most * MARK_SHARE);
        if free && at < most * (1.0 - MARK_SHARE) {
            marks.push((at, (*phase).to_owned()));
        }
    }
    marks
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn beside_the_floor(report: &Report, bars: &[Bar]) -> String {
    let bar_of = |name: &str| {
        let bar = bars.iter().find(|bar| bar.to_floor && bar.figure == name)?;
        Some((bar.value(), bar.is_met(report)))
    };
    let ratio = |name: &&str| {
        Some(Ratio {
            name: name.replace('_', " "),
            value: report.compared(name)?,
            bar: bar_of(name),
        })
    };
    let all: Vec<_> = COMPARED.iter().filter_map(ratio).collect();
    match all.is_empty() {
        true => String::new(),
        false => ratios("Beside the floor", &all),
    }
}

/// Of the width: room for the name of a phase.
const MARK_SHARE: f64 = 0.16;
const STYLE: &str = include_str!("page.css");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure;

    fn report() -> Report {
        let mut server = Found::from(vec![figure("p99", 6.0, "<ms>"), figure("lost", 0.0, "")]);
        server.seen.latency.points = vec![(0.0, 1.0), (2.0, 6.0)];
        server.seen.phases = vec![(0, "opening"), (10, "hidden"), (500, "publishing")];
        for at_ms in [250, 500, 1000] {
            server.seen.samples.kept.push(Sample {
                at_ms,
                rss: 4 << 20,
                user: 3 << 20,
                cpu: 50.0,
                descriptors: 9,
            });
        }
        Report {
            scenario: "fanout",
            mode: "ws",
            connections: 10,
            server,
            floor: Some(Found::from(vec![figure("p99", 4.0, "<ms>")])),
        }
    }

    fn judged(report: Report, bars: Vec<Bar>) -> Judged {
        let title = "fanout <b>".into();
        Judged {
            title,
            report,
            bars,
        }
    }

    fn bars() -> Vec<Bar> {
        ["p99/floor<=1.2", "lost<=0"]
            .map(|bar| Bar::parse(bar).unwrap())
            .to_vec()
    }

    #[test]
    fn whatever_stands_in_a_command_is_only_text_in_the_page() {
        let nasty = "</pre><script>alert('\"&')</script>";
        let provenance = Provenance {
            processor: "<img src=x>".into(),
            ..Provenance::default()
        };
        let page = page(&[judged(report(), bars())], &provenance, nasty);
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<ms>"));
        assert!(page.contains("<h2>fanout &lt;b&gt; "));
        assert!(page.contains("&lt;/pre&gt;&lt;script&gt;alert(&#39;&quot;&amp;&#39;)"));
        for outside in ["http:", "https:", "//", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_run_has_its_bars_its_charts_and_its_table() {
        let html = section((0, &judged(report(), bars())));
        for part in [
            "1 of 2 bars met",
            "<li class=\"missed\">✗ p99 ≤ 1.2 × floor: <b>1.50</b></li>",
            "<li class=\"met\">✓ lost ≤ 0: <b>0</b></li>",
            "<b>Latency</b>",
            "<b>Memory of the server</b>",
            "<b>Processor</b>",
            "<b>Beside the floor</b>",
            "<td>6</td><td>4</td><td>1.50</td>",
            ">publishing<",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        assert!(!html.contains("hidden"));
    }

    #[test]
    fn what_was_not_seen_is_not_drawn() {
        let bare = Report {
            server: Found::from(vec![figure("lost", 0.0, "")]),
            floor: None,
            ..report()
        };
        let html = section((0, &judged(bare, Vec::new())));
        assert!(!html.contains("<svg") && html.contains("<td>0</td></tr>"));
    }
}
