//! CALLBACK: what the application is told of from now on, by every connection that asks for it or by one of a group.
//!
//! In: its frame. Out: a subscription to the event's channel, or a part in a group (`service/groups`), of which the last asked
//! for counts; how events are written.

use super::frames::{Done, needed, refusal};
use super::{FULL, OTHER, Refusal, Talk};
use crate::hub::names;
use crate::op::Frame;
use crate::service::groups::{self, Crowded, Member};
use crate::session::Ack;
use crate::session::op::Outcomes;

/// From now on the application is told of these. It is not told again of what was before.
pub fn take(talk: &mut Talk<'_, '_>, frame: &Frame) -> Done {
    let function = needed(frame, "function")?;
    if frame.header("url").or(frame.header("location")).is_some() {
        let text = "URLs are the operator's: start the server with --callback URL";
        return Err(Refusal::new(OTHER, text));
    }
    match frame.header("format") {
        None => {}
        Some("json") => talk.op.json = true,
        Some("op") => talk.op.json = false,
        Some(_) => return Err(Refusal::new(OTHER, "format is op or json")),
    }
    let channel = match function {
        "signon" => names::SIGNON,
        "signoff" | "signout" => names::SIGNOFF,
        "message" => names::MESSAGE,
        "success" | "failure" => {
            let outcomes: &mut Outcomes = talk.op.outcomes.get_or_insert_default();
            outcomes.success |= function == "success";
            outcomes.failure |= function == "failure";
            return Ok(());
        }
        other => return Err(refusal(OTHER, "invalid function specified:", other)),
    };
    talk.op.hears_signon |= channel == names::SIGNON;
    match frame.header("group") {
        None => hear_all(talk, channel),
        Some(group) => share(talk, channel, group),
    }
}

fn hear_all(talk: &mut Talk<'_, '_>, channel: &str) -> Done {
    let (cx, session) = (&mut *talk.cx, &mut *talk.session);
    groups::leave(cx, Some(slot(channel)));
    let max = names::EVENTS.len();
    let subscribed = cx.hub.subscribe(cx.id, &mut session.seat, channel, max);
    subscribed.map(drop).map_err(|_| Refusal::new(OTHER, FULL))
}

/// There are no acknowledgements of events: what is written is taken.
fn share(talk: &mut Talk<'_, '_>, channel: &str, group: &str) -> Done {
    if !(1..=names::NAME_BYTES_MAX).contains(&group.len()) {
        return Err(Refusal::new(OTHER, "a group's name has 1 to 255 bytes"));
    }
    let (cx, session) = (&mut *talk.cx, &mut *talk.session);
    let slot = slot(channel);
    groups::leave(cx, Some(slot));
    let member = Member::new((cx.id, slot), 1 << slot, Ack::Auto);
    let joined = groups::join(cx, group, member);
    joined.map_err(|Crowded| Refusal::new(OTHER, CROWDED))?;
    cx.hub.unsubscribe(&mut session.seat, channel);
    Ok(())
}

/// The number of an event's kind, by which a session has one part for each.
fn slot(channel: &str) -> u16 {
    let at = names::EVENTS.iter().position(|name| *name == channel);
    at.unwrap_or_default() as u16
}

const CROWDED: &str =
    "more than 64 groups, or 64 parts in one; a group that nobody is in is forgotten after a while";
