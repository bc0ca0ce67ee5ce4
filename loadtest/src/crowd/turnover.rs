//! Clients that leave and come.
//!
//! In: how many a second, how many messages there were. Out: who is behind, when all have left.

use super::{Crowd, LOOK};
use crate::engine::Pace;
use crate::trouble::Trouble;
use serde_json::json;
use std::thread::sleep;
use std::time::{Duration, Instant};

impl Crowd {
    /// From now on so many clients a second leave and come; at the rate 0 no more, and all are there when this is done.
    ///
    /// # Errors
    /// As [`Self::raise`].
    pub fn turn_over(&mut self, pace: Pace, most: Duration) -> Result<(), Trouble> {
        let rate = pace.rate / self.workers.len().max(1) as f64;
        for worker in &mut self.workers {
            worker.ask(&Pace { rate, ..pace }.to_json())?;
        }
        if rate == 0.0 {
            self.settle(most)?;
        }
        Ok(())
    }

    /// Waits until those who are there have so many messages, all but which they could not have got, or for `most`;
    /// how many are missing to the end of that.
    ///
    /// # Errors
    /// A process that ended.
    pub fn catch_up(&mut self, messages: u32, most: Duration) -> Result<u64, Trouble> {
        self.eye.phase("waiting for the last");
        let start = Instant::now();
        loop {
            let counts = self.tally(&json!({"do": "count", "messages": messages}))?;
            if counts.behind == 0 || start.elapsed() > most {
                return Ok(counts.behind);
            }
            sleep(LOOK);
        }
    }

    /// Everybody leaves, half of them by a goodbye, until which is answered this waits, or for `most`.
    ///
    /// # Errors
    /// A process that ended.
    pub fn leave(&mut self, most: Duration) -> Result<(), Trouble> {
        self.eye.phase("leaving");
        for worker in &mut self.workers {
            worker.ask(&json!({"do": "leave"}))?;
        }
        let start = Instant::now();
        while self.counts()?.leaving > 0 && start.elapsed() < most {
            sleep(LOOK);
        }
        Ok(())
    }
}
