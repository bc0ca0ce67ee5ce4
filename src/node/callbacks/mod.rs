//! Events to URLs of the application: which connection they go by, one request at a time, and what its answer means.
//!
//! In: sessions that are to be called, connections made or not, answers. Out: connections to be made ([`Dial`]), requests
//! in output queues, acknowledgements, and when to try again. The sockets are `net`'s, the waiting events their session's.
//!
//! An event is acknowledged by a whole answer of 2xx to the request that had it, and sent again otherwise: at least once,
//! in order. Where an answer is to decide something, its body is what [`Node::answered`] would look at.

mod breaker;

use super::Node;
use super::conn::{Conn, Door, Inbox, Stage};
use super::sessions::Applicant;
use crate::cmd::Cause;
use crate::config::Callback;
use crate::config::callback::Address;
use crate::http::answer::Answer;
use crate::hub::names;
use crate::ids::{ConnId, SessionId};
use crate::metrics::Called;
use crate::metrics::Kind;
use crate::service::Hello;
use crate::session::{Carriage, Encoding, ServiceKind, Session};
use crate::time::Tick;
use crate::transport::Profile;
use crate::transport::post::{self, Batch};
pub(super) use breaker::Breaker;
use std::rc::Rc;

/// A connection that is to be made.
#[derive(Debug)]
pub struct Dial {
    /// Its name.
    pub conn: ConnId,
    /// Whom to connect to.
    pub to: Address,
}

/// A URL of the application.
#[derive(Debug)]
pub struct Courier {
    to: Rc<Callback>,
    /// Has the events that wait.
    session: SessionId,
    conn: Option<ConnId>,
    phase: Phase,
    /// A request was answered on this connection.
    used: bool,
    /// The number of the last event that an answer acknowledged.
    confirmed: u64,
    breaker: Breaker,
    /// The node stops, and the last try was begun.
    parting: bool,
}

/// Where a URL's connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is none. Next: `Dialling`.
    Away,
    /// It is being made. Next: `Asking`, `Away`.
    Dialling,
    /// It waits for the next request. Next: `Asking`, `Away`.
    Idle,
    /// A request is sent, whose events are behind the first number, up to the last. Next: `Idle`, `Asking`, `Away`.
    Asking(u64, u64),
}

impl Node {
    /// Begins a session for each URL, which lasts as long as the node.
    pub(super) fn open_callbacks(&mut self) -> Result<(), String> {
        if !self.config.callbacks.is_empty() {
            self.run = self.rng.next_u64() >> 32;
        }
        for to in self.config.callbacks.clone() {
            let channel = |event: &&str| Some((names::of_event(event)?.to_owned(), None));
            let opened = self.open_session(Applicant {
                service: ServiceKind::Callback,
                carriage: Carriage::Callback,
                kind: Kind::Callback,
                encoding: Encoding::Plain,
                profile: Profile::default(),
                hello: Hello {
                    channels: to.events.iter().filter_map(channel).collect(),
                    ..Hello::default()
                },
            });
            let session = opened.map_err(|why| format!("--callback {to}: {why:?}"))?;
            self.couriers.push(Courier {
                to: Rc::new(to),
                session,
                conn: None,
                phase: Phase::Away,
                used: false,
                confirmed: 0,
                breaker: Breaker::default(),
                parting: false,
            });
        }
        Ok(())
    }

    /// The next connection to make. What becomes of it is told by [`Node::connected`] or [`Node::ended`].
    pub fn next_dial(&mut self) -> Option<Dial> {
        while let Some(dial) = self.dials.pop_front() {
            // It may have been given up.
            let wanted = |conn: &Conn| conn.stage == Stage::Calling;
            if self.conns.get(dial.conn).is_some_and(wanted) {
                return Some(dial);
            }
        }
        None
    }

    /// A connection that was to be made is there.
    pub fn connected(&mut self, id: ConnId) {
        match self.courier_on(id) {
            Some((at, courier)) if courier.phase == Phase::Dialling => self.post(at, id),
            Some(_) => {}
            None => self.lane_connected(id),
        }
    }

    /// The moment has come at which a URL may be called, if there is something to say.
    pub(super) fn call(&mut self, id: SessionId) {
        let Some(at) = self.couriers.iter().position(|one| one.session == id) else {
            return;
        };
        let Some(courier) = self.couriers.get(at) else {
            return;
        };
        let (now, timeout) = (self.now(), self.config.callback_timeout_ms);
        let waits = self.sessions.get(id).is_some_and(|row| row.waiting() > 0);
        match (courier.phase, courier.conn) {
            _ if !waits => self.call_at(at, now),
            (Phase::Away, _) => self.dial(at),
            (Phase::Idle, Some(conn)) => self.post(at, conn),
            _ => self.call_at(at, now + timeout),
        }
    }

