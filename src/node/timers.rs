//! What moments mean: for connections, and for sessions.
//!
//! In: a moment. Out: requests given up, holds ended, heartbeats, sessions timed out.

use super::Node;
use super::conn::{Inbox, Stage, WriteSide};
use super::respond::{Answer, WRITE_TIMEOUT_MS};
use crate::cmd::{Cause, Cmd};
use crate::codes::CloseCode;
use crate::http::fault::{self, Fault};
use crate::ids::{ConnId, SessionId};
use crate::session::{Carriage, Due, Session};
use crate::transport::{http, plain, websocket};

impl Node {
    /// Does what is due, at most `TIMERS_PER_TURN` of it, of which an end is many. True when more is.
    pub fn tick(&mut self) -> bool {
        let now = self.now();
        let mut budget = TIMERS_PER_TURN;
        while budget > 0 {
            budget -= 1;
            if let Some(index) = self.session_timers.pop_due(now) {
                if let Some(id) = self.sessions.id_at(index) {
                    budget = budget.saturating_sub(self.session_due(id));
                }
            } else if let Some(index) = self.conn_timers.pop_due(now) {
                if let Some(id) = self.conns.id_at(index) {
                    self.conn_due(id);
                }
            } else if let Some(channel) = self.hub.pop_paced(now) {
                self.cmds.push(Cmd::Release(channel));
            } else if let Some(waiter) = self.hub.pop_waited(now) {
                self.waited(waiter);
            } else if !self.hub.expire(now)
                && !self.once.expire(now)
                && !self.expire_doorstep(now)
                && !self.expire_groups()
                && !self.tokens.tickets.expire(self.clock.unix_ms)
            {
                return false;
            }
        }
        true
    }

    /// Gives back what it cost beside.
    fn session_due(&mut self, id: SessionId) -> usize {
        let now = self.now();
        let Some(session) = self.sessions.get(id) else {
            return 0;
        };
        let profile = self.profiles.get(session.profile);
        match session.due(now, &profile, &self.times) {
            Due::Later(at) => self.session_timers.set(id.index(), at),
            Due::EndOfHold => self.end_hold(id),
            Due::Silence => self.heartbeat(id),
            // The application is told of ends as fast as it is written to.
            Due::Idle if self.is_feed_full() => {
                self.session_timers.set(id.index(), now + 1);
            }
            Due::Idle => {
                let cost = END_COST + session.queued() / END_BYTES;
                self.remove_session(id, Cause::Timeout);
                return cost;
            }
            Due::Waited => self.hurry(id),
            // Its client is told to stay away, and not that it is unknown.
            Due::Inactive => self.remove_session(id, Cause::Closed),
            Due::Expired => self.token_over(id),
            Due::Lingered => self.finish_session(id),
            Due::Call => self.call(id),
        }
        0
    }

    /// Breaks a downstream's silence, unless what it was given before still waits.
    fn heartbeat(&mut self, id: SessionId) {
        let now = self.now();
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.spoke(now);
        let waits = session.has_pending();
        let profile = self.profiles.get(session.profile);
        let bare = session.carriage() == Carriage::Bare;
        let shown = match session.stomp().map(|stomp| stomp.beat_ds) {
            Some(beat) if beat > 0 => BEAT,
            None if profile.interval_s > 0 && !bare => websocket::EMPTY,
            _ => b"",
        };
        self.arm(id);
        let Some(conn_id) = self.sessions.get(id).and_then(|session| session.conn()) else {
            return;
        };
        let Some(conn) = self
            .conns
            .get(conn_id)
            .filter(|conn| conn.write != WriteSide::Blocked)
        else {
            return;
        };
        let (stage, chunked) = (conn.stage, conn.chunked);
        if stage == Stage::Socket {
            return self.ping(conn_id, shown);
        }
        if self.is_bayeux(id) {
            return self.keep_alive(id, conn_id);
        }
        let mut scratch = self.take_scratch();
        if let Some(out) = self.out(conn_id) {
            match stage {
                // What waits is about to break the silence; between the parts of a message nothing may stand.
                Stage::Streaming | Stage::Raw if bare && waits => {}
                Stage::Raw => out.tail().extend_from_slice(BEAT),
                Stage::Streaming if bare => {
                    plain::heartbeat(&mut scratch, &profile);
                    http::raw(out, &mut scratch, chunked);
                }
                Stage::Streaming => {
                    http::stream(out, &mut scratch, chunked, &profile, std::iter::empty());
                }
                _ => {}
            }
        }
        self.scratch = scratch;
    }

