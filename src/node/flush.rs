//! What is due on a connection, composed and written: the one place where bytes leave.
//!
//! In: a dirty connection and its sink. Out: bytes, and whether the connection goes on. A session's packets
//! are composed here and only here, as many as there are, so that one write per turn carries all of them.

use super::Node;
use super::conn::{Stage, WriteSide};
use super::respond::WRITE_TIMEOUT_MS;
use super::streamtest::STREAMTEST_MS;
use crate::cmd::{Cause, Fate};
use crate::ids::{ConnId, SessionId};
use crate::mem::{Form, Msg, OutQueue, Sink, Wrote};
use crate::metrics::Kind;
use crate::session::{BATCH_BYTES_MAX, Carriage, Session};
use crate::transport::{http, plain, websocket};
use std::rc::Rc;

/// What became of a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// All is written.
    Idle,
    /// The sink is blocked, or takes more than its share; the rest follows.
    Later,
    /// All is written, and the sending side is to be shut.
    Shut,
}

impl Node {
    /// Writes what is due on a connection of the dirty list.
    pub fn flush(&mut self, id: ConnId, sink: &mut dyn Sink) -> Flushed {
        let Some(conn) = self.conns.get_mut(id) else {
            return Flushed::Idle;
        };
        // As long as it is composed here, nobody need list it again.
        conn.write = WriteSide::Dirty;
        if conn.stage == Stage::Dead {
            return Flushed::Idle;
        }
        for _ in 0..ROUNDS_MAX {
            match self.write_queue(id, sink) {
                Wrote::Some(_) => self.note_written(id),
                Wrote::Blocked => return self.blocked(id),
                Wrote::Broken => {
                    self.kill(id);
                    return Flushed::Idle;
                }
            }
            if !self.compose(id) {
                return self.flushed(id);
            }
        }
        // Its share of the turn is over.
        if let Some(conn) = self.conns.get_mut(id) {
            conn.write = WriteSide::Idle;
        }
        self.mark_dirty(id);
        Flushed::Later
    }

    /// Writes what is queued; the queue goes back to the pool when it is empty.
    fn write_queue(&mut self, id: ConnId, sink: &mut dyn Sink) -> Wrote {
        let Some(conn) = self.conns.get_mut(id) else {
            return Wrote::Broken;
        };
        let Some(mut out) = conn.out.take() else {
            return Wrote::Some(0);
        };
        let before = out.len();
        let wrote = out.write_to(sink);
        let left = if matches!(wrote, Wrote::Some(_)) {
            0
        } else {
            out.len()
        };
        self.metrics.bytes_out += (before - left) as u64;
        match wrote {
            Wrote::Some(_) => self.recycle(out),
            _ => conn.out = Some(out),
        }
        wrote
    }

    fn blocked(&mut self, id: ConnId) -> Flushed {
        let due = self.now() + WRITE_TIMEOUT_MS;
        if let Some(conn) = self.conns.get_mut(id) {
            conn.write = WriteSide::Blocked;
            // A call has its own time.
            if conn.stage != Stage::Calling {
                self.conn_timers.set(id.index(), due);
            }
        }
        Flushed::Later
    }

    fn flushed(&mut self, id: ConnId) -> Flushed {
        let now = self.now();
        let Some(conn) = self.conns.get_mut(id) else {
            return Flushed::Idle;
        };
        conn.write = WriteSide::Idle;
        match conn.stage {
            Stage::Closing if conn.half_closed => {
                self.kill(id);
                Flushed::Idle
            }
            Stage::Closing => {
                conn.stage = Stage::Lingering;
                self.conn_timers.set(id.index(), now + LINGER_MS);
                Flushed::Shut
            }
            // The time in which a ping is to be answered runs on.
            Stage::Socket if !conn.heard => Flushed::Idle,
            Stage::Socket if conn.session.is_none() => {
                let due = now + self.config.keepalive_timeout_ms;
                self.conn_timers.set(id.index(), due);
                Flushed::Idle
            }
            Stage::Held | Stage::Streaming | Stage::Socket => {
                self.conn_timers.clear(id.index());
                Flushed::Idle
            }
            // What is said puts off nothing that the peer is to say.
            Stage::Raw => Flushed::Idle,
            Stage::Testing => {
                self.conn_timers.set(id.index(), now + STREAMTEST_MS);
                Flushed::Idle
            }
            _ => {
                self.read_again(id);
                Flushed::Idle
            }
        }
    }

