//! What the application sends to a page that came as to Orbited 0.3: messages without channels, one way.
//!
//! In: what is sent to the page's key, its session or its user. Out: the payload, which its transport spells. What a page runs or
//! shows is JSON, unless the application itself sent something else: clients of the time evaluate it.

use super::{Cx, Hello, Service, json, named, tell};
use crate::cmd::Cause;
use crate::hub::Refused;
use crate::mem::{Content, Msg, Publication};
use crate::session::Session;
use std::rc::Rc;

/// The service; what it remembers is in the session, and who is where in the hub.
#[derive(Debug)]
pub struct Location;

impl Service for Location {
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
            cx.hub.come(place.clone(), cx.id, name.into());
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
        let msg = Msg::view(publication, payload(publication).into(), cx.ledger);
        cx.push(session, msg);
    }

    fn closed(
        &self,
        cx: &mut Cx<'_>,
        session: &Session,
        cause: Cause,
        undelivered: &[Rc<Publication>],
    ) {
        if let Some(place) = session.place() {
            cx.hub.go(place, cx.id);
        }
        tell(cx, session, cause, undelivered);
    }
}

/// JSON, unless it is text of the application's own.
fn payload(publication: &Publication) -> Vec<u8> {
    let (content, bytes) = (&publication.content, &publication.bytes);
    match (content, &publication.sender) {
        (Content::Text, None) => bytes.to_vec(),
        _ => {
            let mut text = Vec::new();
            json::payload(&mut text, content, bytes);
            text
        }
    }
}
