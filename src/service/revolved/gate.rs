//! Whom the operator's rules let do what: subscribe, publish, send.
//!
//! In: what a session asks for. Out: nothing, or the refusal that names what is needed. The application comes by another
//! door and is asked nothing here.

use super::Refusal;
use crate::config::policy::{Peer, Who};
use crate::service::Cx;
use crate::session::Session;

/// Whether the session may subscribe to the channel called `name`.
///
/// # Errors
/// `forbidden`.
pub fn subscribe(cx: &mut Cx<'_>, session: &Session, name: &str) -> Result<(), Refusal> {
    let who = cx.hub.policy(name).subscribe;
    allow(cx, session, who, &SUBSCRIBE)
}

/// Whether the session may publish so many bytes to the channel called `name`.
///
/// # Errors
/// `forbidden`, `too-big`.
pub fn publish(
    cx: &mut Cx<'_>,
    session: &Session,
    name: &str,
    bytes: usize,
) -> Result<(), Refusal> {
    let policy = cx.hub.policy(name);
    let (who, max) = (policy.publish, policy.message_max);
    allow(cx, session, who, &PUBLISH)?;
    if max.is_some_and(|max| bytes > max) {
        return refuse(cx, TOO_BIG);
    }
    Ok(())
}

/// Whether the session may send to users.
///
/// # Errors
/// `forbidden`.
pub fn send(cx: &mut Cx<'_>, session: &Session) -> Result<(), Refusal> {
    match cx.config.peer {
        Peer::Anyone => Ok(()),
        Peer::User if has_user(cx, session) => Ok(()),
        Peer::User => refuse(cx, SEND_USER),
        Peer::Off => refuse(cx, SEND_OFF),
    }
}

fn allow(cx: &mut Cx<'_>, session: &Session, who: Who, refusals: &Refusals) -> Result<(), Refusal> {
    match who {
        Who::Anyone => Ok(()),
        Who::User if has_user(cx, session) => Ok(()),
        Who::User => refuse(cx, refusals.user),
        Who::App => refuse(cx, refusals.app),
        Who::Token => refuse(cx, refusals.token),
    }
}

fn has_user(cx: &Cx<'_>, session: &Session) -> bool {
    cx.hub.user_name(&session.seat).is_some()
}

fn refuse(cx: &mut Cx<'_>, refusal: Refusal) -> Result<(), Refusal> {
    cx.metrics.refuse(refusal.1);
    Err(refusal)
}

/// What each [`Who`] is told that keeps a session out.
struct Refusals {
    user: Refusal,
    app: Refusal,
    token: Refusal,
}

const SUBSCRIBE: Refusals = Refusals {
    user: (
        "only a session with a user name may subscribe to this channel; AUTH first",
        FORBIDDEN,
    ),
    app: ("only the application reads this channel", FORBIDDEN),
    token: (
        "subscribing to this channel needs a right in a token, which this version cannot check",
        FORBIDDEN,
    ),
};
const PUBLISH: Refusals = Refusals {
    user: (
        "only a session with a user name may publish to this channel; AUTH first",
        FORBIDDEN,
    ),
    app: (
        "only the application may publish to this channel",
        FORBIDDEN,
    ),
    token: (
        "publishing to this channel needs a right in a token, which this version cannot check",
        FORBIDDEN,
    ),
};
const SEND_USER: Refusal = (
    "only a session with a user name may send to users; AUTH first",
    FORBIDDEN,
);
const SEND_OFF: Refusal = ("sessions may not send to users here", FORBIDDEN);
const TOO_BIG: Refusal = (
    "the payload is larger than a message of this channel may be",
    "too-big",
);
const FORBIDDEN: &str = "forbidden";
