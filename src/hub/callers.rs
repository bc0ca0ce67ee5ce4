//! Names that connections of the application gave themselves, each of one that lives.
//!
//! In: a connection's session and its name, its end. Out: whether the name is its own.

use super::Hub;
use crate::ids::SessionId;

/// Who has which name; of the application's connections there are few.
pub type Callers = Vec<(Box<str>, SessionId)>;

impl Hub {
    /// Gives `session` a name; false where another one has it.
    pub fn call(&mut self, session: SessionId, name: &str) -> bool {
        let free = self.callers.iter().all(|(its, _)| **its != *name);
        if free {
            self.callers.push((name.into(), session));
        }
        free
    }

    /// The session is over, and its name is free.
    pub fn uncall(&mut self, session: SessionId) {
        self.callers.retain(|(_, its)| *its != session);
    }
}
