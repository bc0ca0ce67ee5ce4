//! What frames of 0.4 ask for.
//!
//! In: a frame. Out: RECEIPT or ERROR; messages and ends of sessions as commands, subscriptions to the events' channels.

use super::callback;
use super::keys::Target;
use super::{CONNECT_FIRST, FULL, NAME_TAKEN, NO_ID, NO_KEY, OTHER, Refusal, TOO_BIG, Talk};
use crate::cmd::{Cause, Cmd, Origin};
use crate::config::ApiKey;
use crate::hub::{Hub, names};
use crate::mem::{Asker, Content, Publication};
use crate::op::Frame;
use crate::service::json;
use crate::session::op::Confirm;
use std::collections::BTreeSet;

/// What of a frame was done before its receipt is told.
pub type Done = Result<(), Refusal>;

pub fn take(talk: &mut Talk<'_, '_>, frame: Frame) {
    let id = frame.header("id").filter(|id| !id.is_empty());
    let connects = frame.action == "CONNECT";
    let done = match (talk.op.connected, connects, id) {
        (false, false, _) => Err(Refusal::new(CONNECT_FIRST, "CONNECT comes first")),
        (_, _, None) => Err(refusal(NO_ID, "'id' header missing from", &frame.action)),
        (true, true, _) => Err(Refusal::new(OTHER, "the connection is connected already")),
        (false, true, _) => connect(talk, &frame),
        (true, false, Some(id)) => act(talk, &frame, id),
    };
    match done {
        Ok(()) => receipt(talk, &frame),
        Err(refusal) => {
            talk.refuse(id, &refusal);
            if matches!(refusal.code, TOO_BIG | NO_KEY | NAME_TAKEN) {
                talk.end(Cause::Protocol);
            }
        }
    }
}

fn receipt(talk: &mut Talk<'_, '_>, frame: &Frame) {
    let wanted = match frame.header("response") {
        Some(response) => response == "receipt",
        None => talk.op.receipts,
    };
    if let Some(id) = frame.header("id").filter(|_| wanted) {
        talk.tell("RECEIPT", &[("id", id)], b"");
    }
}

fn act(talk: &mut Talk<'_, '_>, frame: &Frame, id: &str) -> Done {
    match frame.action.as_str() {
        "SEND" => begin_send(talk, frame, id),
        "CALLBACK" => callback::take(talk, frame),
        "WELCOME" => {
            let key = needed(frame, "user_key")?.into();
            talk.cx.cmds.push(Cmd::Welcome(key, true));
            Ok(())
        }
        "UNWELCOME" => {
            let key = needed(frame, "user_key")?;
            let target = Target::of_key(key);
            let kick = target.kick().ok_or_else(|| {
                Refusal::new(OTHER, "a channel's readers are not unwelcome together")
            })?;
            talk.cx.cmds.push(Cmd::Welcome(key.into(), false));
            talk.cx.cmds.push(kick);
            Ok(())
        }
        action => Err(refusal(OTHER, "invalid action:", action)),
    }
}

/// Lets the application in: by its password, which is a key of the API, and with a name that no other connection has.
fn connect(talk: &mut Talk<'_, '_>, frame: &Frame) -> Done {
    let name = needed(frame, "connection_id")?;
    if name.len() > names::NAME_BYTES_MAX {
        return Err(Refusal::new(OTHER, "a connection_id has at most 255 bytes"));
    }
    let config = talk.cx.config;
    let password = frame.header("password").unwrap_or_default().as_bytes();
    if !config.demo && !ApiKey::is_any(&config.api_keys, password) {
        return Err(Refusal::new(NO_KEY, NOT_LET_IN));
    }
    if !talk.cx.hub.call(talk.cx.id, name) {
        let text = "another connection has this connection_id";
        return Err(Refusal::new(NAME_TAKEN, text));
    }
    talk.op.connected = true;
    talk.op.receipts = frame.header("response") == Some("receipt");
    Ok(())
}

