//! Outgoing connections: each carries one request of HTTP after another to a URL of the application.
//!
//! In: whom to connect to, requests, what becomes of sockets, bytes. Out: connections to be made ([`Dial`]), requests in
//! output queues, and for the owner what came of each ([`Came`]). Which request is the next, and what an answer or a failure
//! means, is the owner's word (`callbacks`, `deciding`). The sockets are `net`'s.

mod breaker;

pub use breaker::Breaker;

use super::Node;
use super::conn::{Conn, Door, Inbox, Stage};
use crate::config::callback::Address;
use crate::http::answer::Answer;
use crate::ids::{ConnId, SessionId};
use crate::metrics::Called;
use crate::time::Tick;
use std::collections::VecDeque;

/// A connection that is to be made.
#[derive(Debug)]
pub struct Dial {
    /// Its name.
    pub conn: ConnId,
    /// Whom to connect to.
    pub to: Address,
}

/// Whose requests go by a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Those of a URL that is told events, which has this session.
    Courier(SessionId),
    /// Those of the desk at this place.
    Desk(usize),
}

/// Those of all owners.
#[derive(Debug, Default)]
pub struct Pool {
    lines: Vec<Outgoing>,
    /// To be made.
    dials: VecDeque<Dial>,
}

/// A connection of ours.
#[derive(Debug)]
pub struct Outgoing {
    /// Its name.
    pub conn: ConnId,
    owner: Owner,
    phase: Phase,
    /// A request was answered on it.
    used: bool,
}

/// Where it is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is being made. Next: `Idle`, `Asking`.
    Dialling,
    /// It waits for the next request. Next: `Asking`.
    Idle,
    /// A request is sent. Next: `Idle`.
    Asking,
}

/// What came of a connection; it is there still, unless that failed or the answer was the last.
#[derive(Debug)]
pub enum Came {
    /// It is made.
    Connected,
    /// A whole answer to its request.
    Answer(Answer),
    /// It is gone, and no answer will come. Of one that was closed from before (`Stale`) the peer never looked at the request.
    Failed(Called),
}

impl Pool {
    /// How many there are, made or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }
}

impl Outgoing {
    /// Whether it waits for a request.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }
}

impl Node {
    /// Asks for one more connection, which is to be there, and have its first answer, by `until`. `None` when there is no room.
    pub(super) fn dial(&mut self, owner: Owner, to: Address, until: Tick) -> Option<ConnId> {
        let mut row = Conn::new(Door::Application);
        row.stage = Stage::Calling;
        let Ok(conn) = self.conns.insert(row) else {
            self.metrics.callbacks.count(Called::Unreachable, 0);
            return None;
        };
        self.outgoing.lines.push(Outgoing {
            conn,
            owner,
            phase: Phase::Dialling,
            used: false,
        });
        self.conn_timers.set(conn.index(), until);
        self.outgoing.dials.push_back(Dial { conn, to });
        Some(conn)
    }

    /// The next connection to make. What becomes of it is told by [`Node::connected`] or [`Node::ended`].
    pub fn next_dial(&mut self) -> Option<Dial> {
        while let Some(dial) = self.outgoing.dials.pop_front() {
            // It may have been given up.
            let wanted = |conn: &Conn| conn.stage == Stage::Calling;
            if self.conns.get(dial.conn).is_some_and(wanted) {
                return Some(dial);
            }
        }
        None
    }

    /// Sends a request, whose answer is to be there by `until`.
    pub(super) fn send_request(&mut self, id: ConnId, request: &[u8], until: Tick) {
        let Some(line) = self.outgoing.lines.iter_mut().find(|one| one.conn == id) else {
            return;
        };
        // Of a new connection the time runs since it was asked for.
        if std::mem::replace(&mut line.phase, Phase::Asking) == Phase::Idle {
            self.conn_timers.set(id.index(), until);
        }
        if let Some(out) = self.out(id) {
            out.tail().extend_from_slice(request);
        }
    }

    /// Keeps it for the next request.
    pub(super) fn rest(&mut self, id: ConnId) {
        let at = self.now() + IDLE_MS;
        if let Some(line) = self.outgoing.lines.iter_mut().find(|one| one.conn == id) {
            line.phase = Phase::Idle;
            self.conn_timers.set(id.index(), at);
        }
    }

    /// Closes it; its owner knows.
    pub(super) fn close_outgoing(&mut self, id: ConnId) {
        self.outgoing.lines.retain(|one| one.conn != id);
        self.kill(id);
    }

