//! What the bytes of a session mean.
//!
//! In: the bytes a client sent, publications from the hub, the ends of sessions. Out: payloads on the
//! session at hand, and commands for everything sideways. A service sees neither connections nor other
//! sessions, nor how its own session reaches its client.

pub mod admit;
pub mod bayeux;
mod callback;
pub mod decide;
pub mod echo;
pub mod events;
mod gate;
pub mod groups;
mod join;
pub mod json;
pub mod location;
pub mod notice;
pub mod op;
pub mod orbit;
pub mod refusal;
pub mod revolved;
pub mod since;
pub mod stomp;

use crate::cmd::{Cause, Cmd, Cmds, Fate, Outcome};
use crate::config::Config;
use crate::hub::{Hub, Refused};
use crate::ids::SessionId;
use crate::mem::{Asker, Ledger, Msg, Position, PresenceEvent, Publication};
use crate::metrics::Metrics;
use crate::session::{ServiceKind, Session, Terms};
use crate::time::Tick;
use crate::token::{Claims, Tokens};
use decide::{Asking, Verdict};
use groups::{Gift, Groups};
use refusal::Refusal;
use std::rc::Rc;

/// What a service may reach while one of its sessions is at hand.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The session at hand.
    pub id: SessionId,
    /// Channels and users.
    pub hub: &'a mut Hub,
    /// For everything that concerns others.
    pub cmds: &'a mut Cmds,
    /// Counters.
    pub metrics: &'a mut Metrics,
    /// Keys of tokens, and what was revoked.
    pub tokens: &'a mut Tokens,
    /// What the application decides of what the client says.
    pub asking: &'a mut Asking,
    /// Who of the application shares events.
    pub groups: &'a mut Groups,
    /// Bounds.
    pub config: &'a Config,
    /// The account of payloads.
    pub ledger: &'a Ledger,
    /// Milliseconds of the wall clock since 1970.
    pub unix_ms: u64,
    /// Now.
    pub now: Tick,
}

/// What a client said of itself when its session began.
#[derive(Debug, Default)]
pub struct Hello<'a> {
    /// The user it wants to be.
    pub user: Option<&'a str>,
    /// JSON text of what proves it; empty for none.
    pub credentials: &'a [u8],
    /// What its token says, if it gave one; its user is [`Hello::user`].
    pub claims: Option<Claims>,
    /// Channels to read from the start, each once, and where the client stands in them, if it says so.
    pub channels: Vec<(String, Option<Position>)>,
    /// Whether it came by the port of STOMP, to which no page can speak.
    pub by_port: bool,
    /// Which of its user's pages it is, if it came by Revolved's calls.
    pub resource: Option<&'a str>,
    /// The key of where it is, if it came to a location.
    pub place: Option<Rc<str>>,
}

/// One kind of conversation. What a service does not say, it does not do.
pub trait Service {
    /// A session begins; with the user name that its client asks for, unless the service says otherwise.
    ///
    /// # Errors
    /// [`Refused`]: it does not begin.
    fn opened(
        &self,
        cx: &mut Cx<'_>,
        session: &mut Session,
        hello: &Hello<'_>,
    ) -> Result<(), Refused> {
        named(cx, session, hello)
    }

