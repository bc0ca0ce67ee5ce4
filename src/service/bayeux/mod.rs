//! Bayeux: channels as CometD and Faye speak them, on the same hub as Revolved (bayeux.md).
//!
//! In: messages of a session, publications. Out: replies, deliveries on the session, publications as commands. Sessions
//! begin, wait and end by `node/bayeux/`: which connection a reply goes to is nothing that a service sees.

pub mod messages;
pub mod names;
pub mod replay;
pub mod replies;
pub mod timesync;

use super::refusal::Refusal;
use super::{Cx, Service, admit, gate, json, notice};
use crate::cmd::{Cmd, Origin};
use crate::hub::{Refused, names::is_pattern};
use crate::mem::{Content, Msg, Publication, View};
use crate::session::Session;
use messages::Message;
use names::Name;
use replies::Reply;
use std::borrow::Cow;
use std::rc::Rc;

/// The service; what it remembers is in the session.
#[derive(Debug)]
pub struct Bayeux;

impl Service for Bayeux {
    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        to_user: bool,
    ) {
        // What looks like the protocol's own messages is not passed on.
        if !to_user && names::is_reserved(&publication.target) {
            return;
        }
        if session.put_off(publication.lazy_ms(), cx.now) {
            cx.cmds.push(Cmd::Arm(cx.id));
        }
        let msg = match session.link().is_some_and(|link| link.replays) {
            _ if to_user => publication.view(View::Bayeux, cx.ledger, replies::sent),
            true => replay::view(cx, publication),
            false => publication.view(View::Bayeux, cx.ledger, replies::delivery),
        };
        cx.push(session, msg);
    }

    /// As if the client had asked for it, which is all that the protocol has for this: clients look a reply up by its `id`,
    /// pass over one without, and tell it to who listens to `/meta/unsubscribe`. All else that it reads goes on.
    fn lapsed(&self, cx: &mut Cx<'_>, session: &mut Session, topic: &str) {
        cx.hub.unsubscribe(&mut session.seat, topic);
        cx.remark(session, Msg::new(replies::unsubscribed(topic), cx.ledger));
    }
}

/// Does what a message of a session asks, but for what begins, holds and ends one. Gives back the reply.
#[must_use]
pub fn answer(cx: &mut Cx<'_>, session: &mut Session, message: &Message<'_>) -> Vec<u8> {
    match &*message.channel {
        SUBSCRIBE => change(cx, session, message, subscribe),
        "/meta/unsubscribe" => change(cx, session, message, unsubscribe),
        channel => {
            let done = match Name::of(channel) {
                Name::Service => say(cx, session, message),
                Name::Topic(name) if !is_pattern(name) => publish(cx, session, name, message),
                Name::TooLong => Err("405::channel_too_long".into()),
                Name::Topic(_) => Err("405::channel_is_a_pattern".into()),
                Name::Meta | Name::Invalid => Err("405::channel_invalid".into()),
            };
            reply(Reply::to(message), done)
        }
    }
}

type Done = Result<(), Cow<'static, str>>;

fn reply(reply: Reply, done: Done) -> Vec<u8> {
    match done {
        Ok(()) => reply.done(),
        Err(error) => reply.failed(&error),
    }
}

/// Subscribes or unsubscribes. All names are looked at first, so that a bad one leaves everything as it was.
fn change(cx: &mut Cx<'_>, session: &mut Session, message: &Message<'_>, each: Each) -> Vec<u8> {
    let Some(asked) = message.subscription else {
        return Reply::to(message).failed("403::subscription_missing");
    };
    let Ok(texts) = messages::texts(asked, cx.config.max_subscriptions) else {
        return Reply::to(message).failed("403::subscriptions_too_many");
    };
    let Some(texts) = texts else {
        return Reply::to(message).failed("403::subscription_invalid");
    };
    let named: Vec<Name<'_>> = texts.iter().map(|text| Name::of(text)).collect();
    let bad = named.iter().find_map(|name| match name {
        Name::Meta | Name::Invalid => Some("403::subscription_invalid"),
        Name::TooLong => Some("403::subscription_too_long"),
        Name::Service | Name::Topic(_) => None,
    });
    let comes = message.channel == SUBSCRIBE;
    let done = match bad {
        Some(error) => Err(error.into()),
        // Whoever comes may have to be told of: none of them does while that is behind.
        None if comes && cx.hub.is_busy() => Err(refuse(cx, "busy", "503::server_busy")),
        None if comes => open(cx, session, message)
            .and_then(|()| may_read(cx, session, &named))
            .and_then(|()| each_topic(cx, session, (&named, message), each)),
        None => each_topic(cx, session, (&named, message), each),
    };
    let sync = timesync::answer_now(message, cx.unix_ms);
    let told = Reply::to(message).with("subscription", asked.get());
    reply(told.extended(&[("timesync", sync)]), done)
}

/// Takes the token in `ext` that opens what is subscribed to, if there is one.
fn open(cx: &mut Cx<'_>, session: &mut Session, message: &Message<'_>) -> Done {
    let Some(token) = message
        .extension("token")
        .filter(|_| !(cx.config.demo && cx.tokens.keys.is_empty()))
    else {
        return Ok(());
    };
    let token = messages::text(token).unwrap_or_default();
    let added = admit::add_token(cx, session, &token);
    added.map_err(|refusal| not_admitted(&refusal))
}

