//! The table of sessions: how they begin and end, and which connection carries them.
//!
//! In: handshakes, causes. Out: rows, deadlines, counters. What a session is due to say or hear is its own
//! business and its service's.

use super::Node;
use super::conn::{Stage, WriteSide};
use crate::cmd::{Cause, Cmd, Fate};
use crate::hub::Refused;
use crate::ids::{ConnId, SessionId};
use crate::mem::Publication;
use crate::metrics::Kind;
use crate::service::{self, Cx, Hello, notice};
use crate::session::{Carriage, Due, Encoding, Opening, PACKETS_MAX, ServiceKind, Session};
use crate::time::Tick;
use crate::transport::Profile;
use std::rc::Rc;

/// Why a session did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSession {
    /// As many as there may be.
    TooMany,
    /// The queues hold as much as they may.
    QueuesFull,
    /// The node stops.
    Stopping,
    /// Its service does not take it.
    Refused(Refused),
}

/// Who wants a session.
#[derive(Debug)]
pub struct Applicant<'a> {
    /// Who is to talk to it.
    pub service: ServiceKind,
    /// How it is reached.
    pub carriage: Carriage,
    /// By what its downstream will be, if that is known.
    pub kind: Kind,
    /// What it reads.
    pub encoding: Encoding,
    /// Its first settings.
    pub profile: Profile,
    /// What it said of itself.
    pub hello: Hello<'a>,
}

impl Node {
    /// Begins a session.
    pub(super) fn open_session(
        &mut self,
        mut applicant: Applicant<'_>,
    ) -> Result<SessionId, NoSession> {
        if self.stopping {
            return Err(NoSession::Stopping);
        }
        if self.is_full() {
            return Err(NoSession::QueuesFull);
        }
        let profile = self.profiles.intern(applicant.profile);
        let mut session = Session::new(Opening {
            secret: self.rng.secret(),
            service: applicant.service,
            carriage: applicant.carriage,
            kind: applicant.kind,
            encoding: applicant.encoding,
            profile,
            now: self.now(),
        });
        if let Some(claims) = applicant.hello.claims.take() {
            let clock = self.clock;
            let until = self.tokens.end_of(&claims, clock.unix_ms, clock.tick);
            session.set_token(claims, until, &self.ledger);
        }
        let down = session.down();
        let Ok(id) = self.sessions.insert(session) else {
            self.profiles.release(profile);
            return Err(NoSession::TooMany);
        };
        self.metrics.signons += 1;
        if matches!(applicant.service, ServiceKind::Feed | ServiceKind::Op) {
            self.feeds.push(id);
        }
        self.metrics.moved(None, Some(down));
        let opened = self.with_service(id, |service, cx, session| {
            service.opened(cx, session, &applicant.hello)
        });
        if let Some(Err(refused)) = opened {
            // Nobody was told that it began, and nobody is that it ends.
            self.take_session(id, Cause::Closed, 0);
            return Err(NoSession::Refused(refused));
        }
        // Each answer to a long poll is the end of one, which is no news.
        if !applicant.service.is_silent() {
            self.with_service(id, |_, cx, session| notice::signon(cx, session));
        }
        self.arm(id);
        log::debug!("signon session={id} service={:?}", applicant.service);
        Ok(id)
    }

