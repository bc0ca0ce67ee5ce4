//! Where a reader of a channel stands: what it missed, what was there before it, who else is there.
//!
//! In: SUBSCRIBE, HISTORY, PRESENCE. Out: answers that fit into what the session's queue has left: an answer is not to be
//! what ends its session.

use super::refusal::Refusal;
use super::{channel, frames, gate, options, refusal, topic};
use crate::hub::names::{self, NAME_BYTES_MAX};
use crate::hub::{Asked, Members, Recovered};
use crate::mem::Publication;
use crate::service::Cx;
use crate::session::Session;
use serde_json::value::RawValue;
use std::rc::Rc;

/// Subscribes, and tells what of the past the reader asks for.
///
/// # Errors
/// What the rules, the bounds or the arguments do not allow.
pub fn subscribe(
    cx: &mut Cx<'_>,
    session: &mut Session,
    args: &[&RawValue],
) -> Result<String, Refusal> {
    let name = topic(args.first())?;
    let asked = options::Subscribe::parse(args.get(1))?;
    let pattern = names::is_pattern(&name);
    if pattern && asked != options::Subscribe::default() {
        return Err(OF_A_PATTERN);
    }
    gate::subscribe(cx, session, &name)?;
    if cx.hub.is_busy() {
        return Err(BUSY);
    }
    let subscribed = cx
        .hub
        .subscribe(cx.id, &mut session.seat, &name, cx.config.max_subscriptions)
        .map_err(refusal)?;
    if pattern {
        return Ok(frames::SUBSCRIBED_PATTERN.to_owned());
    }
    cx.hub.watch(&session.seat, &name, asked.presence);
    let mut room = room(cx, session);
    // Who was subscribed already was sent what came meanwhile: it would come twice.
    let past = match subscribed.again {
        true => Past::default(),
        false => past(cx, &name, &asked, room),
    };
    room = room.saturating_sub(past.text.len());
    let members = asked
        .presence
        .then(|| members(cx, &name, None, options::PAGE_MAX, room));
    Ok(frames::subscribed(
        &subscribed,
        (past.recovered, &past.text),
        members.flatten().as_ref(),
    ))
}

/// What an answer says of what was before it.
#[derive(Default)]
struct Past {
    recovered: bool,
    /// The messages, spelled.
    text: String,
}

fn past(cx: &Cx<'_>, name: &str, asked: &options::Subscribe, room: usize) -> Past {
    let recovered = match asked.since {
        Some(since) => cx.hub.recover(name, since, (room / MESSAGE_MIN, room)),
        None => Recovered::default(),
    };
    let text = frames::list(&recovered.missed);
    if recovered.whole && text.len() <= room {
        return Past {
            recovered: true,
            text,
        };
    }
    Past {
        recovered: false,
        text: last(cx, name, asked.history, room),
    }
}

/// The last messages of a channel, oldest first, as many as there is room for.
fn last(cx: &Cx<'_>, name: &str, messages: usize, room: usize) -> String {
    if messages == 0 {
        return String::new();
    }
    let asked = Asked {
        from: None,
        backwards: true,
        messages,
        bytes: room,
    };
    let mut messages = cx.hub.page(name, asked).messages;
    messages.truncate(fitting(&messages, room));
    messages.reverse();
    frames::list(&messages)
}

/// A page of a channel's history.
///
/// # Errors
/// What the rules or the arguments do not allow; a past that is forgotten.
pub fn history(cx: &mut Cx<'_>, session: &Session, args: &[&RawValue]) -> Result<String, Refusal> {
    let name = channel(args.first())?;
    gate::subscribe(cx, session, &name)?;
    let room = room(cx, session);
    let (asked, epoch) = options::page(args.get(1), room)?;
    let mut page = cx.hub.page(&name, asked);
    if epoch.is_some_and(|epoch| epoch != page.position.epoch) {
        return Err(OTHER_EPOCH);
    }
    // One message is given whatever it weighs, or a reader would ask for it for ever.
    let fitting = fitting(&page.messages, room).max(1);
    page.more |= fitting < page.messages.len();
    page.messages.truncate(fitting);
    Ok(frames::page(&page))
}

/// How many of `messages`, from the first on, can be told in so much room.
fn fitting(messages: &[Rc<Publication>], room: usize) -> usize {
    let mut left = room;
    let fits = |message: &&Rc<Publication>| {
        let len = frames::list(std::slice::from_ref(message)).len() + 1;
        left.checked_sub(len).map(|rest| left = rest).is_some()
    };
    messages.iter().take_while(fits).count()
}

/// Who is in a channel.
///
/// # Errors
/// What the rules or the arguments do not allow; a channel that does not tell.
pub fn presence(cx: &mut Cx<'_>, session: &Session, args: &[&RawValue]) -> Result<String, Refusal> {
    let name = channel(args.first())?;
    gate::subscribe(cx, session, &name)?;
    let (after, limit) = options::presence(args.get(1))?;
    let room = room(cx, session);
    let members = members(cx, &name, after.as_deref(), limit, room);
    members
        .map(|members| frames::members(&members))
        .ok_or(NO_PRESENCE)
}

/// As many members as there is room for; one, whatever it weighs.
fn members(
    cx: &mut Cx<'_>,
    name: &str,
    after: Option<&str>,
    limit: usize,
    room: usize,
) -> Option<Members> {
    let fitting = (room / MEMBER_MAX).clamp(1, options::PAGE_MAX);
    cx.hub.members(name, after, limit.min(fitting))
}

/// What an answer may weigh.
fn room(cx: &Cx<'_>, session: &Session) -> usize {
    cx.config.max_queue.saturating_sub(session.queued()) / 2
}

/// Bytes of the shortest message that is told: `{"offset":1,"sender":null,"payload":1},`.
const MESSAGE_MIN: usize = 38;
/// Bytes of the longest member: a name whose every byte is escaped, and a number.
const MEMBER_MAX: usize = 2 * NAME_BYTES_MAX + 32;
/// The answer while as many comings and goings wait to be told as may.
pub const BUSY: Refusal = Refusal::new(
    "too many come and go at once; try again in a moment",
    "full",
);
const OF_A_PATTERN: Refusal = Refusal::new(
    "a pattern has no place, history or presence of its own; each channel that it matches has",
    "not-offered",
);
const NO_PRESENCE: Refusal = Refusal::new(
    "who is in this channel is not told; the operator's rule for it is presence",
    "not-offered",
);
const OTHER_EPOCH: Refusal = Refusal::new(
    "the channel's past of that epoch is forgotten; ask without since",
    "epoch",
);