    fn dial(&mut self, at: usize) {
        let (now, timeout) = (self.now(), self.config.callback_timeout_ms);
        let Some(courier) = self.couriers.get_mut(at) else {
            return;
        };
        let mut row = Conn::new(Door::Application);
        (row.stage, row.session) = (Stage::Calling, Some(courier.session));
        let Ok(conn) = self.conns.insert(row) else {
            return self.in_vain(at, Called::Unreachable);
        };
        (courier.conn, courier.phase, courier.used) = (Some(conn), Phase::Dialling, false);
        let to = courier.to.address.clone();
        self.dials.push_back(Dial { conn, to });
        self.conn_timers.set(conn.index(), now + timeout);
        self.call_at(at, now + 2 * timeout);
    }

    /// Sends what waits, as far as one request may have it.
    fn post(&mut self, at: usize, conn: ConnId) {
        let (now, timeout) = (self.now(), self.config.callback_timeout_ms);
        let Some(courier) = self.couriers.get_mut(at) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(courier.session) else {
            return;
        };
        let batch = Batch {
            to: &courier.to,
            run: self.run,
            skipped: session.acked() - courier.confirmed,
            events_max: match courier.breaker.is_open() {
                true => 1,
                false => courier.to.batch,
            },
            unix_s: self.clock.unix_s(),
            keys: &self.config.callback_keys,
        };
        let mut bytes = Vec::new();
        let Some(last) = post::request(&mut bytes, &batch, session.numbered()) else {
            return self.rest(at, conn);
        };
        self.metrics.resent += session.called(last, now);
        courier.phase = Phase::Asking(session.acked(), last);
        // Of a new connection the time runs since it was asked for.
        if courier.used {
            self.conn_timers.set(conn.index(), now + timeout);
        }
        self.call_at(at, now + 2 * timeout);
        if let Some(out) = self.out(conn) {
            out.tail().extend_from_slice(&bytes);
        }
    }

    /// Keeps a connection for the next request.
    fn rest(&mut self, at: usize, conn: ConnId) {
        let now = self.now();
        if let Some(courier) = self.couriers.get_mut(at) {
            courier.phase = Phase::Idle;
        }
        self.conn_timers.set(conn.index(), now + IDLE_MS);
    }

    /// Bytes came on a connection of ours.
    pub(super) fn receive_answer(&mut self, id: ConnId, mut input: &[u8]) {
        let Some((at, courier)) = self.courier_on(id) else {
            return self.lane_received(id, input);
        };
        if !matches!(courier.phase, Phase::Asking(..)) {
            // Nobody asked.
            return self.kill(id);
        }
        let mut partial = match self.take_inbox(id) {
            Inbox::Answer(partial) => partial,
            _ => Box::default(),
        };
        match partial.feed(&mut input) {
            Ok(None) => self.set_inbox(id, Inbox::Answer(partial)),
            Ok(Some(answer)) => self.answered(at, id, &answer, input.is_empty()),
            Err(_) => self.broke(at, Called::Malformed),
        }
    }

    /// A whole answer; `alone` where nothing is behind it.
    fn answered(&mut self, at: usize, id: ConnId, answer: &Answer, alone: bool) {
        let Some(courier) = self.couriers.get_mut(at) else {
            return;
        };
        let Phase::Asking(before, last) = courier.phase else {
            return;
        };
        courier.used = true;
        let whole = |conn: &Conn| conn.out.is_none() && !conn.half_closed;
        let lives = answer.keep_alive && alone && self.conns.get(id).is_some_and(whole);
        self.rest(at, id);
        if !lives {
            self.hang_up_call(at);
        }
        match answer.status {
            200..=299 => self.taken(at, before, last),
            // A redirect too: events go where the operator says, and nowhere else.
            status => {
                log::debug!("callback={} status={status}", at + 1);
                self.in_vain(at, Called::Status);
            }
        }
    }

    /// Everything behind number `before` has arrived, up to number `last`.
    fn taken(&mut self, at: usize, before: u64, last: u64) {
        let now = self.now();
        let Some(courier) = self.couriers.get_mut(at) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(courier.session) else {
            return;
        };
        session.ack(last);
        courier.confirmed = last;
        // With what was let go while it was on its way, and has arrived all the same.
        self.metrics.callbacks.count(Called::Ok, last - before);
        if courier.breaker.succeed() {
            log::info!("callback={} answers again", at + 1);
        }
        let more = session.waiting() > 0;
        match (courier.phase, courier.conn) {
            (Phase::Idle, Some(conn)) if more => self.post(at, conn),
            _ => self.call_at(at, now),
        }
    }

    /// A call failed: the next one waits.
    fn in_vain(&mut self, at: usize, called: Called) {
        let now = self.now();
        self.metrics.callbacks.count(called, 0);
        let Some(courier) = self.couriers.get_mut(at) else {
            return;
        };
        let opens = courier.breaker.fail();
        let wait_ms = courier.breaker.wait_ms(&mut self.rng);
        let (n, word) = (at + 1, called.word());
        match opens {
            true => log::warn!("callback={n} result={word}: it is only tried from now on"),
            false => log::debug!("callback={n} result={word} wait={wait_ms}"),
        }
        self.call_at(at, now + wait_ms);
    }

