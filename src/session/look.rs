//! What lists of sessions say of one.
//!
//! In: a session, now. Out: numbers. It moves nothing.

use super::{Carriage, Session};
use crate::mem::Publication;
use crate::metrics::Kind;
use crate::time::Tick;
use std::rc::Rc;

impl Session {
    /// What is, in whole or in part, still to be written on this downstream.
    pub fn unsent(&self) -> impl Iterator<Item = &Rc<Publication>> {
        let left = self.backlog.iter_from(usize::from(self.sent));
        left.filter_map(|msg| msg.source())
    }

    /// What was put on the backlog last, where that is a publication's.
    #[must_use]
    pub fn newest(&self) -> Option<&Rc<Publication>> {
        let last = self.backlog.len().checked_sub(1)?;
        self.backlog.iter_from(last).next()?.source()
    }

    /// How the session reaches its client.
    #[must_use]
    pub fn carriage(&self) -> Carriage {
        self.carriage
    }

    /// Milliseconds for which the downstream has been as it is, or missing; right up to 24 days.
    #[must_use]
    pub fn steady_ms(&self, now: Tick) -> u64 {
        now.since(self.since.near(now))
    }

    /// How the client is reached, or was last, in one word: who carries it (none for what is bare), and on what. Of a session
    /// that nothing has carried yet the first half, or `none`.
    #[must_use]
    pub fn transport(&self) -> String {
        let by = match (self.carriage, self.service) {
            (Carriage::Csp, _) => "csp",
            (Carriage::Bayeux, _) => "bayeux",
            (Carriage::Bare | Carriage::Callback, kind) if kind.is_stomp() => "stomp",
            (Carriage::Bare | Carriage::Callback, _) => "",
        };
        match (by, self.last) {
            ("", kind) => kind.word().to_owned(),
            (by, Kind::None | Kind::Tcp) => by.to_owned(),
            (by, kind) => format!("{by}-{}", kind.word()),
        }
    }
}
