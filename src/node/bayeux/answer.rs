//! What is written: every reply of a batch in one body or frame, what waits for the client in front of its connect's.
//!
//! In: replies, a session's backlog. Out: a response or a frame, and what becomes of the session's downstream.

use super::super::Node;
use super::super::conn::Stage;
use super::super::downstream::FAREWELL_BATCHES;
use super::{CONNECT, RECONNECT, Via};
use crate::cmd::Cause;
use crate::http::cors;
use crate::http::response::{Cache, Head, Length};
use crate::ids::{ConnId, SessionId};
use crate::mem::OutQueue;
use crate::metrics::Kind;
use crate::service::bayeux::replies::{self, Reply};
use crate::service::bayeux::timesync;
use crate::session::{Held, Session};
use crate::transport::bayeux::Array;
use crate::transport::http::Exchange;
use crate::ws::frames::{self, Opcode};

/// What a batch is answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// Replies, joined by commas.
    replies: Vec<u8>,
    /// A connect that is answered now, with what waits for its session.
    pub connect: Option<(SessionId, Held, Option<String>)>,
    /// A connect waits: there is nothing to say yet.
    pub held: bool,
    /// A cookie for a browser that had none.
    pub cookie: Option<String>,
}

impl Answers {
    /// One reply more.
    pub fn add(&mut self, reply: &[u8]) {
        if !self.replies.is_empty() && !reply.is_empty() {
            self.replies.push(b',');
        }
        self.replies.extend_from_slice(reply);
    }
}

/// How a response looks beside its body.
#[derive(Debug, Clone, Copy, Default)]
struct Dress<'a> {
    origin: &'a str,
    callback: &'a str,
    cookie: Option<&'a str>,
}

impl Node {
    /// Answers a batch.
    pub(super) fn give(&mut self, via: &Via<'_>, answers: &Answers) {
        if answers.held || (via.socket && answers.replies.is_empty() && answers.connect.is_none()) {
            return;
        }
        let mut scratch = self.take_scratch();
        let mut array = Array::open(&mut scratch, via.callback);
        let connect = answers.connect.as_ref();
        let mut wrote = false;
        if let Some((session, held, advice)) = connect {
            // On a WebSocket another session of the batch may have taken its place.
            let row = self.sessions.get(*session);
            let carried = row.is_some_and(|row| row.conn() == Some(via.conn));
            wrote = (carried || !via.socket) && self.put_messages(*session, &mut array);
            let reply = self.connect_reply(*session, held, advice.as_deref());
            array.text(&reply);
        }
        array.text(&answers.replies);
        array.close();
        if via.socket {
            self.put_frame(via.conn, &mut scratch);
        } else {
            let dress = Dress {
                origin: via.origin,
                callback: via.callback,
                cookie: answers.cookie.as_deref(),
            };
            self.put_response(via.conn, &mut scratch, dress);
            self.response_over(via.conn);
        }
        if let Some((session, ..)) = connect.filter(|_| wrote) {
            self.note_composed(via.conn, *session);
            if !via.socket {
                self.note_answer(via.conn, *session);
            }
        }
        self.scratch = scratch;
    }

    /// Writes what waits for a session that a connection carries. False when nothing is to be written.
    pub(in super::super) fn compose_bayeux(&mut self, id: ConnId, session: SessionId) -> bool {
        let Some(row) = self.sessions.get(session) else {
            return false;
        };
        let counts = row.down() == Kind::WebSocket || self.way_on(session, id).is_some();
        if counts && !row.acks() {
            // Whatever was composed before is written: only then does a flush compose again.
            self.confirm(session);
        }
        self.compose_more(id, session)
    }

