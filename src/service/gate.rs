//! Whom the operator's rules and bounds let do what: subscribe, publish, send.
//!
//! In: what a session asks for. Out: nothing, or the refusal that names what is needed. The application comes by another
//! door and is asked nothing here.

use super::admit;
use super::decide::{self, Matter, Question};
use super::refusal::Refusal;
use crate::config::keys::Setting;
use crate::config::policy::{Peer, Rate, Who};
use crate::hub::names;
use crate::mem::Content;
use crate::service::Cx;
use crate::session::Session;
use crate::token::Do;
use serde_json::value::RawValue;

/// Whether the session may subscribe to the channel called `name`.
///
/// # Errors
/// `forbidden`.
pub fn subscribe(cx: &mut Cx<'_>, session: &Session, name: &str) -> Result<(), Refusal> {
    let who = cx.hub.policy(name).subscribe;
    if who != Who::Ask {
        return allow(cx, session, (who, name), &SUBSCRIBE);
    }
    if names::is_pattern(name) {
        return refuse(cx, &ASKED_BY_NAME);
    }
    let facts = || {
        let mut out = decide::facts(cx, session, Matter::Subscribe);
        decide::field(&mut out, "channel", Some(name));
        out.push(b'}');
        out
    };
    let asked = (Matter::Subscribe, name);
    let question = cx.asking.is_unknown(asked).then(facts);
    let decided = decide::decide(cx.asking, asked, || question.unwrap_or_default());
    decided.map(|_| ()).inspect_err(|no| cx.count(no))
}

/// Whether there is room for a message of so many bytes, whoever it is for.
///
/// # Errors
/// `too-big`, `full`.
pub fn take(cx: &mut Cx<'_>, bytes: usize) -> Result<(), Refusal> {
    if bytes > cx.config.max_message {
        return refuse(cx, &LARGE);
    }
    match cx.is_full() {
        true => refuse(cx, &FULL),
        false => Ok(()),
    }
}

/// Whether the session may publish this to the channel called `name` now, with `beside` bytes of headers; where that is
/// bounded, they are taken from what it may, before anything is asked. Gives back what is published instead, if the application says so.
///
/// # Errors
/// `forbidden`, `too-big`, `rate`; what the application decides.
pub fn publish(
    cx: &mut Cx<'_>,
    session: &mut Session,
    name: &str,
    (content, payload, beside): (&Content, &[u8], usize),
) -> Result<Option<Box<RawValue>>, Refusal> {
    let id = cx.hub.policy_id(name);
    let policy = cx.hub.policy_of(id);
    let (who, max, rate) = (policy.publish, policy.message_max, policy.rate);
    let bytes = payload.len() + beside;
    if who != Who::Ask {
        allow(cx, session, (who, name), &PUBLISH)?;
    }
    if max.is_some_and(|max| bytes > max) {
        refuse(cx, &TOO_BIG)?;
    }
    let asks = who == Who::Ask;
    // What was asked about was paid for then.
    let is_first = !asks || cx.asking.is_unknown((Matter::Publish, name));
    if asks && is_first {
        take(cx, payload.len())?;
    }
    if let Some(rate) = rate.filter(|_| is_first) {
        let spent = session.spend((id, rate), bytes, cx.now, cx.ledger);
        spent.or_else(|wait_ms| refuse(cx, &too_fast(rate, wait_ms)))?;
    }
    match asks {
        true => ask_to_publish(cx, session, name, (content, payload)),
        false => Ok(None),
    }
}

#[cold]
fn ask_to_publish(
    cx: &mut Cx<'_>,
    session: &Session,
    name: &str,
    (content, payload): (&Content, &[u8]),
) -> Result<Option<Box<RawValue>>, Refusal> {
    let asked = (Matter::Publish, name);
    let facts = || {
        let mut out = decide::facts(cx, session, Matter::Publish);
        decide::message(&mut out, name, content, payload);
        out
    };
    let question = cx.asking.is_unknown(asked).then(facts);
    let decided = decide::decide(cx.asking, asked, || question.unwrap_or_default());
    let changes = decided.inspect_err(|no| cx.count(no))?;
    let fits = |payload: &RawValue| payload.get().len() <= cx.config.max_message;
    match changes.payload {
        Some(payload) if !fits(&payload) => refuse(cx, &LARGE).map(|()| None),
        payload => Ok(payload),
    }
}

fn too_fast(rate: Rate, wait_ms: u64) -> Refusal {
    let bound = Setting::Rate(Some(rate));
    let text = format!("a session may publish {bound} to this channel; wait {wait_ms} ms");
    Refusal {
        text: text.into(),
        code: "rate",
    }
}