/// Whether all of them may be read. Where the application is asked, that is before any of them is.
fn may_read(cx: &mut Cx<'_>, session: &Session, named: &[Name<'_>]) -> Done {
    for name in named {
        let Name::Topic(name) = name else { continue };
        let may = gate::subscribe(cx, session, name);
        may.map_err(|refusal| denied(&refusal, "subscribe_denied"))?;
    }
    Ok(())
}

/// Why a token is not taken, in the form of the protocol: the code is an argument.
#[must_use]
pub fn not_admitted(refusal: &Refusal) -> Cow<'static, str> {
    match refusal.code {
        NO_ANSWER => ABSENT.into(),
        DENIED => format!("403:denied:{}", refusal.text).into(),
        code => format!("401:{code}:{}", refusal.text).into(),
    }
}

/// All of them, or none: what was new is undone where a later one is refused. Nothing is ever delivered on service
/// channels: there is nothing to remember.
fn each_topic(
    cx: &mut Cx<'_>,
    session: &mut Session,
    (named, message): (&[Name<'_>], &Message<'_>),
    each: Each,
) -> Done {
    let mut fresh = Vec::new();
    for name in named {
        let Name::Topic(name) = name else { continue };
        match each(cx, session, name, message) {
            Ok(true) => fresh.push(name),
            Ok(false) => {}
            Err(error) => {
                for name in fresh {
                    cx.hub.unsubscribe(&mut session.seat, name);
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Does something with one channel. True when it is subscribed to since then.
type Each = fn(&mut Cx<'_>, &mut Session, &str, &Message<'_>) -> Result<bool, Cow<'static, str>>;

fn subscribe(
    cx: &mut Cx<'_>,
    session: &mut Session,
    name: &str,
    message: &Message<'_>,
) -> Result<bool, Cow<'static, str>> {
    let max = cx.config.max_subscriptions;
    let subscribed = cx.hub.subscribe(cx.id, &mut session.seat, name, max);
    let subscribed = subscribed.map_err(|refused| match refused {
        Refused::TooManySubscriptions => refuse(cx, "too-many", "403::subscriptions_too_many"),
        _ => refuse(cx, "full", "503::server_full"),
    })?;
    // Who was subscribed already was sent what came meanwhile: it would come twice.
    let fresh = !subscribed.again;
    if let Some(wanted) = replay::wanted(message, name).filter(|_| fresh && !is_pattern(name)) {
        session.link_mut().replays = true;
        let at = (name, subscribed.position);
        if let Err(error) = replay::give(cx, session, at, wanted) {
            cx.hub.unsubscribe(&mut session.seat, name);
            return Err(error.into());
        }
    }
    Ok(fresh)
}

fn unsubscribe(
    cx: &mut Cx<'_>,
    session: &mut Session,
    name: &str,
    _: &Message<'_>,
) -> Result<bool, Cow<'static, str>> {
    cx.hub.unsubscribe(&mut session.seat, name);
    Ok(false)
}

/// To the application, and nobody else.
fn say(cx: &mut Cx<'_>, session: &Session, message: &Message<'_>) -> Done {
    let data = message.data.unwrap_or("null").as_bytes();
    gate::say(cx, session)
        .and_then(|()| gate::take(cx, data.len()))
        .map_err(|refusal| denied(&refusal, "publish_denied"))?;
    let said = (&Content::Json, data);
    notice::message(cx, session, Some(&message.channel), said);
    Ok(())
}

fn publish(cx: &mut Cx<'_>, session: &mut Session, name: &str, message: &Message<'_>) -> Done {
    let data = message.data.ok_or("400::data_missing")?;
    let ext = message.forwarded_ext();
    // Readers get both, and both wait for them.
    let bytes = data.len() + ext.as_ref().map_or(0, |ext| ext.len());
    let said = (&Content::Json, data.as_bytes(), bytes - data.len());
    let instead = gate::take(cx, bytes)
        .and_then(|()| gate::publish(cx, session, name, said))
        .map_err(|refusal| denied(&refusal, "publish_denied"))?;
    let data = instead.as_ref().map_or(data, |instead| instead.get());
    // The answer does not wait for the publication's turn.
    if cx.hub.promise(name).is_err() {
        return Err(refuse(cx, "full", "503::server_full"));
    }
    let sender = cx.hub.user_name(&session.seat).map(Box::from);
    let publication = Publication::new(
        name.into(),
        sender,
        Content::Json,
        data.as_bytes().into(),
        cx.ledger,
    );
    if let Some(ext) = ext {
        publication.put_ext(ext);
    }
    cx.metrics.messages_in += 1;
    cx.cmds
        .push(Cmd::Publish(publication, Origin::Promised, None));
    Ok(())
}

/// What there is no room for, counted as what rules refuse is.
fn refuse(cx: &mut Cx<'_>, code: &'static str, error: &'static str) -> Cow<'static, str> {
    cx.metrics.refuse(code);
    error.into()
}

/// What a rule refused, in the words of the protocol.
fn denied(refusal: &Refusal, what: &str) -> Cow<'static, str> {
    match refusal.code {
        "too-big" => "413::message_too_large".into(),
        "rate" => "429::rate_exceeded".into(),
        "full" => "503::server_full".into(),
        NO_ANSWER => ABSENT.into(),
        DENIED => format!("403:{what}:{}", refusal.text).into(),
        _ => format!("403:denied_by_security_policy:{what}").into(),
    }
}

/// The application, which decides, is away.
pub const ABSENT: &str = "503::application_absent";
const NO_ANSWER: &str = "no-answer";
const DENIED: &str = "denied";
const SUBSCRIBE: &str = "/meta/subscribe";