    /// The same, whatever was composed before and is not written yet.
    fn compose_more(&mut self, id: ConnId, session: SessionId) -> bool {
        let Some(row) = self.sessions.get(session).filter(|row| row.has_pending()) else {
            return false;
        };
        let (socket, acks) = (row.down() == Kind::WebSocket, row.acks());
        let way = self.way_on(session, id);
        if let Some(way) = way {
            self.write_piece(id, session, way, b"");
            return true;
        }
        if !socket || acks {
            self.answer_connect(session, true);
            return true;
        }
        let mut scratch = self.take_scratch();
        let mut array = Array::open(&mut scratch, "");
        self.put_messages(session, &mut array);
        array.close();
        self.put_frame(id, &mut scratch);
        self.scratch = scratch;
        true
    }

    /// Answers the connect that waits, if one does: with what waits in front, or without.
    pub(in super::super) fn answer_connect(&mut self, session: SessionId, messages: bool) {
        let Some(row) = self.sessions.get_mut(session) else {
            return;
        };
        let (Some(conn), Some(held)) = (row.conn(), row.take_held()) else {
            return;
        };
        let socket = row.down() == Kind::WebSocket;
        let mut scratch = self.take_scratch();
        let mut array = Array::open(&mut scratch, &held.callback);
        let wrote = messages && self.put_messages(session, &mut array);
        let reply = self.connect_reply(session, &held, None);
        array.text(&reply);
        array.close();
        if socket {
            self.put_frame(conn, &mut scratch);
            self.arm(session);
        } else {
            self.put_response(conn, &mut scratch, dress(&held));
            self.detach(session, Cause::Gone);
            self.response_over(conn);
            if wrote {
                self.note_answer(conn, session);
            }
        }
        self.scratch = scratch;
    }

    /// The end of a session that was just taken out of its table: its connect is answered, and says what to do now.
    pub(in super::super) fn end_link(&mut self, session: &mut Session, cause: Cause) {
        let Some(conn) = session.conn() else { return };
        let Some(held) = session.take_held() else {
            if session.streams() {
                let way = session.link().and_then(|link| link.way);
                return self.sign_off(conn, way);
            }
            return match cause {
                Cause::Clean => self.let_go(conn),
                cause => self.close_socket(conn, cause.code().number()),
            };
        };
        let reply = reply_to(&held);
        let reply = match cause {
            Cause::Clean | Cause::Closed | Cause::Kicked => {
                reply.with("advice", replies::NONE).done()
            }
            _ => reply
                .with("advice", replies::HANDSHAKE)
                .failed(replies::UNKNOWN),
        };
        let mut scratch = self.take_scratch();
        let mut array = Array::open(&mut scratch, &held.callback);
        array.text(&reply);
        array.close();
        if session.down() == Kind::WebSocket {
            self.put_frame(conn, &mut scratch);
            self.let_go(conn);
        } else {
            self.put_response(conn, &mut scratch, dress(&held));
            self.response_over(conn);
        }
        self.scratch = scratch;
    }

    /// The node stops: what waits goes out, and the connect's answer behind it.
    pub(in super::super) fn dismiss_bayeux(&mut self, id: ConnId, session: SessionId) {
        self.hurry(session);
        for _ in 0..FAREWELL_BATCHES {
            if !self.compose_more(id, session) {
                break;
            }
        }
        self.answer_connect(session, false);
        if self.sessions.get(session).and_then(Session::conn) == Some(id) {
            let streams = self.way_on(session, id).is_some();
            self.detach(session, Cause::Shutdown);
            match streams {
                true => self.leave(id),
                false => self.close_socket(id, Cause::Shutdown.code().number()),
            }
            self.note_answer(id, session);
            if let Some(row) = self.sessions.get_mut(session) {
                row.link_mut().parted = true;
            }
        }
    }

    /// The node ends a session that it has parted from: what its socket took of its last words has arrived.
    pub(in super::super) fn confirm_last(&mut self, session: SessionId) {
        let row = self.sessions.get(session);
        let link = row.and_then(Session::link).filter(|link| link.parted);
        let Some(last) = link.and_then(|link| link.answered_on) else {
            return;
        };
        if self.conns.get(last).is_none_or(|conn| conn.out.is_none()) {
            self.confirm(session);
        }
    }

