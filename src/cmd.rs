//! What crosses from one session, connection or service to another.
//!
//! In: small commands, from whoever handles inbound bytes. Out: the same, in order, to the node, which runs
//! them after the call returned. A traced line per command is a full record of what moved sideways.

use crate::codes::CloseCode;
use crate::ids::{ConnId, SessionId};
use crate::mem::Publication;
use std::collections::VecDeque;
use std::rc::Rc;

/// One sideways effect.
#[derive(Debug)]
pub enum Cmd {
    /// To everyone subscribed to the publication's channel; with a key, unless one with the same key was before.
    Publish(Rc<Publication>, Origin, Option<OnceKey>),
    /// To every session of the user that the publication is addressed to.
    Send(Rc<Publication>, Origin),
    /// The same, which may wait so many milliseconds for a user without session.
    SendWithin(Rc<Publication>, Origin, u64),
    /// To the session whose key the publication is addressed to, as `session:KEY`.
    SendByKey(Rc<Publication>, Origin),
    /// To every session that takes messages of users.
    Broadcast(Rc<Publication>, Origin),
    /// A message became this at one of its recipients, and its sender wants to know.
    Report(Rc<Publication>, Fate),
    /// To everyone subscribed to a channel: what it held back.
    Release(Rc<str>),
    /// The application calls one of the verbs of the API, by STOMP.
    Control(SessionId, u64, Box<Control>),
    /// To the application's groups: what waits for them.
    Share,
    /// A session has a new moment to be looked at.
    Arm(SessionId),
    /// A session is to end.
    End(SessionId, Cause),
    /// Every session of a user is to end, by the application's word.
    Kick(Rc<str>, Origin),
    /// One session is to end, by the application's word.
    KickOne(SessionId, Origin),
    /// The same of the session of a key, as `session:KEY`.
    KickByKey(Rc<str>),
    /// Who waits to begin by this key is welcome, or is not, by the application's word.
    Welcome(Rc<str>, bool),
    /// Every session that has a token of somebody is to end, which is taken no more.
    Revoke(Whose, Origin),
    /// Every session of a user is subscribed by the application, or not any more.
    Seat {
        /// The user.
        user: Rc<str>,
        /// A channel or a pattern.
        topic: Rc<str>,
        /// Whether they are subscribed from now on.
        on: bool,
        /// Who is told.
        origin: Origin,
    },
}

/// A call of a verb.
#[derive(Debug)]
pub struct Control {
    /// The verb.
    pub verb: Box<str>,
    /// What it is to act on, as JSON.
    pub body: Box<[u8]>,
}

/// Who called the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// A request of the internal port, whose connection waits for the answer.
    Http(ConnId),
    /// A session of the application by STOMP, by the number of the frame.
    Stomp(SessionId, u64),
}

/// Which tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of a user.
    User(Rc<str>),
    /// The one of this name (`jti`).
    Token(Rc<str>),
}

/// What makes a publication the same as another: its publisher's word, hashed with a key of this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OnceKey(pub u128);

/// What became of a message at one recipient; the last word on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The recipient acknowledged it.
    Acked,
    /// It was written to a recipient whose transport acknowledges nothing.
    Written,
    /// The recipient's session ended without acknowledging it.
    Failed(Cause),
    /// The recipient has it and will not have it.
    Refused,
}

/// Who is told how a command went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A session's call, by the number the client gave it.
    Session(SessionId, u64),
    /// A call of the API.
    Api(Caller),
    /// The same with many publications, whose outcomes are answered together.
    Batch(Caller),
    /// The node itself, which waits for no answer.
    Node,
    /// A session that was answered before: its publication is promised a place.
    Promised,
}

/// How a command went, for its [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the hub.
    Published {
        /// Its place in the channel.
        offset: u64,
        /// Sessions it went to.
        subscribers: usize,
    },
    /// It went to this many sessions of the user.
    Sent {
        /// Sessions it went to.
        sessions: usize,
    },
    /// The user has no session.
    Absent,
    /// The same, and the message waits for it.
    Waits,
    /// The message waited in vain.
    Expired,
    /// As many messages wait as may.
    Crowded,
    /// The node has as many channels as it may, and the publication was to be kept in a new one.
    NoRoom,
    /// This many sessions of the user end.
    Kicked {
        /// Sessions that end.
        sessions: usize,
    },
    /// The application subscribed the sessions of a user, or ended that.
    Seated {
        /// Sessions of which that is true now.
        sessions: usize,
        /// Sessions that have no room for it, or are no readers of channels by their own choice.
        refused: usize,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The client said goodbye.
    Clean,
    /// The service said goodbye.
    Closed,
    /// The client was not heard of for too long.
    Timeout,
    /// More waited for the client than it may hold.
    Overflow,
    /// The client broke the protocol.
    Protocol,
    /// The client sent a message over the cap.
    TooBig,
    /// The connection of a transport that cannot reconnect is gone.
    Gone,
    /// The application ended it.
    Kicked,
    /// The node stops.
    Shutdown,
    /// The token that it gave has ended, and it gave no other.
    Expired,
    /// The application has revoked its token.
    Revoked,
}

