//! What lists of sessions say of one.
//!
//! In: a session, now. Out: words and numbers. It moves nothing.

use super::{ServiceKind, Session};
use crate::time::Tick;

impl Session {
    /// Milliseconds for which the downstream has been as it is, or missing; right up to 24 days.
    #[must_use]
    pub fn steady_ms(&self, now: Tick) -> u64 {
        now.since(self.since.near(now))
    }
}

impl ServiceKind {
    /// Whether its beginning is no news to the application: its own sessions, and those of one answer.
    #[must_use]
    pub fn is_silent(self) -> bool {
        matches!(self, Self::Feed | Self::Callback | Self::Poll)
    }

    /// Its name in lists and events.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Revolved => "revolved",
            Self::Events | Self::Objects | Self::Poll => "events",
            Self::Feed => "feed",
            Self::Bayeux => "bayeux",
            Self::Orbit => "orbit",
            Self::Callback => "callback",
        }
    }
}
