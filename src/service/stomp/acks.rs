//! ACK and NACK, and messages that wait for them.
//!
//! In: messages of subscriptions that are acknowledged, and the frames that do it. Out: at most [`WINDOW`] of each
//! subscription on their way; what became of each, where its sender wants to know. A message that is not acknowledged when
//! its session ends is undelivered.
//!
//! A NACK is the last word on a message: there is nobody else on a channel whom it could be given to, and whoever does not
//! take it now would not take it again. Its sender is told that it failed, as it is of a session that ended.

use super::subscribe::Kept;
use super::{BAD_FRAME, Done, events, is_app, needed, replies};
use crate::cmd::{Cause, Fate};
use crate::mem::{Msg, Publication};
use crate::service::refusal::Refusal;
use crate::service::{Cx, note_fate};
use crate::session::{Ack, Session};
use crate::stomp::{Frame, Version};
use std::rc::Rc;

/// Gives the session a message that its client is to acknowledge: now, or when others are.
pub fn give(
    cx: &mut Cx<'_>,
    session: &mut Session,
    (version, (slot, ack), head): (Version, (u16, Ack), Vec<u8>),
    publication: &Rc<Publication>,
) {
    let at = (slot, ack == Ack::Client);
    let max = cx.config.max_queue;
    let pushed = session.with_busy(cx.ledger, |busy| {
        busy.unacked.push(at, publication.clone(), WINDOW, max)
    });
    match pushed {
        Ok(true) => write(cx, session, (version, head), publication),
        Ok(false) => {}
        Err(_) => {
            session.hear_no_more();
            cx.cmds.end_first(cx.id, Cause::Overflow);
        }
    }
}

/// Keeps a message that the session can be given no more, until it ends.
pub fn keep(cx: &mut Cx<'_>, session: &mut Session, publication: &Rc<Publication>) {
    let max = cx.config.max_queue;
    session.with_busy(cx.ledger, |busy| {
        busy.unacked.keep(NO_SLOT, publication, max)
    });
}

/// A copy of its own: it is remembered here, and may not be dropped from among what waits.
fn write(
    cx: &mut Cx<'_>,
    session: &mut Session,
    (version, mut head): (Version, Vec<u8>),
    publication: &Rc<Publication>,
) {
    let (view, make) = replies::rest(version);
    head.extend_from_slice(publication.view(view, cx.ledger, make).bytes());
    cx.push(session, Msg::new(head, cx.ledger));
}

/// The client has a message, or will not have it. One that is not waited for is passed over: an acknowledgement may come
/// twice, or of a subscription that needs none.
///
/// # Errors
/// A name that no message has, or in 1.0 a NACK.
pub fn acknowledge(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>, taken: bool) -> Done {
    if !taken && super::version_of(session) == Some(Version::V10) {
        return Err(NO_NACK);
    }
    // 1.2 has the one, the older versions the other.
    let id = match frame.header("id") {
        Some(id) => id,
        None => needed(frame, "message-id")?,
    };
    let (number, slot) = replies::parse_id(id).ok_or(NO_MESSAGE)?;
    if is_app(session) && events::settle(cx, slot, number, taken) {
        return Ok(Vec::new());
    }
    if session.busy().is_none_or(|busy| busy.unacked.is_empty()) {
        return Ok(Vec::new());
    }
    let gone = session.with_busy(cx.ledger, |busy| busy.unacked.ack(slot, number));
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let fate = match taken {
        true => Fate::Acked,
        false => Fate::Refused,
    };
    for publication in gone {
        note_fate(cx, session, &publication, fate);
    }
    // Of a subscription that ended nothing more is sent.
    let Some(kept) = Kept::of(session, slot) else {
        return Ok(Vec::new());
    };
    while let Some(next) = session.with_busy(cx.ledger, |busy| busy.unacked.next(slot, WINDOW)) {
        let head = replies::head(kept.version, &kept.sub(), &next);
        write(cx, session, (kept.version, head), &next);
    }
    Ok(Vec::new())
}

/// Of no subscription.
const NO_SLOT: u16 = u16::MAX;
const NO_MESSAGE: Refusal = Refusal::new("no message has this id", BAD_FRAME);
const NO_NACK: Refusal = Refusal::new("there is no NACK in 1.0", BAD_FRAME);
/// Messages of a subscription that may be on their way: as many as the slowest reader of one by one has in hand.
const WINDOW: usize = 1_000;
