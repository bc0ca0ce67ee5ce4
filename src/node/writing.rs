//! Messages that count as reached when they are written, of sessions that will acknowledge them too (`confirm: written` of OP).
//!
//! In: such a message on a session's backlog, batches composed, queues that the socket took whole. Out: the fate `Written`, once
//! for each session. What was composed for a connection that broke waits to be written again. While there is none of them it
//! costs a look at an empty map.

use super::Node;
use crate::cmd::Fate;
use crate::ids::{ConnId, SessionId};
use crate::mem::Publication;
use crate::session::Session;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Messages whose being written is to be told; each is on its session's backlog, or on its way out of it.
#[derive(Debug, Default)]
pub struct Writings {
    sessions: BTreeMap<SessionId, Vec<Rc<Publication>>>,
    /// Which of them the output queue of a connection holds.
    composed: BTreeMap<ConnId, (SessionId, Vec<Rc<Publication>>)>,
}

impl Node {
    /// A session was given a message of which that is to be told.
    #[cold]
    pub(super) fn await_writing(&mut self, id: SessionId, publication: &Rc<Publication>) {
        // Where it stands beside the backlog, as with acknowledgements of its reader's own, only these tell.
        let newest = |row: &Session| row.newest().is_some_and(|it| Rc::ptr_eq(it, publication));
        if self.sessions.get(id).is_some_and(newest) {
            let all = self.writings.sessions.entry(id).or_default();
            all.push(publication.clone());
        }
    }

    /// A batch of the session stands in the connection's queue.
    #[inline]
    pub(super) fn note_composed(&mut self, conn: ConnId, id: SessionId) {
        if !self.writings.sessions.is_empty() {
            self.find_composed(conn, id);
        }
    }

    #[cold]
    fn find_composed(&mut self, conn: ConnId, id: SessionId) {
        let (Some(row), Some(all)) = (self.sessions.get(id), self.writings.sessions.get(&id))
        else {
            return;
        };
        let left: BTreeSet<_> = row.unsent().map(Rc::as_ptr).collect();
        let out = all.iter().filter(|one| !left.contains(&Rc::as_ptr(one)));
        let out: Vec<_> = out.cloned().collect();
        if !out.is_empty() {
            self.writings.composed.insert(conn, (id, out));
        }
    }

    /// The socket took all that the connection's queue held.
    #[inline]
    pub(super) fn note_written(&mut self, conn: ConnId) {
        if !self.writings.composed.is_empty() {
            self.tell_written(conn);
        }
    }

    #[cold]
    fn tell_written(&mut self, conn: ConnId) {
        if let Some((id, out)) = self.writings.composed.remove(&conn) {
            for publication in &out {
                self.writings.forget(id, publication);
            }
            self.note_fates(id, out, Fate::Written);
        }
    }
}

impl Writings {
    /// A message was acknowledged, or told to be written.
    pub(super) fn forget(&mut self, id: SessionId, publication: &Rc<Publication>) {
        if let Some(all) = self.sessions.get_mut(&id) {
            all.retain(|one| !Rc::ptr_eq(one, publication));
            if all.is_empty() {
                self.sessions.remove(&id);
            }
        }
    }

    /// A session is gone.
    pub(super) fn forget_session(&mut self, id: SessionId) {
        self.sessions.remove(&id);
    }

    /// A connection is gone with its queue.
    pub(super) fn forget_conn(&mut self, id: ConnId) {
        self.composed.remove(&id);
    }
}
