//! What a session of Bayeux has beside its backlog: the connect that waits, and what the client is known to have.
//!
//! In: connects of a client, moments. Out: what is due. Messages are numbered as packets of CSP are; with the
//! acknowledgement extension a batch is named by the number of its last message, so that an acknowledgement of the
//! client is one of CSP (bayeux.md section 5). Without it, what a connect was answered is taken for delivered when the
//! next one comes, unless the connection is known to have broken under it; what was written on a WebSocket or a stream, when
//! its socket has taken it.

use super::{Carriage, Due, Session, Times};
use crate::ids::ConnId;
use crate::mem::Publication;
use crate::metrics::Kind;
use crate::time::{ShortTick, Tick};
use crate::transport::Way;
use std::rc::Rc;

/// The part of a session that only Bayeux has.
#[derive(Debug, Default)]
pub struct Link {
    /// The connect that waits for its answer.
    held: Option<Box<Held>>,
    /// Where the last answer to a connect that had messages went, until the client says that it lives on.
    pub answered_on: Option<ConnId>,
    /// The browser that shook hands, by a hash of its cookie; 0 for none.
    pub browser: u64,
    /// How the stream looks that it was given last.
    pub way: Option<&'static Way>,
    hold_ms: u32,
    held_at: ShortTick,
    /// Until when all that waits may wait, since it is of lazy channels.
    lazy_until: Option<ShortTick>,
    /// When the client last wanted something.
    acted_at: ShortTick,
    /// The client acknowledges what it gets: deliveries come only with answers to its connects.
    pub acks: bool,
    /// The client is told the number of each message, and may ask for those behind one.
    pub replays: bool,
    /// The client has connected before.
    pub connected: bool,
    /// Of the session's last words, those that the socket took count as arrived.
    pub parted: bool,
    /// How the client was told to connect.
    pub advised: Advised,
}

/// By which ways a client was told how to connect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Advised {
    /// Over WebSocket.
    pub socket: bool,
    /// Over HTTP.
    pub http: bool,
}

/// What the answer to a connect needs to know of it.
#[derive(Debug, Default)]
pub struct Held {
    /// The id to repeat, as it was written.
    pub id: Box<str>,
    /// The page that asks, where it is one of another origin.
    pub origin: Box<str>,
    /// The function that a script tag asks for.
    pub callback: Box<str>,
    /// What the client wants to know of our clock.
    pub sync: Option<Box<Timesync>>,
    /// Whether the client is to be told how to connect.
    pub advise: bool,
    /// Whether it came as 2006 called it, and is answered so.
    pub reconnect: bool,
}

/// What a client wants to know of our clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timesync {
    /// Milliseconds of its own clock when it asked.
    pub asked: i64,
    /// Of ours when that came.
    pub came: i64,
    /// How far off it is by its own account; `None` of clients that have none.
    pub off: Option<i64>,
}

