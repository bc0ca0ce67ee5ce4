//! One publisher, many subscribers, an open loop.

use super::Case;
use crate::proc::{Usage, cpu_ns_of, rss_of};
use crate::publish::{self, Plan, Sent};
use crate::report::{Figure, figure};
use crate::tally::Tally;
use crate::trouble::Trouble;
use std::thread::sleep;

/// Opens all subscribers, publishes, waits for what is under way, and counts.
///
/// # Errors
/// Connections that cannot be opened, or nowhere to publish to.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    let pids = &case.server.pids[..];
    let to = case.server.internal;
    let to = to.ok_or_else(|| Trouble::Usage("fanout needs --internal".into()))?;
    let mut crowd = case.crowd()?;
    crowd.raise(options.ramp)?;
    sleep(options.settle);
    let plan = Plan {
        path: match case.floor {
            true => "/publish".into(),
            false => options.publish_path(),
        },
        rate: options.rate,
        size: options.size,
        time: options.time,
        run: 1,
    };
    crowd.begin(plan.run)?;
    let load = crowd.pids();
    let (before, load_cpu) = (Usage::of(pids)?, cpu_ns_of(&load)?);
    let mut peak = before.rss;
    case.eye.phase("publishing");
    case.eye
        .expect(u64::from(options.connections) * u64::from(plan.total()));
    let sent = publish::run(to, &plan, || {
        peak = peak.max(rss_of(pids).unwrap_or_default());
        if case.eye.wants_counts() {
            let _ = crowd.counts();
        }
    })?;
    let expected = u64::from(options.connections) * u64::from(sent.messages);
    crowd.await_messages(expected, options.drain)?;
    let (after, load_cpu) = (cpu_ns_of(pids)?, cpu_ns_of(&load)? - load_cpu);
    let tally = crowd.report()?;
    let lost = crowd.counts()?.lost;
    let mut figures = counts(expected, &tally, sent);
    figures.push(figure(
        "lost",
        lost as f64,
        "connections that ended by themselves",
    ));
    let deliveries = tally.arrived.max(1) as f64;
    if !pids.is_empty() {
        let cpu = after.saturating_sub(before.cpu_ns) as f64;
        let growth = (peak as f64 / before.rss.max(1) as f64 - 1.0) * 100.0;
        figures.extend([
            figure(
                "cpu_per_delivery",
                cpu / deliveries / 1e3,
                "us of the server",
            ),
            figure("rss_growth_peak", growth, "% over idle"),
        ]);
    }
    let load = load_cpu as f64 / deliveries / 1e3;
    figures.push(figure("load_cpu", load, "us of the load, a delivery"));
    Ok(figures)
}

fn counts(expected: u64, tally: &Tally, sent: Sent) -> Vec<Figure> {
    let quantile = |q: f64| tally.latency_us.value_at_quantile(q) as f64 / 1e3;
    vec![
        figure("messages", f64::from(sent.messages), "published"),
        figure("expected", expected as f64, "deliveries"),
        figure("arrived", tally.arrived as f64, "deliveries"),
        figure("missing", expected.saturating_sub(tally.arrived) as f64, ""),
        figure("repeated", tally.repeated as f64, ""),
        figure("reordered", tally.reordered as f64, ""),
        figure("refused", f64::from(sent.refused), "publications"),
        figure(
            "publisher_late",
            sent.late_us_max as f64 / 1e3,
            "ms at most",
        ),
        figure("p50", quantile(0.5), "ms from the intended time"),
        figure("p99", quantile(0.99), "ms"),
        figure("max", tally.latency_us.max() as f64 / 1e3, "ms"),
        figure(
            "first_to_last",
            tally.burst_us as f64 / 1e3,
            "ms, the first message, cold",
        ),
    ]
}
