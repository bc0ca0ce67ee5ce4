//! Questions to URLs of the application: several at once, each on a connection of its own, and what their answers mean.
//!
//! In: questions of what somebody asked for, what came of connections (`outgoing`). Out: requests, verdicts to who waits
//! (`held`).
//!
//! A question has its time, and then there is no answer, whatever the reason: whoever waits for it is not kept waiting by
//! tries in vain. A kept connection that was closed under a question before a byte of its answer came is none of the question's:
//! it is put again at once, once, with the id by which the application knows that it is the same.

mod held;
mod welcome;

pub use held::Asker;
pub(super) use held::Holds;

use super::Node;
use super::outgoing::{Breaker, Came, Owner};
use crate::config::Decider;
use crate::http::answer::Answer;
use crate::ids::ConnId;
use crate::mem::Charge;
use crate::metrics::Called;
use crate::service::decide::{self, Changes, Question, Verdict};
use crate::time::Tick;
use crate::transport::post;
use std::collections::{BTreeMap, VecDeque};

/// A URL of the application that is asked.
#[derive(Debug)]
pub struct Desk {
    to: Decider,
    /// What has a connection, made or not.
    under_way: BTreeMap<ConnId, Asked>,
    /// What waits for one; while something does all of them are busy.
    queue: VecDeque<Asked>,
    breaker: Breaker,
    /// While the breaker is open: when somebody may ask again.
    closed_until: Tick,
}

/// A question on its way.
#[derive(Debug)]
struct Asked {
    who: Asker,
    question: Question,
    until: Tick,
    /// Of all questions of this node.
    number: u64,
    _charge: Charge,
}

impl Node {
    pub(super) fn open_desks(&mut self) {
        let desk = |to: &Decider| Desk {
            to: to.clone(),
            under_way: BTreeMap::new(),
            queue: VecDeque::new(),
            breaker: Breaker::default(),
            closed_until: Tick::default(),
        };
        self.desks = self.config.deciders.iter().map(desk).collect();
    }

