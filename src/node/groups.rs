//! Events for the application's groups: when they are given out, and what becomes of a group that nobody is in.
//!
//! In: the word that something can be given, moments. Out: events on the sessions of members.

use super::Node;
use crate::hub::Turnout;
use crate::ids::SessionId;
use crate::mem::Publication;
use crate::service::notice;
use crate::session::{Carriage, Session};
use std::rc::Rc;

impl Node {
    /// Gives out what waits, as far as the budget goes.
    pub(super) fn share_out(&mut self, budget: &mut usize) {
        for id in self.groups.begin() {
            let bare = |session: &Session| session.carriage() == Carriage::Bare;
            if !self.feeds.contains(&id) && self.sessions.get(id).is_some_and(bare) {
                self.feeds.push(id);
            }
        }
        while let Some(gift) = self.groups.next_gift() {
            self.with_service(gift.session, |service, cx, row| {
                service.given(cx, row, &gift)
            });
            *budget = budget.saturating_sub(1);
            if *budget == 0 || self.is_feed_full() {
                return self.groups.call(&mut self.cmds);
            }
        }
    }

    /// A channel's subscribers became some or none, as the application is told it.
    pub(super) fn told_turnout(&mut self, turnout: &Turnout) -> Rc<Publication> {
        let here = (&*self.config.node_name, self.clock.unix_ms);
        let told = notice::turnout(turnout, here, &self.ledger);
        self.share(&told);
        told
    }

    /// Gives an event that is about no session to those who share them too.
    pub(super) fn share(&mut self, told: &Rc<Publication>) {
        let gone = self.groups.take(told, None, &self.ledger);
        self.metrics.callbacks.dropped += gone;
        self.groups.call(&mut self.cmds);
    }

    /// A session takes part no more, if it did.
    pub(super) fn leave_groups(&mut self, id: SessionId) {
        self.groups.leave(id, None, self.clock.tick);
        self.groups.call(&mut self.cmds);
    }

    /// Of a node that stops: what nobody has taken is lost.
    pub(super) fn finish_groups(&mut self) {
        match self.groups.clear() {
            0 => {}
            lost => log::warn!("groups of the application: events={lost} are lost"),
        }
    }

    /// Forgets groups that nobody has come back to. False where there is nothing to forget.
    pub(super) fn expire_groups(&mut self) -> bool {
        let expired = self.groups.expire(self.clock.tick);
        if expired {
            self.hub.hear(self.groups.wants());
        }
        expired
    }
}
