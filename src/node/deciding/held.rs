//! Who waits for the application's word: what was said is kept, and said again when the word is there.
//!
//! In: what a session's client said, or a request, in which something is to be decided; verdicts. Out: questions, and the
//! same bytes once more, with what is known. What a session says meanwhile waits behind that, in order; a connection that is
//! one session's is not read meanwhile. What does not fit is told as an overflow.

use super::super::Node;
use super::super::bayeux::answer::Answers;
use super::super::conn::{Conn, Stage};
use super::welcome::Doorstep;
use crate::cmd::{Cause, Cmd};
use crate::http::reader::Kept;
use crate::ids::{ConnId, SessionId};
use crate::mem::Charge;
use crate::service::decide::{Decided, Question, Verdict};
use crate::session::{Carriage, Session};
use std::collections::{BTreeMap, VecDeque};

/// Who asked for what is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A session, whose bytes wait.
    Session(SessionId),
    /// A call of a session, by the number its client gave it; nothing waits for it.
    Call(SessionId, u64),
    /// A request, on this connection.
    Request(ConnId),
    /// Messages of Bayeux on this WebSocket.
    Socket(ConnId),
}

/// All that wait, and what they are told.
#[derive(Debug, Default)]
pub struct Holds {
    sessions: BTreeMap<SessionId, Held>,
    requests: BTreeMap<ConnId, HeldRequest>,
    sockets: BTreeMap<ConnId, HeldMessages>,
    /// Of batches of Bayeux: how many of its messages are done, and what they are answered.
    begun: BTreeMap<ConnId, (usize, Answers)>,
    /// Calls under way, of each session that has some.
    calls: BTreeMap<SessionId, usize>,
    /// What was decided and is not told yet: one after the other, however many follow from each.
    verdicts: VecDeque<(Asker, Question, Verdict)>,
    /// Who waits for the application's word by OP.
    pub(super) doorstep: Doorstep,
    telling: bool,
    /// How many questions there were.
    questions: u64,
}

/// What a session's client said, from the question on.
#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    binary: bool,
    decided: Decided,
    /// Its client said goodbye behind that.
    then: Option<Cause>,
    charge: Charge,
}

/// A message of a WebSocket.
#[derive(Debug)]
struct HeldMessages {
    text: Vec<u8>,
    decided: Decided,
    _charge: Charge,
}

#[derive(Debug)]
struct HeldRequest {
    kept: Kept,
    decided: Decided,
    _charge: Charge,
}

impl Node {
    /// A session's client said something.
    pub(in super::super) fn hear_session(&mut self, id: SessionId, bytes: &[u8], binary: bool) {
        if self.holds.sessions.is_empty() || !self.holds.sessions.contains_key(&id) {
            return self.tell_service(id, bytes, binary);
        }
        let room = self.config.max_queue;
        let Some(held) = self.holds.sessions.get_mut(&id) else {
            return;
        };
        if held.bytes.len() + bytes.len() > room {
            self.refused("asks-too-much");
            return self.cmds.end_first(id, Cause::Overflow);
        }
        held.bytes.extend_from_slice(bytes);
        held.charge.set(held.bytes.capacity());
    }

    fn tell_service(&mut self, id: SessionId, bytes: &[u8], binary: bool) {
        self.with_service(id, |service, cx, row| {
            service.message(cx, row, bytes, binary);
        });
        // All of it is taken before anything is asked: asking may tell others of verdicts, who ask too.
        let (calls, asked) = (self.asking.take_calls(), self.asking.take());
        for (number, question) in calls {
            self.ask_call(id, number, question);
        }
        if let Some((question, decided, bytes)) = asked {
            let charge = self.ledger.charge(bytes.capacity());
            let held = Held {
                bytes,
                binary,
                decided,
                then: None,
                charge,
            };
            self.holds.sessions.insert(id, held);
            self.stop_reading(id, true);
            self.put_to_application(Asker::Session(id), question);
        }
    }

    fn ask_call(&mut self, id: SessionId, number: u64, question: Question) {
        let calls = self.holds.calls.entry(id).or_default();
        *calls += 1;
        if *calls > CALLS_MAX {
            let who = Asker::Call(id, number);
            return self.decided(who, question, Verdict::TooMany);
        }
        self.put_to_application(Asker::Call(id, number), question);
    }

