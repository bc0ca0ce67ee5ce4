//! Questions to URLs of the application: which connection they go by, several at once, and what their answers mean.
//!
//! In: questions of what somebody asked for, connections made or not, answers. Out: connections to be made
//! (`callbacks::Dial`), requests in output queues, verdicts to who waits (`held`). The sockets are `net`'s.
//!
//! A question has its time, and then there is no answer, whatever the reason: whoever waits for it is not kept waiting by
//! tries in vain. A connection that was closed while it lay idle is none of the question's: it is asked again on a fresh one.

mod held;

pub use held::Asker;
pub(super) use held::Holds;

use super::Node;
use super::callbacks::{Breaker, Dial};
use super::conn::{Conn, Door, Inbox, Stage};
use crate::config::Decider;
use crate::http::answer::Answer;
use crate::ids::ConnId;
use crate::mem::Charge;
use crate::metrics::Called;
use crate::service::decide::{self, Changes, Question, Verdict};
use crate::time::Tick;
use crate::transport::post;
use std::collections::VecDeque;

/// A URL of the application that is asked.
#[derive(Debug)]
pub struct Desk {
    to: Decider,
    lanes: Vec<Lane>,
    /// What waits for a lane; while something does all of them are busy.
    queue: VecDeque<Asked>,
    breaker: Breaker,
    /// While the breaker is open: when somebody may ask again.
    closed_until: Tick,
}

/// A connection to it.
#[derive(Debug)]
struct Lane {
    conn: ConnId,
    phase: Phase,
    /// A question was answered on it.
    used: bool,
}

#[derive(Debug)]
enum Phase {
    /// It is being made, for this question. Next: `Asking`.
    Dialling(Asked),
    /// The question is sent. Next: `Idle`.
    Asking(Asked),
    /// It waits for the next question. Next: `Asking`.
    Idle,
}

/// A question on its way.
#[derive(Debug)]
struct Asked {
    who: Asker,
    question: Question,
    until: Tick,
    _charge: Charge,
}

impl Node {
    pub(super) fn open_desks(&mut self) {
        let desk = |to: &Decider| Desk {
            to: to.clone(),
            lanes: Vec::new(),
            queue: VecDeque::new(),
            breaker: Breaker::default(),
            closed_until: Tick::default(),
        };
        self.desks = self.config.deciders.iter().map(desk).collect();
    }

    /// Asks the application; what it says comes back by `Node::decided`.
    fn put_to_application(&mut self, who: Asker, question: Question) {
        let (now, until) = (self.now(), self.now() + self.config.callback_timeout_ms);
        let at = self.config.decider(question.matter.word());
        let charge = self.ledger.charge(question.body.capacity() + ASKED_BYTES);
        let asked = Asked {
            who,
            question,
            until,
            _charge: charge,
        };
        let full = self.is_full() || self.stopping;
        match at.and_then(|at| Some((at, self.desks.get_mut(at)?))) {
            Some((at, desk)) if !full && desk.may_ask(now) => {
                desk.queue.push_back(asked);
                self.go_on_asking(at);
            }
            Some((at, _)) => self.unanswered(at, asked),
            None => self.decided(asked.who, asked.question, Verdict::Unanswered),
        }
    }

    /// Gives what waits to lanes that are free, and makes as many as there may be.
    fn go_on_asking(&mut self, at: usize) {
        while let Some(asked) = self.next_asked(at) {
            let Some(desk) = self.desks.get_mut(at) else {
                return;
            };
            // The one that was used last: the others may go.
            let idle = desk.lanes.iter().rposition(Lane::is_idle);
            match idle {
                Some(lane) => self.put_question(at, lane, asked),
                None if desk.lanes.len() < desk.to.lanes => self.open_lane(at, asked),
                None => return desk.queue.push_front(asked),
            }
        }
    }

    /// The next that still has time; the others are told that there is no answer.
    fn next_asked(&mut self, at: usize) -> Option<Asked> {
        let now = self.now();
        loop {
            let asked = self.desks.get_mut(at)?.queue.pop_front()?;
            if asked.until > now {
                return Some(asked);
            }
            self.unanswered(at, asked);
        }
    }

    fn open_lane(&mut self, at: usize, asked: Asked) {
        let Some(desk) = self.desks.get_mut(at) else {
            return;
        };
        let mut row = Conn::new(Door::Application);
        row.stage = Stage::Calling;
        let Ok(conn) = self.conns.insert(row) else {
            return self.failed(at, asked, Called::Unreachable);
        };
        let to = desk.to.to.address.clone();
        self.conn_timers.set(conn.index(), asked.until);
        desk.lanes.push(Lane {
            conn,
            phase: Phase::Dialling(asked),
            used: false,
        });
        self.dials.push_back(Dial { conn, to });
    }