impl Session {
    /// What a session of Bayeux has of its own.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        self.extra.as_ref()?.link()
    }

    /// The same, to be changed; made on first use.
    pub fn link_mut(&mut self) -> &mut Link {
        self.extra().link_mut()
    }

    /// A message is about to be pushed that may wait so many milliseconds for others, if that is said: where others wait
    /// already, it goes with them. True when nothing else says when the session is to be looked at again.
    pub fn put_off(&mut self, ms: Option<u32>, now: Tick) -> bool {
        let waits = usize::from(self.sent) < self.backlog.len();
        let was = self.link().and_then(|link| link.lazy_until);
        let until = ms.map(|ms| now + u64::from(ms));
        let until = match (until, waits, was) {
            (Some(until), true, Some(was)) => Some(until.min(was.near(now))),
            (Some(until), false, _) => Some(until),
            (Some(_), true, None) | (None, _, _) => None,
        };
        let until = until.map(Tick::short);
        if until != was {
            self.link_mut().lazy_until = until;
        }
        until.is_some() && until != was
    }

    /// What waits has waited long enough.
    pub fn hurry(&mut self) {
        self.link_mut().lazy_until = None;
    }

    /// The client wants something, beside its session.
    pub fn act(&mut self, now: Tick) {
        self.link_mut().acted_at = now.short();
    }

    /// Keeps a connect for so many milliseconds.
    pub fn hold(&mut self, held: Held, hold_ms: u32, now: Tick) {
        let link = self.link_mut();
        link.held = Some(Box::new(held));
        (link.hold_ms, link.held_at) = (hold_ms, now.short());
    }

    /// Takes the connect that waits, to answer it or since nobody can.
    pub fn take_held(&mut self) -> Option<Box<Held>> {
        self.link()?.held.as_ref()?;
        self.extra().link_mut().held.take()
    }

    /// Whether a connect waits.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.link().is_some_and(|link| link.held.is_some())
    }

    /// Whether a response is open that brings what comes.
    #[must_use]
    pub fn streams(&self) -> bool {
        matches!(self.down(), Kind::Sse | Kind::Stream)
    }

    /// The connection that had the last answer with messages, until the client speaks again.
    #[must_use]
    pub fn answered_on(&self) -> Option<ConnId> {
        self.link()?.answered_on
    }

    /// Whether the client acknowledges.
    #[must_use]
    pub fn acks(&self) -> bool {
        self.link().is_some_and(|link| link.acks)
    }

    /// The number of the last message written on this downstream: what an acknowledgement of all of it would name.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.acked + u64::from(self.sent)
    }

    /// What was written may not have arrived: all of it is due again.
    pub fn rewind(&mut self) {
        self.sent = 0;
    }

    /// What was written has arrived, as far as anybody can know. Gives back the messages whose senders want to know.
    pub fn confirm(&mut self) -> Vec<Rc<Publication>> {
        self.ack(self.written())
    }

    /// Whether there is a way for messages: an answer that is waited for, or a WebSocket whose client takes them without.
    pub(super) fn may_say(&self) -> bool {
        let lazy = self.link().is_some_and(|link| link.lazy_until.is_some());
        self.conn.is_some() && !lazy && (self.holds() || !self.acks())
    }

    /// What `now` means for a session of Bayeux.
    pub(super) fn due_of_link(&self, now: Tick, times: &Times) -> Due {
        debug_assert_eq!(self.carriage, Carriage::Bayeux);
        let due = self.due_of_way(now, times);
        let lazy = self.link().and_then(|link| link.lazy_until);
        let due = match lazy {
            Some(until) => {
                super::due::sooner(due, super::due::at(now, until.near(now), Due::Waited))
            }
            None => due,
        };
        match self.inactive_at(now, times) {
            Some(end) if self.holds() => {
                super::due::sooner(due, super::due::at(now, end, Due::Inactive))
            }
            _ => due,
        }
    }

    /// Whether the client has only kept its session open for too long. The session ends with a connect, which can be told.
    #[must_use]
    pub fn is_inactive(&self, now: Tick, times: &Times) -> bool {
        self.inactive_at(now, times).is_some_and(|end| end <= now)
    }

    fn inactive_at(&self, now: Tick, times: &Times) -> Option<Tick> {
        let link = self.link().filter(|_| times.active_ms > 0)?;
        Some(link.acted_at.near(now) + times.active_ms)
    }

    fn due_of_way(&self, now: Tick, times: &Times) -> Due {
        let at = |moment, due| super::due::at(now, moment, due);
        let held = self.link().filter(|link| link.held.is_some());
        let end = held.map(|link| link.held_at.near(now) + u64::from(link.hold_ms));
        let end = end.map(|end| at(end, Due::EndOfHold));
        match (self.down(), end) {
            (Kind::None, _) => at(self.since.near(now) + times.idle_ms, Due::Idle),
            (Kind::WebSocket | Kind::Sse | Kind::Stream, end) => {
                let spoke = self.spoke.near(now) + self.heartbeat_ms(times);
                let silence = at(spoke, Due::Silence);
                end.map_or(silence, |end| super::due::sooner(end, silence))
            }
            (_, end) => end.unwrap_or(Due::EndOfHold),
        }
    }
}