    /// Closes all of an owner's.
    pub(super) fn close_all_of(&mut self, owner: Owner) {
        let all = self.outgoing_of(owner).map(|one| one.conn);
        for conn in all.collect::<Vec<_>>() {
            self.close_outgoing(conn);
        }
    }

    /// An owner's connections, in the order in which they were asked for.
    pub(super) fn outgoing_of(&self, owner: Owner) -> impl DoubleEndedIterator<Item = &Outgoing> {
        self.outgoing
            .lines
            .iter()
            .filter(move |one| one.owner == owner)
    }

    fn outgoing_on(&self, id: ConnId) -> Option<&Outgoing> {
        self.outgoing.lines.iter().find(|one| one.conn == id)
    }

    fn tell_owner(&mut self, owner: Owner, id: ConnId, came: Came) {
        match owner {
            Owner::Courier(session) => self.courier_came(session, id, came),
            Owner::Desk(at) => self.desk_came(at, id, came),
        }
    }

    /// A connection that was to be made is there.
    pub fn connected(&mut self, id: ConnId) {
        if let Some(line) = self.outgoing_on(id)
            && line.phase == Phase::Dialling
        {
            self.tell_owner(line.owner, id, Came::Connected);
        }
    }

    /// Bytes came on one.
    pub(super) fn receive_answer(&mut self, id: ConnId, mut input: &[u8]) {
        let asked = |one: &Outgoing| one.phase == Phase::Asking;
        if !self.outgoing_on(id).is_some_and(asked) {
            return self.kill(id);
        }
        let mut partial = match self.take_inbox(id) {
            Inbox::Answer(partial) => partial,
            _ => Box::default(),
        };
        match partial.feed(&mut input) {
            Ok(None) => self.set_inbox(id, Inbox::Answer(partial)),
            Ok(Some(answer)) => self.answered(id, answer, input.is_empty()),
            Err(_) => self.give_up(id, Called::Malformed),
        }
    }

    /// A whole answer; `alone` where nothing is behind it.
    fn answered(&mut self, id: ConnId, answer: Answer, alone: bool) {
        let whole = |conn: &Conn| conn.out.is_none() && !conn.half_closed;
        let lives = answer.keep_alive && alone && self.conns.get(id).is_some_and(whole);
        let Some(line) = self.outgoing.lines.iter_mut().find(|one| one.conn == id) else {
            return;
        };
        line.used = true;
        let owner = line.owner;
        match lives {
            true => self.rest(id),
            false => self.close_outgoing(id),
        }
        self.tell_owner(owner, id, Came::Answer(answer));
    }

    /// The peer's end is an answer's end, or the end of one that is not whole.
    pub(super) fn call_ended(&mut self, id: ConnId, reset: bool) {
        let Inbox::Answer(partial) = self.take_inbox(id) else {
            return self.kill(id);
        };
        match partial.end().filter(|_| !reset) {
            Some(answer) => self.answered(id, answer, true),
            None => self.give_up(id, Called::Broken),
        }
    }

    /// Its time is over: that of the request, or that for which it is kept.
    pub(super) fn call_due(&mut self, id: ConnId) {
        self.give_up(id, Called::Timeout);
    }

    /// One is gone, and nobody has said why.
    pub(super) fn call_lost(&mut self, id: ConnId) {
        let begun = |conn: &Conn| matches!(conn.inbox, Inbox::Answer(_));
        let begun = self.conns.get(id).is_some_and(begun);
        let Some(line) = self.outgoing_on(id) else {
            return;
        };
        let called = match line.phase {
            Phase::Dialling => Called::Unreachable,
            // It was closed while the request was on its way, which the peer never looked at (RFC 9112 section 9.3.1).
            _ if line.used && !begun => Called::Stale,
            _ => Called::Broken,
        };
        self.give_up(id, called);
    }

    fn give_up(&mut self, id: ConnId, called: Called) {
        let line = self.outgoing_on(id).map(|one| (one.owner, one.is_idle()));
        self.close_outgoing(id);
        let Some((owner, false)) = line else {
            return;
        };
        self.metrics.callbacks.count(called, 0);
        if called == Called::Stale {
            // What lies idle is as old.
            let idle = self.outgoing_of(owner).filter(|one| one.is_idle());
            for conn in idle.map(|one| one.conn).collect::<Vec<_>>() {
                self.close_outgoing(conn);
            }
        }
        self.tell_owner(owner, id, Came::Failed(called));
    }
}

/// Milliseconds for which a connection waits for the next request: less than the 5 s after which most servers close it.
const IDLE_MS: u64 = 4_000;
