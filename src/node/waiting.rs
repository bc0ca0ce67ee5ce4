//! Messages to users who may come later: they wait in the hub's room for them.
//!
//! In: commands that say for how long, moments. Out: messages on their way when their users came, the word that they wait, or
//! that they did in vain.

use super::Node;
use crate::cmd::{Origin, Outcome};
use crate::hub::{Crowded, Room, Waiter};
use crate::ids::SessionId;
use crate::mem::{Asker, Publication};
use crate::service::notice;
use crate::session::ServiceKind;
use std::rc::Rc;

impl Node {
    /// Sends a message to a user, or lets it wait so many milliseconds where that one has no session.
    pub(super) fn send_within(&mut self, publication: Rc<Publication>, origin: Origin, ms: u64) {
        // To a node that stops nobody comes any more.
        if self.stopping || self.hub.is_here(&publication.target) {
            return self.begin_send(publication, origin);
        }
        let room = Room {
            bytes_max: self.config.max_queue_total / ROOM_SHARE,
            user_bytes_max: self.config.max_queue / 2,
        };
        // Who asked is answered that it waits; the rest is told by events, but of OP, which knows no others.
        let stays = match origin {
            Origin::Session(id, _) if self.is_op(id) => origin,
            _ => Origin::Node,
        };
        let by_client = publication.sender.is_some() || origin == Origin::Node;
        let waiter = Waiter {
            publication,
            origin: stays,
        };
        let until = self.now() + ms;
        match self.hub.wait(waiter, until, (room, by_client)) {
            Ok(()) => self.tell(origin, Outcome::Waits),
            Err(Crowded(_)) => {
                self.refused("waiting-full");
                self.tell(origin, Outcome::Crowded);
            }
        }
    }

    fn is_op(&self, id: SessionId) -> bool {
        let session = self.sessions.get(id);
        session.is_some_and(|session| session.service == ServiceKind::Op)
    }

    /// A message waited in vain.
    pub(super) fn waited(&mut self, waiter: Waiter) {
        let Waiter {
            publication,
            origin,
        } = waiter;
        self.tell(origin, Outcome::Expired);
        let asker = publication.report_to();
        if matches!(asker, Some(Asker::Application | Asker::Failures)) {
            self.number(&publication);
            let here = (&*self.config.node_name, self.clock.unix_ms);
            let told = notice::expired(&publication, here, &self.ledger);
            self.share(&told);
            if self.hub.is_heard(&told.target) {
                self.cmds
                    .push(crate::cmd::Cmd::Publish(told, Origin::Node, None));
            }
        }
    }

    /// Nobody comes any more.
    pub(super) fn wait_no_more(&mut self) {
        while let Some(waiter) = self.hub.pop_waited(crate::time::Tick(u64::MAX)) {
            self.waited(waiter);
        }
        self.run_out();
    }
}

/// Which part of all queues together may be messages to users who have no session.
const ROOM_SHARE: usize = 8;
