//! Revolved as Orbited 0.3 had it: calls that are requests of their own, and events on a stream beside them.
//!
//! In: what a request asks for a session, publications. Out: what it comes to; events. A page is its user and a resource, the name
//! that it gave itself, so that a user's pages tell each other's messages apart.

use super::past::{self, BUSY};
use super::{Cx, Service, admit, gate, seat};
use crate::cmd::{Cmd, Origin};
use crate::hub::Refused;
use crate::hub::names::{self, NameError};
use crate::mem::{Content, Publication, View};
use crate::service::refusal::Refusal;
use crate::service::{Hello, json, named};
use crate::session::Session;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::rc::Rc;

/// The service; what it remembers is in the session.
#[derive(Debug)]
pub struct Calls;

impl Service for Calls {
    fn opened(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        hello: &Hello<'_>,
    ) -> Result<(), Refused> {
        named(cx, session, hello)?;
        if let Some(resource) = hello.resource {
            session.put_resource(resource.into());
        }
        Ok(())
    }

    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        to_user: bool,
    ) {
        let make = if to_user { sent } else { published };
        let msg = publication.view(View::RevolvedOfOld, cx.ledger, make);
        cx.push(session, msg);
    }

    fn seated(&self, cx: &mut Cx<'_>, session: &mut Session, topic: &str, on: bool) -> bool {
        seat(cx, session, topic, on).is_some()
    }
}

/// Gives the session at hand another name.
///
/// # Errors
/// Why it stays who it is.
pub fn authenticate(
    cx: &mut Cx<'_>,
    session: &mut Session,
    user: &str,
    token: Option<&str>,
) -> Result<(), Refusal> {
    if cx.hub.is_busy() {
        return Err(BUSY);
    }
    let proof = token.map(Value::from);
    admit::sign_on(cx, session, (Some(user), proof.as_ref())).map(|_| ())
}

/// Subscribes the session at hand to a channel or a pattern.
///
/// # Errors
/// What the rules or the bounds do not allow; a name that is none.
pub fn subscribe(
    cx: &mut Cx<'_>,
    session: &mut Session,
    name: &str,
    token: Option<&str>,
) -> Result<(), Refusal> {
    let name = names::topic(name).map_err(|error| bad_name(cx, error))?;
    if let Some(token) = token {
        past::show(cx, session, token)?;
    }
    gate::subscribe(cx, session, name)?;
    if cx.hub.is_busy() {
        return Err(BUSY);
    }
    let max = cx.config.max_subscriptions;
    cx.hub.subscribe(cx.id, &mut session.seat, name, max)?;
    Ok(())
}

/// Ends such a subscription, if there is one.
///
/// # Errors
/// A name that is none.
pub fn unsubscribe(cx: &mut Cx<'_>, session: &mut Session, name: &str) -> Result<(), Refusal> {
    let name = names::topic(name).map_err(|error| bad_name(cx, error))?;
    cx.hub.unsubscribe(&mut session.seat, name);
    Ok(())
}

/// Publishes JSON, which everybody hears as such, and those of this protocol with the resource it came from.
///
/// # Errors
/// A session without a user, what is no JSON, a name that is none; what the rules or the bounds do not allow.
pub fn publish(
    cx: &mut Cx<'_>,
    session: &mut Session,
    name: &str,
    payload: &str,
) -> Result<(), Refusal> {
    let name = names::channel(name).map_err(|error| bad_name(cx, error))?;
    let Some(sender) = cx.hub.user_name(&session.seat).map(Box::from) else {
        return Err(refuse(cx, LURKER));
    };
    gate::take(cx, payload.len())?;
    if serde_json::from_str::<IgnoredAny>(payload).is_err() {
        return Err(refuse(cx, NOT_JSON));
    }
    let said = (&Content::Json, payload.as_bytes(), 0);
    let instead = gate::publish(cx, session, name, said)?;
    let payload = instead.as_ref().map_or(payload, |instead| instead.get());
    // The answer does not wait for the publication's turn.
    cx.hub.promise(name)?;
    let bytes = payload.as_bytes().into();
    let publication = Publication::new(name.into(), Some(sender), Content::Json, bytes, cx.ledger);
    if let Some(resource) = session.resource() {
        publication.put_resource(resource.into());
    }
    cx.metrics.messages_in += 1;
    cx.cmds
        .push(Cmd::Publish(publication, Origin::Promised, None));
    Ok(())
}

/// How a page is told that it missed so many messages of a channel, of which 0.3 knew nothing.
pub fn gap(channel: &str, missed: u64) -> Vec<u8> {
    let channel = json::text(channel);
    format!("[\"gap\", {channel}, {{\"missed\": {missed}}}]").into_bytes()
}

/// `["publish", CHANNEL, [USER, RESOURCE], "PAYLOAD"]`: the payload is JSON in a string.
fn published(publication: &Publication) -> Vec<u8> {
    let mut out = b"[\"publish\", ".to_vec();
    json::string(&mut out, &publication.target);
    out.extend_from_slice(b", ");
    end(out, publication)
}

/// `["send", [USER, RESOURCE], "PAYLOAD"]`, of which 0.3 knew nothing.
fn sent(publication: &Publication) -> Vec<u8> {
    end(b"[\"send\", ".to_vec(), publication)
}

fn end(mut out: Vec<u8>, publication: &Publication) -> Vec<u8> {
    out.push(b'[');
    json::string_or_null(&mut out, publication.sender.as_deref());
    out.extend_from_slice(b", ");
    json::string_or_null(&mut out, publication.resource());
    out.extend_from_slice(b"], ");
    let mut payload = Vec::new();
    json::payload(&mut payload, &publication.content, &publication.bytes);
    json::string(&mut out, &String::from_utf8_lossy(&payload));
    out.push(b']');
    out
}

fn bad_name(cx: &mut Cx<'_>, error: NameError) -> Refusal {
    refuse(cx, Refusal::new(error.reason(), "bad-name"))
}

fn refuse(cx: &mut Cx<'_>, refusal: Refusal) -> Refusal {
    cx.count(&refusal);
    refusal
}

const LURKER: Refusal = Refusal::new(
    "a session without a user may not publish; authenticate first",
    "no-user",
);
const NOT_JSON: Refusal = Refusal::new("the payload is no JSON", "bad-args");
