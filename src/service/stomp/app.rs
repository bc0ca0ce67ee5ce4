//! What the application says: messages to whomever it likes, and receipts that tell what came of them.
//!
//! In: its SEND frames, outcomes. Out: publications as commands; each RECEIPT when its frame and all before it have come to
//! something, with how many sessions there were and where in its channel the message stands.

use super::destinations::Destination;
use super::{BAD_FRAME, Done, FULL, fail, needed, say, send};
use crate::cmd::{Cmd, Control, Origin, Outcome};
use crate::hub::names;
use crate::mem::{Asker, Msg, Publication};
use crate::service::refusal::Refusal;
use crate::service::{Cx, gate, notice};
use crate::session::desk::{Crowded, Said, Sent};
use crate::session::{Session, SessionKey};
use crate::stomp::{Frame, spell};
use std::rc::Rc;

/// Whom a message is for.
enum To {
    Channel(Rc<str>),
    User(Rc<str>),
    Session(SessionKey),
}

/// Publishes a message, or sends it, to every destination that is named.
///
/// # Errors
/// What the bounds or the headers do not allow; nothing is sent then.
pub fn send(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>) -> Done {
    let named = needed(frame, "destination")?;
    if let Some(verb) = named.strip_prefix(CONTROL) {
        return control(cx, session, verb, frame);
    }
    let to: Vec<To> = named.split(',').map(to).collect::<Result<_, _>>()?;
    let beside = send::beside(frame);
    let bytes = frame.body.len() + beside.len();
    if to.len() > DESTINATIONS_MAX || bytes * to.len() > BYTES_MAX {
        cx.metrics.refuse(TOO_MANY.code);
        return Err(TOO_MANY);
    }
    gate::take(cx, bytes)?;
    let (id, report, ttl_ms) = (id(frame)?, report(frame)?, send::ttl_ms(frame)?);
    for to in to {
        let target = match &to {
            To::Channel(name) | To::User(name) => name.clone(),
            To::Session(key) => key.target(),
        };
        let publication = send::publication(cx, session, frame, target)?;
        if !beside.is_empty() {
            publication.put_headers(beside.as_str().into());
        }
        if let Some(id) = id {
            publication.call(id.into());
        }
        let asker = match (report, &to) {
            (Report::Unsaid, To::Channel(_)) | (Report::Nothing, _) => None,
            (Report::Unsaid, _) | (Report::Failures, _) => Some(Asker::Failures),
            (Report::All, _) => Some(Asker::Application),
        };
        if let Some(asker) = asker {
            publication.ask_report(asker);
        }
        put(cx, session, (&to, ttl_ms), publication)?;
    }
    Ok(Vec::new())
}

fn to(named: &str) -> Result<To, Refusal> {
    match Destination::parse(named.trim())? {
        Destination::Topic(name) => names::channel(&name).map(|name| To::Channel(name.into())),
        Destination::User(name) => names::user(&name).map(|name| To::User(name.into())),
        Destination::Session(key) => return Ok(To::Session(key)),
        Destination::Own | Destination::App(_) | Destination::Orbit(_) => return Err(NOT_THERE),
    }
    .map_err(|error| Refusal::new(error.reason(), "bad-name"))
}

/// What the sender wants to know.
#[derive(Clone, Copy)]
enum Report {
    Unsaid,
    Nothing,
    Failures,
    All,
}

fn report(frame: &Frame<'_>) -> Result<Report, Refusal> {
    match frame.header("orbit-report") {
        None => Ok(Report::Unsaid),
        Some("none") => Ok(Report::Nothing),
        Some("failed") => Ok(Report::Failures),
        Some("both") => Ok(Report::All),
        Some(_) => Err(BAD_REPORT),
    }
}

fn id<'f>(frame: &'f Frame<'_>) -> Result<Option<&'f str>, Refusal> {
    let id = frame.header("orbit-id");
    match id.is_none_or(|id| (1..=Publication::NAME_BYTES_MAX).contains(&id.len())) {
        true => Ok(id),
        false => Err(BAD_ID),
    }
}

fn put(
    cx: &mut Cx<'_>,
    session: &mut Session,
    (to, ttl_ms): (&To, u64),
    publication: Rc<Publication>,
) -> Result<(), Refusal> {
    let private = !matches!(to, To::Channel(_));
    let news = private && publication.report_to().is_some();
    let wants = session.desk().is_some_and(|desk| desk.wants());
    // What waits for its user is known by who asks for it to be the application's.
    let origin = match news || wants || (private && ttl_ms > 0) {
        true => {
            let sent = news.then(|| Sent::Message(publication.clone()));
            Origin::Session(cx.id, foresee(cx, session, (sent, 0))?)
        }
        false if private => Origin::Node,
        false if cx.hub.promise(&publication.target).is_err() => {
            cx.metrics.refuse(send::NO_CHANNEL.code);
            return Err(send::NO_CHANNEL);
        }
        false => Origin::Promised,
    };
    cx.metrics.messages_in += 1;
    cx.cmds.push(match to {
        To::Channel(_) => Cmd::Publish(publication, origin, None),
        To::User(_) if ttl_ms > 0 => Cmd::SendWithin(publication, origin, ttl_ms),
        To::User(_) => Cmd::Send(publication, origin),
        To::Session(_) => Cmd::SendByKey(publication, origin),
    });
    Ok(())
}

