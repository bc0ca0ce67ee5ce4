//! Bytes to WebSocket messages: the read side of a connection that was upgraded.
//!
//! In: bytes as they came, unmasked in place. Out: messages to the session, pongs, goodbyes.

use super::Node;
use super::conn::{Inbox, Stage};
use super::requests::FULL_PARTIAL_MAX;
use crate::cmd::Cause;
use crate::codes::CloseCode;
use crate::ids::{ConnId, SessionId};
use crate::service::revolved::LINE_OVERHEAD;
use crate::session::{Carriage, Session};
use crate::ws::decoder::{self, Event, Limits, Payload};
use crate::ws::frames;

fn takes_frames(conn: &super::Conn) -> bool {
    conn.stage == Stage::Socket && !conn.paused
}

impl Node {
    pub(super) fn receive_frames(&mut self, id: ConnId, mut input: &mut [u8]) {
        let limits = Limits {
            message_bytes_max: self.socket_bytes_max(id),
        };
        let mut pong = None;
        while self.conns.get(id).is_some_and(takes_frames) {
            let mut partial = match self.take_inbox(id) {
                Inbox::Frames(partial) => Some(partial),
                _ => None,
            };
            let event = decoder::next(&mut partial, &mut input, &limits);
            if let Some(partial) = partial {
                self.set_inbox(id, Inbox::Frames(partial));
            }
            match event {
                Ok(Event::More) => break,
                Ok(Event::Text(payload)) => self.socket_message(id, &payload, false),
                Ok(Event::Binary(payload)) => self.socket_message(id, &payload, true),
                Ok(Event::Ping(payload)) => pong = Some(payload),
                Ok(Event::Pong) => {}
                Ok(Event::Close(code)) => self.peer_closes(id, code.unwrap_or(1000)),
                Err(fault) => {
                    self.refused("websocket-fault");
                    self.drop_socket(id, fault.close_code(), Cause::Protocol);
                }
            }
        }
        if !input.is_empty() {
            self.put_aside(id, input);
        }
        self.send_pong(id, pong);
        let held = self.conns.get(id).map_or(0, |conn| conn.inbox.heap_bytes());
        if held > FULL_PARTIAL_MAX && self.is_full() {
            self.refused("queues-full");
            // The code that makes a client come back later.
            self.drop_socket(id, CloseCode::GOING_AWAY.number(), Cause::Overflow);
        }
    }

    /// Keeps what is behind a message that waits for the application's word: at most one read of it.
    fn put_aside(&mut self, id: ConnId, rest: &[u8]) {
        if self.conns.get(id).is_some_and(|conn| conn.paused) {
            self.park(id, rest);
        }
    }

    /// Most bytes of one WebSocket message: a batch is a body, a bare message is one message of its service.
    fn socket_bytes_max(&self, id: ConnId) -> usize {
        let session = self.conns.get(id).and_then(|conn| conn.session);
        if self.speaks_bayeux(id) {
            return self.config.max_body;
        }
        let row = session.and_then(|session| self.sessions.get(session));
        match row.map(|row| (row.carriage(), row.service)) {
            Some((Carriage::Csp, _)) => self.config.max_body,
            // A frame may come whole.
            Some((_, service)) if service.is_stomp() => {
                self.config.max_message + self.config.max_head
            }
            _ => self.config.max_message + LINE_OVERHEAD,
        }
    }

    /// One pong for the latest of a flood of pings (RFC 6455 section 5.5.3), and none to a peer which does
    /// not take what it has.
    fn send_pong(&mut self, id: ConnId, pong: Option<Payload<'_>>) {
        let idle = |conn: &super::Conn| conn.stage == Stage::Socket && conn.out.is_none();
        if let Some(payload) = pong
            && self.conns.get(id).is_some_and(idle)
            && let Some(out) = self.out(id)
        {
            frames::pong(out.tail(), &payload);
        }
    }

    fn socket_message(&mut self, id: ConnId, bytes: &[u8], binary: bool) {
        if self.speaks_bayeux(id) {
            return self.bayeux_message(id, bytes, binary);
        }
        let Some(session) = self.conns.get(id).and_then(|conn| conn.session) else {
            return;
        };
        match self.sessions.get(session).map(|row| row.carriage()) {
            Some(Carriage::Bare) => {
                if !self.sessions.get(session).is_some_and(Session::listens) {
                    return;
                }
                // Of a stream of bytes it counts them itself.
                let counts = |row: &Session| !row.service.is_stomp();
                let one = self.sessions.get(session).is_some_and(counts);
                self.metrics.messages_in += u64::from(one);
                self.hear_session(session, bytes, binary);
            }
            Some(Carriage::Csp) if binary => {
                self.drop_socket(id, CloseCode::UNSUPPORTED_DATA.number(), Cause::Gone);
            }
            Some(Carriage::Csp) => self.csp_message(id, session, bytes),
            Some(Carriage::Bayeux | Carriage::Callback) | None => {}
        }
    }

    /// `[packets]` or `{"a":N}`.
    fn csp_message(&mut self, id: ConnId, session: SessionId, bytes: &[u8]) {
        if bytes.trim_ascii_start().first() == Some(&b'{') {
            return self.csp_ack(id, session, bytes);
        }
        if self.take_batch(session, bytes).is_err() {
            self.refused("bad-batch");
            return self.remove_session(session, Cause::Protocol);
        }
        if let Some(row) = self.sessions.get_mut(session) {
            row.owe_ack();
            self.mark_dirty(id);
        }
    }

    fn csp_ack(&mut self, id: ConnId, session: SessionId, bytes: &[u8]) {
        let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes);
        let ack = object.ok().and_then(|object| object.get("a")?.as_u64());
        if ack.is_none() {
            self.refused("bad-batch");
            return self.remove_session(session, Cause::Protocol);
        }
        if self.acknowledge(session, ack) {
            self.finish_session(session);
            self.close_socket(id, CloseCode::NORMAL.number());
        }
    }

    /// The client closes its WebSocket: a bare session ends with it, a CSP session goes on without.
    fn peer_closes(&mut self, id: ConnId, code: u16) {
        self.drop_socket(id, code, Cause::Clean);
    }

    /// Ends the WebSocket from here; the session, if it can, goes on without.
    pub(super) fn drop_socket(&mut self, id: ConnId, code: u16, cause: Cause) {
        let session = self.conns.get(id).and_then(|conn| conn.session);
        if self.conns.get(id).is_some_and(|conn| conn.out.is_some()) {
            self.undo_answer(id);
        }
        self.close_socket(id, code);
        if let Some(session) = session
            && self
                .sessions
                .get(session)
                .is_some_and(|row| row.conn() == Some(id))
        {
            self.detach(session, cause);
        }
    }
}
