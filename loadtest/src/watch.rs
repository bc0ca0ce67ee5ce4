//! Looks on while a run goes on: a thread of its own, so that no scenario has to think of it.
//!
//! In: what the crowd counts, and the server's pids. Out: a line on the terminal, if standard error is one, and what
//! was seen. It takes no part in the run: a look costs the server nothing.

use crate::crowd::Counts;
use crate::curve::Curve;
use crate::proc::Glance;
use crate::progress::{Progress, over};
use crate::samples::Samples;
use hdrhistogram::Histogram;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The thread; it ends with this.
#[derive(Debug)]
pub struct Watch {
    eye: Eye,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Samples>>,
}

/// What was seen of a run.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Of the server's processes.
    pub samples: Samples,
    /// When which phase began, in milliseconds from the start.
    pub phases: Vec<(u64, &'static str)>,
    /// Of the messages.
    pub latency: Curve,
}

/// Where those who take part say how far they are.
#[derive(Debug, Clone)]
pub struct Eye(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Somebody reads the line.
    shown: bool,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    progress: Progress,
    phases: Vec<(u64, &'static str)>,
    latency: Curve,
    /// When the counts came last.
    counted: Instant,
}

impl Watch {
    /// Begins to look at a run called `label`, of so many connections to the server of these processes.
    #[must_use]
    pub fn start(label: String, wanted: u32, pids: &[u32]) -> Self {
        let progress = Progress {
            label,
            phase: "starting",
            wanted: wanted.into(),
            ..Progress::default()
        };
        let now = Instant::now();
        let eye = Eye(Arc::new(Shared {
            shown: io::stderr().is_terminal(),
            start: now,
            state: Mutex::new(State {
                progress,
                phases: Vec::new(),
                latency: Curve::default(),
                counted: now,
            }),
        }));
        let (stop, stopped) = mpsc::channel();
        let (shared, pids) = (eye.clone(), pids.to_vec());
        Self {
            eye,
            stop: Some(stop),
            thread: Some(thread::spawn(move || look_on(&shared, &pids, &stopped))),
        }
    }

    /// What is given to those who take part.
    #[must_use]
    pub fn eye(&self) -> Eye {
        self.eye.clone()
    }

    /// Looks no longer, and says what was seen.
    #[must_use]
    pub fn end(mut self) -> Seen {
        let samples = self.join();
        let state = self.eye.state();
        Seen {
            samples,
            phases: state.phases.clone(),
            latency: state.latency.clone(),
        }
    }

    fn join(&mut self) -> Samples {
        drop(self.stop.take());
        let samples = self.thread.take().map(JoinHandle::join);
        samples.and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.join();
    }
}

impl Eye {
    /// What is being done now.
    pub fn phase(&self, phase: &'static str) {
        let at_ms = self.elapsed_ms();
        let mut state = self.state();
        state.progress.phase = phase;
        // Who goes round and round fills no memory with it.
        if state.phases.len() < PHASES_MAX {
            state.phases.push((at_ms, phase));
        }
    }

    /// So long did messages take; the last counts.
    pub fn latency(&self, latency_us: &Histogram<u64>) {
        self.state().latency = Curve::of(latency_us);
    }

    /// So many messages should arrive.
    pub fn expect(&self, messages: u64) {
        self.state().progress.expected = messages;
    }

    /// The crowd stands like this.
    pub fn counts(&self, counts: &Counts) {
        let mut state = self.state();
        state.counted = Instant::now();
        state.progress.ready = counts.ready;
        state.progress.arrived = counts.arrived;
    }

    /// Says something that is to stay, above the line.
    pub fn say(&self, text: &str) {
        match self.0.shown {
            true => write(&format!("{}\n", over(text))),
            false => write(&format!("{text}\n")),
        }
    }

    /// Whether it is worth asking the load processes for counts that nobody else needs.
    #[must_use]
    pub fn wants_counts(&self) -> bool {
        self.0.shown && self.state().counted.elapsed() >= LOOK
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> String {
        let mut progress = self.state().progress.clone();
        progress.elapsed = self.0.start.elapsed();
        over(&progress.to_string())
    }
}

fn look_on(eye: &Eye, pids: &[u32], stopped: &Receiver<()>) -> Samples {
    let mut samples = Samples::default();
    // The first says only how much had been used before.
    if let Some(glance) = look(pids) {
        samples.note(eye.elapsed_ms(), &glance);
    }
    while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        if let Some(glance) = look(pids) {
            samples.note(eye.elapsed_ms(), &glance);
        }
        if eye.0.shown {
            write(&eye.line());
        }
    }
    if eye.0.shown {
        write(&over(""));
    }
    samples
}

/// A server that is gone is found out by those who talk to it.
fn look(pids: &[u32]) -> Option<Glance> {
    (!pids.is_empty()).then(|| Glance::of(pids).ok())?
}

/// A terminal that is gone is no reason to end a run.
fn write(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Phases that are remembered.
const PHASES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_the_eye_is_on_the_line() {
        let watch = Watch::start("hold ws".into(), 9, &[]);
        let eye = watch.eye();
        eye.phase("opening");
        eye.expect(20);
        eye.counts(&Counts {
            ready: 3,
            arrived: 4,
            ..Counts::default()
        });
        assert!(
            eye.line()
                .contains("hold ws: opening, 3/9 ready, 4/20 arrived")
        );
        let seen = watch.end();
        assert_eq!(seen.phases.len(), 1);
        assert_eq!(seen.samples, Samples::default());
    }
}