fn foresee(
    cx: &mut Cx<'_>,
    session: &mut Session,
    sent: (Option<Sent>, usize),
) -> Result<u64, Refusal> {
    let frame = session.with_desk(cx.ledger, |desk| desk.foresee(sent));
    frame.unwrap_or(Err(Crowded)).map_err(|Crowded| FULL)
}

/// Calls a verb of the API: `/orbit/control/VERB`.
fn control(cx: &mut Cx<'_>, session: &mut Session, verb: &str, frame: &Frame<'_>) -> Done {
    let reply_to = frame.header("reply-to");
    if reply_to.is_some_and(|to| !to.starts_with(TEMPORARY)) {
        return Err(BAD_REPLY);
    }
    let beside: Option<Box<str>> = frame.header("correlation-id").map(Box::from);
    let texts = [reply_to, beside.as_deref(), Some(verb)].map(|text| text.map_or(0, str::len));
    let bytes = texts.iter().sum::<usize>() + frame.body.len();
    let sent = reply_to.map(|to| Sent::Call(to.into(), beside));
    let call = foresee(cx, session, (sent, bytes))?;
    let control = Control {
        verb: verb.into(),
        body: frame.body.into(),
    };
    cx.cmds.push(Cmd::Control(cx.id, call, Box::new(control)));
    Ok(Vec::new())
}

/// The answer to a call: a MESSAGE, where one is wanted, as of a subscription that nobody made.
pub fn replied(cx: &mut Cx<'_>, session: &mut Session, call: u64, (status, body): (u16, &[u8])) {
    let settled = session.with_desk(cx.ledger, |desk| desk.settle_call(call, status));
    if let (Some(Sent::Call(to, correlation)), true) = (settled.flatten(), session.is_open()) {
        let (id, status) = (format!("reply-{call}"), status.to_string());
        let mut headers = vec![
            ("subscription", &*to),
            ("message-id", &*id),
            ("destination", &*to),
            ("orbit-status", &*status),
        ];
        headers.extend(correlation.as_deref().map(|one| ("correlation-id", one)));
        let version = super::version_of(session);
        let frame = spell::framed(version, "MESSAGE", &headers, ("application/json", body));
        cx.push(session, Msg::new(frame, cx.ledger));
    }
    release(cx, session);
}

/// A frame was done, as far as it could be: its receipt goes out now or behind those before it.
pub fn done(cx: &mut Cx<'_>, session: &mut Session, receipt: Option<&str>, said: Said) {
    let now = match session.desk() {
        Some(_) => {
            let done = session.with_desk(cx.ledger, |desk| desk.done(receipt, said));
            done.flatten()
        }
        None => receipt.map(|receipt| (receipt.into(), said)),
    };
    if let Some((receipt, said)) = now {
        tell(cx, session, &receipt, &said);
    }
}

fn tell(cx: &mut Cx<'_>, session: &mut Session, receipt: &str, said: &Said) {
    let mut headers = vec![("receipt-id", receipt)];
    headers.extend(said.iter().map(|(name, value)| (*name, &**value)));
    say(cx, session, "RECEIPT", &headers, "");
}

/// Something that a frame asked for was done.
pub fn answered(cx: &mut Cx<'_>, session: &mut Session, frame: u64, outcome: Outcome) {
    let (recipients, offset) = match outcome {
        Outcome::Published {
            offset,
            subscribers,
        } => (subscribers, Some(offset).filter(|offset| *offset > 0)),
        Outcome::Sent { sessions } => (sessions, None),
        Outcome::NoRoom if session.listens() => {
            fail(cx, session, None, &send::NO_CHANNEL);
            (0, None)
        }
        _ => (0, None),
    };
    let settled = session.with_desk(cx.ledger, |desk| desk.settle(frame, recipients, offset));
    // Of what waits for its user it is told later.
    let absent = recipients == 0 && outcome != Outcome::Waits;
    if let (Some(Sent::Message(sent)), true) = (settled.flatten(), absent) {
        notice::absent(cx, &sent);
    }
    release(cx, session);
}

/// Gives out the receipts that wait for nothing more.
fn release(cx: &mut Cx<'_>, session: &mut Session) {
    while let Some((receipt, said)) = session
        .with_desk(cx.ledger, |desk| desk.next_receipt())
        .flatten()
    {
        tell(cx, session, &receipt, &said);
    }
}

/// In front of the verbs.
const CONTROL: &str = "/orbit/control/";
/// In front of where answers go.
const TEMPORARY: &str = "/temp-queue/";
const BAD_REPLY: Refusal = Refusal::new(
    "an answer goes to a destination of the connection's own: reply-to is /temp-queue/NAME",
    "bad-destination",
);
const NOT_THERE: Refusal = Refusal::new(
    "nothing is sent there; there are /topic/CHANNEL, /user/USER, /session/KEY and /orbit/control/VERB",
    "bad-destination",
);
const TOO_MANY: Refusal = Refusal::new(
    "more than 1,000 destinations, or 8 MiB with a copy for each",
    "too-many",
);
const BAD_REPORT: Refusal = Refusal::new("orbit-report is none, failed or both", BAD_FRAME);
const BAD_ID: Refusal = Refusal::new("orbit-id has 1 to 128 bytes", BAD_FRAME);
/// Destinations of one frame.
const DESTINATIONS_MAX: usize = 1_000;
/// Bytes of all copies of one frame's message: what one turn may copy.
const BYTES_MAX: usize = 8 * 1024 * 1024;
