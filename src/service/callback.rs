//! Events for URLs of the application: what waits until it is posted.
//!
//! In: events of the hub. Out: their bytes on the session, the oldest of which go where too many wait. How they are
//! sent, and when, is the node's business.

use super::{Cx, Hello, Service, notice};
use crate::cmd::{Cause, Cmd};
use crate::hub::Refused;
use crate::mem::{Msg, Publication};
use crate::session::Session;
use std::rc::Rc;

/// Its own comings and goings are no news to the application.
#[derive(Debug)]
pub struct Callback;

impl Service for Callback {
    fn opened(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        hello: &Hello<'_>,
    ) -> Result<(), Refused> {
        for (name, _) in &hello.channels {
            let max = hello.channels.len();
            cx.hub.subscribe(cx.id, &mut session.seat, name, max)?;
        }
        Ok(())
    }

    /// A copy, so that nothing of the publication is kept besides.
    fn deliver(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        publication: &Rc<Publication>,
        _: bool,
    ) {
        let queue_max = cx.config.callback_queue;
        let first = session.waiting() == 0;
        // One alone is not to make all others go.
        let event = match publication.bytes.len() > queue_max / 2 {
            true => notice::too_big(publication).into(),
            false => publication.bytes.clone(),
        };
        let (gone, fits) = session.make_way(event.len(), queue_max);
        cx.metrics.callbacks.dropped += gone;
        if fits {
            cx.remark(session, Msg::new(event, cx.ledger));
        }
        if first {
            cx.cmds.push(Cmd::Arm(cx.id));
        }
    }

    fn closed(&self, _: &mut Cx<'_>, _: &Session, _: Cause, _: &[Rc<Publication>]) {}
}
