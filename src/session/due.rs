//! What moments mean for a session: holds that end, heartbeats, silence, lingering.
//!
//! In: now, and the times to live by. Out: what is due, or when to ask again. It moves nothing.

use super::{Carriage, Session, State};
use crate::metrics::Kind;
use crate::time::Tick;
use crate::token::Pass;
use crate::transport::Profile;

/// What a moment means for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet; ask again then.
    Later(Tick),
    /// The held request or stream has been open for `du` seconds.
    EndOfHold,
    /// The downstream was silent for its interval.
    Silence,
    /// The client was not heard of for too long.
    Idle,
    /// What may wait for others has waited long enough.
    Waited,
    /// The client only kept its session open for too long.
    Inactive,
    /// A token that it gave has ended.
    Expired,
    /// The close packet was not acknowledged in time.
    Lingered,
    /// Its client is to be called.
    Call,
}

/// The times a session lives by, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Without downstream.
    pub idle_ms: u64,
    /// After closing.
    pub linger_ms: u64,
    /// Of silence on a WebSocket or event stream before a heartbeat, at most.
    pub heartbeat_ms: u64,
    /// Of a client of Bayeux that only keeps its session open; 0 is for ever.
    pub active_ms: u64,
}

impl Session {
    /// What `now` means.
    #[must_use]
    pub fn due(&self, now: Tick, profile: &Profile, times: &Times) -> Due {
        let due = self.due_of_life(now, profile, times);
        match self.pass().and_then(Pass::ends) {
            Some(end) if self.state == State::Open => sooner(at(now, end, Due::Expired), due),
            _ => due,
        }
    }

    fn due_of_life(&self, now: Tick, profile: &Profile, times: &Times) -> Due {
        if self.carriage == Carriage::Bayeux {
            return self.due_of_link(now, times);
        }
        if self.carriage == Carriage::Callback {
            return self.due_of_call(now);
        }
        let since = self.since.near(now);
        let hold_ms = u64::from(profile.duration_s) * 1000;
        if self.state != State::Open {
            return at(now, since + times.linger_ms, Due::Lingered);
        }
        let spoke = self.spoke.near(now);
        let interval_ms = match self.stomp() {
            Some(stomp) => u64::from(stomp.beat_ds) * 100,
            None => u64::from(profile.interval_s) * 1000,
        };
        match self.down() {
            // Nobody asked for more than what is said.
            Kind::Tcp if interval_ms == 0 => Due::Later(now + NEVER_MS),
            Kind::Tcp => at(now, spoke + interval_ms, Due::Silence),
            Kind::None if self.service.returns() => at(now, since + self.away_ms(), Due::Idle),
            Kind::None => at(now, since + times.idle_ms.max(2 * hold_ms), Due::Idle),
            Kind::WebSocket => {
                let heartbeat_ms = match interval_ms {
                    0 => self.heartbeat_ms(times),
                    asked => asked.min(self.heartbeat_ms(times)),
                };
                at(now, spoke + heartbeat_ms, Due::Silence)
            }
            _ if self.carriage == Carriage::Bare && profile.streams() => {
                let heartbeat_ms = match interval_ms {
                    0 => self.heartbeat_ms(times),
                    asked => asked,
                };
                at(now, spoke + heartbeat_ms, Due::Silence)
            }
            _ => {
                let end = at(now, since + hold_ms, Due::EndOfHold);
                if interval_ms == 0 || !profile.streams() {
                    return end;
                }
                sooner(end, at(now, spoke + interval_ms, Due::Silence))
            }
        }
    }

    /// How long a session whose stream may come back waits for it: longer for the first.
    fn away_ms(&self) -> u64 {
        match self.last {
            Kind::None => COME_MS,
            _ => RETURN_MS,
        }
    }

    /// Up to an eighth less than the operator's, by chance: what a message to everyone put off together would
    /// otherwise come due together. The interval that a client chose is kept as it is.
    pub(super) fn heartbeat_ms(&self, times: &Times) -> u64 {
        let [chance, ..] = self.secret;
        times.heartbeat_ms - times.heartbeat_ms / 8 * u64::from(chance) / 256
    }
}

/// Milliseconds in which the first stream of a session is to come: a page opens it at once, over whatever network.
const COME_MS: u64 = 30_000;
/// Milliseconds in which a stream is to come back, as Orbited 0.3 had it (`session.timeout`).
const RETURN_MS: u64 = 5_000;
/// A day: of what is never due, that is asked again by then.
const NEVER_MS: u64 = 24 * 60 * 60 * 1000;

pub(super) fn at(now: Tick, moment: Tick, due: Due) -> Due {
    if now >= moment {
        due
    } else {
        Due::Later(moment)
    }
}

pub(super) fn sooner(a: Due, b: Due) -> Due {
    match (a, b) {
        (Due::Later(a), Due::Later(b)) => Due::Later(a.min(b)),
        (Due::Later(_), now) | (now, _) => now,
    }
}
