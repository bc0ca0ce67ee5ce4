//! What scenarios that deliver messages say alike: what arrived, how late, and what it cost.
//!
//! In: tallies, pids. Out: figures.

use super::Case;
use crate::crowd::Crowd;
use crate::proc::{Usage, cpu_ns_of, rss_of};
use crate::publish::{self, Plan, Sent};
use crate::report::{Figure, figure};
use crate::tally::Tally;
use crate::trouble::Trouble;
use hdrhistogram::Histogram;

/// What became of `expected` deliveries.
pub fn counts(expected: u64, tally: &Tally) -> [Figure; 5] {
    let missing = expected.saturating_sub(tally.arrived);
    [
        figure("expected", expected as f64, "deliveries"),
        figure("arrived", tally.arrived as f64, "deliveries"),
        figure("missing", missing as f64, ""),
        figure("repeated", tally.repeated as f64, ""),
        figure("reordered", tally.reordered as f64, ""),
    ]
}

/// How long they took.
pub fn latency(tally: &Tally) -> [Figure; 3] {
    let taken = &tally.latency_us;
    [
        figure("p50", ms(taken, 0.5), "ms from the intended time"),
        figure("p99", ms(taken, 0.99), "ms"),
        figure("max", taken.max() as f64 / 1e3, "ms"),
    ]
}

/// Milliseconds below which this share of a histogram of microseconds is.
pub fn ms(us: &Histogram<u64>, share: f64) -> f64 {
    us.value_at_quantile(share) as f64 / 1e3
}

/// Publishes in an open loop, under the marks of `run`, to all connections.
///
/// # Errors
/// Nowhere to publish to, or a server that takes nothing.
pub fn publish(
    case: &Case<'_>,
    crowd: &mut Crowd,
    run: u16,
    mut between: impl FnMut(),
) -> Result<Sent, Trouble> {
    let options = case.options;
    let plan = Plan {
        path: case.publish_path(),
        rate: options.rate,
        size: options.size,
        time: options.time,
        run,
    };
    case.eye.phase("publishing");
    let expected = u64::from(options.connections) * u64::from(plan.total());
    case.eye.expect(expected);
    publish::run(case.internals()?, &plan, || {
        between();
        if case.eye.wants_counts() {
            let _ = crowd.counts();
        }
        true
    })
}

/// Connections that ended by themselves.
pub fn lost(crowd: &mut Crowd) -> Result<Figure, Trouble> {
    let lost = crowd.counts()?.lost as f64;
    let what = "connections that ended by themselves";
    Ok(figure("lost", lost, what))
}

/// Looks at what the server and the load use, from when it is made.
#[derive(Debug)]
pub struct Meter<'a> {
    pids: &'a [u32],
    load: Vec<u32>,
    before: Usage,
    load_cpu_ns: u64,
    rss_peak: u64,
}

impl<'a> Meter<'a> {
    /// Begins to look.
    ///
    /// # Errors
    /// A process that is gone.
    pub fn start(case: &Case<'a>, crowd: &Crowd) -> Result<Self, Trouble> {
        let (pids, load) = (&case.server.pids[..], crowd.pids());
        let before = Usage::of(pids)?;
        Ok(Self {
            pids,
            load_cpu_ns: cpu_ns_of(&load)?,
            load,
            before,
            rss_peak: before.rss,
        })
    }

    /// Looks at the memory.
    pub fn look(&mut self) {
        let rss = rss_of(self.pids).unwrap_or_default();
        self.rss_peak = self.rss_peak.max(rss);
    }

    /// Nanoseconds the server has had since.
    ///
    /// # Errors
    /// A process that is gone.
    pub fn cpu_ns(&self) -> Result<u64, Trouble> {
        Ok(cpu_ns_of(self.pids)?.saturating_sub(self.before.cpu_ns))
    }

    /// By how much user memory has grown since; nothing where no server's is known.
    ///
    /// # Errors
    /// A process that is gone.
    pub fn pss_growth(&self) -> Result<Option<Figure>, Trouble> {
        if self.pids.is_empty() {
            return Ok(None);
        }
        let pss = Usage::of(self.pids)?.pss as f64 / self.before.pss.max(1) as f64;
        Ok(Some(figure("pss_growth", (pss - 1.0) * 100.0, "%")))
    }

    /// The costs of so many deliveries.
    ///
    /// # Errors
    /// A process that is gone.
    pub fn figures(&self, deliveries: u64) -> Result<Vec<Figure>, Trouble> {
        let deliveries = deliveries.max(1) as f64;
        let mut figures = Vec::new();
        if !self.pids.is_empty() {
            let cpu = self.cpu_ns()? as f64 / deliveries / 1e3;
            let held = Usage::of(self.pids)?.pss as f64 / 1e6;
            let growth = self.rss_peak as f64 / self.before.rss.max(1) as f64;
            figures.extend([
                figure("cpu_per_delivery", cpu, "us of the server"),
                figure("rss_growth_peak", (growth - 1.0) * 100.0, "% over idle"),
                figure("pss_after", held, "MB of the server"),
            ]);
        }
        let load = cpu_ns_of(&self.load)?.saturating_sub(self.load_cpu_ns);
        let load = load as f64 / deliveries / 1e3;
        figures.push(figure("load_cpu", load, "us of the load, a delivery"));
        Ok(figures)
    }
}
