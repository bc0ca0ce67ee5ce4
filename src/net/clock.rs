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

    /// Now, by both clocks.
    #[must_use]
    pub fn clock(self) -> Clock {
        Clock {
            tick: Tick(self.0.elapsed().as_millis() as u64),
            unix_ms: unix_ms(),
        }
    }
}

/// Milliseconds of the wall clock since 1970.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