    fn put_question(&mut self, at: usize, lane: usize, asked: Asked) {
        let Some(desk) = self.desks.get_mut(at) else {
            return;
        };
        let Some(lane) = desk.lanes.get_mut(lane) else {
            return;
        };
        let (conn, mut bytes) = (lane.conn, Vec::new());
        let signed = (&*self.config.callback_keys, self.clock.unix_s());
        post::question(&mut bytes, &desk.to.to, signed, &asked.question.body);
        self.conn_timers.set(conn.index(), asked.until);
        lane.phase = Phase::Asking(asked);
        if let Some(out) = self.out(conn) {
            out.tail().extend_from_slice(&bytes);
        }
    }

    /// A connection to a desk is there.
    pub(super) fn lane_connected(&mut self, id: ConnId) {
        let Some((at, n)) = self.lane_on(id) else {
            return;
        };
        let lane = self
            .desks
            .get_mut(at)
            .and_then(|desk| desk.lanes.get_mut(n));
        let before = lane.map(|lane| std::mem::replace(&mut lane.phase, Phase::Idle));
        if let Some(Phase::Dialling(asked)) = before {
            self.put_question(at, n, asked);
        }
    }

    /// Bytes came on one.
    pub(super) fn lane_received(&mut self, id: ConnId, mut input: &[u8]) {
        let Some((at, n)) = self.lane_on(id) else {
            return self.kill(id);
        };
        let desk = self.desks.get(at);
        let asks = |lane: &Lane| matches!(lane.phase, Phase::Asking(_));
        if !desk.and_then(|desk| desk.lanes.get(n)).is_some_and(asks) {
            // Nobody asked.
            return self.kill(id);
        }
        let mut partial = match self.take_inbox(id) {
            Inbox::Answer(partial) => partial,
            _ => Box::default(),
        };
        match partial.feed(&mut input) {
            Ok(None) => self.set_inbox(id, Inbox::Answer(partial)),
            Ok(Some(answer)) => self.lane_answered(id, &answer, input.is_empty()),
            Err(_) => self.lane_broke(id, Called::Malformed),
        }
    }

    fn lane_answered(&mut self, id: ConnId, answer: &Answer, alone: bool) {
        let now = self.now();
        let Some((at, n)) = self.lane_on(id) else {
            return;
        };
        let whole = |conn: &Conn| conn.out.is_none() && !conn.half_closed;
        let lives = answer.keep_alive && alone && self.conns.get(id).is_some_and(whole);
        let Some(desk) = self.desks.get_mut(at) else {
            return;
        };
        let Some(lane) = desk.lanes.get_mut(n) else {
            return;
        };
        let phase = std::mem::replace(&mut lane.phase, Phase::Idle);
        lane.used = true;
        match lives {
            true => self
                .conn_timers
                .set(id.index(), now + super::callbacks::IDLE_MS),
            false => self.close_lane(id),
        }
        let Phase::Asking(asked) = phase else {
            return;
        };
        match decide::verdict(asked.question.matter, answer.status, &answer.body) {
            Verdict::Unanswered => self.failed(at, asked, Called::Status),
            verdict => {
                self.metrics.callbacks.count(Called::Ok, 0);
                if self
                    .desks
                    .get_mut(at)
                    .is_some_and(|desk| desk.breaker.succeed())
                {
                    log::info!("decide={} answers again", at + 1);
                }
                self.decided(asked.who, asked.question, verdict);
            }
        }
        self.go_on_asking(at);
    }

    /// The peer's end is an answer's end, or the end of one that is not whole.
    pub(super) fn lane_ended(&mut self, id: ConnId, reset: bool) {
        let Inbox::Answer(partial) = self.take_inbox(id) else {
            return self.kill(id);
        };
        match partial.end().filter(|_| !reset) {
            Some(answer) => self.lane_answered(id, &answer, true),
            None => self.lane_broke(id, Called::Broken),
        }
    }

    /// Its time is over.
    pub(super) fn lane_due(&mut self, id: ConnId) {
        self.lane_broke(id, Called::Timeout);
    }

