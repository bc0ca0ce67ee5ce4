//! STOMP 1.0, 1.1 and 1.2, on the same hub as Revolved (see `crate::stomp` for its frames).
//!
//! In: a session's byte stream, publications. Out: frames on the session; publications and messages as commands. Frames are
//! done strictly in order, so that a RECEIPT says that everything before it is done too. Whatever is refused is told by an
//! ERROR, which is the last a client gets.

mod acks;
mod app;
mod connect;
pub mod destinations;
mod events;
mod replies;
mod send;
mod subscribe;
mod transactions;

pub use app::replied;
pub use replies::gap;

use super::groups::Gift;
use super::refusal::Refusal;
use super::{Cx, Hello, Service, admit, groups, named, report, tell};
use crate::cmd::{Cause, Outcome};
use crate::hub::Refused;
use crate::mem::{Msg, Publication};
use crate::session::desk::Said;
use crate::session::{Ack, Carriage, ServiceKind, Session, Stomp, Sub};
use crate::stomp::{Command, Frame, Limits, Version, next, spell};
use std::rc::Rc;

/// The service; what it remembers is in the session.
#[derive(Debug)]
pub struct StompService;

impl Service for StompService {
    /// Who somebody is, is said by CONNECT: the token of the handshake, if it has one, counts from then on too. Whose it is by
    /// the application's word, which was shown the cookies of the handshake, is so from the start.
    fn opened(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        hello: &Hello<'_>,
    ) -> Result<(), Refused> {
        if hello.by_port {
            session.put_port();
        }
        match hello.credentials == admit::BY_APPLICATION {
            true => named(cx, session, hello),
            false => Ok(()),
        }
    }

    fn given(&self, cx: &mut Cx<'_>, session: &mut Session, gift: &Gift) {
        events::give(cx, session, gift);
    }

    fn message(&self, cx: &mut Cx<'_>, session: &mut Session, bytes: &[u8], _: bool) {
        let mut begun = session.partial_since().unwrap_or(cx.now);
        let mut partial = session.take_partial(cx.ledger);
        let mut input = bytes;
        let limits = limits(cx);
        while session.listens() {
            let version = session.stomp().map(|stomp| stomp.version);
            match next(&mut partial, &mut input, version, &limits) {
                Ok(Some(frame)) => {
                    // What is behind it came just now.
                    begun = cx.now;
                    take(cx, session, &frame);
                    if cx.asking.is_open() {
                        let raw = frame.raw.to_vec();
                        return cx.asking.keep([&raw, input].concat());
                    }
                    cx.asking.settle();
                }
                Ok(None) => break,
                Err(fault) => {
                    let code = if fault.is_size() { TOO_BIG } else { BAD_FRAME };
                    cx.metrics.refuse(code);
                    fail(cx, session, None, &Refusal::new(fault.reason(), code));
                }
            }
        }
        let held = partial.as_ref().map_or(0, |partial| partial.heap_bytes());
        if held > FULL_PARTIAL_MAX && cx.is_full() {
            return fail(cx, session, None, &FULL);
        }
        if session.listens() {
            session.put_partial(partial, begun, cx.ledger);
        }
    }

    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        to_user: bool,
    ) {
        let Some(stomp) = session.stomp() else {
            return;
        };
        let version = stomp.version;
        let reads = |sub: &Sub<'_>| match to_user {
            true => sub.private,
            false => destinations::brings(sub, &publication.target),
        };
        let given = |sub: Sub<'_>| (sub.slot, sub.ack, replies::head(version, &sub, publication));
        // A private message goes to one subscription; who has none gets it unasked, and can tell what it is.
        let most = if to_user { 1 } else { usize::MAX };
        if !session.listens() {
            // Its last frame is said: what would come behind that is undelivered.
            if to_user || stomp.subs().any(|sub| reads(&sub)) {
                acks::keep(cx, session, publication);
            }
            return;
        }
        let mut to: Vec<_> = stomp.subs().filter(reads).take(most).map(given).collect();
        if to_user && to.is_empty() {
            to.push(given(UNASKED));
        }
        for (slot, ack, head) in to {
            match ack {
                Ack::Auto => give(cx, session, (version, head), publication),
                _ => acks::give(cx, session, (version, (slot, ack), head), publication),
            }
        }
    }

    fn answered(&self, cx: &mut Cx<'_>, session: &mut Session, call: u64, outcome: Outcome) {
        app::answered(cx, session, call, outcome);
    }

    /// Of whom it was not told that they came, it is not told that they went.
    fn closed(
        &self,
        cx: &mut Cx<'_>,
        session: &Session,
        cause: Cause,
        undelivered: &[Rc<Publication>],
    ) {
        match session.service {
            ServiceKind::Stomp => tell(cx, session, cause, undelivered),
            _ => report(cx, cause, undelivered),
        }
    }

    /// The protocol has no word for the end of one subscription: it ends the session.
    fn lapsed(&self, cx: &mut Cx<'_>, session: &mut Session, _: &str) {
        fail(cx, session, None, &LAPSED);
    }

    fn farewell(&self, cx: &mut Cx<'_>, session: &mut Session, cause: Cause) {
        let text = match cause {
            Cause::Shutdown => "the server stops",
            Cause::Kicked => "the application ended the session",
            Cause::Timeout => "nothing came for too long",
            cause => cause.word(),
        };
        error(cx, session, None, &Refusal::new(text, cause.word()));
    }
}

