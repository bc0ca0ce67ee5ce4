//! Many connections that do nothing: what each costs.

use super::Case;
use crate::proc::Usage;
use crate::report::{Figure, figure};
use crate::sys::now_ns;
use crate::trouble::Trouble;
use std::thread::sleep;

/// Opens all, waits until the server has settled, looks at its memory, and at its CPU over the idle time.
///
/// # Errors
/// Connections that cannot be opened.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    let pids = &case.server.pids[..];
    let mut crowd = case.crowd()?;
    crowd.begin(0)?;
    let load = crowd.pids();
    sleep(options.settle);
    let (before, load_before, start) = (Usage::of(pids)?, Usage::of(&load)?, now_ns());
    let raised = crowd.raise(options.ramp)?;
    let opened = Usage::of(pids)?;
    sleep(options.settle);
    let (held, load_held, idle_start) = (Usage::of(pids)?, Usage::of(&load)?, now_ns());
    sleep(options.idle);
    let (idled, idle_end, end) = (Usage::of(pids)?, now_ns(), crowd.counts()?);
    let n = f64::from(options.connections);
    let seconds = raised.ready_ns.saturating_sub(start).max(1) as f64 / 1e9;
    let mut figures = vec![
        figure("connect_rate", n / seconds, "a second, to ready"),
        figure(
            "lost",
            end.lost as f64,
            "connections that ended by themselves",
        ),
        figure("failed", end.failed as f64, "attempts"),
    ];
    if !pids.is_empty() {
        let cpu = opened.cpu_ns.saturating_sub(before.cpu_ns) as f64;
        let idle = idled.cpu_ns.saturating_sub(held.cpu_ns) as f64;
        let over = idle_end.saturating_sub(idle_start).max(1) as f64;
        let growth = |to: u64, from: u64| (to as f64 - from as f64) / n;
        figures.extend([
            figure("cpu_per_connect", cpu / n / 1e3, "us"),
            figure("bytes_per_conn", growth(held.pss, before.pss), "of PSS"),
            figure("rss_per_conn", growth(held.rss, before.rss), "bytes"),
            figure("pss_held", held.pss as f64 / 1e6, "MB of the server"),
            figure("rss_before", before.rss as f64 / 1024.0, "KiB"),
            figure("idle_cpu", idle / over * 100.0, "% of a core"),
            figure(
                "descriptors",
                growth(held.descriptors, before.descriptors),
                "a connection",
            ),
        ]);
    }
    let own = (load_held.pss as f64 - load_before.pss as f64) / n;
    figures.push(figure("load_bytes_per_conn", own, "of the load's PSS"));
    Ok(figures)
}