    /// Composes the next batch that is due on the connection's session; false when nothing is.
    pub(super) fn compose(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get(id) else {
            return false;
        };
        let (stage, chunked) = (conn.stage, conn.chunked);
        let Some(session_id) = conn.session else {
            return false;
        };
        let Some(session) = self
            .sessions
            .get(session_id)
            .filter(|s| s.conn() == Some(id))
        else {
            return false;
        };
        if session.is_unsettled() && session.has_pending() {
            self.settle_backlog(session_id);
            // The same again, with nothing to settle.
            return self.compose(id);
        }
        let carriage = session.carriage();
        if carriage == Carriage::Bayeux {
            let more = self.compose_bayeux(id, session_id);
            self.note_composed(id, session_id);
            return more;
        }
        let poll = stage == Stage::Held && self.profiles.get(session.profile).is_poll();
        if !session.has_pending() && !poll {
            return self.close_bare(session_id);
        }
        let mut scratch = self.take_scratch();
        match (stage, carriage) {
            (Stage::Held, Carriage::Bare) => {
                self.compose_answer(id, session_id, &mut scratch, Cause::Clean)
            }
            (Stage::Held, Carriage::Csp) => self.compose_poll(id, session_id, &mut scratch),
            (Stage::Streaming, Carriage::Csp) => {
                self.compose_stream(id, session_id, &mut scratch, chunked)
            }
            (Stage::Streaming, Carriage::Bare) => {
                self.compose_messages(id, session_id, &mut scratch, chunked)
            }
            (Stage::Socket, Carriage::Csp) => self.compose_socket(id, session_id, &mut scratch),
            (Stage::Socket, Carriage::Bare) => self.compose_bare(id, session_id),
            (Stage::Raw, Carriage::Bare) => self.compose_raw(id, session_id),
            _ => {}
        }
        self.scratch = scratch;
        self.note_composed(id, session_id);
        true
    }

    fn compose_poll(&mut self, id: ConnId, session_id: SessionId, scratch: &mut OutQueue) {
        let now = self.now();
        let Some(exchange) = self.exchange(id, false) else {
            return;
        };
        let Some((session, out, profile)) = self.parts(id, session_id) else {
            return;
        };
        let last = http::poll(out, scratch, exchange, &profile, session.pending());
        let resent = last.map_or(0, |last| session.wrote(last, now));
        let down = session.down();
        session.detach(now);
        self.metrics.resent += resent;
        self.metrics.moved(Some(down), Some(Kind::None));
        self.arm(session_id);
        self.response_over(id);
    }

    fn compose_stream(
        &mut self,
        id: ConnId,
        session_id: SessionId,
        scratch: &mut OutQueue,
        chunked: bool,
    ) {
        let now = self.now();
        let Some((session, out, profile)) = self.parts(id, session_id) else {
            return;
        };
        let _ = session.take_owed_ack();
        let last = http::stream(out, scratch, chunked, &profile, session.pending());
        self.metrics.resent += last.map_or(0, |last| session.wrote(last, now));
    }

    fn compose_socket(&mut self, id: ConnId, session_id: SessionId, scratch: &mut OutQueue) {
        let now = self.now();
        let Some((session, out, _)) = self.parts(id, session_id) else {
            return;
        };
        if let Some(taken) = session.take_owed_ack() {
            websocket::ack(out, taken);
        }
        if !session.has_pending() {
            return;
        }
        let last = websocket::batch(out, scratch, session.pending());
        self.metrics.resent += last.map_or(0, |last| session.wrote(last, now));
    }

    fn compose_bare(&mut self, id: ConnId, session_id: SessionId) {
        let now = self.now();
        let Some((session, out, _)) = self.parts(id, session_id) else {
            return;
        };
        let mut reports = Vec::new();
        // At a stop several batches are composed before one is written.
        let mut bytes = 0;
        let joins = session.service.is_stomp();
        while let Some(msg) = session
            .next_bare()
            .filter(|_| bytes < BATCH_BYTES_MAX)
            .cloned()
        {
            reports.extend(session.wrote_bare(now));
            bytes += msg.bytes().len() + FRAME_HEAD_MAX;
            let rest = match joins {
                true => session.next_bare().filter(|rest| is_part(&msg, rest)),
                false => None,
            };
            let Some(rest) = rest.cloned() else {
                websocket::bare(out, &msg);
                continue;
            };
            bytes += rest.bytes().len();
            websocket::joined(out, &msg, &rest);
            reports.extend(session.wrote_bare(now));
        }
        self.note_fates(session_id, reports, Fate::Written);
    }

    fn compose_raw(&mut self, id: ConnId, session_id: SessionId) {
        let now = self.now();
        let Some((session, out, _)) = self.parts(id, session_id) else {
            return;
        };
        let (mut reports, mut bytes) = (Vec::new(), 0);
        let mut last: Option<Rc<Msg>> = None;
        while let Some(msg) = next_whole(session, last.as_deref(), bytes) {
            bytes += msg.bytes().len();
            out.push_shared(&msg, Form::Raw);
            reports.extend(session.wrote_bare(now));
            last = Some(msg);
        }
        self.note_fates(session_id, reports, Fate::Written);
    }