    /// Calls the session's service with everything it may reach, and marks what is due to be written.
    pub(super) fn with_service<T>(
        &mut self,
        id: SessionId,
        call: impl FnOnce(&dyn service::Service, &mut Cx<'_>, &mut Session) -> T,
    ) -> Option<T> {
        let session = self.sessions.get_mut(id)?;
        let mut cx = Cx {
            id,
            hub: &mut self.hub,
            cmds: &mut self.cmds,
            metrics: &mut self.metrics,
            tokens: &mut self.tokens,
            asking: &mut self.asking,
            groups: &mut self.groups,
            config: &self.config,
            ledger: &self.ledger,
            unix_ms: self.clock.unix_ms,
            now: self.clock.tick,
        };
        let result = call(service::of(session.service), &mut cx, session);
        let due = session.has_pending().then(|| session.conn()).flatten();
        if let Some(conn) = due {
            self.mark_dirty(conn);
        }
        Some(result)
    }

    /// Ends a session as `cause` asks: politely where the client did nothing wrong, at once otherwise.
    pub(super) fn end_session(&mut self, id: SessionId, cause: Cause) {
        match cause {
            _ if self.is_bayeux(id) => self.remove_session(id, cause),
            Cause::Overflow => self.remove_session(id, cause),
            // Its client is told what it did, and then closed.
            _ if self.is_raw(id) => self.close_session(id, cause),
            Cause::Clean
            | Cause::Closed
            | Cause::Kicked
            | Cause::Shutdown
            | Cause::Expired
            | Cause::Revoked
            | Cause::Protocol => {
                self.close_session(id, cause);
            }
            Cause::TooBig if self.is_csp(id) => self.close_session(id, cause),
            _ => self.remove_session(id, cause),
        }
    }

    fn is_raw(&self, id: SessionId) -> bool {
        let session = self.sessions.get(id);
        let raw = |row: &Session| row.service.is_stomp() || row.service == ServiceKind::Op;
        session.is_some_and(raw)
    }

    fn is_csp(&self, id: SessionId) -> bool {
        let carriage = self.sessions.get(id).map(Session::carriage);
        carriage == Some(Carriage::Csp)
    }

    /// The client gets its close packet behind all data; the row stays until that is acknowledged.
    fn close_session(&mut self, id: SessionId, cause: Cause) {
        let now = self.now();
        self.settle_backlog(id);
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let place = session.place().cloned();
        if !session.close(now, cause) {
            return;
        }
        if let Some(place) = place {
            self.hub.go(&place, id);
        }
        if let Some(user) = self.hub.user_name(&session.seat) {
            session.put_user(user, &self.ledger);
        }
        self.hub.leave_all(&mut session.seat);
        let conn = session.conn();
        if session.service.shares_events() {
            self.groups.leave(id, None, now);
            self.groups.call(&mut self.cmds);
        }
        log::debug!("closing session={id} cause={}", cause.word());
        match conn {
            Some(conn) => self.mark_dirty(conn),
            None if session.carriage() == Carriage::Bare => return self.remove_session(id, cause),
            None => {}
        }
        self.arm(id);
    }

    /// The client has all that it was to get, or its time for that is over: the session ends as it was closed.
    pub(super) fn finish_session(&mut self, id: SessionId) {
        if let Some(cause) = self.sessions.get(id).map(Session::end_cause) {
            self.remove_session(id, cause);
        }
    }

    /// Takes the row away; what was not acknowledged is undelivered, and its service says so to whom it concerns.
    pub(super) fn remove_session(&mut self, id: SessionId, cause: Cause) {
        let told = self.with_service(id, |service, cx, session| {
            cx.settle(session);
            let undelivered = session.undelivered();
            service.closed(cx, session, cause, &undelivered);
            undelivered.len()
        });
        if let Some(undelivered) = told {
            self.take_session(id, cause, undelivered);
        }
    }

    fn take_session(&mut self, id: SessionId, cause: Cause, undelivered: usize) {
        let Some(mut session) = self.sessions.remove(id) else {
            return;
        };
        self.hub.leave_all(&mut session.seat);
        self.session_timers.clear(id.index());
        self.feeds.retain(|feed| *feed != id);
        self.end_callback(id);
        self.forget_session(id);
        self.writings.forget_session(id);
        if session.service.shares_events() {
            self.leave_groups(id);
        }
        let profile = self.profiles.get(session.profile);
        self.profiles.release(session.profile);
        self.metrics.moved(Some(session.down()), None);
        self.metrics.signed_off(cause, undelivered as u64);
        log::debug!(
            "signoff session={id} reason={} undelivered={undelivered}",
            cause.word()
        );
        if session.carriage() == Carriage::Bayeux {
            return self.end_link(&mut session, cause);
        }
        if let Some(conn) = session.conn() {
            let code = cause.code().number();
            self.end_downstream(conn, (&profile, session.carriage()), code);
        }
    }

    /// The downstream of `id` is over; the session goes on without, or ends if it cannot.
    pub(super) fn detach(&mut self, id: SessionId, cause: Cause) {
        let now = self.now();
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        self.metrics.moved(Some(session.down()), Some(Kind::None));
        session.detach(now);
        if !session.outlives_downstream() {
            // One that was closed ends for that, though its last words were not taken.
            let cause = match session.is_open() {
                true => cause,
                false => session.end_cause(),
            };
            self.remove_session(id, cause);
        } else {
            self.arm(id);
        }
    }

    /// A request of the client shows that it lives.
    pub(super) fn touch(&mut self, id: SessionId) {
        let now = self.now();
        if let Some(session) = self.sessions.get_mut(id) {
            session.touch(now);
        }
        self.arm(id);
    }

    /// The session has these settings from now on.
    pub(super) fn set_profile(&mut self, id: SessionId, profile: Profile) {
        let new = self.profiles.intern(profile);
        let Some(session) = self.sessions.get_mut(id) else {
            return self.profiles.release(new);
        };
        let old = std::mem::replace(&mut session.profile, new);
        self.profiles.release(old);
    }

    /// `conn` carries the session's downstream from now on; the one before is ended.
    pub(super) fn attach(&mut self, id: SessionId, conn: ConnId, kind: Kind, stage: Stage) {
        let now = self.now();
        self.supersede(id);
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        self.metrics.moved(Some(session.down()), Some(kind));
        session.attach(conn, kind, now);
        if let Some(row) = self.conns.get_mut(conn) {
            row.session = Some(id);
            row.stage = stage;
        }
        if self
            .conns
            .get(conn)
            .is_some_and(|row| row.write != WriteSide::Blocked && stage != Stage::Raw)
        {
            self.conn_timers.clear(conn.index());
        }
        self.arm(id);
        self.mark_dirty(conn);
    }

    /// The client acknowledged up to `ack`. True when that ended the session.
    pub(super) fn acknowledge(&mut self, id: SessionId, ack: Option<u64>) -> bool {
        let Some(session) = self.sessions.get_mut(id) else {
            return true;
        };
        let behind = session.is_behind();
        let reports = ack.map(|ack| session.ack(ack)).unwrap_or_default();
        let over = session.is_over();
        // Room for what was held back.
        let due = behind && session.has_pending();
        if let Some(conn) = session.conn().filter(|_| due) {
            self.mark_dirty(conn);
        }
        self.note_fates(id, reports, Fate::Acked);
        over
    }

    /// What became of messages at a session, for who wants to know it.
    pub(super) fn note_fates(
        &mut self,
        id: SessionId,
        publications: Vec<Rc<Publication>>,
        fate: Fate,
    ) {
        for publication in publications {
            self.writings.forget(id, &publication);
            self.with_service(id, |_, cx, session| {
                service::note_fate(cx, session, &publication, fate);
            });
        }
    }

    /// Of a session whose client is behind: makes what waits what it is to get.
    #[cold]
    pub(super) fn settle_backlog(&mut self, id: SessionId) {
        self.with_service(id, |_, cx, session| cx.settle(session));
    }

    /// Sets the session's next moment.
    pub(super) fn arm(&mut self, id: SessionId) {
        let now = self.now();
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let profile = self.profiles.get(session.profile);
        match session.due(now, &profile, &self.times) {
            Due::Later(at) => self.session_timers.set(id.index(), at),
            // As late as the next granule, who asks something in every turn would never be told.
            _ => self.session_timers.set_past(id.index(), now),
        }
    }

    /// Ends everything politely: no new sessions, a goodbye where the protocol has one, the end of every
    /// response but the application's feeds. Clients keep their sessions' keys; what they ask next is answered by
    /// nobody or by a successor.
    pub fn stop(&mut self) {
        // What was accepted is delivered first, and answered.
        self.run_out();
        while let Some(channel) = self.hub.pop_paced(Tick(u64::MAX)) {
            self.cmds.push(Cmd::Release(channel));
            self.run_out();
        }
        self.wait_no_more();
        self.stopping = true;
        self.close_desks();
        // What that let through.
        self.run_out();
        let ids: Vec<SessionId> = self.sessions.iter().map(|(id, _)| id).collect();
        for id in ids {
            // What the application is told comes before that.
            if !self.feeds.contains(&id) {
                self.say_shutdown(id);
            }
        }
        let conns: Vec<ConnId> = self.conns.iter().map(|(id, _)| id).collect();
        let others = conns.into_iter().filter(|id| !self.is_feed(*id));
        for id in others.collect::<Vec<_>>() {
            self.dismiss(id);
        }
    }

    fn say_shutdown(&mut self, id: SessionId) {
        if self.sessions.get(id).is_some_and(Session::is_open) {
            self.with_service(id, |service, cx, session| {
                service.farewell(cx, session, Cause::Shutdown);
            });
        }
    }

    /// Whether everybody was told that the node stops, and only the application still reads what became of them.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.stopping && self.conns.len() == self.feeds.len() + self.outgoing.len()
    }

