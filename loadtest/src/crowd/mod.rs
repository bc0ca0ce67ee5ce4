//! The load processes of a run, as one crowd of clients.
//!
//! In: a setup and how many. Out: counts and tallies, summed. Every process is stopped by its pid when the crowd
//! is dropped.

mod turnover;

use crate::beats::Beats;
use crate::engine::{Loop, Setup, Talk, Turned};
use crate::flights::Flights;
use crate::sys;
use crate::tally::Tally;
use crate::trouble::Trouble;
use crate::watch::Eye;
use crate::worker::setup_to_json;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The processes.
#[derive(Debug)]
pub struct Crowd {
    workers: Vec<Worker>,
    eye: Eye,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    /// Its end ends the process.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    share: u32,
}

/// Sums over the processes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Connections that hold what they should.
    pub ready: u64,
    /// Setups that are under way or left.
    pub unfinished: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Connections that ended by themselves after they were ready.
    pub lost: u64,
    /// Connections that do not read, or did not.
    pub deaf: u64,
    /// Those of them that ended by themselves.
    pub shed: u64,
    /// Sessions that were to be resumed and were no more.
    pub over: u64,
    /// Clients that left and came.
    pub turned: Turned,
    /// Clients that said goodbye to a server that has not ended their connections.
    pub leaving: u64,
    /// Messages that those who are there have not got, of those asked for.
    pub behind: u64,
    /// When the last became ready, by `sys::now_ns`.
    pub ready_ns: u64,
    /// Messages that arrived in the run.
    pub arrived: u64,
    /// Closed loops that are not over.
    pub loops: u64,
    /// Publications of those that the server did not take.
    pub refused: u64,
    /// Messages that clients sent.
    pub said: u64,
    /// Messages whose client was not there.
    pub mute: u64,
    /// Longest that a client sent behind its time, microseconds: lateness of the load, not the server's.
    pub said_late_us: u64,
}

impl Crowd {
    /// Starts as many processes as `total` connections need, `share` each; nothing is dialed yet.
    ///
    /// # Errors
    /// A process that does not start.
    pub fn start(
        setup: Setup,
        total: u32,
        share: u32,
        pin: bool,
        eye: Eye,
    ) -> Result<Self, Trouble> {
        let mut setup = setup;
        let count = total.div_ceil(share.max(1)).max(1);
        let (mut workers, mut first) = (Vec::new(), 0);
        for n in 0..count {
            setup.worker = u8::try_from(n).map_err(|_| Trouble::Usage("too many".into()))?;
            // Shares differ by at most one.
            let share = total / count + u32::from(n < total % count);
            (setup.first, setup.share) = (first, share);
            first += share;
            let worker = Worker::start(&setup)?;
            if pin && !sys::pin(worker.child.id(), 1) {
                return Err(Trouble::Worker("cannot be bound to processor 1".into()));
            }
            workers.push(worker);
        }
        Ok(Self { workers, eye })
    }

