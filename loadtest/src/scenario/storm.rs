//! Everybody is cut off at once and comes back at once, while messages go on.

use super::Case;
use super::delivery;
use super::fanout::published;
use crate::crowd::{Counts, Crowd};
use crate::proc::cpu_ns_of;
use crate::publish::{self, Plan, Sent};
use crate::report::{Figure, figure};
use crate::sys::now_ns;
use crate::trouble::Trouble;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};

/// Opens all, publishes at --rate, closes all of them at once and opens all again at once, with their sessions if
/// they have some. Those lose nothing; what others did not get is told apart.
///
/// # Errors
/// Connections that cannot be opened, or not again, or nowhere to publish to.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    let mut crowd = case.held(case.crowd()?)?;
    crowd.begin(1)?;
    let (storm, sent) = weather(case, &mut crowd)?;
    let expected = u64::from(options.connections) * u64::from(sent.messages);
    let resumes = case.mode.resumes() && !options.anew && !case.floor;
    // What a bare connection did not get while it was away does not come any more.
    let most = if resumes {
        options.drain
    } else {
        options.settle
    };
    crowd.await_messages(expected, most)?;
    let tally = crowd.report()?;
    let mut figures = storm.figures(case);
    figures.extend(published(sent));
    figures.extend(
        delivery::counts(expected, &tally).map(|count| match count.name {
            "missing" if !resumes => figure("missed", count.value, "while away"),
            _ => count,
        }),
    );
    figures.extend(delivery::latency(&tally));
    figures.push(delivery::lost(&mut crowd)?);
    Ok(figures)
}

/// What a storm took.
struct Storm {
    before: Counts,
    after: Counts,
    start_ns: u64,
    cpu_ns: u64,
}

/// The storm itself, with a rest before and after it, and messages all the time.
fn weather(case: &Case<'_>, crowd: &mut Crowd) -> Result<(Storm, Sent), Trouble> {
    let (options, pids, to) = (case.options, &case.server.pids[..], case.internals()?);
    let plan = Plan {
        path: case.publish_path(),
        rate: options.rate,
        size: options.size,
        time: options.settle * 2 + options.ramp,
        run: 1,
    };
    let over = AtomicBool::new(false);
    scope(|scope| {
        let published = scope.spawn(|| publish::run(to, &plan, || !over.load(Ordering::Relaxed)));
        let storm = (|| {
            sleep(options.settle);
            let before = crowd.counts()?;
            let (start_ns, cpu_before) = (now_ns(), cpu_ns_of(pids)?);
            let window = options.connections.min(backlog());
            let after = crowd.storm(window, options.anew, options.ramp)?;
            let cpu_ns = cpu_ns_of(pids)?.saturating_sub(cpu_before);
            sleep(options.settle);
            Ok(Storm {
                before,
                after,
                start_ns,
                cpu_ns,
            })
        })();
        // Whatever came of it, the publisher is to end.
        over.store(true, Ordering::Relaxed);
        let sent = published.join();
        let sent = sent.unwrap_or_else(|_| Err(Trouble::Worker("publisher ended".into())));
        Ok((storm?, sent?))
    })
}

impl Storm {
    fn figures(&self, case: &Case<'_>) -> Vec<Figure> {
        let n = f64::from(case.options.connections);
        let seconds = self.after.ready_ns.saturating_sub(self.start_ns).max(1) as f64 / 1e9;
        let since = |count: fn(&Counts) -> u64| (count(&self.after) - count(&self.before)) as f64;
        let mut figures = vec![
            figure("storm_time", seconds, "s until all are back"),
            figure("reconnect_rate", n / seconds, "a second, to ready"),
            figure("failed", since(|counts| counts.failed), "attempts"),
            figure("over", since(|counts| counts.over), "sessions not resumed"),
        ];
        if !case.server.pids.is_empty() {
            let cpu_ns = self.cpu_ns.max(1) as f64;
            figures.extend([
                figure("reconnect_per_cpu", n / (cpu_ns / 1e9), "a CPU second"),
                figure("cpu_per_reconnect", cpu_ns / n / 1e3, "us of the server"),
            ]);
        }
        figures
    }
}

/// How many may be on their way at once: what kernels queue for a listener, or what this one does if that is more. A
/// server that asks for a shorter queue has the rest of them knock again after a second.
fn backlog() -> u32 {
    let text = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    text.trim().parse().unwrap_or(0).max(BACKLOG)
}

const BACKLOG: u32 = 4096;