    fn compose_messages(
        &mut self,
        id: ConnId,
        session_id: SessionId,
        scratch: &mut OutQueue,
        chunked: bool,
    ) {
        let now = self.now();
        let Some((session, out, profile)) = self.parts(id, session_id) else {
            return;
        };
        let mut reports = Vec::new();
        let mut last: Option<Rc<Msg>> = None;
        while let Some(msg) = next_whole(session, last.as_deref(), scratch.len()) {
            plain::message(scratch, &profile, &msg);
            reports.extend(session.wrote_bare(now));
            last = Some(msg);
        }
        http::raw(out, scratch, chunked);
        self.note_fates(session_id, reports, Fate::Written);
    }

    /// A held request is answered with all that waits for its session, which ends with it.
    fn compose_answer(
        &mut self,
        id: ConnId,
        session_id: SessionId,
        scratch: &mut OutQueue,
        cause: Cause,
    ) {
        let now = self.now();
        let (Some(exchange), Some(standing)) =
            (self.exchange(id, false), self.standing(session_id))
        else {
            return;
        };
        let Some((session, out, profile)) = self.parts(id, session_id) else {
            return;
        };
        let mut reports = Vec::new();
        let messages = std::iter::from_fn(|| {
            let msg = session.next_bare().cloned();
            reports.extend(msg.is_some().then(|| session.wrote_bare(now)).flatten());
            msg
        });
        plain::answer(out, scratch, exchange, &profile, &standing, messages);
        self.note_fates(session_id, reports, Fate::Written);
        self.detach(session_id, cause);
        self.response_over(id);
    }

    /// Answers a held request now, if with nothing.
    pub(super) fn answer_poll(&mut self, id: ConnId, session_id: SessionId, cause: Cause) {
        self.settle_backlog(session_id);
        let mut scratch = self.take_scratch();
        self.compose_answer(id, session_id, &mut scratch, cause);
        self.scratch = scratch;
        self.mark_dirty(id);
    }

    /// A bare session that was closed is over when everything is written.
    fn close_bare(&mut self, session_id: SessionId) -> bool {
        let closing = |s: &Session| s.carriage() == Carriage::Bare && !s.is_open();
        if !self.sessions.get(session_id).is_some_and(closing) {
            return false;
        }
        self.finish_session(session_id);
        true
    }

    /// A session, its connection's queue and its settings, borrowed apart.
    fn parts(
        &mut self,
        id: ConnId,
        session_id: SessionId,
    ) -> Option<(&mut Session, &mut OutQueue, Rc<crate::transport::Profile>)> {
        let session = self.sessions.get_mut(session_id)?;
        let profile = self.profiles.get(session.profile);
        let conn = self.conns.get_mut(id)?;
        let fresh = || Box::new(OutQueue::new(&self.ledger));
        let out = conn
            .out
            .get_or_insert_with(|| self.pool.pop().unwrap_or_else(fresh));
        Some((session, out, profile))
    }

    pub(super) fn take_scratch(&mut self) -> OutQueue {
        let mut scratch = std::mem::replace(&mut self.scratch, OutQueue::new(&self.ledger));
        scratch.clear();
        scratch
    }

    /// Keeps an empty queue for its next user, within bounds.
    pub(super) fn recycle(&mut self, mut out: Box<OutQueue>) {
        if self.pool.len() < POOL_MAX {
            out.clear();
            self.pool.push(out);
        }
    }
}

/// Most bytes in front of a message on a WebSocket.
const FRAME_HEAD_MAX: usize = 10;

/// The next message, while a batch has come to so many `bytes`. One of several parts is written whole: what is left of it
/// behind the `last` might be dropped.
fn next_whole(session: &Session, last: Option<&Msg>, bytes: usize) -> Option<Rc<Msg>> {
    let goes_on = |msg: &Msg| last.is_some_and(|last| is_part(last, msg));
    let next = session.next_bare();
    let next = next.filter(|msg| bytes < BATCH_BYTES_MAX || goes_on(msg));
    next.cloned()
}

/// Whether the two are parts of one message.
fn is_part(first: &Msg, rest: &Msg) -> bool {
    let sources = first.source().zip(rest.source());
    sources.is_some_and(|(a, b)| Rc::ptr_eq(a, b))
}

/// Batches for one connection in one turn.
const ROUNDS_MAX: usize = 8;
/// Queues kept between two uses: one turn rarely has more blocked sockets at once.
const POOL_MAX: usize = 64;
/// Milliseconds a peer has to close after us.
const LINGER_MS: u64 = 2_000;