impl Cause {
    /// Every cause, in the order of the counters.
    pub const ALL: [Cause; 11] = [
        Cause::Clean,
        Cause::Closed,
        Cause::Timeout,
        Cause::Overflow,
        Cause::Protocol,
        Cause::TooBig,
        Cause::Gone,
        Cause::Kicked,
        Cause::Shutdown,
        Cause::Expired,
        Cause::Revoked,
    ];

    /// The word used in logs, metrics and events.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.word_and_code().0
    }

    /// What a client on a WebSocket is closed with.
    #[must_use]
    pub const fn code(self) -> CloseCode {
        self.word_and_code().1
    }

    const fn word_and_code(self) -> (&'static str, CloseCode) {
        match self {
            Cause::Clean => ("clean", CloseCode::NORMAL),
            Cause::Closed => ("closed", CloseCode::NORMAL),
            Cause::Timeout => ("timeout", CloseCode::SESSION_TIMED_OUT),
            Cause::Overflow => ("overflow", CloseCode::OVERFLOW),
            Cause::Protocol => ("protocol", CloseCode::POLICY),
            Cause::TooBig => ("too-big", CloseCode::TOO_BIG),
            // Its connection is gone: nobody is told.
            Cause::Gone => ("gone", CloseCode::NORMAL),
            Cause::Kicked => ("kicked", CloseCode::KICKED),
            Cause::Shutdown => ("shutdown", CloseCode::GOING_AWAY),
            Cause::Expired => ("expired", CloseCode::TOKEN_OVER),
            Cause::Revoked => ("revoked", CloseCode::TOKEN_OVER),
        }
    }
}

/// The queue of commands, run in order.
#[derive(Debug, Default)]
pub struct Cmds {
    queue: VecDeque<Cmd>,
    /// Sessions that are to end before any of them.
    ends: Vec<(SessionId, Cause)>,
}

impl Cmds {
    /// Puts a command at the end.
    pub fn push(&mut self, cmd: Cmd) {
        // A client that says goodbye a thousand times in one batch ends once.
        if let (Cmd::End(id, cause), Some(Cmd::End(last, other))) = (&cmd, self.queue.back())
            && (id, cause) == (last, other)
        {
            return;
        }
        log::trace!(target: "orbited::cmd", "{cmd:?}");
        self.queue.push_back(cmd);
    }

    /// Puts commands in front of all others, in their order: what the one at hand is made of.
    pub fn push_first(&mut self, cmds: Vec<Cmd>) {
        for cmd in cmds.into_iter().rev() {
            log::trace!(target: "orbited::cmd", "first {cmd:?}");
            self.queue.push_front(cmd);
        }
    }

    /// A session is to end before anything else happens: nothing that waits or is under way reaches it.
    pub fn end_first(&mut self, session: SessionId, cause: Cause) {
        log::trace!(target: "orbited::cmd", "end first {session} {cause:?}");
        self.ends.push((session, cause));
    }

    /// Takes a session that is to end before anything else.
    pub fn pop_end(&mut self) -> Option<(SessionId, Cause)> {
        self.ends.pop()
    }

    /// Takes the first command.
    pub fn pop(&mut self) -> Option<Cmd> {
        self.queue.pop_front()
    }

    /// Whether as many wait as may: a fan-out to very many is under way, and new ones are refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue.len() >= CMDS_MAX
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len() + self.ends.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.ends.is_empty()
    }
}

/// Publications and messages to users that may wait behind a long fan-out. Ends of sessions are queued above
/// it too: there are a few for each session at most.
const CMDS_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_queued_once_for_each_cause() {
        let (mut cmds, id) = (Cmds::default(), SessionId::unpack(1 << 32).unwrap());
        for cause in [Cause::Clean, Cause::Clean, Cause::Overflow, Cause::Overflow] {
            cmds.push(Cmd::End(id, cause));
        }
        let causes: Vec<Cause> = std::iter::from_fn(|| cmds.pop())
            .filter_map(|cmd| match cmd {
                Cmd::End(_, cause) => Some(cause),
                _ => None,
            })
            .collect();
        assert_eq!(causes, [Cause::Clean, Cause::Overflow]);
    }
}