/// Whether the session may send to users.
///
/// # Errors
/// `forbidden`.
pub fn send(cx: &mut Cx<'_>, session: &Session) -> Result<(), Refusal> {
    match cx.config.peer {
        Peer::Anyone => Ok(()),
        Peer::User if has_user(cx, session) => Ok(()),
        Peer::User => refuse(cx, &SEND_USER),
        Peer::Off => refuse(cx, &SEND_OFF),
    }
}

/// Whether the session may speak to the application.
///
/// # Errors
/// `forbidden`.
pub fn say(cx: &mut Cx<'_>, session: &Session) -> Result<(), Refusal> {
    let open = cx.config.demo || cx.config.peer == Peer::Anyone;
    match open || has_user(cx, session) {
        true => Ok(()),
        false => refuse(cx, &SAY_USER),
    }
}

/// Asks the application what a call comes to, whose number is the client's; the service is told of it by `called`.
///
/// # Errors
/// Nobody answers calls; `forbidden`, `too-big`, `full`.
pub fn call(
    cx: &mut Cx<'_>,
    session: &Session,
    number: u64,
    (name, payload): (&str, &[u8]),
) -> Result<(), Refusal> {
    if cx.config.decider(Matter::Call.word()).is_none() {
        return refuse(cx, &NOBODY_ANSWERS);
    }
    say(cx, session)?;
    take(cx, name.len() + payload.len())?;
    let mut body = decide::facts(cx, session, Matter::Call);
    decide::field(&mut body, "name", Some(name));
    body.extend_from_slice(b",\"payload\":");
    body.extend_from_slice(payload);
    body.push(b'}');
    let question = Question {
        matter: Matter::Call,
        about: name.into(),
        body,
    };
    cx.asking.call(number, question);
    Ok(())
}

fn allow(
    cx: &mut Cx<'_>,
    session: &Session,
    (who, name): (Who, &str),
    refusals: &Refusals,
) -> Result<(), Refusal> {
    match who {
        Who::Anyone => Ok(()),
        Who::User if has_user(cx, session) => Ok(()),
        Who::User => refuse(cx, &refusals.user),
        Who::App => refuse(cx, &refusals.app),
        Who::Token if session.has_right(refusals.what, name) => Ok(()),
        Who::Token => refuse(cx, &refusals.token),
        // Who asks does so before.
        Who::Ask => refuse(cx, &decide::UNANSWERED),
    }
}

fn has_user(cx: &Cx<'_>, session: &Session) -> bool {
    admit::user_of(cx.hub, session).is_some()
}

fn refuse(cx: &mut Cx<'_>, refusal: &Refusal) -> Result<(), Refusal> {
    cx.metrics.refuse(refusal.code);
    Err(refusal.clone())
}

/// What each [`Who`] is told that keeps a session out.
struct Refusals {
    what: Do,
    user: Refusal,
    app: Refusal,
    token: Refusal,
}

static SUBSCRIBE: Refusals = Refusals {
    what: Do::Subscribe,
    user: Refusal::new(
        "only a session with a user name may subscribe to this channel; AUTH first",
        FORBIDDEN,
    ),
    app: Refusal::new("only the application reads this channel", FORBIDDEN),
    token: Refusal::new(
        "subscribing to this channel needs a token that names it",
        FORBIDDEN,
    ),
};
static PUBLISH: Refusals = Refusals {
    what: Do::Publish,
    user: Refusal::new(
        "only a session with a user name may publish to this channel; AUTH first",
        FORBIDDEN,
    ),
    app: Refusal::new(
        "only the application may publish to this channel",
        FORBIDDEN,
    ),
    token: Refusal::new(
        "publishing to this channel needs a token that names it",
        FORBIDDEN,
    ),
};
static NOBODY_ANSWERS: Refusal = Refusal::new(
    "no application answers calls here; the operator names one by --decide",
    "not-offered",
);
static ASKED_BY_NAME: Refusal = Refusal::new(
    "the application decides who reads these channels, one by one; subscribe to each by its name",
    FORBIDDEN,
);
static SEND_USER: Refusal = Refusal::new(
    "only a session with a user name may send to users; AUTH first",
    FORBIDDEN,
);
static SAY_USER: Refusal = Refusal::new(
    "only a session with a user name may speak to the application; AUTH first",
    FORBIDDEN,
);
static SEND_OFF: Refusal = Refusal::new("sessions may not send to users here", FORBIDDEN);
static TOO_BIG: Refusal = Refusal::new(
    "the payload is larger than a message of this channel may be",
    "too-big",
);
static LARGE: Refusal = Refusal::new("the payload is larger than --max-message", "too-big");
static FULL: Refusal = Refusal::new("the server's queues are full; try again later", "full");
const FORBIDDEN: &str = "forbidden";
