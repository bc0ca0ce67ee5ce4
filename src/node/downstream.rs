//! Ends of downstreams: taken over, over time, with their session, with their connection, with the node.
//!
//! In: a connection that carries a session. Out: the end of its response or WebSocket, and the connection's
//! next stage. What is due on a downstream that goes on is `flush`'s.

use super::Node;
use super::conn::{Inbox, Stage};
use crate::cmd::Cause;
use crate::codes::CloseCode;
use crate::ids::{ConnId, SessionId};
use crate::session::{Carriage, Session};
use crate::transport::plain::{self, Standing};
use crate::transport::{Profile, http};
use crate::ws::frames;
use std::iter;

impl Node {
    /// Another downstream takes the session over: the old one ends, without packets, since the new one
    /// brings them all.
    pub(super) fn supersede(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let profile = self.profiles.get(session.profile);
        let Some(conn) = session.conn() else { return };
        let carriage = session.carriage();
        self.metrics.switches += 1;
        if carriage == Carriage::Bayeux {
            return self.leave(conn);
        }
        self.end_downstream(conn, (&profile, carriage), CloseCode::SUPERSEDED.number());
    }

    /// A held request has been held for its time: what is pending goes out now, if only an empty batch.
    pub(super) fn end_hold(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let Some(conn) = session.conn() else { return };
        let carriage = session.carriage();
        if carriage == Carriage::Bare {
            return self.answer_poll(conn, id, Cause::Clean);
        }
        if carriage == Carriage::Bayeux {
            return self.answer_connect(id, true);
        }
        let profile = self.profiles.get(session.profile);
        // Composing answers a held request as a whole, and a stream's batch in front of its end.
        self.compose(conn);
        self.mark_dirty(conn);
        if self.sessions.get(id).and_then(Session::conn) == Some(conn) {
            self.detach(id, Cause::Gone);
            self.end_downstream(conn, (&profile, carriage), CloseCode::NORMAL.number());
        }
    }

    /// Ends what `id` carries and lets the connection go on as far as it can.
    pub(super) fn end_downstream(
        &mut self,
        id: ConnId,
        (profile, carriage): (&Profile, Carriage),
        code: u16,
    ) {
        match self.conns.get(id).map(|conn| conn.stage) {
            Some(Stage::Held) => self.answer_hold(id, profile, carriage),
            Some(Stage::Streaming) => self.end_stream(id, profile, carriage),
            Some(Stage::Socket) => self.close_socket(id, code),
            Some(Stage::Raw) => self.close_raw(id),
            _ => {}
        }
    }

    fn answer_hold(&mut self, id: ConnId, profile: &Profile, carriage: Carriage) {
        let Some(exchange) = self.exchange(id, false) else {
            return;
        };
        let mut scratch = self.take_scratch();
        match (self.out(id), carriage) {
            (Some(out), Carriage::Csp) => {
                http::poll(out, &mut scratch, exchange, profile, iter::empty());
            }
            (Some(out), Carriage::Bare) => {
                let unmoved = Standing::default();
                plain::answer(
                    out,
                    &mut scratch,
                    exchange,
                    profile,
                    &unmoved,
                    iter::empty(),
                );
            }
            // A connect of Bayeux was answered before, and a callback has none.
            (_, Carriage::Bayeux | Carriage::Callback) | (None, _) => {}
        }
        self.scratch = scratch;
        self.response_over(id);
    }

    fn is_held(&self, id: ConnId) -> bool {
        let stage = self.conns.get(id).map(|conn| conn.stage);
        stage == Some(Stage::Held)
    }

    pub(super) fn end_stream(&mut self, id: ConnId, profile: &Profile, carriage: Carriage) {
        let mut scratch = self.take_scratch();
        let chunked = self.conns.get(id).is_some_and(|conn| conn.chunked);
        if let Some(out) = self.out(id) {
            // Every response of CSP holds a batch at least: an empty body kills the js.io client (1.5).
            if carriage == Carriage::Csp {
                http::stream(out, &mut scratch, chunked, profile, iter::empty());
            }
            http::end(out, chunked);
        }
        self.scratch = scratch;
        if let Some(conn) = self.conns.get_mut(id) {
            // Without chunks only the end of the connection ends the response.
            conn.keep_alive &= chunked;
        }
        self.response_over(id);
    }

