//! The same for hours: whether anything grows, and whether anything is ever lost.
//!
//! A tenth of the connections is cut off every --every and comes back, by its sessions where there are some. Messages
//! go to all of them all the time.

use super::delivery;
use super::fanout::published;
use super::growth::Seen;
use super::{Case, Crew, turnover};
use crate::crowd::Crowd;
use crate::part::Part;
use crate::proc::Usage;
use crate::publish::{self, Plan, Sent};
use crate::report::{Figure, figure};
use crate::trouble::Trouble;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{ScopedJoinHandle, scope, sleep};
use std::time::{Duration, Instant};

/// Opens all, publishes at --rate for --time, and tells of every --every.
///
/// # Errors
/// Connections that cannot be opened, or not again, or nowhere to publish to.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    if let Some(churn) = options.churn {
        return turnover::run(case, churn);
    }
    let mut soak = Soak::new(case)?;
    soak.steady.raise(options.ramp)?;
    soak.restless.raise(options.ramp)?;
    sleep(options.settle);
    soak.steady.begin(1)?;
    soak.restless.begin(1)?;
    let sent = soak.publish()?;
    let mut figures = soak.losses(sent)?;
    figures.extend(soak.growth());
    Ok(figures)
}

struct Soak<'a> {
    case: &'a Case<'a>,
    /// They stay.
    steady: Crowd,
    /// They are cut off now and then.
    restless: Crowd,
    start: Instant,
    cuts: u32,
    seen: Seen,
}

impl<'a> Soak<'a> {
    fn new(case: &'a Case<'a>) -> Result<Self, Trouble> {
        let total = case.options.connections;
        let crowd = |total| {
            case.crowd_for(&Crew {
                channel: &case.options.channel,
                part: Part::Reads,
                total,
                interval_s: 0,
                hold_s: 0,
            })
        };
        Ok(Self {
            case,
            steady: crowd(steady_of(total))?,
            restless: crowd(restless_of(total))?,
            start: Instant::now(),
            cuts: 0,
            seen: Seen::default(),
        })
    }

    /// Publishes to the end, and looks and cuts meanwhile.
    fn publish(&mut self) -> Result<Sent, Trouble> {
        let options = self.case.options;
        let plan = Plan {
            path: self.case.publish_path(),
            rate: options.rate,
            size: options.size,
            time: options.time,
            run: 1,
        };
        let to = self.case.internals()?;
        self.case.eye.phase("soaking");
        let expected = u64::from(options.connections) * u64::from(plan.total());
        self.case.eye.expect(expected);
        let over = AtomicBool::new(false);
        scope(|scope| {
            let sent = scope.spawn(|| publish::run(to, &plan, || !over.load(Ordering::Relaxed)));
            let watched = self.watch(&sent);
            // Whatever came of it, the publisher is to end.
            over.store(true, Ordering::Relaxed);
            let sent = sent.join();
            let sent = sent.unwrap_or_else(|_| Err(Trouble::Worker("publisher ended".into())));
            watched?;
            sent
        })
    }

    fn watch<T>(&mut self, publisher: &ScopedJoinHandle<'_, T>) -> Result<(), Trouble> {
        let options = self.case.options;
        self.start = Instant::now();
        // Until the publisher is connected too.
        sleep(STEP.min(options.every));
        self.look()?;
        loop {
            let next = self.start.elapsed() + options.every;
            while self.start.elapsed() < next {
                if publisher.is_finished() {
                    return Ok(());
                }
                sleep(STEP.min(next.saturating_sub(self.start.elapsed())));
            }
            self.look()?;
            let window = u32::try_from(options.window).unwrap_or(u32::MAX);
            self.restless.storm(window, options.anew, options.ramp)?;
            self.case.eye.phase("soaking");
            self.cuts += 1;
        }
    }

    fn look(&mut self) -> Result<(), Trouble> {
        let usage = Usage::of(&self.case.server.pids)?;
        let (steady, restless) = (self.steady.counts()?, self.restless.counts()?);
        let seconds = self.start.elapsed().as_secs();
        self.case.eye.say(&format!(
            "{seconds:>7} s  {:.2} MB  {} descriptors  {} arrived  {} lost",
            usage.pss as f64 / 1e6,
            usage.descriptors,
            steady.arrived + restless.arrived,
            steady.lost + restless.lost,
        ));
        self.seen.note(usage);
        Ok(())
    }

    /// What did not arrive as it should. Those who stay miss nothing; those who are cut off miss nothing that their
    /// sessions keep, and where there are none what they miss is told apart.
    fn losses(&mut self, sent: Sent) -> Result<Vec<Figure>, Trouble> {
        let options = self.case.options;
        let resumes = self.case.mode.resumes() && !options.anew && !self.case.floor;
        let messages = u64::from(sent.messages);
        let restless = u64::from(restless_of(options.connections)) * messages;
        let steady = u64::from(steady_of(options.connections)) * messages;
        self.steady.await_messages(steady, options.drain)?;
        if resumes {
            self.restless.await_messages(restless, options.drain)?;
        }
        let (mut tally, away) = (self.steady.report()?, self.restless.report()?);
        tally.add(&away);
        let mut figures = published(sent);
        figures.push(figure("cuts", f64::from(self.cuts), "of a tenth"));
        let expected = match resumes {
            true => steady + restless,
            false => {
                tally.arrived -= away.arrived;
                let missed = restless.saturating_sub(away.arrived);
                figures.push(figure("missed", missed as f64, "while away"));
                steady
            }
        };
        figures.extend(delivery::counts(expected, &tally));
        figures.extend(delivery::latency(&tally));
        let lost = self.steady.counts()?.lost + self.restless.counts()?.lost;
        let what = "connections that ended by themselves";
        figures.push(figure("lost", lost as f64, what));
        Ok(figures)
    }

    fn growth(&self) -> Vec<Figure> {
        if self.case.server.pids.is_empty() {
            return Vec::new();
        }
        self.seen.growth()
    }
}

fn restless_of(total: u32) -> u32 {
    (total / 10).max(1)
}

fn steady_of(total: u32) -> u32 {
    (total - restless_of(total)).max(1)
}

/// Between two looks whether it is over.
const STEP: Duration = Duration::from_millis(100);
