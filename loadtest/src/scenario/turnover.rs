//! Clients leave and come all the time while messages go on, and at the end everybody leaves: what grew, what was
//! missed by those who were there, and what is left of all of them.

use super::delivery;
use super::fanout::published;
use super::growth::Seen;
use super::tables::Tables;
use super::{Case, Crew};
use crate::crowd::Crowd;
use crate::engine::Pace;
use crate::part::Part;
use crate::proc::Usage;
use crate::publish::{self, Plan, Sent};
use crate::report::{Figure, figure};
use crate::trouble::Trouble;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{ScopedJoinHandle, scope, sleep};
use std::time::{Duration, Instant};

/// Opens all, publishes at --rate, cuts off once everybody who has a session, and lets `churn` sessions a second leave for --time. Looks
/// at the end of the first --every, of each after it, and of all. Then nobody stays.
///
/// # Errors
/// Connections that cannot be opened, or not again, or nowhere to publish to.
pub fn run(case: &Case<'_>, churn: f64) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    let mut turnover = Turnover {
        case,
        crowd: case.held(case.crowd_for(&Crew {
            channel: &options.channel,
            part: Part::Reads,
            total: options.connections,
            interval_s: 0,
            hold_s: options.hold_s,
        })?)?,
        pace: Pace {
            rate: churn,
            period_ns: (1e9 / options.rate) as u64,
        },
        seen: Seen::default(),
        sessions: Vec::new(),
    };
    turnover.crowd.begin(1)?;
    let (sent, took) = turnover.publish()?;
    let missing = turnover.crowd.catch_up(sent.messages, options.drain)?;
    let mut figures = published(sent);
    figures.extend(turnover.turned(took)?);
    figures.extend(turnover.losses(missing)?);
    figures.extend(turnover.growth());
    figures.extend(turnover.left()?);
    Ok(figures)
}

struct Turnover<'a> {
    case: &'a Case<'a>,
    crowd: Crowd,
    pace: Pace,
    seen: Seen,
    /// How many the server had at each look, those with it that nobody comes back to.
    sessions: Vec<u64>,
}

