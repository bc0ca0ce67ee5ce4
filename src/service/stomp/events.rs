//! What happens, for the application that subscribes to `/orbit/EVENT`.
//!
//! In: its SUBSCRIBE, ACK and NACK frames, events that its groups give it. Out: MESSAGE frames whose body is the event as every
//! door has it, with what an application filters by as headers.

use super::subscribe::Kept;
use super::{BAD_FRAME, needed};
use crate::hub::names;
use crate::mem::Msg;
use crate::service::Cx;
use crate::service::groups::{self, Crowded, Gift, Member};
use crate::service::refusal::Refusal;
use crate::session::{Ack, Session, Sub};
use crate::stomp::{Frame, Version, spell};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Which events a destination behind `/orbit/` names, a bit for each.
///
/// # Errors
/// None of them.
pub fn named(text: &str) -> Result<u8, Refusal> {
    if text == "*" {
        return Ok(u8::MAX >> (u8::BITS as usize - names::EVENTS.len()));
    }
    let wanted = names::of_event(text).ok_or(NO_EVENT)?;
    let mut all = names::EVENTS.iter();
    let at = all.position(|name| *name == wanted).ok_or(NO_EVENT)?;
    Ok(1 << at)
}

/// A subscription takes part in its group from now on: that which it names, or that of its login.
///
/// # Errors
/// Too many groups, or a name that is too long.
pub fn join(
    cx: &mut Cx<'_>,
    session: &Session,
    (slot, wants, ack): (u16, u8, Ack),
    frame: &Frame<'_>,
) -> Result<(), Refusal> {
    let name = match frame.header("group") {
        Some(_) => needed(frame, "group")?,
        None => session.desk().map_or("", |desk| &desk.login),
    };
    if name.len() > names::NAME_BYTES_MAX {
        return Err(LONG_NAME);
    }
    let member = Member::new((cx.id, slot), wants, ack);
    groups::join(cx, name, member).map_err(|Crowded| CROWDED)
}

/// An event that was given as `tag` is acknowledged, or refused. False where `slot` takes part in no group.
pub fn settle(cx: &mut Cx<'_>, slot: u16, tag: u64, taken: bool) -> bool {
    let settled = cx.groups.settle((cx.id, slot), tag, taken);
    cx.groups.call(cx.cmds);
    settled
}

/// Gives the session an event for one of its subscriptions.
pub fn give(cx: &mut Cx<'_>, session: &mut Session, gift: &Gift) {
    let Some(kept) = Kept::of(session, gift.slot) else {
        return;
    };
    let bytes = spell(kept.version, &kept.sub(), gift);
    cx.push(session, Msg::new(bytes, cx.ledger));
}

fn spell(version: Version, sub: &Sub<'_>, gift: &Gift) -> Vec<u8> {
    let body = &gift.event.publication.bytes;
    let mut out = b"MESSAGE\n".to_vec();
    let mut header = |name: &str, value: &str| spell::header(&mut out, Some(version), name, value);
    if !sub.id.is_empty() {
        header("subscription", sub.id);
    }
    let id = super::replies::message_id(gift.tag, gift.slot);
    header("message-id", &id);
    header("destination", &gift.event.publication.target);
    if version == Version::V12 && sub.ack != Ack::Auto {
        header("ack", &id);
    }
    let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(body).unwrap_or_default();
    for (name, field) in FIELDS {
        let value = fields
            .get(field)
            .map(|raw| serde_json::from_str::<String>(raw.get()));
        if let Some(Ok(value)) = value {
            header(name, &value);
        }
    }
    header("orbit-event-seq", &gift.seq.to_string());
    if gift.missed > 0 {
        header("orbit-missed", &gift.missed.to_string());
    }
    if gift.event.again {
        header("redelivered", "true");
    }
    header("content-type", "application/json");
    header("content-length", &body.len().to_string());
    out.push(b'\n');
    out.extend_from_slice(body);
    out.push(0);
    out
}

/// Headers, and what of an event they repeat where it has that.
const FIELDS: [(&str, &str); 4] = [
    ("orbit-event", "event"),
    ("session", "session"),
    ("user", "user"),
    ("orbit-id", "id"),
];
const NO_EVENT: Refusal = Refusal::new(
    "there is no such event; there are /orbit/signon, signoff, message, delivered, failed, occupied, vacated and /orbit/*",
    "bad-destination",
);
const LONG_NAME: Refusal = Refusal::new("a group's name has at most 255 bytes", BAD_FRAME);
const CROWDED: Refusal = Refusal::new(
    "more than 64 groups, or 64 subscriptions in one; a group that nobody is in is forgotten after a while",
    "too-many",
);