    /// Says goodbye on a WebSocket.
    pub(super) fn close_socket(&mut self, id: ConnId, code: u16) {
        if self
            .conns
            .get(id)
            .is_none_or(|conn| conn.stage != Stage::Socket)
        {
            return;
        }
        let reason = crate::codes::TABLE
            .iter()
            .find(|row| row.code.number() == code);
        if let Some(out) = self.out(id) {
            frames::close_frame(out.tail(), code, reason.map_or("", |row| row.name));
        }
        if let Some(conn) = self.conns.get_mut(id) {
            conn.keep_alive = false;
        }
        self.response_over(id);
    }

    /// The peer sends nothing more: it closed, or (`reset`) the connection is broken.
    pub fn ended(&mut self, id: ConnId, reset: bool) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.half_closed = true;
        if conn.stage == Stage::Calling {
            return self.call_ended(id, reset);
        }
        if let (Stage::Raw, Some(session), false) = (conn.stage, conn.session, reset) {
            return self.half_closed_raw(session);
        }
        let answering = match conn.stage {
            Stage::Open | Stage::Closing => conn.out.is_some(),
            Stage::Waiting | Stage::Testing => true,
            _ => false,
        };
        if answering && !reset {
            // A client may shut its side and wait for the answer; it gets it, and the connection closes.
            if conn.stage == Stage::Open {
                conn.keep_alive = false;
                let answered = conn.session;
                self.response_over(id);
                // Should it break yet, what it was answered is due again.
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.session = answered;
                }
            }
            return;
        }
        if reset {
            self.undo_answer(id);
        }
        self.kill(id);
    }

    /// The connection is over; its row is swept at the end of the turn.
    pub(super) fn kill(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.stage == Stage::Dead {
            return;
        }
        if conn.out.is_some() {
            self.undo_answer(id);
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let called = conn.stage == Stage::Calling;
        conn.stage = Stage::Dead;
        let session = conn.session.take();
        self.conn_timers.clear(id.index());
        self.dead.push(id);
        self.writings.forget_conn(id);
        let carried = session.filter(|s| self.sessions.get(*s).and_then(Session::conn) == Some(id));
        if let Some(session) = carried {
            self.detach(session, Cause::Gone);
        }
        if called {
            self.call_lost(id);
        }
    }

    /// Takes the row of a dead connection away.
    pub(super) fn bury(&mut self, id: ConnId) {
        self.set_inbox(id, Inbox::Empty);
        self.forget_request(id);
        let out = self.conns.remove(id).and_then(|conn| conn.out);
        if let Some(out) = out {
            self.recycle(out);
        }
    }

    /// The node stops: responses are ended, WebSockets closed with 1001, the rest after its answer.
    pub(super) fn dismiss(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        match (conn.stage, conn.session, conn.out.is_none()) {
            (Stage::Open, _, true) => self.kill(id),
            (Stage::Open, _, _) => self.response_over(id),
            (Stage::Testing, _, _) => self.end_streamtest(id),
            (Stage::Socket, None, _) => self.close_socket(id, CloseCode::GOING_AWAY.number()),
            (Stage::Held | Stage::Streaming | Stage::Socket | Stage::Raw, Some(session), _) => {
                self.dismiss_downstream(id, session);
            }
            _ => {}
        }
    }

    /// What is pending, the goodbye among it, goes out in front of the end.
    fn dismiss_downstream(&mut self, id: ConnId, session: SessionId) {
        let Some(row) = self.sessions.get(session) else {
            return;
        };
        let (profile, carriage) = (self.profiles.get(row.profile), row.carriage());
        if carriage == Carriage::Bayeux {
            return self.dismiss_bayeux(id, session);
        }
        for _ in 0..FAREWELL_BATCHES {
            if !self.compose(id) {
                break;
            }
        }
        if self.sessions.get(session).and_then(Session::conn) == Some(id) {
            if carriage == Carriage::Bare && self.is_held(id) {
                return self.answer_poll(id, session, Cause::Shutdown);
            }
            self.detach(session, Cause::Shutdown);
            self.end_downstream(id, (&profile, carriage), CloseCode::GOING_AWAY.number());
        }
    }
}

/// Batches in front of a goodbye: as much as a full queue of the default bound.
pub(super) const FAREWELL_BATCHES: usize = 24;
