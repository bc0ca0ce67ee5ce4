//! What is done to one session by name: by its row, or by the key that somebody shows for it.
//!
//! In: commands. Out: a message on its backlog, its end, outcomes told.

use super::Node;
use super::commands::{Delivery, FanOut};
use crate::cmd::{Cause, Origin, Outcome};
use crate::ids::SessionId;
use crate::mem::Publication;
use crate::session::{ServiceKind, Session, SessionKey};
use std::rc::Rc;

impl Node {
    pub(super) fn send_one(
        &mut self,
        session: SessionId,
        publication: Rc<Publication>,
        origin: Origin,
    ) {
        self.number(&publication);
        let mut delivery = Delivery::to_user(publication, origin);
        match self.takes_messages(session) {
            true => self.deliver_out_of_line(session, &mut delivery),
            false => return self.tell(origin, Outcome::Absent),
        }
        self.through(&FanOut::Message(delivery));
    }

    pub(super) fn send_by_key(&mut self, publication: Rc<Publication>, origin: Origin) {
        match self.session_of_key(&publication.target) {
            Some(session) => self.send_one(session, publication, origin),
            None => self.tell(origin, Outcome::Absent),
        }
    }

    /// The session that `session:KEY` names, if there is one.
    fn session_of_key(&self, name: &str) -> Option<SessionId> {
        let key = SessionKey::parse(name.strip_prefix("session:")?.as_bytes())?;
        let session = self.sessions.get(key.id)?;
        session.opens(&key).then_some(key.id)
    }

    /// Whether a session is one of those that may be sent to.
    pub(super) fn takes_messages(&self, session: SessionId) -> bool {
        let row = self.sessions.get(session);
        let takes = |row: &Session| {
            matches!(
                row.service,
                ServiceKind::Revolved
                    | ServiceKind::RevolvedOfOld
                    | ServiceKind::Bayeux
                    | ServiceKind::Orbit
                    | ServiceKind::Location
                    | ServiceKind::Stomp
            )
        };
        row.is_some_and(|row| row.is_open() && takes(row))
    }

    pub(super) fn kick_session(&mut self, session: SessionId, origin: Origin) {
        let outcome = match self.kick(session, Cause::Kicked) {
            true => Outcome::Kicked { sessions: 1 },
            false => Outcome::Absent,
        };
        self.tell(origin, outcome);
    }

    pub(super) fn kick_by_key(&mut self, key: &str) {
        if let Some(session) = self.session_of_key(key) {
            self.kick(session, Cause::Kicked);
        }
    }
}