    /// Puts what waits for a session into an array. True when anything did.
    pub(super) fn put_messages(&mut self, id: SessionId, array: &mut Array<'_>) -> bool {
        let now = self.now();
        if self.sessions.get(id).is_some_and(Session::is_unsettled) {
            self.settle_backlog(id);
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return false;
        };
        let mut last = None;
        for packet in session.pending() {
            if let Some((msg, _)) = packet.body {
                array.shared(msg);
                last = Some(packet.id);
            }
        }
        self.metrics.resent += last.map_or(0, |last| session.wrote(last, now));
        last.is_some()
    }

    pub(super) fn connect_reply(
        &mut self,
        id: SessionId,
        held: &Held,
        advice: Option<&str>,
    ) -> Vec<u8> {
        let row = self.sessions.get(id).filter(|row| row.acks());
        let sync = held.sync.as_ref();
        let reply = reply_to(held).extended(&[
            ("ack", row.map(|row| row.written().to_string())),
            (
                "timesync",
                sync.map(|sync| timesync::answer(sync, self.clock.unix_ms)),
            ),
        ]);
        match advice {
            Some(advice) => reply.with("advice", advice),
            // The others are told the same: they are not to come to whoever takes over all together.
            None if self.stopping => {
                let interval_ms = self.rng.below(DRAIN_MS);
                reply.with("advice", &replies::later("retry", interval_ms))
            }
            None if held.advise => reply.with("advice", &replies::retry(super::connect::HOLD_MS)),
            None => reply,
        }
        .done()
    }

    /// Remembers which connection had the last messages of a session that does not acknowledge: should it break before
    /// the client speaks again, they are due again.
    fn note_answer(&mut self, conn: ConnId, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id).filter(|session| !session.acks()) else {
            return;
        };
        session.link_mut().answered_on = Some(conn);
        if let Some(conn) = self.conns.get_mut(conn) {
            conn.session = Some(id);
        }
    }

    fn put_frame(&mut self, id: ConnId, body: &mut OutQueue) {
        if self
            .conns
            .get(id)
            .is_none_or(|conn| conn.stage != Stage::Socket)
        {
            return;
        }
        if let Some(out) = self.out(id) {
            frames::head(out.tail(), Opcode::Text, body.len());
            out.append(body);
        }
    }

    fn put_response(&mut self, id: ConnId, body: &mut OutQueue, dress: Dress<'_>) {
        let Some(exchange) = self.exchange(id, false) else {
            return;
        };
        let Exchange {
            version,
            keep_alive,
            date,
            ..
        } = exchange;
        let cookie = dress
            .cookie
            .zip(self.config.bayeux_cookie.as_ref())
            .map(|(value, cookie)| format!("{}={value}{}", super::COOKIE, cookie.attributes()));
        let mut extra = Vec::new();
        if !dress.origin.is_empty() {
            extra.extend(cors::credentials(dress.origin));
        }
        extra.extend(cookie.as_deref().map(|cookie| ("Set-Cookie", cookie)));
        let head = Head {
            status: 200,
            content_type: match dress.callback.is_empty() {
                true => "application/json",
                false => "text/javascript; charset=utf-8",
            },
            length: Length::Known(body.len() as u64),
            keep_alive,
            version,
            cache: Cache::NoStore,
            cors: dress.origin.is_empty(),
            date: &date,
            extra: &extra,
        };
        if let Some(out) = self.out(id) {
            head.write(out.tail());
            out.append(body);
        }
    }
}

/// The reply to a connect.
pub(super) fn reply_to(held: &Held) -> Reply {
    Reply::on(if held.reconnect { RECONNECT } else { CONNECT }, &held.id)
}

fn dress(held: &Held) -> Dress<'_> {
    Dress {
        origin: &held.origin,
        callback: &held.callback,
        cookie: None,
    }
}

/// Milliseconds over which the clients of a node that stops come back.
const DRAIN_MS: u64 = 5_000;