    /// A session's client says goodbye: behind all that it said. True when something of that still waits.
    pub(in super::super) fn ends_later(&mut self, id: SessionId, cause: Cause) -> bool {
        let held = self.holds.sessions.get_mut(&id);
        held.map(|held| held.then = Some(cause)).is_some()
    }

    /// A request asks for what is to be decided: it is not answered yet.
    pub(in super::super) fn hold_request(&mut self, id: ConnId, kept: Option<Kept>) {
        let (Some((question, decided, _)), Some(kept)) = (self.asking.take(), kept) else {
            return self.kill(id);
        };
        if let Some(conn) = self.conns.get_mut(id) {
            conn.stage = Stage::Waiting;
        }
        let _charge = self.ledger.charge(kept.heap_bytes());
        let held = HeldRequest {
            kept,
            decided,
            _charge,
        };
        self.holds.requests.insert(id, held);
        self.put_to_application(Asker::Request(id), question);
    }

    /// The application said this, or nothing.
    pub(super) fn decided(&mut self, who: Asker, question: Question, verdict: Verdict) {
        self.holds.verdicts.push_back((who, question, verdict));
        if std::mem::replace(&mut self.holds.telling, true) {
            return;
        }
        while let Some((who, question, verdict)) = self.holds.verdicts.pop_front() {
            match who {
                Asker::Session(id) => self.say_again(id, question, verdict),
                Asker::Call(id, number) => self.tell_call(id, number, verdict),
                Asker::Request(id) => self.serve_again(id, question, verdict),
                Asker::Socket(id) => self.read_again_from(id, question, verdict),
            }
        }
        self.holds.telling = false;
    }

    fn say_again(&mut self, id: SessionId, question: Question, verdict: Verdict) {
        let Some(mut held) = self.holds.sessions.remove(&id) else {
            return;
        };
        held.decided.add(question.matter, question.about, verdict);
        self.asking.begin(held.decided);
        if self.sessions.get(id).is_some_and(Session::listens) {
            self.tell_service(id, &held.bytes, held.binary);
        }
        self.asking.settle();
        match (self.holds.sessions.get_mut(&id), held.then) {
            (Some(again), then) => again.then = then,
            (None, then) => {
                self.stop_reading(id, false);
                if let Some(cause) = then {
                    self.cmds.push(Cmd::End(id, cause));
                }
            }
        }
    }

    fn tell_call(&mut self, id: SessionId, number: u64, verdict: Verdict) {
        if let Some(calls) = self.holds.calls.get_mut(&id) {
            *calls -= 1;
            if *calls == 0 {
                self.holds.calls.remove(&id);
            }
        }
        if self.sessions.get(id).is_some_and(Session::is_open) {
            self.with_service(id, |service, cx, row| {
                service.called(cx, row, number, verdict);
            });
        }
    }

    fn serve_again(&mut self, id: ConnId, question: Question, verdict: Verdict) {
        let Some(mut held) = self.holds.requests.remove(&id) else {
            return;
        };
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.stage != Stage::Waiting {
            return;
        }
        conn.stage = Stage::Open;
        held.decided.add(question.matter, question.about, verdict);
        self.asking.begin(held.decided);
        let limits = self.limits.clone();
        let Some(request) = held.kept.request(&limits) else {
            self.asking.settle();
            return self.kill(id);
        };
        self.route(id, &request);
        match self.asking.is_open() {
            true => self.hold_request(id, Some(held.kept)),
            false => {
                self.asking.settle();
                self.leave_absent(id);
                self.read_again(id);
            }
        }
    }

    /// A peer that left while its request waited is given nothing that would last: nobody would tell of its end again.
    fn leave_absent(&mut self, id: ConnId) {
        let lasts = |conn: &Conn| {
            let carries = matches!(conn.stage, Stage::Held | Stage::Streaming | Stage::Socket);
            conn.half_closed && carries
        };
        if self.conns.get(id).is_some_and(lasts) {
            self.kill(id);
        }
    }

