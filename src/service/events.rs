//! Plain readers of channels, without any library: `/_/events`, and the application's feeds of what happens.
//!
//! In: publications. Out: events of `text/event-stream`. The client cannot send.

use super::{Cx, Hello, Service, json};
use crate::cmd::{Cause, Outcome};
use crate::hub::Refused;
use crate::mem::{Content, Publication, View};
use crate::session::Session;
use std::rc::Rc;

/// The service; it remembers nothing.
#[derive(Debug)]
pub struct Events;

impl Service for Events {
    fn opened(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        hello: &Hello<'_>,
    ) -> Result<(), Refused> {
        for name in &hello.channels {
            cx.hub
                .subscribe(cx.id, &mut session.seat, name, cx.config.max_subscriptions)?;
        }
        Ok(())
    }

    fn message(&self, _: &mut Cx<'_>, _: &mut Session, _: &[u8], _: bool) {}

    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        _: bool,
    ) {
        let msg = publication.view(View::Event, cx.ledger, event);
        cx.push(session, msg);
    }

    fn answered(&self, _: &mut Cx<'_>, _: &mut Session, _: u64, _: Outcome) {}

    fn farewell(&self, _: &mut Cx<'_>, _: &mut Session, _: Cause) {}
}

/// The same for the application, whose own comings and goings are no news to it.
#[derive(Debug)]
pub struct Feed;

impl Service for Feed {
    fn opened(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        hello: &Hello<'_>,
    ) -> Result<(), Refused> {
        Events.opened(cx, session, hello)
    }

    fn message(&self, _: &mut Cx<'_>, _: &mut Session, _: &[u8], _: bool) {}

    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        to_user: bool,
    ) {
        Events.deliver(cx, session, publication, to_user);
    }

    fn answered(&self, _: &mut Cx<'_>, _: &mut Session, _: u64, _: Outcome) {}

    fn farewell(&self, _: &mut Cx<'_>, _: &mut Session, _: Cause) {}

    fn closed(&self, _: &mut Cx<'_>, _: &Session, _: Cause, _: &[Rc<Publication>]) {}
}

/// One event. CR, LF and CRLF all end a line in the grammar, so data is split on all three: a lone CR in a
/// message would otherwise start a field of the publisher's choice.
fn event(publication: &Publication) -> Vec<u8> {
    let mut text = Vec::new();
    match &publication.content {
        Content::Bytes(_) => json::payload(&mut text, &publication.content, &publication.bytes),
        Content::Json | Content::Text => text.extend_from_slice(&publication.bytes),
    }
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut rest = &text[..];
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = match after {
            [] => break,
            [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
        };
    }
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::Ledger;

    fn spelled(content: Content, bytes: &[u8]) -> String {
        let publication =
            Publication::new("c".into(), None, content, bytes.into(), &Ledger::default());
        String::from_utf8(event(&publication)).unwrap()
    }

    #[test]
    fn no_line_end_in_a_message_starts_a_field() {
        let text = spelled(Content::Text, b"x\revent: evil\r\rdata: y\r\nz\n");
        assert_eq!(
            text,
            "data: x\ndata: event: evil\ndata: \ndata: data: y\ndata: z\ndata: \n\n"
        );
    }

    #[test]
    fn bytes_that_are_no_text_go_as_json() {
        assert_eq!(
            spelled(Content::Bytes("a/b".into()), &[255]),
            "data: {\"base64\":\"/w==\",\"type\":\"a/b\"}\n\n"
        );
        assert_eq!(spelled(Content::Text, b""), "data: \n\n");
    }
}
