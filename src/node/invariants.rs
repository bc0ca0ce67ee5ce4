//! What must always hold between the tables; checked by tests and by the simulation after every step.

use super::Node;
use super::conn::{Stage, WriteSide};
use crate::ids::SessionId;
use crate::metrics::Kind;
use crate::session::{Carriage, Due, Session};

impl Node {
    /// The first thing that does not hold, if any.
    ///
    /// # Errors
    /// A sentence naming it.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_conns()?;
        self.check_sessions()?;
        self.check_questions()?;
        if !self.hub.is_consistent() {
            return Err("the hub's lists do not agree with their counts".into());
        }
        if self.hub.promised() > self.cmds.len() {
            let promised = self.hub.promised();
            return Err(format!("{promised} promises for fewer publications"));
        }
        if self.profiles.uses() != self.sessions.len() {
            return Err(format!(
                "{} settings in use by {} sessions",
                self.profiles.uses(),
                self.sessions.len()
            ));
        }
        Ok(())
    }

    fn check_conns(&self) -> Result<(), String> {
        for (id, conn) in self.conns.iter() {
            let listed = self.dirty.iter().filter(|dirty| **dirty == id).count();
            let dirty = conn.write == WriteSide::Dirty;
            if listed != usize::from(dirty) && conn.stage != Stage::Dead {
                return Err(format!(
                    "conn {id} is {:?} and {listed} times in the dirty list",
                    conn.write
                ));
            }
            let carries = matches!(conn.stage, Stage::Held | Stage::Streaming | Stage::Raw);
            if carries && conn.session.is_none() {
                return Err(format!("conn {id} is {:?} for no session", conn.stage));
            }
            let timed = self.conn_timers.is_armed(id.index());
            let by_session = carries
                || matches!(conn.stage, Stage::Waiting | Stage::Dead)
                || (matches!(conn.stage, Stage::Socket | Stage::Raw) && conn.session.is_some());
            let blocked = conn.write == WriteSide::Blocked && conn.stage != Stage::Dead;
            if (!timed && !by_session && !dirty) || (blocked && !timed) {
                return Err(format!("conn {id} is {:?} without deadline", conn.stage));
            }
            let pending = conn.out.as_ref().is_some_and(|out| !out.is_empty());
            if pending && conn.write == WriteSide::Idle && conn.stage != Stage::Dead {
                return Err(format!("conn {id} has output and nobody will write it"));
            }
        }
        Ok(())
    }

    /// It wakes when something is due, or before.
    fn check_deadline(&self, id: SessionId, session: &Session) -> Result<(), String> {
        if session.carriage() == Carriage::Callback && !self.cmds.is_empty() {
            // Its own may be among them.
            return Ok(());
        }
        let profile = self.profiles.get(session.profile);
        let at = match session.due(self.now(), &profile, &self.times) {
            Due::Later(at) => at,
            _ => self.now(),
        };
        if self.session_timers.is_due_by(id.index(), at) {
            return Ok(());
        }
        Err(format!("session {id} has no deadline, or one after {at:?}"))
    }

    fn check_sessions(&self) -> Result<(), String> {
        let is_open = |id: &SessionId| self.sessions.get(*id).is_some_and(Session::is_open);
        if let Some(gone) = self.hub.at_places().find(|id| !is_open(id)) {
            return Err(format!("session {gone} is at a place and is over"));
        }
        let mut kinds = [0_u64; Kind::ALL.len()];
        for (id, session) in self.sessions.iter() {
            kinds[session.down() as usize] += 1;
            self.check_deadline(id, session)?;
            if !session.is_consistent() || session.is_over() {
                return Err(format!("session {id} does not count right: {session:?}"));
            }
            let Some(conn) = session.conn() else { continue };
            let row = self
                .conns
                .get(conn)
                .ok_or(format!("session {id} on no conn"))?;
            if row.session != Some(id) || row.stage == Stage::Dead {
                return Err(format!(
                    "session {id} on conn {conn}, which is {:?}'s",
                    row.session
                ));
            }
            if session.has_pending() && row.write == WriteSide::Idle {
                return Err(format!(
                    "session {id} has packets due and conn {conn} is idle"
                ));
            }
        }
        if kinds != self.metrics.sessions {
            return Err(format!(
                "gauge {:?}, sessions {kinds:?}",
                self.metrics.sessions
            ));
        }
        Ok(())
    }
}
