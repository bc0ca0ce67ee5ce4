//! Connects: what a client has, what it is sent, how long it waits.
//!
//! In: a connect. Out: its answer at once, or a session whose connect waits: on a held request, or on a WebSocket.

use super::super::Node;
use super::super::conn::Stage;
use super::Via;
use super::answer::{Answers, reply_to};
use super::shake::is_type;
use super::stream::way_of;
use crate::cmd::{Cause, Fate};
use crate::ids::SessionId;
use crate::metrics::Kind;
use crate::service::bayeux::messages::{self, Message};
use crate::service::bayeux::replies::{self, Reply};
use crate::service::bayeux::timesync;
use crate::session::{Advised, Held};

impl Node {
    pub(super) fn connect(
        &mut self,
        via: &Via<'_>,
        message: &Message<'_>,
        alone: bool,
        answers: &mut Answers,
    ) {
        let Some(session) = self.client(via, message) else {
            return self.unknown_client(message, answers);
        };
        let kind = message.connection_type.and_then(messages::text);
        let way = kind.as_ref().and_then(|kind| way_of(kind));
        let streams = way.is_some_and(|way| way.row.streaming);
        let acks = self.sessions.get(session).is_some_and(|row| row.acks());
        if kind.is_some_and(|kind| !is_type(&kind)) || (streams && acks) {
            let reply = Reply::to(message).with("advice", replies::HANDSHAKE);
            return answers.add(&reply.failed("301::connection_type_unsupported"));
        }
        let row = self.sessions.get(session);
        let over = alone && row.is_some_and(|row| row.is_inactive(self.clock.tick, &self.times));
        if way.is_some_and(|way| way.row.sse) && !via.socket {
            return self.connect_event_source((session, over), message, answers);
        }
        let ack = message.extension("ack").map(|ack| ack.get());
        self.note_arrived(via, session, ack);
        // The one before is answered without messages: this one brings them.
        self.answer_connect(session, false);
        let (first, advise) = self.note_connect(via, session, message.advice.is_some());
        let held = via.held(message, advise, self.clock.unix_ms);
        if let Some(way) =
            way.filter(|_| streams && alone && !over && !via.socket && !self.stopping)
        {
            return self.connect_stream(via, session, &held, (way, answers));
        }
        let hold_ms = message.timeout_ms().unwrap_or(HOLD_MS).min(HOLD_MS_MAX);
        if way.is_some_and(|way| way.row.duration_s == 0) && !over && !via.socket {
            return self.answer_now(via, session, held, Some(replies::POLL.to_owned()), answers);
        }
        // One that is over waits for the end of its session, which is now.
        let waits = over || (alone && !first && hold_ms > 0 && !self.stopping);
        let crowded = waits && !over && !via.socket && !self.take_place(session);
        if !waits || crowded {
            // Not in step: the tabs of one page began together.
            let advice = crowded.then(|| replies::multiple(TABS_MS + self.rng.below(TABS_MS / 2)));
            if let Some(row) = self.sessions.get_mut(session).filter(|_| crowded) {
                // The one that may wait again is told so.
                row.link_mut().advised = Advised::default();
            }
            return self.answer_now(via, session, held, advice, answers);
        }
        let now = self.now();
        if let Some(row) = self.sessions.get_mut(session) {
            row.hold(held, hold_ms, now);
        }
        answers.held = true;
        self.ride(via, session);
    }

    /// A connect of a client that has an event source, or is about to: it shows that the client lives.
    fn connect_event_source(
        &mut self,
        (session, over): (SessionId, bool),
        message: &Message<'_>,
        answers: &mut Answers,
    ) {
        if over {
            self.remove_session(session, Cause::Closed);
            return answers.add(&Reply::to(message).with("advice", replies::NONE).done());
        }
        self.touch(session);
        if let Some(row) = self.sessions.get_mut(session) {
            row.link_mut().connected = true;
        }
        let sync = timesync::answer_now(message, self.clock.unix_ms);
        let reply = Reply::to(message).extended(&[("timesync", sync)]);
        let advice = replies::again(HOLD_MS);
        answers.add(&reply.with("advice", &advice).done());
    }

    /// The session is carried by this connection from now on.
    fn ride(&mut self, via: &Via<'_>, session: SessionId) {
        let carried = self.sessions.get(session).and_then(|row| row.conn());
        if carried == Some(via.conn) {
            self.arm(session);
            return self.mark_dirty(via.conn);
        }
        self.leave_socket(via);
        let (kind, stage) = match (via.socket, via.callback.is_empty()) {
            (true, _) => (Kind::WebSocket, Stage::Socket),
            (false, true) => (Kind::LongPoll, Stage::Held),
            (false, false) => (Kind::Jsonp, Stage::Held),
        };
        self.attach(session, via.conn, kind, stage);
    }

