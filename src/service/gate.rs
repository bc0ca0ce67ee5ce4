//! Whom the operator's rules and bounds let do what: subscribe, publish, send.
//!
//! In: what a session asks for. Out: nothing, or the refusal that names what is needed. The application comes by another
//! door and is asked nothing here.

use super::admit;
use super::refusal::Refusal;
use crate::config::keys::Setting;
use crate::config::policy::{Peer, Rate, Who};
use crate::service::Cx;
use crate::session::Session;
use crate::token::Do;

/// Whether the session may subscribe to the channel called `name`.
///
/// # Errors
/// `forbidden`.
pub fn subscribe(cx: &mut Cx<'_>, session: &Session, name: &str) -> Result<(), Refusal> {
    let who = cx.hub.policy(name).subscribe;
    allow(cx, session, (who, name), &SUBSCRIBE)
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

/// Whether the session may publish so many bytes to the channel called `name` now; where that is bounded, they are
/// taken from what it may.
///
/// # Errors
/// `forbidden`, `too-big`, `rate`.
pub fn publish(
    cx: &mut Cx<'_>,
    session: &mut Session,
    name: &str,
    bytes: usize,
) -> Result<(), Refusal> {
    let id = cx.hub.policy_id(name);
    let policy = cx.hub.policy_of(id);
    let (who, max, rate) = (policy.publish, policy.message_max, policy.rate);
    allow(cx, session, (who, name), &PUBLISH)?;
    if max.is_some_and(|max| bytes > max) {
        return refuse(cx, &TOO_BIG);
    }
    let Some(rate) = rate else {
        return Ok(());
    };
    let spent = session.spend((id, rate), bytes, cx.now, cx.ledger);
    spent.or_else(|wait_ms| refuse(cx, &too_fast(rate, wait_ms)))
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
