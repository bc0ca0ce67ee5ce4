//! Plain readers of channels, without any library: `/_/events`, and the application's feeds of what happens.
//!
//! In: publications. Out: events of `text/event-stream`, or JSON objects. The client cannot send. What is written to
//! it is gone, so each message says where the client stands with it, and a client that comes back says where it
//! stood: what is missing in between is never passed over in silence.

use super::join::{Spelling, join};
use super::{Cx, Hello, Service, json, since, tell};
use crate::cmd::Cause;
use crate::hub::Refused;
use crate::mem::{Content, Msg, Position, Publication, View, lines};
use crate::session::Session;
use std::io::Write as _;
use std::rc::Rc;

/// By server-sent events; it remembers nothing.
#[derive(Debug)]
pub struct Events;

impl Service for Events {
    /// The first event has no data but an id: a browser that comes back before the first message says where it stood too.
    fn opened(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        hello: &Hello<'_>,
    ) -> Result<(), Refused> {
        let one = hello.channels.len() == 1;
        let joined = join(cx, session, hello, if one { OF_ONE } else { OF_MANY })?;
        let mut places = joined.places();
        let mut text = Vec::new();
        for gap in joined.channels.iter().filter_map(|channel| channel.gap()) {
            text.extend_from_slice(b"event: gap\ndata: ");
            text.extend_from_slice(&gap);
            text.extend_from_slice(b"\n\n");
        }
        id(&mut text, &places);
        text.push(b'\n');
        cx.remark(session, Msg::new(text, cx.ledger));
        for missed in joined.missed {
            let mut parts = Vec::new();
            if let (Some(place), false) = (places.get_mut(missed.channel), one) {
                *place = missed.publication.place().unwrap_or_default();
                parts.push(place_line(cx, &missed.publication, &places));
            }
            parts.push(missed.msg);
            recall(cx, session, &parts);
        }
        Ok(())
    }

    /// While a publication is delivered, its session has all before it and none behind it: where its channels stand,
    /// it stands.
    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        _: bool,
    ) {
        if cx.hub.reads_one(&session.seat) {
            return give(cx, session, publication, OF_ONE);
        }
        let standing = cx.hub.standing(&session.seat);
        let places: Vec<_> = standing.into_iter().map(|(_, at)| at).collect();
        let (view, make) = OF_MANY;
        let front = place_line(cx, publication, &places);
        give_parts(
            cx,
            session,
            &[front, publication.view(view, cx.ledger, make)],
        );
    }
}

/// By a stream of JSON objects; it remembers nothing.
#[derive(Debug)]
pub struct Objects;

impl Service for Objects {
    fn opened(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        hello: &Hello<'_>,
    ) -> Result<(), Refused> {
        let joined = join(cx, session, hello, OBJECT)?;
        for gap in joined.channels.iter().filter_map(|channel| channel.gap()) {
            cx.remark(session, Msg::new(gap, cx.ledger));
        }
        for missed in joined.missed {
            recall(cx, session, &[missed.msg]);
        }
        Ok(())
    }

    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        _: bool,
    ) {
        give(cx, session, publication, OBJECT);
    }
}

/// By the answer to one request, held until there is something to say; it remembers whether anything may be missing.
#[derive(Debug)]
pub struct Poll;

impl Service for Poll {
    /// A gap is no message here: told at once, a client that asks again and again would hear of nothing else.
    fn opened(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        hello: &Hello<'_>,
    ) -> Result<(), Refused> {
        let joined = join(cx, session, hello, OBJECT)?;
        if joined.channels.iter().any(|channel| !channel.whole) {
            session.put_unmet();
        }
        for missed in joined.missed {
            recall(cx, session, &[missed.msg]);
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
        Objects.deliver(cx, session, publication, to_user);
    }

    /// Every answer ends one, which is no news.
    fn closed(
        &self,
        cx: &mut Cx<'_>,
        session: &Session,
        cause: Cause,
        undelivered: &[Rc<Publication>],
    ) {
        if !undelivered.is_empty() || session.missed() > 0 {
            tell(cx, session, cause, undelivered);
        }
    }
}

/// Events for the application, whose own comings and goings are no news to it.
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

    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        _: bool,
    ) {
        if cx.hub.reads_one(&session.seat) {
            return give(cx, session, publication, OF_ONE);
        }
        // One piece, since of many small ones the pieces are what runs over.
        let standing = cx.hub.standing(&session.seat);
        let mut text = Vec::new();
        id(
            &mut text,
            &standing.into_iter().map(|(_, at)| at).collect::<Vec<_>>(),
        );
        text.extend_from_slice(&event(publication));
        let msg = Msg::view(publication, text.into(), cx.ledger);
        cx.push(session, msg);
    }

    fn closed(&self, _: &mut Cx<'_>, _: &Session, _: Cause, _: &[Rc<Publication>]) {}
}