/// A message to the session where it has subscribed to none.
const UNASKED: Sub<'_> = Sub {
    slot: u16::MAX,
    ack: Ack::Auto,
    private: true,
    id: "/user/self",
    topic: "/user/self",
};

/// Gives the session a message for one of its subscriptions that acknowledges nothing. CSP cuts it as it likes; elsewhere
/// its two parts stay one.
fn give(
    cx: &mut Cx<'_>,
    session: &mut Session,
    (version, mut head): (Version, Vec<u8>),
    publication: &Rc<Publication>,
) {
    let (view, make) = replies::rest(version);
    let rest = publication.view(view, cx.ledger, make);
    if session.carriage() == Carriage::Csp {
        head.extend_from_slice(rest.bytes());
        let whole = Msg::view(publication, head.into(), cx.ledger);
        return cx.push(session, whole);
    }
    let parts = [Msg::view(publication, head.into(), cx.ledger), rest];
    cx.metrics.messages_out += 1;
    match parts.iter().any(|part| part.is_loose()) {
        true => cx.offer(session, &parts),
        false => cx.remark_all(session, &parts),
    }
}

/// How large frames may be: what there are bounds of already holds here too.
fn limits(cx: &Cx<'_>) -> Limits {
    Limits {
        line_bytes_max: LINE_BYTES_MAX.min(cx.config.max_head),
        head_bytes_max: cx.config.max_head,
        lines_max: LINES_MAX,
        body_bytes_max: cx.config.max_message,
    }
}

/// What came of a frame: what its RECEIPT says besides, if it wants one.
type Done = Result<Said, Refusal>;

/// Does what a frame asks, or keeps it for its transaction.
fn take(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>) {
    let connects = frame.command == Command::Connect;
    let receipt = frame.header("receipt").filter(|_| !connects);
    session.with_desk(cx.ledger, |desk| desk.begin(receipt.is_some()));
    let done = match (session.stomp(), connects) {
        (None, true) => connect::connect(cx, session, frame).map(|()| Vec::new()),
        (None, false) => Err(CONNECT_FIRST),
        (Some(_), true) => Err(CONNECTED),
        (Some(_), false) => transactions::take(cx, session, frame),
    };
    match done {
        Ok(said) => app::done(cx, session, receipt, said),
        // It comes again.
        Err(refusal) if refusal.is_pending() => return,
        Err(refusal) => {
            if refusal.code == BAD_FRAME {
                cx.metrics.refuse(BAD_FRAME);
            }
            return fail(cx, session, receipt, &refusal);
        }
    }
    if frame.command == Command::Disconnect {
        gone(cx, session);
        cx.end(session, Cause::Clean);
    }
}

