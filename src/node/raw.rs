//! Connections without HTTP: the bytes of a session, both ways, for as long as the connection lasts.
//!
//! In: bytes of the ports of STOMP and OP, and those of the public one that begin as no request does. Out: a session and its bytes; its
//! peer's silence. What the bytes mean is its service's business.

use super::Node;
use super::conn::{Door, Inbox, Stage, WriteSide};
use super::csp::no_session_fault;
use super::requests::BODY_TIMEOUT_MS;
use super::sessions::Applicant;
use crate::cmd::Cause;
use crate::ids::{ConnId, SessionId};
use crate::metrics::Kind;
use crate::service::{Hello, op};
use crate::session::{Carriage, Encoding, ServiceKind, Session};
use crate::stomp::{self, Opening, spell};
use crate::transport::Profile;

impl Node {
    /// Whether `bytes`, or what came before them, may begin something else than a request.
    pub(super) fn may_open(&self, id: ConnId, bytes: &[u8]) -> bool {
        let Some(conn) = self.conns.get(id) else {
            return false;
        };
        let odd = || matches!(bytes.first(), Some(b'C' | b'S' | b'\n' | b'\r'));
        match (conn.door, &conn.inbox) {
            (Door::Stomp | Door::Op, _) | (_, Inbox::Opening(_)) => true,
            (Door::Public, Inbox::Empty) => conn.requests == 0 && odd(),
            _ => false,
        }
    }

    /// The first bytes of a connection, of which may not be known yet what they are.
    pub(super) fn receive_opening(&mut self, id: ConnId, bytes: &mut [u8]) {
        let door = self.conns.get(id).map(|conn| conn.door);
        let mut all = match self.take_inbox(id) {
            Inbox::Opening(before) => before,
            _ => Box::default(),
        };
        all.extend_from_slice(bytes);
        match stomp::opening(&all) {
            _ if door == Some(Door::Op) => self.begin_raw(id, ServiceKind::Op, &all),
            _ if door == Some(Door::Stomp) => self.begin_raw(id, ServiceKind::StompGuest, &all),
            Opening::Stomp => self.begin_raw(id, ServiceKind::StompGuest, &all),
            Opening::Unsure => self.set_inbox(id, Inbox::Opening(all)),
            Opening::Other => self.receive_requests(id, &mut all),
        }
    }

    /// The connection is a session's from now on. Its time to say who it is goes on running.
    fn begin_raw(&mut self, id: ConnId, service: ServiceKind, bytes: &[u8]) {
        let opened = self.open_session(Applicant {
            service,
            carriage: Carriage::Bare,
            kind: Kind::Tcp,
            encoding: Encoding::Plain,
            profile: Profile::default(),
            hello: Hello {
                by_port: self.conns.get(id).map(|conn| conn.door) == Some(Door::Stomp),
                ..Hello::default()
            },
        });
        match opened {
            Ok(session) => {
                self.attach(session, id, Kind::Tcp, Stage::Raw);
                self.receive_raw(id, bytes);
            }
            Err(why) => {
                let fault = no_session_fault(why);
                self.refused(fault.code);
                let error = match service {
                    ServiceKind::Op => op::no_session(&fault.reason),
                    _ => {
                        let headers = [("message", &*fault.reason), ("orbit-code", fault.code)];
                        spell::frame(None, "ERROR", &headers, "")
                    }
                };
                if let Some(out) = self.out(id) {
                    out.tail().extend_from_slice(&error);
                }
                self.hang_up(id);
            }
        }
    }

    /// What is queued is the last.
    fn hang_up(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.keep_alive = false;
        }
        self.response_over(id);
    }

    /// The session is over: what it was given to say is queued, and the connection ends behind it.
    pub(super) fn close_raw(&mut self, id: ConnId) {
        self.hang_up(id);
    }

    pub(super) fn receive_raw(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(session) = self.conns.get(id).and_then(|conn| conn.session) else {
            return;
        };
        if self.sessions.get(session).is_some_and(Session::listens) {
            self.hear_session(session, bytes, true);
        }
        self.watch(id);
    }

    /// Puts off the moment at which a silent peer has gone. Who has not said who it is has no more time for that than it had.
    pub(super) fn watch(&mut self, id: ConnId) {
        let Some(conn) = self
            .conns
            .get(id)
            .filter(|conn| conn.write != WriteSide::Blocked)
        else {
            return;
        };
        let session = conn.session.and_then(|session| self.sessions.get(session));
        let Some(tenths) = session.and_then(Session::watched_ds) else {
            return;
        };
        let silent = (tenths > 0).then(|| self.now() + u64::from(tenths) * 100);
        // A frame that was begun has as long as the body of a request, however little of it comes at a time.
        let begun = session.and_then(Session::partial_since);
        let whole = begun.map(|since| since + BODY_TIMEOUT_MS);
        match silent.into_iter().chain(whole).min() {
            None => self.conn_timers.clear(id.index()),
            Some(due) => self.conn_timers.set(id.index(), due),
        }
    }

    /// Nothing came for too long: the peer is told so, should it be there.
    pub(super) fn unheard_raw(&mut self, id: ConnId) {
        let Some(session) = self.conns.get(id).and_then(|conn| conn.session) else {
            return self.kill(id);
        };
        self.refused("silent");
        self.say_farewell(session, Cause::Timeout);
        self.end_session(session, Cause::Timeout);
    }

    fn say_farewell(&mut self, id: SessionId, cause: Cause) {
        self.with_service(id, |service, cx, session| {
            service.farewell(cx, session, cause)
        });
    }

    /// The peer shut its side: what it asked before that is done and answered first.
    pub(super) fn half_closed_raw(&mut self, session: SessionId) {
        if !self.ends_later(session, Cause::Gone) {
            self.with_service(session, |service, cx, row| service.heard_all(cx, row));
        }
    }
}
