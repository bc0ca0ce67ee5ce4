//! Many connections that do nothing: what each costs, and what is left of that when they are gone.

use super::Case;
use crate::crowd::Counts;
use crate::proc::Usage;
use crate::report::{Figure, figure};
use crate::sys::now_ns;
use crate::trouble::Trouble;
use std::thread::sleep;

/// Opens all, waits until the server has settled, looks at its memory, and at its CPU over the idle time. With
/// `--twice` closes all and does it again.
///
/// # Errors
/// Connections that cannot be opened.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    let mut first = Run::of(case)?;
    let mut growth = Vec::new();
    if options.twice {
        // Sessions may outlive their connections.
        sleep(options.between);
        let closed = Usage::of(&case.server.pids)?;
        let second = Run::of(case)?;
        first.end.lost += second.end.lost;
        growth = first.growth(&closed, &second);
    }
    let mut figures = first.figures(f64::from(options.connections));
    figures.append(&mut growth);
    Ok(figures)
}

/// What one crowd came to.
#[derive(Debug, Default)]
struct Run {
    /// Whether the server's processes are known.
    measured: bool,
    /// From the first connection dialed to the last that was ready.
    raise_ns: u64,
    before: Usage,
    opened: Usage,
    held: Usage,
    idled: Usage,
    idle_ns: u64,
    /// What the load takes for all.
    load_bytes: f64,
    end: Counts,
}

impl Run {
    fn of(case: &Case<'_>) -> Result<Self, Trouble> {
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
        let (idled, idle_end) = (Usage::of(pids)?, now_ns());
        Ok(Self {
            measured: !pids.is_empty(),
            raise_ns: raised.ready_ns.saturating_sub(start).max(1),
            before,
            opened,
            held,
            idled,
            idle_ns: idle_end.saturating_sub(idle_start).max(1),
            load_bytes: load_held.pss as f64 - load_before.pss as f64,
            end: crowd.counts()?,
        })
    }

    fn figures(&self, n: f64) -> Vec<Figure> {
        let rate = n / (self.raise_ns as f64 / 1e9);
        let lost = self.end.lost as f64;
        let mut figures = vec![
            figure("connect_rate", rate, "a second, to ready"),
            figure("lost", lost, "connections that ended by themselves"),
            figure("failed", self.end.failed as f64, "attempts"),
        ];
        if self.measured {
            figures.extend(self.costs(n));
        }
        let own = self.load_bytes / n;
        figures.push(figure("load_bytes_per_conn", own, "of the load's PSS"));
        figures
    }

    fn costs(&self, n: f64) -> [Figure; 8] {
        let Self {
            before,
            opened,
            held,
            idled,
            ..
        } = self;
        let cpu = opened.cpu_ns.saturating_sub(before.cpu_ns) as f64;
        let idle = idled.cpu_ns.saturating_sub(held.cpu_ns) as f64 / self.idle_ns as f64;
        let wakes = idled.sleeps.saturating_sub(held.sleeps) as f64;
        let wakes = wakes / (self.idle_ns as f64 / 1e9);
        let growth = |to: u64, from: u64| (to as f64 - from as f64) / n;
        let descriptors = growth(held.descriptors, before.descriptors);
        [
            figure("cpu_per_connect", cpu / n / 1e3, "us"),
            figure("bytes_per_conn", growth(held.pss, before.pss), "of PSS"),
            figure("rss_per_conn", growth(held.rss, before.rss), "bytes"),
            figure("pss_held", held.pss as f64 / 1e6, "MB of the server"),
            figure("rss_before", before.rss as f64 / 1024.0, "KiB"),
            figure("idle_cpu", idle * 100.0, "% of a core"),
            figure("idle_wakeups", wakes, "a second"),
            figure("descriptors", descriptors, "a connection"),
        ]
    }

    /// What a second crowd, alike, found and added; `closed` is between the two.
    fn growth(&self, closed: &Usage, second: &Self) -> Vec<Figure> {
        if !self.measured {
            return Vec::new();
        }
        let (held, again) = (self.held.pss as f64, second.held.pss as f64);
        let kept = (closed.pss as f64 - self.before.pss as f64) / 1024.0;
        vec![
            figure("kept_after_close", kept, "KiB of PSS"),
            figure(
                "second_run_growth",
                (again / held.max(1.0) - 1.0) * 100.0,
                "% of PSS",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(pss: u64) -> Run {
        let usage = |pss| Usage {
            pss,
            ..Usage::default()
        };
        Run {
            measured: true,
            before: usage(1 << 20),
            held: usage(pss),
            ..Run::default()
        }
    }

    #[test]
    fn a_second_crowd_is_held_against_the_first() {
        let closed = held(3 << 20).held;
        let growth = held(100_000_000).growth(&closed, &held(102_000_000));
        let values: Vec<_> = growth.iter().map(|figure| figure.value.round()).collect();
        assert_eq!(values, [2048.0, 2.0]);
    }

    #[test]
    fn without_a_pid_there_is_no_cost() {
        let run = Run::default();
        assert_eq!(run.growth(&Usage::default(), &run), []);
        let names: Vec<_> = run.figures(1.0).iter().map(|figure| figure.name).collect();
        assert!(names.contains(&"lost") && !names.contains(&"bytes_per_conn"));
    }
}
