//! What happens to sessions and messages, as the application reads it.
//!
//! In: a session's beginning and end, what its client said, what arrived. Out: one JSON object for each, published to a
//! channel of the hub that only the application can name. Where nobody reads of a thing, and nothing is kept, it is not
//! even spelled.

use super::{Cx, json};
use crate::cmd::{Cause, Cmd, Fate, Origin};
use crate::hub::{Turnout, names};
use crate::ids::SessionId;
use crate::mem::{Content, Ledger, Publication};
use crate::session::Session;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Write as _;
use std::rc::Rc;

/// A session began, or took another user's name.
pub fn signon(cx: &mut Cx<'_>, session: &Session) {
    if cx.hub.is_heard(names::SIGNON) {
        let out = facts(cx, session, "signon");
        publish(cx, names::SIGNON, out, Some(cx.id));
    }
}

/// The client said something to the application, on a channel of its protocol's if that has some. What nobody would ever
/// read is refused, which is counted and logged: clients are not told whether there is an application.
pub fn message(cx: &mut Cx<'_>, session: &Session, channel: Option<&str>, said: (&Content, &[u8])) {
    if !cx.hub.is_heard(names::MESSAGE) {
        return cx.metrics.refuse("no-application");
    }
    cx.metrics.messages_in += 1;
    let mut out = facts(cx, session, "message");
    if let Some(channel) = channel {
        out.extend_from_slice(b",\"channel\":");
        json::string(&mut out, channel);
    }
    out.push(b',');
    body(&mut out, said.0, said.1);
    publish(cx, names::MESSAGE, out, Some(cx.id));
}

/// A message of which the application wanted to know arrived at the session, as far as its transport tells, or was refused.
pub fn fate(cx: &mut Cx<'_>, session: &Session, publication: &Publication, fate: Fate) {
    let (channel, event, how) = match fate {
        Fate::Acked => (names::DELIVERED, "delivered", "\"level\":\"acked\""),
        Fate::Written => (names::DELIVERED, "delivered", "\"level\":\"written\""),
        Fate::Refused => (names::FAILED, "failed", "\"reason\":\"refused\""),
        // The end of its session lists it.
        Fate::Failed(_) => return,
    };
    if !cx.hub.is_heard(channel) {
        return;
    }
    let mut out = facts(cx, session, event);
    // A vector cannot fail.
    let _ = write!(out, ",{how},\"id\":");
    name(&mut out, publication);
    publish(cx, channel, out, Some(cx.id));
}

/// A message of which the application wanted to know is for nobody: the user has no session, or there is no such one.
pub fn absent(cx: &mut Cx<'_>, publication: &Publication) {
    if !cx.hub.is_heard(names::FAILED) {
        return;
    }
    let key = publication.target.strip_prefix("session:");
    let user = key.is_none().then_some(&*publication.target);
    let mut out = b"{\"event\":\"failed\",\"session\":".to_vec();
    json::string_or_null(&mut out, key);
    out.extend_from_slice(b",\"user\":");
    json::string_or_null(&mut out, user);
    moment(&mut out, &cx.config.node_name, cx.unix_ms);
    out.extend_from_slice(b",\"reason\":\"not-connected\",\"id\":");
    name(&mut out, publication);
    publish(cx, names::FAILED, out, None);
}

/// A message of which the application wanted to know waited for its user in vain.
#[must_use]
pub fn expired(
    publication: &Publication,
    (node, unix_ms): (&str, u64),
    ledger: &Ledger,
) -> Rc<Publication> {
    let mut out = b"{\"event\":\"failed\",\"session\":null,\"user\":".to_vec();
    json::string(&mut out, &publication.target);
    moment(&mut out, node, unix_ms);
    out.extend_from_slice(b",\"reason\":\"expired\",\"id\":");
    name(&mut out, publication);
    out.push(b'}');
    of(names::FAILED, out, ledger)
}

/// A channel's subscribers became some or none.
#[must_use]
pub fn turnout(
    turnout: &Turnout,
    (node, unix_ms): (&str, u64),
    ledger: &Ledger,
) -> Rc<Publication> {
    let event = if turnout.occupied {
        "occupied"
    } else {
        "vacated"
    };
    let mut out = format!("{{\"event\":\"{event}\",\"channel\":").into_bytes();
    json::string(&mut out, &turnout.channel);
    moment(&mut out, node, unix_ms);
    out.push(b'}');
    of(turnout.event(), out, ledger)
}

/// A session ended. What was not delivered is listed with its bytes, up to
/// `LISTED_MAX` messages and `LISTED_BYTES_MAX` of them; `cut` says how many more there were. What was dropped by a
/// channel's rule is not among them, since its fate was to be told by a notice: `missed` says how many are of notices that
/// the client did not acknowledge.
pub fn signoff(cx: &mut Cx<'_>, session: &Session, cause: Cause, undelivered: &[Rc<Publication>]) {
    if !cx.hub.is_heard(names::SIGNOFF) {
        return;
    }
    let mut out = facts(cx, session, "signoff");
    // Neither a string nor a vector can fail here.
    let _ = write!(out, ",\"reason\":\"{}\",\"undelivered\":[", cause.word());
    // When memory is short it is not spent on copies.
    let listed = match cx.is_full() {
        true => 0,
        false => list(&mut out, undelivered),
    };
    out.push(b']');
    if listed < undelivered.len() {
        let _ = write!(out, ",\"cut\":{}", undelivered.len() - listed);
    }
    let missed = session.missed();
    if missed > 0 {
        let _ = write!(out, ",\"missed\":{missed}");
    }
    publish(cx, names::SIGNOFF, out, Some(cx.id));
}