    /// Ends what is left of a node that stops, some of it a turn: sessions as fast as the application's feeds are told of
    /// them, and its callbacks, then the feeds. When it is `late`, who does not take what it is told is not waited for. True as
    /// long as it is to be called again at once; it is called every turn.
    pub fn finish(&mut self, late: bool) -> bool {
        // What is told is written before there is more to tell.
        if self.has_commands() {
            return true;
        }
        let behind = self.feeds.iter().filter(|id| self.is_behind(**id));
        let behind: Vec<SessionId> = behind.copied().collect();
        if !late && (!behind.is_empty() || self.is_call_behind()) {
            return false;
        }
        for id in behind {
            log::warn!("an application does not take its events session={id}");
            self.remove_session(id, Cause::Overflow);
        }
        let others = self.sessions.len() - self.feeds.len() - self.couriers.len();
        let slice: Vec<SessionId> = self.unfinished().take(FINISHED_PER_TURN).collect();
        self.finished = slice.last().map_or(self.finished, |id| id.index() + 1);
        for id in slice {
            self.confirm_last(id);
            self.remove_session(id, Cause::Shutdown);
        }
        if others > 0 || self.has_commands() {
            return true;
        }
        // What was given last is to be acknowledged yet.
        if !late && self.groups.has_unacked() {
            return false;
        }
        for id in self.feeds.clone() {
            self.say_shutdown(id);
            self.close_session(id, Cause::Shutdown);
        }
        self.finish_groups();
        self.finish_callbacks();
        // They are swept in the next turn.
        !self.dead.is_empty()
    }

    /// Whether so much waits for a feed that it is to be given time.
    pub(super) fn is_behind(&self, feed: SessionId) -> bool {
        let row = self.sessions.get(feed);
        row.is_some_and(|row| row.queued() > FEED_BEHIND || row.waiting() > PACKETS_MAX / 4)
    }

    /// Whether nothing is left of a node that stops, nor anything to say.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.conns.is_empty() && self.couriers.is_empty()
    }

    /// The sessions that a node that stops has still to end. None begins any more, so those behind it are done with.
    fn unfinished(&self) -> impl Iterator<Item = SessionId> {
        let from = self.finished;
        let ids = (from..self.sessions.end()).filter_map(|slot| self.sessions.id_at(slot));
        ids.filter(|id| !self.feeds.contains(id) && !self.is_called(*id))
    }

    fn is_feed(&self, id: ConnId) -> bool {
        let session = self.conns.get(id).and_then(|conn| conn.session);
        session.is_some_and(|session| self.feeds.contains(&session))
    }
}

/// Sessions that a node that stops ends in one turn.
const FINISHED_PER_TURN: usize = 1_024;
/// Bytes that wait for a feed, at which it is written to before there is more, and a node that stops gives it time.
const FEED_BEHIND: usize = 1024 * 1024;