    /// The pids of the processes.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.workers
            .iter()
            .map(|worker| worker.child.id())
            .collect()
    }

    /// Opens all connections and waits until they are ready.
    ///
    /// # Errors
    /// Too many attempts fail, or it takes longer than `most`.
    pub fn raise(&mut self, most: Duration) -> Result<Counts, Trouble> {
        self.eye.phase("opening");
        for worker in &mut self.workers {
            let count = worker.share;
            worker.ask(&json!({"do": "raise", "count": count}))?;
        }
        self.settle(most)
    }

    /// Closes and opens `total` connections and waits until all are ready again.
    ///
    /// # Errors
    /// As [`Self::raise`].
    pub fn churn(&mut self, total: u32, most: Duration) -> Result<Counts, Trouble> {
        self.eye.phase("reopening");
        let workers = u32::try_from(self.workers.len()).unwrap_or(1);
        for (n, worker) in self.workers.iter_mut().enumerate() {
            let count = total / workers + u32::from((n as u32) < total % workers);
            worker.ask(&json!({"do": "churn", "count": count}))?;
        }
        self.settle(most)
    }

    /// Cuts every connection at once and waits until all are ready again, `window` being set up at once.
    ///
    /// # Errors
    /// As [`Self::raise`].
    pub fn storm(&mut self, window: u32, anew: bool, most: Duration) -> Result<Counts, Trouble> {
        self.eye.phase("storm");
        let window = window.div_ceil(u32::try_from(self.workers.len()).unwrap_or(1).max(1));
        let order = json!({"do": "cut", "window": window, "anew": u8::from(anew)});
        for worker in &mut self.workers {
            worker.ask(&order)?;
        }
        self.settle(most)
    }

    fn settle(&mut self, most: Duration) -> Result<Counts, Trouble> {
        let start = Instant::now();
        let (mut progress, mut progressed) = (Counts::default(), Instant::now());
        loop {
            let counts = self.counts()?;
            if counts != progress {
                (progress, progressed) = (counts, Instant::now());
            }
            if counts.unfinished == 0 {
                self.eye.phase("resting");
                let all: u64 = self.workers.iter().map(|w| u64::from(w.share)).sum();
                return match counts.ready + counts.lost >= all {
                    true => Ok(counts),
                    false => Err(Trouble::Server(format!("refuses connections: {counts:?}"))),
                };
            }
            if start.elapsed() > most || progressed.elapsed() > STALL_MAX {
                let after = start.elapsed();
                let text = format!("connections are not ready after {after:.0?}: {counts:?}");
                return Err(Trouble::Server(text));
            }
            sleep(LOOK);
        }
    }

    /// Counts from zero, and only marks of this run.
    ///
    /// # Errors
    /// A process that ended.
    pub fn begin(&mut self, run: u16) -> Result<(), Trouble> {
        for worker in &mut self.workers {
            worker.ask(&json!({"do": "begin", "run": run}))?;
        }
        Ok(())
    }

    /// Listens for heartbeats from now on.
    ///
    /// # Errors
    /// A process that ended.
    pub fn listen(&mut self, heartbeat: Duration) -> Result<(), Trouble> {
        let interval_ms = heartbeat.as_millis() as u64;
        for worker in &mut self.workers {
            worker.ask(&json!({"do": "listen", "interval_ms": interval_ms}))?;
        }
        Ok(())
    }

    /// The heartbeats since.
    ///
    /// # Errors
    /// A process that ended, or did not listen.
    pub fn beats(&mut self) -> Result<Beats, Trouble> {
        let mut sum = Beats::new(0);
        for worker in &mut self.workers {
            let answer = worker.ask(&json!({"do": "report"}))?;
            let beats = answer.get("beats").and_then(Beats::from_json);
            sum.add(&beats.ok_or_else(|| Trouble::Worker("heard nothing".into()))?);
        }
        Ok(sum)
    }

    /// This share of the clients stops reading.
    ///
    /// # Errors
    /// A process that ended.
    pub fn deafen(&mut self, share: f64) -> Result<Counts, Trouble> {
        for worker in &mut self.workers {
            worker.ask(&json!({"do": "deafen", "share": share}))?;
        }
        self.counts()
    }

    /// They read again, until all of them have found that they were closed, or for `quiet` none more has.
    ///
    /// # Errors
    /// A process that ended.
    pub fn undeafen(&mut self, quiet: Duration) -> Result<Counts, Trouble> {
        self.eye.phase("looking who is left");
        for worker in &mut self.workers {
            worker.ask(&json!({"do": "undeafen"}))?;
        }
        let (mut shed, mut progressed) = (0, Instant::now());
        loop {
            let counts = self.counts()?;
            if counts.shed > shed {
                (shed, progressed) = (counts.shed, Instant::now());
            }
            if counts.shed >= counts.deaf || progressed.elapsed() > quiet {
                return Ok(counts);
            }
            sleep(LOOK);
        }
    }

    /// Where all stand.
    ///
    /// # Errors
    /// A process that ended.
    pub fn counts(&mut self) -> Result<Counts, Trouble> {
        self.tally(&json!({"do": "count"}))
    }

    fn tally(&mut self, order: &Value) -> Result<Counts, Trouble> {
        let mut sum = Counts::default();
        for worker in &mut self.workers {
            sum.add(&worker.ask(order)?);
        }
        self.eye.counts(&sum);
        Ok(sum)
    }

    /// Waits until so many messages have arrived, or for `most`.
    ///
    /// # Errors
    /// A process that ended.
    pub fn await_messages(&mut self, expected: u64, most: Duration) -> Result<(), Trouble> {
        self.eye.phase("waiting for the last");
        self.eye.expect(expected);
        let start = Instant::now();
        while self.counts()?.arrived < expected && start.elapsed() < most {
            sleep(LOOK);
        }
        Ok(())
    }

    /// Runs a closed loop to its end, or for `most`; `between` is called now and then. Every process would run its
    /// own, so there is to be one.
    ///
    /// # Errors
    /// A process that ended.
    pub fn closed_loop(
        &mut self,
        wish: &Loop,
        most: Duration,
        mut between: impl FnMut(),
    ) -> Result<Counts, Trouble> {
        for worker in &mut self.workers {
            worker.ask(&wish.to_json())?;
        }
        let start = Instant::now();
        loop {
            let counts = self.counts()?;
            if counts.loops == 0 || start.elapsed() > most {
                return Ok(counts);
            }
            between();
            sleep(LOOK);
        }
    }

    /// Lets clients send until all is said, or for `most`; `between` is called now and then.
    ///
    /// # Errors
    /// A process that ended.
    pub fn talk(
        &mut self,
        talk: &Talk,
        most: Duration,
        mut between: impl FnMut(),
    ) -> Result<Counts, Trouble> {
        for worker in &mut self.workers {
            worker.ask(&talk.to_json())?;
        }
        let start = Instant::now();
        loop {
            let counts = self.counts()?;
            if counts.said + counts.mute >= u64::from(talk.messages) || start.elapsed() > most {
                return Ok(counts);
            }
            between();
            sleep(LOOK);
        }
    }

    /// The publications of the closed loop that ran.
    ///
    /// # Errors
    /// A process that ended, or ran none.
    pub fn flights(&mut self) -> Result<Flights, Trouble> {
        let worker = self.workers.first_mut();
        let worker = worker.ok_or_else(|| Trouble::Worker("none".into()))?;
        let answer = worker.ask(&json!({"do": "report"}))?;
        let flights = answer.get("flights").and_then(Flights::from_json);
        flights.ok_or_else(|| Trouble::Worker("no closed loop".into()))
    }

    /// What arrived.
    ///
    /// # Errors
    /// A process that ended, or answers nonsense.
    pub fn report(&mut self) -> Result<Tally, Trouble> {
        let mut sum = Tally::default();
        for worker in &mut self.workers {
            let answer = worker.ask(&json!({"do": "report"}))?;
            let tally = answer.get("tally").and_then(Tally::from_json);
            sum.add(&tally.ok_or_else(|| Trouble::Worker("no tally".into()))?);
        }
        self.eye.latency(&sum.latency_us);
        Ok(sum)
    }
}