/// Does what a frame asks that is of no transaction, or whose transaction is committed.
fn act(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>) -> Done {
    match frame.command {
        Command::Send if is_app(session) => app::send(cx, session, frame),
        Command::Send => send::send(cx, session, frame),
        Command::Subscribe => subscribe::subscribe(cx, session, frame),
        Command::Unsubscribe => subscribe::unsubscribe(cx, session, frame),
        Command::Ack => acks::acknowledge(cx, session, frame, true),
        Command::Nack => acks::acknowledge(cx, session, frame, false),
        Command::Begin | Command::Commit | Command::Abort => {
            transactions::control(cx, session, frame)
        }
        // The end itself comes behind its receipt.
        Command::Disconnect | Command::Connect => Ok(Vec::new()),
    }
}

/// A header that must be there.
fn needed<'f>(frame: &'f Frame<'_>, name: &'static str) -> Result<&'f str, Refusal> {
    let missing = || Refusal {
        text: format!("{} needs the header {name}", frame.command.word()).into(),
        code: BAD_FRAME,
    };
    let value = frame.header(name).filter(|value| !value.is_empty());
    value.ok_or_else(missing)
}

/// Nothing more comes of the client: what it has not acknowledged of events is for others.
fn gone(cx: &mut Cx<'_>, session: &Session) {
    if is_app(session) {
        groups::leave(cx, None);
    }
}

fn is_app(session: &Session) -> bool {
    session.service == ServiceKind::StompApp
}

fn version_of(session: &Session) -> Option<Version> {
    session.stomp().map(|stomp: &Stomp| stomp.version)
}

fn say(
    cx: &mut Cx<'_>,
    session: &mut Session,
    command: &str,
    headers: &[(&str, &str)],
    body: &str,
) {
    let frame = spell::frame(version_of(session), command, headers, body);
    cx.remark(session, Msg::new(frame, cx.ledger));
}

/// An ERROR: the last that a client gets.
fn error(cx: &mut Cx<'_>, session: &mut Session, receipt: Option<&str>, refusal: &Refusal) {
    let Refusal { text, code } = refusal;
    let mut headers = vec![("message", &**text), ("orbit-code", code)];
    headers.extend(receipt.map(|receipt| ("receipt-id", receipt)));
    if session.stomp().is_none() {
        headers.push(("version", VERSIONS));
    }
    say(cx, session, "ERROR", &headers, text);
    session.with_desk(cx.ledger, |desk| desk.hush());
}

/// Tells what was wrong, and ends the session.
fn fail(cx: &mut Cx<'_>, session: &mut Session, receipt: Option<&str>, refusal: &Refusal) {
    // What rules and bounds refuse is counted where that is looked up, and what is no frame where it is read.
    if !matches!(
        refusal.code,
        "forbidden" | "rate" | "full" | "denied" | "no-answer" | TOO_BIG | BAD_FRAME
    ) {
        cx.metrics.refuse(refusal.code);
    }
    error(cx, session, receipt, refusal);
    gone(cx, session);
    let cause = match refusal.code {
        BAD_FRAME => Cause::Protocol,
        TOO_BIG => Cause::TooBig,
        _ => Cause::Closed,
    };
    cx.end(session, cause);
}

const CONNECT_FIRST: Refusal = Refusal::new("CONNECT comes first", BAD_FRAME);
const CONNECTED: Refusal = Refusal::new("the connection is connected already", BAD_FRAME);
const LAPSED: Refusal = Refusal::new(
    "what let the session read one of its channels has ended",
    "token-expired",
);
const BUSY: Refusal = Refusal::new(
    "the server is busy with comings and goings; come back",
    "busy",
);
const FULL: Refusal = Refusal::new("the server's queues are full; try again later", "full");
const BAD_FRAME: &str = "bad-frame";
const TOO_BIG: &str = "too-big";
const VERSIONS: &str = "1.0,1.1,1.2";
/// Bytes of a header line: far above what clients send, and names are shorter.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Headers of a frame.
const LINES_MAX: usize = 64;
/// Bytes that a frame may have come to while the queues are full: enough for the acknowledgements that empty them.
const FULL_PARTIAL_MAX: usize = 8 * 1024;