    /// The client sent bytes; `binary` where its transport tells text from bytes.
    fn message(&self, _: &mut Cx<'_>, _: &mut Session, _bytes: &[u8], _binary: bool) {}

    /// A publication reaches the session: from a channel, or for its user (`to_user`).
    fn deliver(&self, _: &mut Cx<'_>, _: &mut Session, _: &Rc<Publication>, _to_user: bool) {}

    /// A command that the session gave under the number `call` was run.
    fn answered(&self, _: &mut Cx<'_>, _: &mut Session, _call: u64, _: Outcome) {}

    /// A user came to a channel that the session watches, or went.
    fn noticed(&self, _: &mut Cx<'_>, _: &mut Session, _event: &PresenceEvent) {}

    /// The application subscribes the session to a channel or pattern, or ends that. False where that cannot be: there is no
    /// room, or what such a session reads is fixed when it begins.
    fn seated(&self, _: &mut Cx<'_>, _: &mut Session, _topic: &str, _on: bool) -> bool {
        false
    }

    /// What let the session read a channel or pattern is over: it is unsubscribed, and its client told if it can be.
    fn lapsed(&self, cx: &mut Cx<'_>, session: &mut Session, topic: &str) {
        if !self.seated(cx, session, topic, false) {
            cx.hub.unsubscribe(&mut session.seat, topic);
        }
    }

    /// A message that the session sent under the number `call`, and wanted to know of, became this at one recipient.
    fn reported(&self, _: &mut Cx<'_>, _: &mut Session, _call: u64, _: Fate) {}

    /// A group in which the session takes part gives it an event.
    fn given(&self, _: &mut Cx<'_>, _: &mut Session, _: &Gift) {}

    /// What the session called under the number `call` came to.
    fn called(&self, _: &mut Cx<'_>, _: &mut Session, _call: u64, _: Verdict) {}

    /// On a connection without HTTP: the client says nothing more, and may still read.
    fn heard_all(&self, cx: &mut Cx<'_>, _: &mut Session) {
        cx.cmds.push(Cmd::End(cx.id, Cause::Gone));
    }

    /// The node or the application ends the session, not the client: what is pushed now is the last it gets.
    fn farewell(&self, _: &mut Cx<'_>, _: &mut Session, _: Cause) {}

    /// The session is over, and this is what its client never acknowledged (over a transport without acknowledgements:
    /// what was not written; of Bayeux over HTTP, what no later connect confirmed), in the order it was sent. Whoever wants to know is told.
    fn closed(
        &self,
        cx: &mut Cx<'_>,
        session: &Session,
        cause: Cause,
        undelivered: &[Rc<Publication>],
    ) {
        tell(cx, session, cause, undelivered);
    }
}

/// Gives the session at hand the name that its client came with, if any.
fn named(cx: &mut Cx<'_>, session: &mut Session, hello: &Hello<'_>) -> Result<(), Refused> {
    let Some(user) = hello.user else {
        return Ok(());
    };
    cx.hub
        .sign_on(cx.id, &mut session.seat, user, hello.credentials)
}

/// What became of a message at the session at hand, for who wants to know it.
pub fn note_fate(cx: &mut Cx<'_>, session: &Session, publication: &Rc<Publication>, fate: Fate) {
    match publication.report_to() {
        Some(Asker::Application) => notice::fate(cx, session, publication, fate),
        Some(Asker::Failures) if fate == Fate::Refused => {
            notice::fate(cx, session, publication, fate);
        }
        Some(Asker::Session(..)) => cx.cmds.push(Cmd::Report(publication.clone(), fate)),
        Some(Asker::Failures) | None => {}
    }
}

/// Tells senders what their messages came to, and the application of the session's end.
fn tell(cx: &mut Cx<'_>, session: &Session, cause: Cause, undelivered: &[Rc<Publication>]) {
    report(cx, cause, undelivered);
    notice::signoff(cx, session, cause, undelivered);
}

fn report(cx: &mut Cx<'_>, cause: Cause, undelivered: &[Rc<Publication>]) {
    for publication in undelivered {
        if matches!(publication.report_to(), Some(Asker::Session(..))) {
            cx.cmds
                .push(Cmd::Report(publication.clone(), Fate::Failed(cause)));
        }
    }
}

/// The service of a kind. Services keep no state: what they remember is in the session and the hub.
#[must_use]
pub fn of(kind: ServiceKind) -> &'static dyn Service {
    match kind {
        ServiceKind::Echo => &echo::Echo,
        ServiceKind::Revolved => &revolved::Revolved,
        ServiceKind::RevolvedOfOld => &revolved::calls::Calls,
        ServiceKind::Events => &events::Events,
        ServiceKind::Objects => &events::Objects,
        ServiceKind::Poll => &events::Poll,
        ServiceKind::Feed => &events::Feed,
        ServiceKind::Op => &op::OpService,
        ServiceKind::Bayeux => &bayeux::Bayeux,
        ServiceKind::Orbit => &orbit::Orbit,
        ServiceKind::Location => &location::Location,
        ServiceKind::Callback => &callback::Callback,
        ServiceKind::StompGuest | ServiceKind::Stomp | ServiceKind::StompApp => {
            &stomp::StompService
        }
    }
}

/// How a client is told that it missed so many messages of a channel.
fn gap_of(kind: ServiceKind) -> fn(&str, u64) -> Vec<u8> {
    match kind {
        ServiceKind::Revolved => revolved::frames::gap,
        ServiceKind::RevolvedOfOld => revolved::calls::gap,
        ServiceKind::Events | ServiceKind::Feed => events::gap,
        ServiceKind::Bayeux => bayeux::replies::gap,
        ServiceKind::StompGuest | ServiceKind::Stomp | ServiceKind::StompApp => stomp::gap,
        ServiceKind::Objects
        | ServiceKind::Poll
        | ServiceKind::Echo
        | ServiceKind::Orbit
        | ServiceKind::Location
        | ServiceKind::Callback
        | ServiceKind::Op => events::missed,
    }
}

impl Cx<'_> {
    /// Puts a payload on the session at hand; one too many ends it, before anything else that waits reaches it.
    pub fn push(&mut self, session: &mut Session, msg: Rc<Msg>) {
        self.metrics.messages_out += 1;
        if msg.is_loose() {
            return self.offer_one(session, msg);
        }
        self.remark(session, msg);
    }

    #[cold]
    fn offer_one(&mut self, session: &mut Session, msg: Rc<Msg>) {
        self.offer(session, &[msg]);
    }

    /// Puts something on the session at hand that is no message of anybody's, by the same rule.
    pub fn remark(&mut self, session: &mut Session, msg: Rc<Msg>) {
        let max = self.queue_max(session);
        if session.push(msg, max, self.ledger).is_err() {
            self.make_room(session);
        }
    }

    /// Puts the parts of one message on the session at hand, by the same rule: before room is made for them all are there.
    pub fn remark_all(&mut self, session: &mut Session, parts: &[Rc<Msg>]) {
        if session.is_open() && session.push_all(parts, &self.terms(session)).is_err() {
            self.make_room(session);
        }
    }

    /// Puts the parts of one message that may be dropped on the session at hand: all of them, or none.
    #[cold]
    pub fn offer(&mut self, session: &mut Session, parts: &[Rc<Msg>]) {
        let source = parts.first().and_then(|part| part.source());
        let skipped = source.map_or(0, |source| self.skipped(session, source));
        let mut terms = Terms {
            skipped,
            ..self.terms(session)
        };
        if session.offer(parts, &mut terms).is_err() {
            self.cmds.end_first(self.id, Cause::Overflow);
        }
    }

    /// How many in front of a publication its channel held back, of those that the session at hand would have been given.
    fn skipped(&self, session: &Session, publication: &Publication) -> u64 {
        let (all, here) = (publication.skipped(), publication.skipped_here());
        match all > here && !self.hub.reads_widely(&session.seat, &publication.target) {
            true => here,
            false => all,
        }
    }

    #[cold]
    fn make_room(&mut self, session: &mut Session) {
        if session.make_room(&mut self.terms(session)).is_err() {
            self.cmds.end_first(self.id, Cause::Overflow);
        }
    }

    /// Makes what waits what the client of the session at hand is to get.
    pub fn settle(&mut self, session: &mut Session) {
        if session.settle(&mut self.terms(session)).is_err() {
            self.cmds.end_first(self.id, Cause::Overflow);
        }
    }

    /// Tells the client of the session at hand of all that was dropped for it.
    pub fn tell_missed(&mut self, session: &mut Session) {
        if session.is_behind() {
            session.tell_missed(&self.terms(session));
        }
    }

    fn terms(&mut self, session: &Session) -> Terms<'_> {
        Terms {
            queue_max: self.queue_max(session),
            ledger: self.ledger,
            spell: gap_of(session.service),
            dropped: &mut self.metrics.dropped,
            skipped: 0,
        }
    }

    fn queue_max(&self, session: &Session) -> usize {
        match session.service {
            // The application is trusted with more.
            ServiceKind::Feed | ServiceKind::Op | ServiceKind::StompApp => {
                self.config.max_queue_total / FEED_SHARE
            }
            ServiceKind::Callback => self.config.callback_queue,
            _ => self.config.max_queue,
        }
    }

    /// Ends the session at hand after this call.
    pub fn end(&mut self, session: &mut Session, cause: Cause) {
        session.hear_no_more();
        self.cmds.push(Cmd::End(self.id, cause));
    }

    /// Counts a refusal, unless nothing is refused yet.
    pub fn count(&mut self, refusal: &Refusal) {
        if !refusal.is_pending() {
            self.metrics.refuse(refusal.code);
        }
    }

    /// Whether the node holds as much as it may and takes no new message.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.cmds.is_full() || !self.fits(0)
    }

    /// Whether the queues have room for so many bytes more.
    #[must_use]
    pub fn fits(&self, bytes: usize) -> bool {
        let queued = self.ledger.used().saturating_sub(self.hub.kept().0 as u64);
        queued + (bytes as u64) < self.config.max_queue_total as u64
    }
}

/// Which part of all queues together one feed may fill.
const FEED_SHARE: usize = 4;