impl Turnover<'_> {
    /// Publishes until all is over, with clients that leave and come for --time; how long that was.
    fn publish(&mut self) -> Result<(Sent, Duration), Trouble> {
        let options = self.case.options;
        let plan = Plan {
            path: self.case.publish_path(),
            rate: options.rate,
            size: options.size,
            // It is told when to end: when everybody is back.
            time: options.time + options.ramp * 2,
            run: 1,
        };
        let (to, over) = (self.case.internals()?, AtomicBool::new(false));
        scope(|scope| {
            let sent = scope.spawn(|| publish::run(to, &plan, || !over.load(Ordering::Relaxed)));
            let took = self.turn_over(&sent);
            // Whatever came of it, the publisher is to end.
            over.store(true, Ordering::Relaxed);
            let sent = sent.join();
            let sent = sent.unwrap_or_else(|_| Err(Trouble::Worker("publisher ended".into())));
            let took = took?;
            Ok((sent?, took))
        })
    }

    fn turn_over<T>(&mut self, publisher: &ScopedJoinHandle<'_, T>) -> Result<Duration, Trouble> {
        let options = self.case.options;
        // What comes later is told from what came before by a message that has come.
        self.crowd.await_messages(1, options.ramp)?;
        if self.case.mode.resumes() && !self.case.floor {
            // What an allocator keeps of the worst moment it keeps from here on: a machine that stalls for a moment later,
            // as shared ones do, asks for no more.
            self.crowd.storm(options.connections, false, options.ramp)?;
        }
        self.crowd.turn_over(self.pace, options.ramp)?;
        self.case.eye.phase("soaking");
        let (start, mut next) = (Instant::now(), options.every);
        loop {
            let until = next.min(options.time);
            while start.elapsed() < until && !publisher.is_finished() {
                sleep(STEP.min(until.saturating_sub(start.elapsed())));
            }
            self.look(start.elapsed())?;
            if until == options.time || publisher.is_finished() {
                break;
            }
            next += options.every;
        }
        let took = start.elapsed();
        let rest = Pace {
            rate: 0.0,
            ..self.pace
        };
        self.crowd.turn_over(rest, options.ramp)?;
        // Some messages that nobody may miss.
        sleep(options.settle);
        Ok(took)
    }

    fn look(&mut self, after: Duration) -> Result<(), Trouble> {
        let usage = Usage::of(&self.case.server.pids)?;
        let tables = tables(self.case, Tables::of)?;
        let counts = self.crowd.counts()?;
        self.case.eye.say(&format!(
            "{:>7} s  {:.3} MB  {} sessions  {} descriptors  {} arrived  {} lost",
            after.as_secs(),
            usage.pss as f64 / 1e6,
            tables.unwrap_or_default().sessions,
            usage.descriptors,
            counts.arrived,
            counts.lost,
        ));
        self.seen.note(usage);
        self.sessions.extend(tables.map(|tables| tables.sessions));
        Ok(())
    }

    fn turned(&mut self, took: Duration) -> Result<[Figure; 6], Trouble> {
        let counts = self.crowd.counts()?;
        let turned = counts.turned;
        let left = f64::from(turned.goodbyes) + f64::from(turned.deserted);
        let rate = left / took.as_secs_f64().max(1e-9);
        Ok([
            figure("churn", rate, "sessions left and begun, a second"),
            figure("goodbyes", f64::from(turned.goodbyes), "sessions"),
            figure("deserted", f64::from(turned.deserted), "sessions"),
            figure("resumed", f64::from(turned.resumed), "connections cut off"),
            figure("over", counts.over as f64, "sessions not resumed"),
            figure("failed", counts.failed as f64, "attempts"),
        ])
    }

    /// What those who were there did not get: from when each came until it left.
    fn losses(&mut self, behind: u64) -> Result<Vec<Figure>, Trouble> {
        let tally = self.crowd.report()?;
        let missing = (tally.skipped + behind) as f64;
        let mut figures = vec![
            figure("arrived", tally.arrived as f64, "deliveries"),
            figure("missing", missing, ""),
            figure("repeated", tally.repeated as f64, ""),
            figure("reordered", tally.reordered as f64, ""),
        ];
        figures.extend(delivery::latency(&tally));
        figures.push(delivery::lost(&mut self.crowd)?);
        Ok(figures)
    }

    fn growth(&self) -> Vec<Figure> {
        let names = [
            ("sessions_first", self.sessions.first()),
            ("sessions_last", self.sessions.last()),
        ];
        let looks = names.into_iter().filter_map(|(name, count)| {
            let what = "of the server, with those that nobody comes back to";
            count.map(|count| figure(name, *count as f64, what))
        });
        let mut figures: Vec<_> = looks.collect();
        if !self.case.server.pids.is_empty() {
            figures.extend(self.seen.growth());
        }
        figures
    }

    /// Everybody leaves, and what nobody comes back to times out.
    fn left(mut self) -> Result<Vec<Figure>, Trouble> {
        self.crowd.leave(self.case.options.drain)?;
        let Self { case, crowd, .. } = self;
        drop(crowd);
        let start = Instant::now();
        case.eye.phase("waiting until nothing is left");
        let tables = tables(case, |internal| Tables::emptied(internal, LEFT_MAX))?;
        let Some(tables) = tables else {
            return Ok(Vec::new());
        };
        let mut figures = tables.figures().to_vec();
        let waited = start.elapsed().as_secs_f64();
        figures.push(figure("emptied_after", waited, "s"));
        if !case.server.pids.is_empty() {
            let pss = Usage::of(&case.server.pids)?.pss;
            figures.push(figure("pss_left", pss as f64 / 1e6, "MB of the server"));
        }
        Ok(figures)
    }
}

/// The floor has none.
fn tables(
    case: &Case<'_>,
    look: impl FnOnce(SocketAddr) -> Result<Option<Tables>, Trouble>,
) -> Result<Option<Tables>, Trouble> {
    match case.floor {
        true => Ok(None),
        false => look(case.internal()?),
    }
}

/// Until a publisher that ended too soon is noticed.
const STEP: Duration = Duration::from_millis(100);
/// Longest until nothing is left: a session that nobody comes back to lives for a minute, unless it is told otherwise.
const LEFT_MAX: Duration = Duration::from_secs(120);
