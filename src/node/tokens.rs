//! Tokens that are over: by their own time, or by the application's word.
//!
//! In: moments, revocations. Out: sessions that end, and who is told of it.

use super::Node;
use super::csp::not_admitted;
use super::params::Params;
use crate::cmd::{Cause, Whose};
use crate::config::policy::Who;
use crate::http::fault::Fault;
use crate::http::request::Request;
use crate::ids::SessionId;
use crate::mem::Publication;
use crate::service::admit;
use crate::session::{ServiceKind, Session};
use crate::time::Tick;
use crate::token::{Claims, Do, Full};
use std::ops::Range;

impl Node {
    /// A token that a session gave has ended: the session ends with its own, and loses what others have opened.
    pub(super) fn token_over(&mut self, id: SessionId) {
        let now = self.now();
        let pass = self.sessions.get(id).and_then(Session::pass);
        if pass.is_some_and(|pass| pass.is_over(now)) {
            self.kick(id, Cause::Expired);
            return;
        }
        self.with_service(id, |_, cx, session| admit::expire(cx, session));
        self.arm(id);
    }

    /// Takes no token of `whose` any more until `until_ms`, but those that are made from now on for a user. Sessions that have
    /// one are ended by [`Node::revoke_some`].
    ///
    /// # Errors
    /// [`Full`].
    pub(super) fn revoke(&mut self, whose: &Whose, until_ms: u64) -> Result<(), Full> {
        let now_ms = self.clock.unix_ms;
        match whose {
            Whose::User(user) => self.tokens.revoked.user(user, now_ms, until_ms),
            Whose::Token(id) => self.tokens.revoked.id(id, now_ms, until_ms),
        }
    }

    /// Whether a session may have a publication of a channel whose readers are asked for something.
    #[cold]
    pub(super) fn may_have(&self, id: SessionId, needs: Who, publication: &Publication) -> bool {
        let Some(session) = self.sessions.get(id) else {
            return false;
        };
        let channel = &publication.target;
        match needs {
            _ if session.service == ServiceKind::StompApp => true,
            Who::Token => {
                session.has_right(Do::Subscribe, channel)
                    || self.hub.is_subscribed(&session.seat, channel)
            }
            _ => admit::user_of(&self.hub, session).is_some(),
        }
    }

    /// When the next ticket is to be forgotten.
    pub(super) fn next_ticket_due(&self) -> Option<Tick> {
        let end_ms = self.tokens.tickets.next_end_ms()?;
        Some(self.now() + end_ms.saturating_sub(self.clock.unix_ms))
    }

    /// Uses the ticket of a query, if there is one: a session has begun by it.
    pub(super) fn use_ticket(&mut self, request: &Request<'_>) {
        if let Some(ticket) = Params::other(request, "ticket").pop() {
            self.tokens.tickets.take(&ticket);
        }
    }

    /// What the token or the ticket in a query says, if there is one. The ticket is not used by that.
    ///
    /// # Errors
    /// The cause for which it is not taken.
    pub(super) fn shown(&self, request: &Request<'_>) -> Result<Option<Claims>, Fault> {
        let given = |name: &str| Params::other(request, name).pop();
        let now_ms = self.clock.unix_ms;
        let claims = match (given("ticket"), given("token")) {
            (Some(ticket), _) => self.tokens.redeem(&ticket, now_ms),
            // Where there is no key nobody is asked for one: a page need not know.
            (None, Some(token)) if !self.tokens.keys.is_empty() => {
                self.tokens.check(&token, now_ms)
            }
            _ => return Ok(None),
        };
        claims.map(Some).map_err(|bad| not_admitted(&bad.into()))
    }

    /// Ends the sessions in some slots that have a token of `whose`; true when there are no more slots.
    pub(super) fn revoke_some(
        &mut self,
        budget: &mut usize,
        (whose, slots, reached): (&Whose, &mut Range<u32>, &mut usize),
    ) -> bool {
        while *budget > 0 {
            let Some(slot) = slots.next() else {
                return true;
            };
            *budget -= 1;
            let Some(id) = self
                .sessions
                .id_at(slot)
                .filter(|id| self.is_of(*id, whose))
            else {
                continue;
            };
            *budget = budget.saturating_sub(self.walk_of(id));
            *reached += usize::from(self.kick(id, Cause::Revoked));
        }
        false
    }

    /// Whether a session is a user's, or has given a token of this name.
    fn is_of(&self, id: SessionId, whose: &Whose) -> bool {
        let Some(session) = self.sessions.get(id) else {
            return false;
        };
        let pass = session.pass();
        match whose {
            Whose::Token(id) => pass.is_some_and(|pass| pass.has_id(id)),
            Whose::User(user) => {
                let shown = pass.is_some_and(|pass| pass.has_user(user));
                shown || admit::user_of(&self.hub, session) == Some(user)
            }
        }
    }
}