    /// Asks a WebSocket for a sign of life, which is to come in time. A script never sees a ping: one that asked
    /// for an interval (`i`) is shown one by an empty batch, and a client of STOMP by its heart-beat.
    fn ping(&mut self, id: ConnId, shown: &[u8]) {
        let due = self.now() + self.pong_ms();
        if let Some(out) = self.out(id) {
            websocket::heartbeat(out, shown);
        }
        if let Some(conn) = self.conns.get_mut(id)
            && std::mem::take(&mut conn.heard)
        {
            self.conn_timers.set(id.index(), due);
        }
    }

    /// Milliseconds in which a ping is answered by a peer that is still there: no session is silent for longer.
    pub(super) fn pong_ms(&self) -> u64 {
        PONG_MS.min(self.config.session_timeout_ms)
    }

    /// Something came on a WebSocket: its peer is there.
    pub(super) fn hear(&mut self, id: ConnId) {
        let idle_until = self.now() + self.config.keepalive_timeout_ms;
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if std::mem::replace(&mut conn.heard, true) || conn.write == WriteSide::Blocked {
            return;
        }
        match conn.session {
            Some(_) => self.conn_timers.clear(id.index()),
            // Nobody's moment but its own ends it.
            None => self.conn_timers.set(id.index(), idle_until),
        }
    }

    /// A ping was not answered: a bare session is over, a CSP session goes on without its WebSocket.
    fn unheard(&mut self, id: ConnId) {
        let session = self.conns.get(id).and_then(|conn| conn.session);
        let carriage = session.and_then(|session| self.sessions.get(session));
        let code = match carriage.map(Session::carriage) {
            Some(Carriage::Csp | Carriage::Bayeux) => CloseCode::GOING_AWAY,
            _ => CloseCode::SESSION_TIMED_OUT,
        };
        self.drop_socket(id, code.number(), Cause::Timeout);
    }

    fn conn_due(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        let begun = matches!(conn.inbox, Inbox::Request(_));
        let at = self.now() + WRITE_TIMEOUT_MS;
        match conn.stage {
            Stage::Open if conn.out.is_none() && begun => self.time_out(id),
            Stage::Calling => self.call_due(id),
            // Nobody has looked whether it spoke.
            Stage::Socket | Stage::Raw if conn.paused => self.conn_timers.set(id.index(), at),
            // Whatever else is said meanwhile: the next ping may come due with the answer to this one.
            Stage::Socket if !conn.heard && conn.write != WriteSide::Blocked => self.unheard(id),
            // What was said is not written yet: the flush behind this decides. A clock that jumps finds such.
            _ if conn.write == WriteSide::Dirty => self.conn_timers.set(id.index(), at),
            Stage::Testing if conn.write == WriteSide::Idle => self.end_streamtest(id),
            Stage::Socket if conn.write == WriteSide::Idle => self.unheard(id),
            Stage::Raw if conn.write == WriteSide::Idle => self.unheard_raw(id),
            // Idle for its time, or its peer takes nothing.
            _ => self.kill(id),
        }
    }

    fn time_out(&mut self, id: ConnId) {
        self.refused(SLOW.code);
        let body = SLOW.body_json();
        self.hang_up_with(
            id,
            Answer::new(SLOW.status, fault::CONTENT_TYPE, body.as_bytes()),
        );
    }
}

const SLOW: Fault = Fault::new(
    408,
    "request-timeout",
    "The request did not come whole in time.",
    "Send it faster; the operator's bound is --header-timeout.",
);
/// The heart-beat of STOMP.
const BEAT: &[u8] = b"\n";
/// Milliseconds in which a ping is answered over the worst of networks.
const PONG_MS: u64 = 10_000;
/// Moments dealt with before the loop looks at its sockets again.
const TIMERS_PER_TURN: usize = 2_048;
/// What the end of a session costs, in moments of others; for as many bytes of what it never got, another.
const END_COST: usize = 8;
const END_BYTES: usize = 512;
