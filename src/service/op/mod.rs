//! OP, by which the application sends to users and is told of them (see `crate::op` for its bytes).
//!
//! In: frames of 0.4 or events of 1.0, events of the hub, what became of messages. Out: frames on the session; messages, ends
//! of sessions as commands. Who speaks it is the application: outside demo mode it shows a key of `--api-key` when it connects.

mod callback;
mod events;
mod frames;
mod keys;
mod outcomes;
mod told;

use super::groups::Gift;
use super::{Cx, Hello, Service};
use crate::cmd::{Cause, Cmd, Fate, Outcome};
use crate::hub::Refused;
use crate::mem::{Msg, Publication};
use crate::op::{Dialect, Fault, Item, Limits, Style};
use crate::session::{Op, Session};
use std::rc::Rc;

/// The service; what it remembers is in the session, and which name is whose in the hub.
#[derive(Debug)]
pub struct OpService;

impl Service for OpService {
    fn opened(&self, cx: &mut Cx<'_>, session: &mut Session, _: &Hello<'_>) -> Result<(), Refused> {
        session.put_op(Box::new(Op::new(cx.now, cx.ledger)));
        Ok(())
    }

    fn message(&self, cx: &mut Cx<'_>, session: &mut Session, bytes: &[u8], _: bool) {
        let Some(mut talk) = Talk::begin(cx, session) else {
            return;
        };
        if !talk.op.reader.is_begun() {
            talk.op.begun = talk.cx.now;
        }
        talk.op.reader.push(bytes);
        while talk.session.listens() {
            let limits = talk.limits();
            match talk.op.reader.next(&limits) {
                Ok(Some(item)) => {
                    // What is behind it came just now.
                    talk.op.begun = talk.cx.now;
                    talk.take(item);
                }
                Ok(None) => break,
                Err(fault) => talk.fault(fault),
            }
        }
        if talk.op.reader.heap_bytes() > FULL_PARTIAL_MAX && talk.cx.is_full() {
            talk.refuse(None, &Refusal::new(OTHER, FULL));
            talk.end(Cause::Overflow);
        }
        talk.finish();
    }

    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        _: bool,
    ) {
        tell_event(cx, session, publication, 0);
    }

    fn given(&self, cx: &mut Cx<'_>, session: &mut Session, gift: &Gift) {
        tell_event(cx, session, &gift.event.publication, gift.missed);
    }

    fn answered(&self, cx: &mut Cx<'_>, session: &mut Session, call: u64, outcome: Outcome) {
        outcomes::note(cx, session, call, |_, _| outcomes::of_outcome(outcome));
    }

    fn reported(&self, cx: &mut Cx<'_>, session: &mut Session, call: u64, fate: Fate) {
        outcomes::note(cx, session, call, |confirm, state| {
            outcomes::of_fate(fate, confirm, state)
        });
    }

    /// Who sends something and shuts its side waits for what becomes of it. It may as well be gone, so its name is free for
    /// who comes in its place.
    fn heard_all(&self, cx: &mut Cx<'_>, session: &mut Session) {
        cx.hub.uncall(cx.id);
        if let Some(mut talk) = Talk::begin(cx, session) {
            talk.op.heard_all = true;
            talk.part();
            talk.finish();
        }
    }

    fn farewell(&self, cx: &mut Cx<'_>, session: &mut Session, cause: Cause) {
        let text = match cause {
            // What becomes of its messages is told yet.
            Cause::Shutdown => return,
            Cause::Timeout => "nothing came for too long",
            cause => cause.word(),
        };
        if let Some(mut talk) = Talk::begin(cx, session) {
            talk.refuse(None, &Refusal::new(OTHER, text));
            talk.finish();
        }
    }

    fn closed(&self, cx: &mut Cx<'_>, _: &Session, _: Cause, _: &[Rc<Publication>]) {
        cx.hub.uncall(cx.id);
    }
}

fn tell_event(cx: &mut Cx<'_>, session: &mut Session, event: &Rc<Publication>, missed: u64) {
    let Some(op) = session.op() else {
        return;
    };
    let frame = told::event(op.reader.style(), op.json, (event, missed));
    let msg = Msg::view(event, frame.into(), cx.ledger);
    cx.push(session, msg);
}

/// Whether a session asked to be told who signs on, and may still say something to that.
#[must_use]
pub fn hears_signon(session: &Session) -> bool {
    session
        .op()
        .is_some_and(|op| op.hears_signon && !op.heard_all)
}

/// Asks the application whether somebody is welcome, by what it is to be called in the answer.
pub fn ask(cx: &mut Cx<'_>, session: &mut Session, called: (&str, u64), question: &[u8]) {
    if let Some(op) = session.op() {
        let frame = told::pending(op.reader.style(), called, question);
        let msg = Msg::new(frame, cx.ledger);
        cx.remark(session, msg);
    }
}