fn begin_send(talk: &mut Talk<'_, '_>, frame: &Frame, id: &str) -> Done {
    if talk.op.sent.knows(id) {
        return Err(refusal(OTHER, "non-unique 'id':", id));
    }
    let confirm = match frame.header("confirm") {
        None => Confirm::Best,
        Some("acked") => Confirm::Acked,
        Some("written") => Confirm::Written,
        Some(_) => return Err(Refusal::new(OTHER, NO_CONFIRM)),
    };
    let mut seen = BTreeSet::new();
    let named = frame.all("recipient").filter(|key| !key.is_empty());
    let keys: Vec<Box<str>> = named
        .filter(|key| seen.insert(*key))
        .map(Box::from)
        .collect();
    if keys.is_empty() {
        return Err(Refusal::new(
            OTHER,
            "'recipients' header missing from 'SEND' action",
        ));
    }
    let kind = frame.header("content-type").unwrap_or_default();
    let to = |_: &Hub, key: &str| Target::of_key(key);
    let how = How {
        confirm,
        kind,
        ttl_ms: ttl_ms(frame)?,
    };
    let sent = send(talk, (id, how), (keys, to), &frame.body);
    sent.map_err(|SendError(text)| Refusal::new(OTHER, &text))
}

/// How a message is sent.
pub struct How<'f> {
    /// What counts as reached.
    pub confirm: Confirm,
    /// The type of its body, if that is said.
    pub kind: &'f str,
    /// How long it may wait for a user.
    pub ttl_ms: u64,
}

/// Seconds that a message may wait, in milliseconds.
fn ttl_ms(frame: &Frame) -> Result<u64, Refusal> {
    let Some(text) = frame.header("ttl") else {
        return Ok(0);
    };
    let seconds = text.parse::<u64>().ok();
    let seconds = seconds.filter(|seconds| *seconds <= TTL_S_MAX);
    let ms = seconds.map(|seconds| seconds * 1000);
    ms.ok_or_else(|| Refusal::new(OTHER, "ttl is a number of seconds, a day at most"))
}

/// Why nothing was sent.
pub struct SendError(pub String);

/// Sends `body` to each of some recipients; all of them or none.
pub fn send(
    talk: &mut Talk<'_, '_>,
    (id, how): (&str, How<'_>),
    (keys, to): (Vec<Box<str>>, impl Fn(&Hub, &str) -> Target),
    body: &[u8],
) -> Result<(), SendError> {
    let cx = &mut *talk.cx;
    let copies = body.len() * keys.len();
    if copies > COPIES_BYTES_MAX {
        return Err(SendError(TOO_MUCH.to_owned()));
    }
    if cx.is_full() || !cx.fits(copies) || !talk.op.sent.has_room(keys.len()) {
        cx.metrics.refuse("full");
        return Err(SendError(FULL.to_owned()));
    }
    let content = content(how.kind, body).ok_or_else(|| SendError(NOT_JSON.to_owned()))?;
    let targets: Vec<Target> = keys.iter().map(|key| to(cx.hub, key)).collect();
    let first = talk.op.sent.begin(id.into(), how.confirm, keys);
    for (call, target) in (first..).zip(targets) {
        let name = target.name().clone();
        let publication = Publication::new(name, None, content.clone(), body.into(), cx.ledger);
        publication.call(id.into());
        if !matches!(target, Target::Channel(_)) {
            publication.ask_report(Asker::Session(cx.id, call));
            if how.confirm == Confirm::Written {
                publication.be_done_when_written();
            }
        }
        cx.metrics.messages_in += 1;
        cx.cmds
            .push(target.send(publication, Origin::Session(cx.id, call), how.ttl_ms));
    }
    Ok(())
}

/// What a body is: JSON by convention, where it is some.
fn content(kind: &str, body: &[u8]) -> Option<Content> {
    match kind {
        "" => json::content("application/json", body).or_else(|| json::content("", body)),
        kind => json::content(kind, body),
    }
}

pub fn needed<'f>(frame: &'f Frame, name: &'static str) -> Result<&'f str, Refusal> {
    let missing = || {
        let text = format!("'{name}' header missing from '{}' action", frame.action);
        Refusal::new(OTHER, &text)
    };
    let value = frame.header(name).filter(|value| !value.is_empty());
    value.ok_or_else(missing)
}

/// A refusal that repeats what it refuses, as far as that is short.
pub fn refusal(code: u8, what: &str, name: &str) -> Refusal {
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    Refusal::new(code, &format!("{what} '{name}'"))
}

const NOT_LET_IN: &str = "the password is none of the keys of --api-key";
const NO_CONFIRM: &str = "confirm is acked or written, or is left out";
const NOT_JSON: &str = "the body is said to be JSON and is not";
const TOO_MUCH: &str = "the body times its recipients is more than 8 MiB; send to fewer at once";
/// What one frame may become: what one turn may copy.
const COPIES_BYTES_MAX: usize = 8 * 1024 * 1024;
const TTL_S_MAX: u64 = 24 * 60 * 60;
const NAME_CHARS_MAX: usize = 64;
