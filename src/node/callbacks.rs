//! Events to URLs of the application: one request of each at a time, and what its answer means.
//!
//! In: sessions that are to be called, what came of their connections (`outgoing`). Out: requests, acknowledgements, and when
//! to try again. The waiting events are their session's.
//!
//! An event is acknowledged by a whole answer of 2xx to the request that had it, and sent again otherwise: at least once,
//! in order.

use super::Node;
use super::outgoing::{Breaker, Came, Outgoing, Owner};
use super::sessions::Applicant;
use crate::cmd::Cause;
use crate::config::Callback;
use crate::hub::names;
use crate::ids::{ConnId, SessionId};
use crate::metrics::{Called, Kind};
use crate::service::Hello;
use crate::session::{Carriage, Encoding, ServiceKind, Session};
use crate::time::Tick;
use crate::transport::Profile;
use crate::transport::post::{self, Batch};
use std::rc::Rc;

/// A URL of the application.
#[derive(Debug)]
pub struct Courier {
    to: Rc<Callback>,
    /// Has the events that wait.
    session: SessionId,
    /// While a request is sent: its events are behind the first number, up to the last.
    sent: (u64, u64),
    /// The number of the last event that an answer acknowledged.
    confirmed: u64,
    breaker: Breaker,
    /// The node stops, and the last try was begun.
    parting: bool,
}

impl Node {
    /// Begins a session for each URL, which lasts as long as the node.
    pub(super) fn open_callbacks(&mut self) -> Result<(), String> {
        if !(self.config.callbacks.is_empty() && self.config.deciders.is_empty()) {
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
                sent: (0, 0),
                confirmed: 0,
                breaker: Breaker::default(),
                parting: false,
            });
        }
        Ok(())
    }

    /// The moment has come at which a URL may be called, if there is something to say.
    pub(super) fn call(&mut self, id: SessionId) {
        let Some(at) = self.courier_of(id) else {
            return;
        };
        let (now, timeout) = (self.now(), self.config.callback_timeout_ms);
        let waits = self.sessions.get(id).is_some_and(|row| row.waiting() > 0);
        let line = self.outgoing_of(Owner::Courier(id)).next();
        match line.map(|one| (one.conn, one.is_idle())) {
            _ if !waits => self.call_at(at, now),
            None => self.dial_courier(at),
            Some((conn, true)) => self.post(at, conn),
            Some((_, false)) => self.call_at(at, now + timeout),
        }
    }

    fn dial_courier(&mut self, at: usize) {
        let (now, timeout) = (self.now(), self.config.callback_timeout_ms);
        let Some(courier) = self.couriers.get(at) else {
            return;
        };
        let (owner, to) = (Owner::Courier(courier.session), courier.to.address.clone());
        match self.dial(owner, to, now + timeout) {
            Some(_) => self.call_at(at, now + 2 * timeout),
            None => self.in_vain(at, Called::Unreachable),
        }
    }

    /// What came of a connection.
    pub(super) fn courier_came(&mut self, id: SessionId, conn: ConnId, came: Came) {
        let now = self.now();
        let Some(at) = self.courier_of(id) else {
            return;
        };
        match came {
            Came::Connected => self.post(at, conn),
            Came::Answer(answer) if (200..=299).contains(&answer.status) => self.taken(at, conn),
            // A redirect too: events go where the operator says, and nowhere else.
            Came::Answer(answer) => {
                log::debug!("callback={} status={}", at + 1, answer.status);
                self.metrics.callbacks.count(Called::Status, 0);
                self.in_vain(at, Called::Status);
            }
            Came::Failed(Called::Stale) => self.call_at(at, now),
            Came::Failed(called) => self.in_vain(at, called),
        }
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
            return self.rest(conn);
        };
        self.metrics.resent += session.called(last, now);
        courier.sent = (session.acked(), last);
        self.call_at(at, now + 2 * timeout);
        self.send_request(conn, &bytes, now + timeout);
    }

    /// What was sent has arrived.
    fn taken(&mut self, at: usize, conn: ConnId) {
        let now = self.now();
        let Some(courier) = self.couriers.get_mut(at) else {
            return;
        };
        let (before, last) = courier.sent;
        let Some(session) = self.sessions.get_mut(courier.session) else {
            return;
        };
        session.ack(last);
        courier.confirmed = last;
        // With what was let go while it was on its way, and has arrived all the same.
        self.metrics.callbacks.count(Called::Ok, last - before);
        courier.breaker.succeed(("callback", at + 1));
        let more = session.waiting() > 0;
        let owner = Owner::Courier(courier.session);
        match more && self.outgoing_of(owner).next().is_some() {
            true => self.post(at, conn),
            false => self.call_at(at, now),
        }
    }

    /// A call failed: the next one waits.
    fn in_vain(&mut self, at: usize, called: Called) {
        let now = self.now();
        if let Some(courier) = self.couriers.get_mut(at) {
            let who = ("callback", at + 1);
            let wait_ms = courier.breaker.fail(who, called, &mut self.rng);
            self.call_at(at, now + wait_ms);
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

    fn courier_of(&self, id: SessionId) -> Option<usize> {
        self.couriers.iter().position(|one| one.session == id)
    }

    /// Whether it is a URL's session.
    pub(super) fn is_called(&self, id: SessionId) -> bool {
        self.courier_of(id).is_some()
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
                if self.outgoing_of(Owner::Courier(id)).all(Outgoing::is_idle) {
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
        if let Some(at) = self.courier_of(id) {
            self.close_all_of(Owner::Courier(id));
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
