//! What the application does to sessions: tells them, ends them, subscribes them.
//!
//! In: requests that name a user, a session, or everybody. Out: commands, whose outcomes are the answer.

use super::BAD_CHANNEL;
use super::Node;
use super::query::{Query, checked_user};
use crate::cmd::{Caller, Cmd, Origin};
use crate::http::fault::Fault;
use crate::http::request::Request;
use crate::hub::names;
use crate::mem::Publication;
use crate::session::SessionKey;
use std::rc::Rc;

impl Node {
    /// To all sessions of a user; where it has none, and `ttl` says so, later.
    pub(super) fn send_to_user(
        &mut self,
        id: Caller,
        request: &Request<'_>,
        user: &str,
    ) -> Result<(), Fault> {
        let query = Query::of(request, &["id", "report", "ttl"])?;
        let ttl_ms = query.ttl_ms()?;
        let publication = self.peer_message(request, &query, checked_user(user)?)?;
        let origin = Origin::Api(id);
        let cmd = match ttl_ms {
            None => Cmd::Send(publication, origin),
            Some(ms) => Cmd::SendWithin(publication, origin, ms),
        };
        self.ask(id, cmd);
        Ok(())
    }

    /// To one session.
    pub(super) fn send_to_session(
        &mut self,
        id: Caller,
        request: &Request<'_>,
    ) -> Result<(), Fault> {
        let query = Query::of(request, &["session", "id", "report"])?;
        let key = self.session_of(&query)?;
        let publication = self.peer_message(request, &query, key.target())?;
        self.ask(id, Cmd::SendByKey(publication, Origin::Api(id)));
        Ok(())
    }

    /// To everybody.
    pub(super) fn send_to_all(&mut self, id: Caller, request: &Request<'_>) -> Result<(), Fault> {
        let query = Query::of(request, NAMED)?;
        let publication = self.peer_message(request, &query, EVERYBODY.into())?;
        self.ask(id, Cmd::Broadcast(publication, Origin::Api(id)));
        Ok(())
    }

    fn peer_message(
        &mut self,
        request: &Request<'_>,
        query: &Query,
        target: Rc<str>,
    ) -> Result<Rc<Publication>, Fault> {
        let content = self.message(request)?;
        let bytes = request.body.into();
        let publication = Publication::new(target, None, content, bytes, &self.ledger);
        query.name(&publication)?;
        self.metrics.messages_in += 1;
        Ok(publication)
    }

    pub(super) fn kick_user(
        &mut self,
        id: Caller,
        request: &Request<'_>,
        user: &str,
    ) -> Result<(), Fault> {
        Query::of(request, &[])?;
        let user = checked_user(user)?;
        self.ask(id, Cmd::Kick(user, Origin::Api(id)));
        Ok(())
    }

    pub(super) fn kick_one(&mut self, id: Caller, request: &Request<'_>) -> Result<(), Fault> {
        let key = self.session_of(&Query::of(request, &["session"])?)?;
        self.ask(id, Cmd::KickOne(key.id, Origin::Api(id)));
        Ok(())
    }

    /// Subscribes all sessions of a user, or ends that.
    pub(super) fn seat_user(
        &mut self,
        id: Caller,
        request: &Request<'_>,
        on: bool,
    ) -> Result<(), Fault> {
        let query = Query::of(request, &["user", "channel"])?;
        let user = query.user()?;
        let topic = names::topic(query.needed("channel")?);
        let topic = topic.map_err(|error| BAD_CHANNEL.with_reason(error.reason().to_owned()))?;
        let topic = topic.into();
        let origin = Origin::Api(id);
        self.ask(
            id,
            Cmd::Seat {
                user,
                topic,
                on,
                origin,
            },
        );
        Ok(())
    }

    /// The open session that `session=` names.
    fn session_of(&self, query: &Query) -> Result<SessionKey, Fault> {
        let key = query.session()?;
        let session = self.sessions.get(key.id);
        match session.is_some_and(|session| session.opens(&key) && session.is_open()) {
            true => Ok(key),
            false => Err(NO_SUCH_SESSION),
        }
    }
}

/// What a message may be called, and whether its sender wants to know what becomes of it.
pub const NAMED: &[&str] = &["id", "report"];
/// Whom a message to everybody is addressed to, in the lists of what was not delivered: no user has this name.
const EVERYBODY: &str = "";
/// The answer where nobody is told.
pub const NOT_CONNECTED: Fault = Fault::new(
    404,
    "not-connected",
    "Nobody is there: the user has no session, or the session takes no messages.",
    "GET /api/sessions?user= lists the sessions of a user.",
);
/// The answer where a message cannot wait.
pub const CROWDED: Fault = Fault::new(
    503,
    "waiting-full",
    "The user has no session, and as many messages wait as may: 1,000 for one user, an eighth of --max-queue-total for all.",
    "Send it again when the user signs on: GET /api/events/signon tells.",
);
/// The answer where the session that is named is not there.
pub const NO_SUCH_SESSION: Fault = Fault::new(
    404,
    "not-connected",
    "There is no such session, or it has ended.",
    "GET /api/sessions lists the keys of all sessions.",
);