/// What stands for an event that is larger than its reader may hold.
#[must_use]
pub fn too_big(publication: &Publication) -> Vec<u8> {
    let event = publication.target.rsplit('/').next().unwrap_or_default();
    format!(
        "{{\"event\":\"{event}\",\"too_big\":{}}}",
        publication.bytes.len()
    )
    .into()
}

/// What every event of a session says, without the end of the object.
pub fn facts(cx: &Cx<'_>, session: &Session, event: &str) -> Vec<u8> {
    let mut out = format!("{{\"event\":\"{event}\",\"session\":").into_bytes();
    json::string(&mut out, &session.key(cx.id).text());
    out.extend_from_slice(b",\"user\":");
    let user = cx.hub.user_name(&session.seat).or(session.user());
    json::string_or_null(&mut out, user);
    let service = session.service.word();
    // A vector cannot fail.
    let _ = write!(
        out,
        ",\"service\":\"{service}\",\"transport\":\"{}\"",
        session.transport()
    );
    moment(&mut out, &cx.config.node_name, cx.unix_ms);
    out
}

/// Where it happened, and when.
fn moment(out: &mut Vec<u8>, node: &str, unix_ms: u64) {
    out.extend_from_slice(b",\"node\":");
    json::string(out, node);
    let _ = write!(out, ",\"time\":{}", unix_ms / 1000);
}

/// Tells of something that became of a session, the one at hand or none.
fn publish(cx: &mut Cx<'_>, channel: &'static str, mut out: Vec<u8>, about: Option<SessionId>) {
    out.push(b'}');
    let publication = of(channel, out, cx.ledger);
    let gone = cx.groups.take(&publication, about, cx.ledger);
    cx.metrics.callbacks.dropped += gone;
    cx.groups.call(cx.cmds);
    cx.cmds.push(Cmd::Publish(publication, Origin::Node, None));
}

fn of(channel: &'static str, out: Vec<u8>, ledger: &Ledger) -> Rc<Publication> {
    Publication::new(channel.into(), None, Content::Json, out.into(), ledger)
}

/// Writes as many as may be listed; gives back how many.
fn list(out: &mut Vec<u8>, undelivered: &[Rc<Publication>]) -> usize {
    let mut room = LISTED_BYTES_MAX;
    for (n, publication) in undelivered.iter().enumerate() {
        let bytes = publication.bytes.len();
        if n == LISTED_MAX || bytes > room {
            return n;
        }
        room -= bytes;
        if n > 0 {
            out.push(b',');
        }
        self::undelivered(out, publication);
    }
    undelivered.len()
}

fn undelivered(out: &mut Vec<u8>, publication: &Publication) {
    out.extend_from_slice(b"{\"id\":");
    name(out, publication);
    match publication.place() {
        Some(place) => {
            let _ = write!(out, ",\"offset\":{},\"channel\":", place.offset);
        }
        None => out.extend_from_slice(b",\"user\":"),
    }
    json::string(out, &publication.target);
    out.extend_from_slice(b",\"sender\":");
    json::string_or_null(out, publication.sender.as_deref());
    out.push(b',');
    body(out, &publication.content, &publication.bytes);
    out.push(b'}');
}

/// What its publisher calls a message, else its number.
fn name(out: &mut Vec<u8>, publication: &Publication) {
    match publication.name() {
        Some(name) => json::string(out, name),
        None => {
            let _ = write!(out, "\"{}\"", publication.number());
        }
    }
}

/// A payload and its type.
pub fn body(out: &mut Vec<u8>, content: &Content, bytes: &[u8]) {
    out.extend_from_slice(b"\"content_type\":");
    json::string(out, content.media_type());
    match (content, std::str::from_utf8(bytes)) {
        (Content::Json | Content::Text, Ok(text)) => {
            out.extend_from_slice(b",\"body\":");
            json::string(out, text);
        }
        _ => {
            let text = STANDARD.encode(bytes);
            let _ = write!(out, ",\"base64\":\"{text}\"");
        }
    }
}

/// Most messages that one notice lists.
const LISTED_MAX: usize = 1_000;
/// Most bytes of messages that one notice lists.
const LISTED_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::Ledger;

    fn listed(many: usize, bytes: usize) -> usize {
        let ledger = Ledger::default();
        let one = || {
            let body = vec![b'x'; bytes].into();
            Publication::new("c".into(), None, Content::Text, body, &ledger)
        };
        let all: Vec<_> = std::iter::repeat_with(one).take(many).collect();
        let mut out = Vec::new();
        let listed = list(&mut out, &all);
        let json = format!("[{}]", String::from_utf8(out).unwrap());
        let read: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(read.len(), listed);
        listed
    }

    #[test]
    fn a_notice_lists_so_many_messages_and_so_many_bytes_of_them() {
        assert_eq!(listed(3, 10), 3);
        assert_eq!(listed(LISTED_MAX + 5, 1), LISTED_MAX);
        assert_eq!(listed(9, LISTED_BYTES_MAX / 4), 4);
        assert_eq!(listed(1, LISTED_BYTES_MAX + 1), 0);
    }
}