    /// The peer's end is an answer's end, or the end of one that is not whole.
    pub(super) fn call_ended(&mut self, id: ConnId, reset: bool) {
        let Some((at, _)) = self.courier_on(id) else {
            return self.lane_ended(id, reset);
        };
        let Inbox::Answer(partial) = self.take_inbox(id) else {
            return self.kill(id);
        };
        match partial.end().filter(|_| !reset) {
            Some(answer) => self.answered(at, id, &answer, true),
            None => self.broke(at, Called::Broken),
        }
    }

    /// Its time is over: that of the call, or that for which it is kept.
    pub(super) fn call_due(&mut self, id: ConnId) {
        match self.courier_on(id) {
            Some((at, courier)) if courier.phase != Phase::Idle => self.broke(at, Called::Timeout),
            Some(_) => self.kill(id),
            None => self.lane_due(id),
        }
    }

    /// A connection of ours is gone, and nobody has said why.
    pub(super) fn call_lost(&mut self, id: ConnId) {
        let Some((at, courier)) = self.courier_on(id) else {
            return self.lane_lost(id);
        };
        let begun = |conn: &Conn| matches!(conn.inbox, Inbox::Answer(_));
        let begun = self.conns.get(id).is_some_and(begun);
        match courier.phase {
            Phase::Dialling => self.broke(at, Called::Unreachable),
            // It was closed while the request was on its way, which the peer never looked at (RFC 9112 section 9.3.1).
            Phase::Asking(..) if courier.used && !begun => {
                let now = self.now();
                self.hang_up_call(at);
                self.metrics.callbacks.count(Called::Stale, 0);
                self.call_at(at, now);
            }
            Phase::Asking(..) => self.broke(at, Called::Broken),
            Phase::Idle | Phase::Away => self.hang_up_call(at),
        }
    }

    fn broke(&mut self, at: usize, called: Called) {
        self.hang_up_call(at);
        self.in_vain(at, called);
    }

    fn hang_up_call(&mut self, at: usize) {
        let Some(courier) = self.couriers.get_mut(at) else {
            return;
        };
        courier.phase = Phase::Away;
        if let Some(conn) = courier.conn.take() {
            self.kill(conn);
        }
    }

    fn call_at(&mut self, at: usize, moment: Tick) {
        let Some(id) = self.couriers.get(at).map(|courier| courier.session) else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(id) {
            session.call_at(moment);
        }
        self.arm(id);
    }

    fn courier_on(&self, id: ConnId) -> Option<(usize, &Courier)> {
        let mut couriers = self.couriers.iter().enumerate();
        couriers.find(|(_, courier)| courier.conn == Some(id))
    }

    /// Whether it is a URL's session.
    pub(super) fn is_called(&self, id: SessionId) -> bool {
        self.couriers.iter().any(|courier| courier.session == id)
    }

    /// Connections of ours.
    pub(super) fn calls(&self) -> usize {
        let conns = self
            .couriers
            .iter()
            .filter(|courier| courier.conn.is_some());
        conns.count()
    }

    /// Whether so much waits for a URL that takes it that a node that stops gives it time.
    pub(super) fn is_call_behind(&self) -> bool {
        let behind = self.config.callback_queue / 2;
        let queued = |id| self.sessions.get(id).map_or(0, Session::queued);
        let mut taking = self.couriers.iter().filter(|one| !one.breaker.is_failing());
        taking.any(|courier| queued(courier.session) > behind)
    }

    /// Of a node that stops: ends what has nothing more to say, or says it to nobody. Whoever failed is tried at once,
    /// once more.
    pub(super) fn finish_callbacks(&mut self) {
        let now = self.now();
        for at in (0..self.couriers.len()).rev() {
            let Some(courier) = self.couriers.get_mut(at) else {
                continue;
            };
            let id = courier.session;
            let waiting = self.sessions.get(id).map_or(0, Session::waiting);
            let waits = waiting > 0;
            if !std::mem::replace(&mut courier.parting, true) && waits {
                courier.breaker.try_once_more();
                if matches!(courier.phase, Phase::Idle | Phase::Away) {
                    self.call_at(at, now);
                }
            } else if !waits || courier.breaker.is_open() {
                if waits {
                    log::warn!(
                        "callback={} does not answer: events={waiting} are lost",
                        at + 1
                    );
                }
                self.remove_session(id, Cause::Shutdown);
            }
        }
    }

    /// A session is over, and with it its URL's connection.
    pub(super) fn end_callback(&mut self, id: SessionId) {
        if let Some(at) = self.couriers.iter().position(|one| one.session == id) {
            self.hang_up_call(at);
            self.couriers.remove(at);
        }
    }

    /// Events that wait for URLs.
    #[must_use]
    pub fn callbacks_waiting(&self) -> usize {
        let sessions = self.couriers.iter();
        let sessions = sessions.filter_map(|courier| self.sessions.get(courier.session));
        sessions.map(Session::waiting).sum()
    }

    /// URLs that are only tried.
    pub(super) fn callbacks_open(&self) -> usize {
        let open = self
            .couriers
            .iter()
            .filter(|courier| courier.breaker.is_open());
        open.count()
    }
}

/// Milliseconds for which a connection waits for the next request: less than the 5 s after which most servers close it.
pub(super) const IDLE_MS: u64 = 4_000;
