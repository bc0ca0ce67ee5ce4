//! The clocks: a monotonic one for deadlines, the wall's for the `Date` header and the log.

use crate::time::{Clock, Tick};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Measures from the process's start.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Microseconds since then.
    #[must_use]
    pub fn micros(self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }

    /// Now, by both clocks; the one since the start has just said `micros`.
    #[must_use]
    pub fn at(self, micros: u64) -> Clock {
        Clock {
            tick: tick(micros),
            unix_ms: unix_ms(),
        }
    }

    /// Now, by both clocks.
    #[must_use]
    pub fn clock(self) -> Clock {
        self.at(self.micros())
    }
}

/// What moment a reading is.
#[must_use]
pub fn tick(micros: u64) -> Tick {
    Tick(micros / 1000)
}

/// Milliseconds of the wall clock since 1970.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