impl Drop for Crowd {
    /// The server sees all of them go at once.
    fn drop(&mut self) {
        self.eye.phase("closing");
    }
}

impl Counts {
    fn add(&mut self, answer: &Value) {
        let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
        self.ready += number("ready");
        self.unfinished += number("pending") + number("wanted");
        self.failed += number("failed");
        self.lost += number("lost");
        self.over += number("over");
        self.turned.goodbyes += number("goodbyes") as u32;
        self.turned.deserted += number("deserted") as u32;
        self.turned.resumed += number("resumed") as u32;
        self.leaving += number("leaving");
        self.behind += number("behind");
        self.deaf += number("deaf");
        self.shed += number("shed");
        self.arrived += number("arrived");
        self.loops += number("loops");
        self.refused += number("refused");
        self.said += number("said");
        self.mute += number("mute");
        self.said_late_us = self.said_late_us.max(number("said_late_us"));
        self.ready_ns = self.ready_ns.max(number("ready_ns"));
    }
}

impl Worker {
    fn start(setup: &Setup) -> Result<Self, Trouble> {
        let program = std::env::current_exe().map_err(Trouble::io("own path"))?;
        let mut child = Command::new(program)
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Trouble::io("starting a load process"))?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take());
        let answers = answers.ok_or_else(|| Trouble::Worker("no pipe".into()))?;
        let mut worker = Self {
            child,
            orders,
            answers: BufReader::new(answers),
            share: setup.share,
        };
        worker.tell(&setup_to_json(setup))?;
        Ok(worker)
    }

    fn tell(&mut self, order: &Value) -> Result<(), Trouble> {
        let Some(orders) = &mut self.orders else {
            return Err(Trouble::Worker("has ended".into()));
        };
        writeln!(orders, "{order}").map_err(Trouble::io("load process"))
    }

    fn ask(&mut self, order: &Value) -> Result<Value, Trouble> {
        self.tell(order)?;
        let mut line = String::new();
        self.answers
            .read_line(&mut line)
            .map_err(Trouble::io("load process"))?;
        serde_json::from_str(&line).map_err(|_| Trouble::Worker("ended".into()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.orders.take());
        end(&mut self.child);
    }
}

/// Waits a while for a process to end by itself, then makes it.
pub fn end(child: &mut Child) {
    let start = Instant::now();
    while start.elapsed() < END_WAIT {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        sleep(Duration::from_millis(5));
    }
    // It may have ended in between; either way it is gone after.
    let _ = child.kill();
    let _ = child.wait();
}

/// Between two looks at the counts.
const LOOK: Duration = Duration::from_millis(20);
/// Longest that no connection gets any further.
const STALL_MAX: Duration = Duration::from_secs(15);
const END_WAIT: Duration = Duration::from_secs(5);
