//! Where a reader of a channel stands: what it missed, what was there before it, who else is there.
//!
//! In: SUBSCRIBE, HISTORY, PRESENCE. Out: answers that fit into what the session's queue has left: an answer is not to be
//! what ends its session.

use super::{channel, frames, options, topic};
use crate::hub::names::{self, NAME_BYTES_MAX};
use crate::hub::{Asked, Members, Recovered};
use crate::service::Cx;
use crate::service::refusal::Refusal;
use crate::service::{admit, gate};
use crate::session::Session;
use serde_json::value::RawValue;

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
    let mut asked = options::Subscribe::parse(args.get(1))?;
    let token = asked.token.take();
    let pattern = names::is_pattern(&name);
    if pattern && asked != options::Subscribe::default() {
        return Err(OF_A_PATTERN);
    }
    if let Some(token) = token {
        show(cx, session, &token)?;
    }
    gate::subscribe(cx, session, &name)?;
    if cx.hub.is_busy() {
        return Err(BUSY);
    }
    let subscribed =
        cx.hub
            .subscribe(cx.id, &mut session.seat, &name, cx.config.max_subscriptions)?;
    if pattern {
        return Ok(frames::SUBSCRIBED_PATTERN.to_owned());
    }
    if asked.presence || subscribed.again {
        cx.hub.watch(&session.seat, &name, asked.presence);
    }
    let mut room = room(cx, session);
    // Who was subscribed already was sent what came meanwhile: it would come twice.
    let past = match subscribed.again {
        true => Past::default(),
        false => past(cx, &name, &asked, room),
    };
    room = room.saturating_sub(past.messages.iter().map(String::len).sum());
    let members = asked
        .presence
        .then(|| members(cx, &name, None, options::PAGE_MAX, room));
    Ok(frames::subscribed(
        &subscribed,
        (past.recovered, &past.messages),
        members.flatten().as_ref(),
    ))
}

/// A token for some channels. Where there is no key nobody is asked for one, as by AUTH.
///
/// # Errors
/// The cause for which it is not taken.
pub fn show(cx: &mut Cx<'_>, session: &mut Session, token: &str) -> Result<(), Refusal> {
    match cx.config.demo && cx.tokens.keys.is_empty() {
        true => Ok(()),
        false => admit::add_token(cx, session, token),
    }
}

/// What an answer says of what was before it.
#[derive(Default)]
struct Past {
    recovered: bool,
    /// Spelled.
    messages: Vec<String>,
}

fn past(cx: &Cx<'_>, name: &str, asked: &options::Subscribe, room: usize) -> Past {
    let recovered = match asked.since {
        Some(since) => cx.hub.recover(name, since, (room / MESSAGE_MIN, room)),
        None => Recovered::default(),
    };
    let messages = frames::messages(&recovered.missed, room);
    if recovered.whole && messages.len() == recovered.missed.len() {
        return Past {
            recovered: true,
            messages,
        };
    }
    Past {
        recovered: false,
        messages: last(cx, name, asked.history, room),
    }
}

/// The last messages of a channel, oldest first, as many as there is room for.
fn last(cx: &Cx<'_>, name: &str, messages: usize, room: usize) -> Vec<String> {
    if messages == 0 {
        return Vec::new();
    }
    let asked = Asked {
        from: None,
        backwards: true,
        messages,
        bytes: room,
    };
    let mut messages = frames::messages(&cx.hub.page(name, asked).messages, room);
    messages.reverse();
    messages
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
    let page = cx.hub.page(&name, asked);
    if epoch.is_some_and(|epoch| epoch != page.position.epoch) {
        return Err(OTHER_EPOCH);
    }
    Ok(frames::page(&page, room))
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
