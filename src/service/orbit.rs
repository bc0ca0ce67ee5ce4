//! Whatever the application and a client say to each other: messages without channels.
//!
//! In: what the client sends, a packet or a WebSocket message at a time; what the application sends to the session or its
//! user. Out: an event for the application; the payload as it is.

use super::{Cx, Service, notice};
use crate::cmd::Cause;
use crate::mem::{Content, Publication, View};
use crate::session::Session;
use std::rc::Rc;

/// The service; it remembers nothing.
#[derive(Debug)]
pub struct Orbit;

impl Service for Orbit {
    /// A client cannot be answered here, so a message that cannot be taken ends its session.
    fn message(&self, cx: &mut Cx<'_>, session: &mut Session, bytes: &[u8], binary: bool) {
        if super::gate::say(cx, session).is_err() {
            return cx.end(session, Cause::Protocol);
        }
        if bytes.len() > cx.config.max_message {
            cx.metrics.refuse("too-big");
            return cx.end(session, Cause::TooBig);
        }
        if cx.is_full() {
            cx.metrics.refuse("queues-full");
            return cx.end(session, Cause::Overflow);
        }
        let content = match std::str::from_utf8(bytes) {
            Ok(_) if !binary => Content::Text,
            _ => Content::Bytes("application/octet-stream".into()),
        };
        notice::message(cx, session, None, (&content, bytes));
    }

    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        _: bool,
    ) {
        let raw = |publication: &Publication| publication.bytes.to_vec();
        let msg = publication.view(View::Raw, cx.ledger, raw);
        cx.push(session, msg);
    }
}