    /// A message of Bayeux on a WebSocket asks for what is to be decided.
    pub(in super::super) fn hold_message(&mut self, id: ConnId, text: &[u8]) {
        let Some((question, decided, _)) = self.asking.take() else {
            return;
        };
        let held = HeldMessages {
            text: text.to_vec(),
            decided,
            _charge: self.ledger.charge(text.len()),
        };
        self.holds.sockets.insert(id, held);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.paused = true;
        }
        self.put_to_application(Asker::Socket(id), question);
    }

    fn read_again_from(&mut self, id: ConnId, question: Question, verdict: Verdict) {
        let Some(mut held) = self.holds.sockets.remove(&id) else {
            return;
        };
        held.decided.add(question.matter, question.about, verdict);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.paused = false;
        }
        let socket = |conn: &Conn| conn.stage == Stage::Socket;
        if self.conns.get(id).is_some_and(socket) {
            self.asking.begin(held.decided);
            self.bayeux_message(id, &held.text, false);
            self.asking.settle();
        }
        if !self.holds.sockets.contains_key(&id) {
            self.read_again(id);
        }
    }

    /// Nobody waits any more for what was to be decided.
    pub(in super::super) fn forget_session(&mut self, id: SessionId) {
        if !self.holds.sessions.is_empty() {
            self.holds.sessions.remove(&id);
        }
    }

    /// The same of a connection.
    pub(in super::super) fn forget_request(&mut self, id: ConnId) {
        let holds = &mut self.holds;
        if !(holds.requests.is_empty() && holds.sockets.is_empty() && holds.begun.is_empty()) {
            holds.requests.remove(&id);
            holds.sockets.remove(&id);
            holds.begun.remove(&id);
        }
    }

    /// A connection that is this session's alone is not read while the session waits.
    fn stop_reading(&mut self, id: SessionId, stops: bool) {
        let row = self.sessions.get(id);
        let bare = row.filter(|row| row.carriage() == Carriage::Bare);
        let Some(conn_id) = bare.and_then(Session::conn) else {
            return;
        };
        let Some(conn) = self.conns.get_mut(conn_id) else {
            return;
        };
        conn.paused = stops;
        if stops {
            return;
        }
        if conn.stage == Stage::Raw {
            // It may have said who it is, and was not listened to since.
            self.watch(conn_id);
        }
        self.read_again(conn_id);
    }
}

impl Holds {
    /// Whether somebody waits for a verdict yet.
    pub(super) fn waits(&self, who: Asker) -> bool {
        match who {
            Asker::Session(id) => self.sessions.contains_key(&id),
            Asker::Call(id, _) => self.calls.contains_key(&id),
            Asker::Request(id) => self.requests.contains_key(&id),
            Asker::Socket(id) => self.sockets.contains_key(&id),
        }
    }

    /// The number of the next question.
    pub(super) fn number(&mut self) -> u64 {
        self.questions += 1;
        self.questions
    }

    /// Whoever waits does so for one question of those that were `asked`, and each call for one of its own.
    pub(super) fn check(&self, asked: &[Asker]) -> Result<(), String> {
        if self.telling || !self.verdicts.is_empty() {
            return Err("verdicts are not told".into());
        }
        let sessions = self.sessions.keys().map(|id| Asker::Session(*id));
        let requests = self.requests.keys().map(|id| Asker::Request(*id));
        let sockets = self.sockets.keys().map(|id| Asker::Socket(*id));
        for who in sessions.chain(requests).chain(sockets) {
            let questions = asked.iter().filter(|one| **one == who).count();
            if questions != 1 {
                return Err(format!("{who:?} waits for {questions} questions"));
            }
        }
        for (id, calls) in &self.calls {
            let is_its = |who: &&Asker| matches!(who, Asker::Call(of, _) if of == id);
            let questions = asked.iter().filter(is_its).count();
            if questions != *calls {
                return Err(format!("{calls} calls of {id}, {questions} questions"));
            }
        }
        Ok(())
    }

    /// From which message of a batch on is to be answered, and what those before it were.
    pub(in super::super) fn go_on(&mut self, id: ConnId) -> (usize, Answers) {
        match self.begun.is_empty() {
            true => Default::default(),
            false => self.begun.remove(&id).unwrap_or_default(),
        }
    }

    /// The rest of a batch is answered later.
    pub(in super::super) fn put_off(&mut self, id: ConnId, done: usize, answers: Answers) {
        self.begun.insert(id, (done, answers));
    }
}

/// Calls of one session under way at once.
const CALLS_MAX: usize = 32;