fn give(
    cx: &mut Cx<'_>,
    session: &mut Session,
    publication: &Rc<Publication>,
    (view, make): Spelling,
) {
    let msg = publication.view(view, cx.ledger, make);
    cx.push(session, msg);
}

/// A message behind the line that says where its reader stands with it. The line counts as the message's: if it is one too
/// many, that is what was not delivered.
fn give_parts(cx: &mut Cx<'_>, session: &mut Session, parts: &[Rc<Msg>]) {
    if parts.iter().any(|part| part.is_loose()) {
        cx.metrics.messages_out += 1;
        return cx.offer(session, parts);
    }
    // What was dropped of other channels is behind where the reader stands then.
    cx.tell_missed(session);
    recall(cx, session, parts);
}

/// What a reader asked for is not dropped as it comes; what its channel's rule says holds from then on.
fn recall(cx: &mut Cx<'_>, session: &mut Session, parts: &[Rc<Msg>]) {
    cx.metrics.messages_out += 1;
    cx.remark_all(session, parts);
}

fn place_line(cx: &Cx<'_>, publication: &Rc<Publication>, places: &[Position]) -> Rc<Msg> {
    let mut text = Vec::new();
    id(&mut text, places);
    Msg::view(publication, text.into(), cx.ledger)
}

/// The line that names where a reader stands.
fn id(out: &mut Vec<u8>, places: &[Position]) {
    out.extend_from_slice(b"id: ");
    since::spell(out, places.iter().copied());
    out.push(b'\n');
}

/// One event with its own place for an id.
fn event_with_id(publication: &Publication) -> Vec<u8> {
    let mut out = Vec::new();
    id(&mut out, publication.place().as_slice());
    out.extend_from_slice(&event(publication));
    out
}

/// One object, in one line.
fn object(publication: &Publication) -> Vec<u8> {
    let Position { epoch, offset } = publication.place().unwrap_or_default();
    let mut out = b"{\"channel\":".to_vec();
    json::string(&mut out, &publication.target);
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        ",\"epoch\":\"{epoch:x}\",\"offset\":{offset},\"sender\":"
    );
    json::string_or_null(&mut out, publication.sender.as_deref());
    out.extend_from_slice(b",\"data\":");
    json::payload(&mut out, &publication.content, &publication.bytes);
    out.push(b'}');
    json::one_line(&mut out);
    out
}

/// What tells of messages that were dropped for their reader, in place of data.
#[must_use]
pub fn missed(channel: &str, missed: u64) -> Vec<u8> {
    let mut out = b"{\"channel\":".to_vec();
    json::string(&mut out, channel);
    // Writing to a vector cannot fail.
    let _ = write!(out, ",\"missed\":{missed}}}");
    out
}

/// The same as an event.
#[must_use]
pub fn gap(channel: &str, count: u64) -> Vec<u8> {
    let mut out = b"event: gap\ndata: ".to_vec();
    out.extend_from_slice(&missed(channel, count));
    out.extend_from_slice(b"\n\n");
    out
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
    lines::data(&mut out, &text);
    out
}

/// How a reader of one channel gets it.
const OF_ONE: Spelling = (View::Event, event_with_id);
/// How a reader of several gets it, behind a line that says where it stands in all of them.
const OF_MANY: Spelling = (View::EventOfMany, event);
const OBJECT: Spelling = (View::Object, object);

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
