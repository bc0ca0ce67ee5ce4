//! What must always hold in a session; asked by the node's own check, for tests and the simulation.
//!
//! In: a session. Out: whether its counts are those of its backlog. It moves nothing.

use super::{Session, cost};

impl Session {
    /// Whether what it counts is what it holds, and nothing was written on this downstream only in name.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let queued: usize = self.backlog.iter_from(0).map(|msg| cost(msg)).sum();
        let (sent, tried) = (usize::from(self.sent), usize::from(self.tried));
        self.has_true_window()
            && queued == self.queued()
            && sent <= tried
            && tried <= self.packets()
    }
}
