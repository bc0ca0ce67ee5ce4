//! Connections that are closed and opened again.
//!
//! In: how many, some after the other or all at once. Out: closed sockets, and as many wishes for others.

use super::Engine;
use super::aside::{Acks, Sides};
use super::conn::Role;

impl Engine {
    /// Closes so many of the held connections, one after the other, and opens as many.
    pub fn churn(&mut self, total: u32) {
        self.churn = total;
    }

    /// Closes held connections as long as there is room to set others up.
    pub(super) fn reopen(&mut self) {
        while self.churn > 0
            && (self.counts.pending + self.counts.wanted) < self.setup.window as u32
            && self.counts.ready > 0
        {
            self.churn_at = (self.churn_at + 1) % self.conns.capacity().max(1);
            let conn = self.conns.get(self.churn_at);
            if conn.is_some_and(|conn| conn.peer.ready && conn.role == Role::Held) {
                let conn = self.conns.remove(self.churn_at);
                self.parked.push(conn.peer.anew());
                self.churn -= 1;
                self.counts.ready -= 1;
                self.counts.wanted += 1;
            }
        }
    }

    /// Closes everything at once, to open it again with so many being set up at once: `anew`, or where a session has
    /// a key, by that.
    pub fn cut(&mut self, window: usize, anew: bool) {
        self.setup.window = window;
        // What is said beside a connection goes over others, which a cut does not spare.
        self.sides = Sides::default();
        self.acks = Acks::default();
        self.turnover.leaving = 0;
        let calls = self.setup.part.calls();
        for (_, conn) in std::mem::take(&mut self.conns) {
            if conn.role != Role::Held {
                continue;
            }
            self.parked.push(match anew {
                true => conn.peer.anew(),
                false => conn.peer.cut(calls),
            });
        }
        self.seats.fill(None);
        self.counts.wanted += self.counts.ready + self.counts.pending;
        (self.counts.ready, self.counts.pending) = (0, 0);
    }
}
