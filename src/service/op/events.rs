//! OP 1.0: one event, its recipients, one answer.
//!
//! In: an event. Out: a message to each recipient as a command; the answer when all of them are decided (`outcomes`).

use super::frames::{How, SendError, send};
use super::{NO_KEY, OTHER, Refusal, Talk};
use crate::cmd::Cause;
use crate::op::{Event, events};
use crate::service::op::keys::Target;
use crate::session::op::Confirm;

pub fn take(talk: &mut Talk<'_, '_>, event: Event) {
    // It has no way to say who it is.
    if !talk.cx.config.demo {
        talk.refuse(Some(&event.id), &Refusal::new(NO_KEY, ONLY_DEMO));
        return talk.end(Cause::Protocol);
    }
    talk.op.connected = true;
    let Event {
        id,
        recipients,
        body,
    } = event;
    if recipients.is_empty() {
        return talk.out.extend_from_slice(&events::success(&id));
    }
    let to = Target::of_parts;
    let keys: Vec<Box<str>> = recipients.into_iter().map(String::into).collect();
    let how = How {
        confirm: Confirm::Best,
        kind: "",
        ttl_ms: 0,
    };
    let sent = send(talk, (&id, how), (keys, to), &body);
    if let Err(SendError(text)) = sent {
        talk.refuse(Some(&id), &Refusal::new(OTHER, &text));
    }
}

const ONLY_DEMO: &str = "OP 1.0 has no password: it is spoken in demo mode only; use OP 0.4";