    /// A connection is gone, and nobody has said why.
    pub(super) fn lane_lost(&mut self, id: ConnId) {
        let begun = |conn: &Conn| matches!(conn.inbox, Inbox::Answer(_));
        let begun = self.conns.get(id).is_some_and(begun);
        let Some((at, n)) = self.lane_on(id) else {
            return;
        };
        let Some(desk) = self.desks.get_mut(at) else {
            return;
        };
        let lane = desk.lanes.remove(n);
        match lane.phase {
            // It was closed while the question was on its way, which the peer never looked at (RFC 9112 section 9.3.1).
            Phase::Asking(asked) if lane.used && !begun => {
                self.metrics.callbacks.count(Called::Stale, 0);
                desk.queue.push_front(asked);
                // What lies idle is as old.
                let idle = desk.lanes.iter().filter(|lane| lane.is_idle());
                for conn in idle.map(|lane| lane.conn).collect::<Vec<_>>() {
                    self.close_lane(conn);
                }
            }
            Phase::Asking(asked) => self.failed(at, asked, Called::Broken),
            Phase::Dialling(asked) => self.failed(at, asked, Called::Unreachable),
            Phase::Idle => return,
        }
        self.go_on_asking(at);
    }

    fn lane_broke(&mut self, id: ConnId, called: Called) {
        let Some((at, n)) = self.lane_on(id) else {
            return self.kill(id);
        };
        let Some(desk) = self.desks.get_mut(at) else {
            return;
        };
        let lane = desk.lanes.remove(n);
        self.kill(id);
        if let Phase::Asking(asked) | Phase::Dialling(asked) = lane.phase {
            self.failed(at, asked, called);
            self.go_on_asking(at);
        }
    }

    fn close_lane(&mut self, id: ConnId) {
        if let Some((at, n)) = self.lane_on(id)
            && let Some(desk) = self.desks.get_mut(at)
        {
            desk.lanes.remove(n);
        }
        self.kill(id);
    }

    /// A question was asked in vain.
    fn failed(&mut self, at: usize, asked: Asked, called: Called) {
        let now = self.now();
        self.metrics.callbacks.count(called, 0);
        if let Some(desk) = self.desks.get_mut(at) {
            let opens = desk.breaker.fail();
            let wait_ms = desk.breaker.wait_ms(&mut self.rng);
            if desk.breaker.is_open() {
                desk.closed_until = now + wait_ms;
            }
            let (n, word) = (at + 1, called.word());
            match opens {
                true => log::warn!("decide={n} result={word}: it is only tried from now on"),
                false => log::debug!("decide={n} result={word}"),
            }
        }
        self.unanswered(at, asked);
    }

    /// There is no answer: what that means is the operator's word.
    fn unanswered(&mut self, at: usize, asked: Asked) {
        let open = self.desks.get(at).is_some_and(|desk| desk.to.fails_open);
        let lets = open && asked.question.matter != decide::Matter::Call;
        let verdict = match lets {
            true => Verdict::Allowed(Changes::default()),
            false => Verdict::Unanswered,
        };
        self.decided(asked.who, asked.question, verdict);
    }

    fn lane_on(&self, id: ConnId) -> Option<(usize, usize)> {
        let mut desks = self.desks.iter().enumerate();
        desks.find_map(|(at, desk)| {
            let n = desk.lanes.iter().position(|lane| lane.conn == id)?;
            Some((at, n))
        })
    }

    /// Connections to desks.
    pub(super) fn lanes(&self) -> usize {
        self.desks.iter().map(|desk| desk.lanes.len()).sum()
    }

    /// Of a node that stops: nobody is asked any more, and for who waits there is no answer.
    pub(super) fn close_desks(&mut self) {
        for at in 0..self.desks.len() {
            let Some(desk) = self.desks.get_mut(at) else {
                return;
            };
            let (lanes, mut left) = (
                std::mem::take(&mut desk.lanes),
                std::mem::take(&mut desk.queue),
            );
            for lane in lanes {
                self.kill(lane.conn);
                if let Phase::Asking(asked) | Phase::Dialling(asked) = lane.phase {
                    left.push_front(asked);
                }
            }
            for asked in left {
                self.unanswered(at, asked);
            }
        }
    }
}

impl Desk {
    /// Whether a question may be put now. While the breaker is open one at a time is tried.
    fn may_ask(&self, now: Tick) -> bool {
        let tried = self.breaker.is_open() && (now < self.closed_until || self.is_busy());
        !tried && self.queue.len() < QUESTIONS_MAX
    }

    fn is_busy(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.is_idle())
    }
}

impl Lane {
    fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }
}

/// Questions that may wait for one URL.
const QUESTIONS_MAX: usize = 10_000;
/// What a question takes beside its text.
const ASKED_BYTES: usize = size_of::<Asked>() + 64;