/// What is said where no session begins.
#[must_use]
pub fn no_session(reason: &str) -> Vec<u8> {
    let headers = [("code", "3"), ("reason", reason)];
    Style::default().frame("ERROR", &headers, reason.as_bytes())
}

/// Why a frame was refused: the code of its ERROR, and the text.
#[derive(Debug)]
struct Refusal {
    code: u8,
    text: String,
}

impl Refusal {
    fn new(code: u8, text: &str) -> Self {
        Self {
            code,
            text: text.to_owned(),
        }
    }
}

/// A session with what it has in hand, and what it is told in one piece at the end.
struct Talk<'t, 'c> {
    cx: &'t mut Cx<'c>,
    session: &'t mut Session,
    op: Box<Op>,
    out: Vec<u8>,
}

impl<'t, 'c> Talk<'t, 'c> {
    fn begin(cx: &'t mut Cx<'c>, session: &'t mut Session) -> Option<Self> {
        let op = session.take_op()?;
        Some(Self {
            cx,
            session,
            op,
            out: Vec::new(),
        })
    }

    fn finish(self) {
        if !self.out.is_empty() {
            let msg = Msg::new(self.out, self.cx.ledger);
            self.cx.remark(self.session, msg);
        }
        self.session.put_op(self.op);
    }

    /// Before it is known who speaks no more is taken than that needs.
    fn limits(&self) -> Limits {
        let head_bytes_max = self.cx.config.max_head;
        let in_front = !self.op.connected && !self.cx.config.demo;
        Limits {
            head_bytes_max,
            body_bytes_max: match in_front {
                true => head_bytes_max.min(self.cx.config.max_message),
                false => self.cx.config.max_message,
            },
        }
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Frame(frame) => frames::take(self, frame),
            Item::Event(event) => events::take(self, event),
            Item::Unparsable => self.refuse(None, &Refusal::new(UNPARSABLE, "error parsing frame")),
        }
    }

    fn fault(&mut self, fault: Fault) {
        let (code, cause) = match fault {
            Fault::TooBig => (TOO_BIG, Cause::TooBig),
            Fault::NoEnd | Fault::NoEvent => (UNPARSABLE, Cause::Protocol),
        };
        self.refuse(None, &Refusal::new(code, fault.reason()));
        self.end(cause);
    }

    fn tell(&mut self, action: &str, headers: &[(&str, &str)], body: &[u8]) {
        let frame = self.op.reader.style().frame(action, headers, body);
        self.out.extend_from_slice(&frame);
    }

    /// Says what is wrong. Who is not let in yet has no second try: a page of a browser, which can write to any port what it
    /// cannot begin with, would have one.
    fn refuse(&mut self, id: Option<&str>, refusal: &Refusal) {
        let Refusal { code, text } = refusal;
        let counted = CODES.get(usize::from(*code));
        self.cx
            .metrics
            .refuse(counted.copied().unwrap_or(BAD_FRAME));
        if self.op.reader.dialect() == Some(Dialect::Events) {
            let told = crate::op::events::failure(id.unwrap_or_default(), text, [].into_iter());
            self.out.extend_from_slice(&told);
        } else {
            let code = code.to_string();
            let mut headers = vec![("code", &*code)];
            headers.extend(id.map(|id| ("id", id)));
            headers.push(("reason", text));
            self.tell("ERROR", &headers, text.as_bytes());
        }
        if !self.op.connected {
            self.end(Cause::Protocol);
        }
    }

    /// Ends what says nothing more and is told nothing more of what it sent.
    fn part(&mut self) {
        if self.op.heard_all && self.op.sent.is_empty() {
            self.cx.cmds.push(Cmd::End(self.cx.id, Cause::Gone));
        }
    }

    fn end(&mut self, cause: Cause) {
        self.cx.end(self.session, cause);
    }
}

/// What the codes of ERROR are counted as.
const CODES: [&str; 7] = [
    BAD_FRAME,
    BAD_FRAME,
    BAD_FRAME,
    BAD_FRAME,
    "too-big",
    "no-key",
    "name-taken",
];
const BAD_FRAME: &str = "bad-frame";
const UNPARSABLE: u8 = 1;
const NO_ID: u8 = 2;
const OTHER: u8 = 3;
const TOO_BIG: u8 = 4;
const NO_KEY: u8 = 5;
const NAME_TAKEN: u8 = 6;
const CONNECT_FIRST: u8 = 7;
const FULL: &str = "the server's queues are full; try again later";
/// Bytes that a frame may have come to while the queues are full.
const FULL_PARTIAL_MAX: usize = 8 * 1024;