    /// Asks the application; what it says comes back by `Node::decided`.
    fn put_to_application(&mut self, who: Asker, question: Question) {
        if self.config.op_welcome && question.matter == decide::Matter::Signon {
            return self.put_to_op(who, question);
        }
        let (now, until) = (self.now(), self.now() + self.config.callback_timeout_ms);
        let at = self.config.decider(question.matter.word());
        let charge = self.ledger.charge(question.body.capacity() + ASKED_BYTES);
        let asked = Asked {
            who,
            question,
            until,
            number: self.holds.number(),
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

    /// Gives what waits to connections that are free, and makes as many as there may be.
    fn go_on_asking(&mut self, at: usize) {
        while let Some(asked) = self.next_asked(at) {
            let owner = Owner::Desk(at);
            let lines = self.outgoing_of(owner).count();
            // The one that was asked for last: the others may go.
            let idle = self.outgoing_of(owner).rfind(|one| one.is_idle());
            let idle = idle.map(|one| one.conn);
            let Some(desk) = self.desks.get_mut(at) else {
                return;
            };
            match idle {
                Some(conn) => {
                    desk.under_way.insert(conn, asked);
                    self.put_question(at, conn);
                }
                None if lines < desk.to.lanes => self.dial_desk(at, asked),
                None => return desk.queue.push_front(asked),
            }
        }
    }

    /// The next that still has time; the others are told that there is no answer.
    fn next_asked(&mut self, at: usize) -> Option<Asked> {
        let now = self.now();
        loop {
            let asked = self.desks.get_mut(at)?.queue.pop_front()?;
            // Who has left asks nothing.
            if !self.holds.waits(asked.who) {
                continue;
            }
            if asked.until > now {
                return Some(asked);
            }
            self.unanswered(at, asked);
        }
    }

    fn dial_desk(&mut self, at: usize, asked: Asked) {
        let Some(to) = self.desks.get(at).map(|desk| &desk.to.to) else {
            return;
        };
        let conn = self.dial(Owner::Desk(at), to.address.clone(), asked.until);
        match (conn, self.desks.get_mut(at)) {
            (Some(conn), Some(desk)) => drop(desk.under_way.insert(conn, asked)),
            _ => self.failed(at, asked, Called::Unreachable),
        }
    }

    fn put_question(&mut self, at: usize, conn: ConnId) {
        let Some(desk) = self.desks.get(at) else {
            return;
        };
        let Some(asked) = desk.under_way.get(&conn) else {
            return self.rest(conn);
        };
        let (mut bytes, until) = (Vec::new(), asked.until);
        let signed = (&*self.config.callback_keys, self.clock.unix_s());
        let question = (self.run, asked.number, &*asked.question.body);
        post::question(&mut bytes, &desk.to.to, signed, question);
        self.send_request(conn, &bytes, until);
    }

    /// What came of a connection.
    pub(super) fn desk_came(&mut self, at: usize, conn: ConnId, came: Came) {
        if let Came::Connected = came {
            return self.put_question(at, conn);
        }
        let Some(desk) = self.desks.get_mut(at) else {
            return;
        };
        let Some(asked) = desk.under_way.remove(&conn) else {
            return;
        };
        match came {
            Came::Answer(answer) => self.question_answered(at, asked, &answer),
            // It is the next, and no other connection is idle now: a new one is made for it, which cannot be stale.
            Came::Failed(Called::Stale) => desk.queue.push_front(asked),
            Came::Failed(called) => self.failed(at, asked, called),
            Came::Connected => {}
        }
        self.go_on_asking(at);
    }

    fn question_answered(&mut self, at: usize, asked: Asked, answer: &Answer) {
        let verdict = decide::verdict(asked.question.matter, answer.status, &answer.body);
        if matches!(verdict, Verdict::Unanswered) {
            self.metrics.callbacks.count(Called::Status, 0);
            return self.failed(at, asked, Called::Status);
        }
        self.metrics.callbacks.count(Called::Ok, 0);
        if let Some(desk) = self.desks.get_mut(at) {
            desk.breaker.succeed(("decide", at + 1));
        }
        self.decided(asked.who, asked.question, verdict);
    }

    /// A question was asked in vain.
    fn failed(&mut self, at: usize, asked: Asked, called: Called) {
        let now = self.now();
        if let Some(desk) = self.desks.get_mut(at) {
            let wait_ms = desk.breaker.fail(("decide", at + 1), called, &mut self.rng);
            if desk.breaker.is_open() {
                desk.closed_until = now + wait_ms;
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

    /// What does not hold of questions and of who waits for their answers, if anything.
    pub(super) fn check_questions(&self) -> Result<(), String> {
        if self.asking.is_open() {
            return Err("something is to be asked and nobody asks it".into());
        }
        let mut asked: Vec<_> = self.holds.at_the_door().collect();
        for (at, desk) in self.desks.iter().enumerate() {
            let lines: Vec<_> = self.outgoing_of(Owner::Desk(at)).collect();
            let (lanes, waits) = (lines.len(), desk.queue.len());
            let idle = lines.iter().filter(|one| one.is_idle()).count();
            if lanes > desk.to.lanes || (waits > 0 && (idle > 0 || lanes < desk.to.lanes)) {
                return Err(format!("decide={at}: {waits} wait, on {lanes} connections"));
            }
            if lanes - idle != desk.under_way.len() {
                return Err(format!(
                    "decide={at}: {} are under way",
                    desk.under_way.len()
                ));
            }
            asked.extend(
                desk.under_way
                    .values()
                    .chain(&desk.queue)
                    .map(|one| one.who),
            );
        }
        self.holds.check(&asked)
    }

    /// Of a node that stops: nobody is asked any more, and for who waits there is no answer.
    pub(super) fn close_desks(&mut self) {
        while self.expire_doorstep(Tick(u64::MAX)) {}
        for at in 0..self.desks.len() {
            let Some(desk) = self.desks.get_mut(at) else {
                return;
            };
            let left = std::mem::take(&mut desk.under_way).into_values();
            let left: Vec<_> = left.chain(std::mem::take(&mut desk.queue)).collect();
            self.close_all_of(Owner::Desk(at));
            for asked in left {
                self.unanswered(at, asked);
            }
        }
    }
}

impl Desk {
    /// Whether a question may be put now. While the breaker is open one at a time is tried.
    fn may_ask(&self, now: Tick) -> bool {
        let busy = !self.under_way.is_empty();
        let tried = self.breaker.is_open() && (now < self.closed_until || busy);
        !tried && self.queue.len() < QUESTIONS_MAX
    }
}

/// Questions that may wait for one URL.
const QUESTIONS_MAX: usize = 10_000;
/// What a question takes beside its text.
const ASKED_BYTES: usize = size_of::<Asked>() + 64;
