//! Connections that close and come back as fast as it goes.

use super::Case;
use crate::proc::{Usage, cpu_ns_of};
use crate::report::{Figure, figure};
use crate::sys::now_ns;
use crate::trouble::Trouble;
use std::thread::sleep;

/// Opens all, then closes and reopens `--total`, some at a time.
///
/// # Errors
/// Connections that cannot be opened, or not again.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    let pids = &case.server.pids[..];
    let mut crowd = case.held(case.crowd()?)?;
    let (before, start) = (Usage::of(pids)?, now_ns());
    let counts = crowd.churn(options.total, options.ramp)?;
    let cpu = cpu_ns_of(pids)?.saturating_sub(before.cpu_ns) as f64;
    sleep(options.settle);
    let after = Usage::of(pids)?;
    let total = f64::from(options.total.max(1));
    let seconds = counts.ready_ns.saturating_sub(start).max(1) as f64 / 1e9;
    let mut figures = vec![
        figure("reopened", total, "connections"),
        figure("reopen_rate", total / seconds, "a second, to ready"),
        figure(
            "lost",
            counts.lost as f64,
            "connections that ended by themselves",
        ),
        figure("failed", counts.failed as f64, "attempts"),
    ];
    if !pids.is_empty() {
        let growth = (after.pss as f64 / before.pss.max(1) as f64 - 1.0) * 100.0;
        figures.extend([
            figure("cpu_per_reopen", cpu / total / 1e3, "us of the server"),
            figure("pss_growth", growth, "%"),
        ]);
    }
    Ok(figures)
}
