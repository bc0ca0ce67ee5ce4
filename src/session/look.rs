//! What lists of sessions say of one.
//!
//! In: a session, now. Out: numbers. It moves nothing.

use super::Session;
use crate::time::Tick;

impl Session {
    /// Milliseconds for which the downstream has been as it is, or missing; right up to 24 days.
    #[must_use]
    pub fn steady_ms(&self, now: Tick) -> u64 {
        now.since(self.since.near(now))
    }
}
