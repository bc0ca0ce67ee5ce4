//! Looks on while a run goes on: a thread of its own, so that no scenario has to think of it.
//!
//! In: what the crowd counts. Out: a line on the terminal, if standard error is one. It takes no part in the run: a
//! look costs the server nothing.

use crate::crowd::Counts;
use crate::progress::{Progress, over};
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
    thread: Option<JoinHandle<()>>,
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
    /// When the counts came last.
    counted: Instant,
}

impl Watch {
    /// Begins to look at a run called `label` of so many connections.
    #[must_use]
    pub fn start(label: String, wanted: u32) -> Self {
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
                counted: now,
            }),
        }));
        let (stop, stopped) = mpsc::channel();
        let shared = eye.clone();
        Self {
            eye,
            stop: Some(stop),
            thread: Some(thread::spawn(move || look_on(&shared, &stopped))),
        }
    }

    /// What is given to those who take part.
    #[must_use]
    pub fn eye(&self) -> Eye {
        self.eye.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Eye {
    /// What is being done now.
    pub fn phase(&self, phase: &'static str) {
        self.state().progress.phase = phase;
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

    /// Whether it is worth asking the load processes for counts that nobody else needs.
    #[must_use]
    pub fn wants_counts(&self) -> bool {
        self.0.shown && self.state().counted.elapsed() >= LOOK
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

fn look_on(eye: &Eye, stopped: &Receiver<()>) {
    // Nobody reads it: nothing to do but to wait for the end.
    while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        if eye.0.shown {
            write(&eye.line());
        }
    }
    if eye.0.shown {
        write(&over(""));
    }
}

/// A terminal that is gone is no reason to end a run.
fn write(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_the_eye_is_on_the_line() {
        let watch = Watch::start("hold ws".into(), 9);
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
    }
}