    /// A WebSocket that carried another session carries that one no more.
    fn leave_socket(&mut self, via: &Via<'_>) {
        let before = self.conns.get(via.conn).and_then(|conn| conn.session);
        let before = before.filter(|before| {
            self.sessions.get(*before).and_then(|row| row.conn()) == Some(via.conn)
        });
        if let Some(before) = before {
            let waits = self
                .conns
                .get(via.conn)
                .is_some_and(|conn| conn.out.is_some());
            if waits {
                // Nobody will know when it is written.
                self.undo_answer(via.conn);
            }
            self.answer_connect(before, false);
            self.detach(before, Cause::Gone);
        }
    }

    /// Answers a connect with whatever waits.
    fn answer_now(
        &mut self,
        via: &Via<'_>,
        session: SessionId,
        held: Held,
        advice: Option<String>,
        answers: &mut Answers,
    ) {
        if via.socket {
            self.ride(via, session);
        } else {
            let conn = self.sessions.get(session).and_then(|row| row.conn());
            if let Some(conn) = conn {
                self.leave(conn);
                self.detach(session, Cause::Gone);
            }
            if let Some(row) = self.sessions.get_mut(session) {
                row.rewind();
            }
        }
        self.touch(session);
        match &answers.connect {
            None => answers.connect = Some((session, held, advice)),
            // One of several in a batch brings what waits.
            Some((first, ..)) if *first == session => answers.add(&reply_to(&held).done()),
            // What waits for another session comes with its next connect.
            Some(_) => {
                let reply = self.connect_reply(session, &held, advice.as_deref());
                answers.add(&reply);
            }
        }
    }

    /// What the client has now of what it was sent before: what it says by `ack` where it acknowledges; elsewhere all
    /// that was written, unless that still waits to be.
    pub(super) fn note_arrived(&mut self, via: &Via<'_>, session: SessionId, ack: Option<&str>) {
        let Some(row) = self.sessions.get_mut(session) else {
            return;
        };
        let link = row.link_mut();
        let answered_on = link.answered_on.take();
        if link.acks {
            // Each answer brings all that is not acknowledged, whatever was written before.
            row.rewind();
            let ack = ack.and_then(|ack| serde_json::from_str(ack).ok());
            self.acknowledge(session, ack);
            return;
        }
        let last = answered_on.or(row.conn());
        let waits = last.and_then(|last| self.conns.get(last)?.out.as_ref());
        match (waits.is_some(), last == Some(via.conn)) {
            (false, _) => self.confirm(session),
            // What waits is written in front of the answer to this: the flush that has written all of it confirms it.
            (true, true) if via.socket => {}
            (true, true) => self.confirm(session),
            (true, false) => row.rewind(),
        }
    }

    /// All that was written has arrived, as far as anybody can know.
    pub(super) fn confirm(&mut self, session: SessionId) {
        let Some(row) = self.sessions.get_mut(session) else {
            return;
        };
        let reports = row.confirm();
        self.note_fates(session, reports, Fate::Written);
    }

    /// Whether it is the session's first connect, and whether it is to be told how to connect: once for each way, and
    /// whenever it asks.
    fn note_connect(&mut self, via: &Via<'_>, session: SessionId, asks: bool) -> (bool, bool) {
        let Some(row) = self.sessions.get_mut(session) else {
            return (true, true);
        };
        let link = row.link_mut();
        let told = match via.socket {
            true => &mut link.advised.socket,
            false => &mut link.advised.http,
        };
        let advise = !std::mem::replace(told, true) || asks;
        (!std::mem::replace(&mut link.connected, true), advise)
    }

    /// Whether the session may wait beside the others of its browser, which opens few connections to one server.
    fn take_place(&mut self, id: SessionId) -> bool {
        let link = self.sessions.get(id).and_then(|row| row.link());
        let browser = link.map_or(0, |link| link.browser);
        if browser == 0 {
            return true;
        }
        let sessions = &self.sessions;
        let waits = |other: &Option<SessionId>| {
            let row = other.and_then(|other| sessions.get(other));
            row.is_some_and(|row| {
                let waits = row.streams() || (row.holds() && row.down() != Kind::WebSocket);
                *other != Some(id) && waits
            })
        };
        if self.browsers.len() > 2 * sessions.len() + BROWSERS_SLACK {
            let alive = |id: &Option<SessionId>| id.is_some_and(|id| sessions.get(id).is_some());
            self.browsers.retain(|_, waiting| waiting.iter().any(alive));
        }
        let places = self.browsers.entry(browser).or_default();
        if let Some(place) = places.iter_mut().find(|place| **place == Some(id)) {
            *place = None;
        }
        let free = places.iter_mut().find(|place| !waits(place));
        free.map(|place| *place = Some(id)).is_some()
    }
}

/// Milliseconds that a connect waits: below the 60 s at which proxies give up, and what CometD has.
pub(super) const HOLD_MS: u32 = 30_000;
/// The longest that a client may ask for.
const HOLD_MS_MAX: u32 = 300_000;
/// Milliseconds after which a tab is to ask again that may not wait, and half as many more by chance.
const TABS_MS: u64 = 2_000;
/// Browsers that are kept in vain at most.
const BROWSERS_SLACK: usize = 1024;
