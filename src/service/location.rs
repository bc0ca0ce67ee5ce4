//! What the application sends to a page that came as to Orbited 0.3: messages without channels, one way.
//!
//! In: what is sent to the page's key, its session or its user. Out: the payload, as its transport has it. What a page runs or
//! shows is JSON, unless the application itself sent something else: clients of the time evaluate it.

use super::{Cx, Hello, Service, events, json, named, tell};
use crate::cmd::{Cause, Cmd};
use crate::hub::Refused;
use crate::mem::{Content, Msg, Publication, script};
use crate::session::{Session, Spelling};
use std::rc::Rc;

/// The service; what it remembers is in the session, and who is where in the hub.
#[derive(Debug)]
pub struct Location;

impl Service for Location {
    /// Who was there before is closed, behind what it was sent.
    fn opened(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        hello: &Hello<'_>,
    ) -> Result<(), Refused> {
        named(cx, session, hello)?;
        if let Some(place) = &hello.place {
            session.put_place(place.clone());
            let name = format!("session:{}", session.key(cx.id).text());
            let before = cx.hub.come(place.key.clone(), cx.id, name.into());
            if let Some(before) = before {
                cx.cmds.push(Cmd::End(before, Cause::Closed));
            }
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
        if let Some(place) = session.place() {
            let text = spell(place.spelling, publication);
            let msg = Msg::view(publication, text.into(), cx.ledger);
            cx.push(session, msg);
        }
    }

    fn closed(
        &self,
        cx: &mut Cx<'_>,
        session: &Session,
        cause: Cause,
        undelivered: &[Rc<Publication>],
    ) {
        if let Some(place) = session.place() {
            cx.hub.go(&place.key, cx.id);
        }
        tell(cx, session, cause, undelivered);
    }
}

fn spell(spelling: Spelling, publication: &Publication) -> Vec<u8> {
    let mut text = Vec::new();
    let (content, bytes) = (&publication.content, &publication.bytes);
    match (content, publication.sender.is_none(), spelling) {
        (Content::Text, true, Spelling::Plain | Spelling::Part | Spelling::Event) => {
            text.extend_from_slice(bytes);
        }
        _ => json::payload(&mut text, content, bytes),
    }
    match spelling {
        Spelling::Plain => text,
        Spelling::Script => {
            let mut out = Vec::with_capacity(text.len());
            script::in_page(&mut out, &text);
            out
        }
        Spelling::Part => {
            let head = format!("Content-length: {}\r\n\r\n", text.len());
            [head.as_bytes(), &text].concat()
        }
        Spelling::Event => events::lines(&text),
    }
}
