//! What happened to a session, as the application reads it.
//!
//! In: a session's end. Out: one JSON object, published to a channel of the hub that only the application can name.

use super::{Cx, json};
use crate::cmd::{Cause, Cmd, Origin};
use crate::hub::names;
use crate::mem::{Content, Publication};
use crate::session::Session;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Write as _;
use std::rc::Rc;

/// Tells the readers of sign-offs, if there are any. What was not delivered is listed with its bytes, up to
/// `LISTED_MAX` messages and `LISTED_BYTES_MAX` of them; `cut` says how many more there were. What was dropped by a
/// channel's rule is not among them, since its fate was to be told by a notice: `missed` says how many are of notices that
/// the client did not acknowledge.
pub fn signoff(cx: &mut Cx<'_>, session: &Session, cause: Cause, undelivered: &[Rc<Publication>]) {
    if cx.hub.subscribers(names::SIGNOFF) == 0 {
        return;
    }
    let mut out = b"{\"event\":\"signoff\",\"session\":".to_vec();
    json::string(&mut out, &session.key(cx.id).text());
    out.extend_from_slice(b",\"user\":");
    let user = cx.hub.user_name(&session.seat).or(session.user());
    json::string_or_null(&mut out, user);
    // Neither a string nor a vector can fail here.
    let _ = write!(
        out,
        ",\"time\":{},\"reason\":\"{}\",\"undelivered\":[",
        cx.unix_ms / 1000,
        cause.word()
    );
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
    out.push(b'}');
    let publication = Publication::new(
        names::SIGNOFF.into(),
        None,
        Content::Json,
        out.into(),
        cx.ledger,
    );
    cx.cmds.push(Cmd::Publish(publication, Origin::Node, None));
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
        message(out, publication);
    }
    undelivered.len()
}

fn message(out: &mut Vec<u8>, publication: &Publication) {
    let _ = write!(out, "{{\"id\":\"{}\",", publication.number());
    match publication.place() {
        Some(place) => {
            let _ = write!(out, "\"offset\":{},\"channel\":", place.offset);
        }
        None => out.extend_from_slice(b"\"user\":"),
    }
    json::string(out, &publication.target);
    out.extend_from_slice(b",\"sender\":");
    json::string_or_null(out, publication.sender.as_deref());
    out.extend_from_slice(b",\"content_type\":");
    json::string(out, publication.content.media_type());
    match (
        &publication.content,
        std::str::from_utf8(&publication.bytes),
    ) {
        (Content::Json | Content::Text, Ok(text)) => {
            out.extend_from_slice(b",\"body\":");
            json::string(out, text);
        }
        _ => {
            let text = STANDARD.encode(&publication.bytes);
            let _ = write!(out, ",\"base64\":\"{text}\"");
        }
    }
    out.push(b'}');
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
