//! SEND: to a channel, to users, or to the application.
//!
//! In: its frame. Out: a publication as a command, or an event. Headers that are nobody's but the publisher's go along to readers by STOMP;
//! what is between it and the server does not.

use super::destinations::{Destination, NOT_APP};
use super::{BAD_FRAME, Done, needed};
use crate::cmd::{Cmd, Origin};
use crate::hub::names;
use crate::mem::{Content, Publication};
use crate::service::refusal::Refusal;
use crate::service::{Cx, decide, gate, json, notice};
use crate::session::Session;
use crate::stomp::{Frame, Version, spell};
use std::rc::Rc;

/// Publishes a message, or sends it.
///
/// # Errors
/// What the rules, the bounds or the headers do not allow.
pub fn send(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>) -> Done {
    let named = Destination::parse(needed(frame, "destination")?)?;
    let beside = beside(frame);
    let bytes = frame.body.len() + beside.len();
    let content = content(frame)?;
    let mut instead = None;
    let (target, to_user): (Rc<str>, bool) = match named {
        Destination::Topic(name) => {
            let name =
                names::channel(&name).map_err(|error| Refusal::new(error.reason(), "bad-name"))?;
            let said = (&content, frame.body, beside.len());
            instead = gate::publish(cx, session, name, said)?;
            (name.into(), false)
        }
        Destination::User(name) => {
            let name =
                names::user(&name).map_err(|error| Refusal::new(error.reason(), "bad-name"))?;
            gate::send(cx, session)?;
            (name.into(), true)
        }
        Destination::App(name) => return say(cx, session, &name, (&content, frame.body)),
        Destination::Orbit(_) => return Err(NOT_APP),
        Destination::Own | Destination::Session(_) => return Err(NOT_THERE),
    };
    let ttl_ms = if to_user { ttl_ms(frame)? } else { 0 };
    gate::take(cx, bytes)?;
    let message = match instead {
        Some(instead) => decide::instead(&content, &instead),
        None => (content, frame.body.into()),
    };
    let publication = publication_of(cx, session, (frame, target), message);
    if !beside.is_empty() {
        publication.put_headers(beside.into());
    }
    let cmd = match to_user {
        true if ttl_ms > 0 => Cmd::SendWithin(publication, Origin::Node, ttl_ms),
        true => Cmd::Send(publication, Origin::Node),
        // A receipt does not wait for the publication's turn.
        false if cx.hub.promise(&publication.target).is_err() => {
            cx.metrics.refuse("full");
            return Err(NO_CHANNEL);
        }
        false => Cmd::Publish(publication, Origin::Promised, None),
    };
    cx.metrics.messages_in += 1;
    cx.cmds.push(cmd);
    Ok(Vec::new())
}

/// To the application, and nobody else.
fn say(cx: &mut Cx<'_>, session: &Session, name: &str, said: (&Content, &[u8])) -> Done {
    let name = names::channel(name).map_err(|error| Refusal::new(error.reason(), "bad-name"))?;
    gate::say(cx, session)?;
    gate::take(cx, said.1.len())?;
    notice::message(cx, session, Some(&format!("/app/{name}")), said);
    Ok(Vec::new())
}

/// How long the message may wait for its user, in milliseconds.
///
/// # Errors
/// No number, or longer than a day.
pub fn ttl_ms(frame: &Frame<'_>) -> Result<u64, Refusal> {
    let Some(text) = frame.header("orbit-ttl") else {
        return Ok(0);
    };
    let seconds = text.parse::<u64>().ok();
    let seconds = seconds.filter(|seconds| *seconds <= TTL_S_MAX);
    seconds.map(|seconds| seconds * 1000).ok_or(BAD_TTL)
}

/// The message of a frame, for `target`.
///
/// # Errors
/// It is said to be JSON and is not.
pub fn publication(
    cx: &Cx<'_>,
    session: &Session,
    frame: &Frame<'_>,
    target: Rc<str>,
) -> Result<Rc<Publication>, Refusal> {
    let message = (content(frame)?, frame.body.into());
    Ok(publication_of(cx, session, (frame, target), message))
}

fn content(frame: &Frame<'_>) -> Result<Content, Refusal> {
    let kind = frame.header("content-type").unwrap_or_default();
    json::content(kind, frame.body).ok_or(NOT_JSON)
}

fn publication_of(
    cx: &Cx<'_>,
    session: &Session,
    (frame, target): (&Frame<'_>, Rc<str>),
    (content, body): (Content, Box<[u8]>),
) -> Rc<Publication> {
    let sender = cx.hub.user_name(&session.seat).map(Box::from);
    let key = frame.header("orbit-key").map(Box::from);
    Publication::keyed(target, sender, content, body, key, cx.ledger)
}

/// Headers that go along, each once, as lines of 1.2. Readers by 1.0 take blanks off names: so they are judged.
pub fn beside(frame: &Frame<'_>) -> String {
    let mut out = Vec::new();
    for (n, (name, value)) in frame.headers.iter().enumerate() {
        let again = frame
            .headers
            .iter()
            .take(n)
            .any(|(before, _)| before.trim() == name.trim());
        let is_own = OWN.contains(&name.trim()) || name.trim().starts_with("orbit-");
        if !again && !is_own {
            spell::header(&mut out, Some(Version::V12), name, value);
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// What a SEND says to the server, and what a MESSAGE says of its own.
const OWN: [&str; 8] = [
    "destination",
    "content-type",
    "content-length",
    "receipt",
    "transaction",
    "subscription",
    "message-id",
    "ack",
];
const NOT_JSON: Refusal = Refusal::new("the body is said to be JSON and is not", BAD_FRAME);
const BAD_TTL: Refusal = Refusal::new("orbit-ttl is a number of seconds, a day at most", BAD_FRAME);
const TTL_S_MAX: u64 = 24 * 60 * 60;
/// The node has as many channels as it may.
pub const NO_CHANNEL: Refusal = Refusal::new("more channels than --max-channels", "full");
const NOT_THERE: Refusal = Refusal::new(
    "nothing is sent there; there are /topic/CHANNEL, /user/USER and /app/NAME",
    "bad-destination",
);
