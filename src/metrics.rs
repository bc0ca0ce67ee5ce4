//! What the node counts.
//!
//! In: increments from everywhere. Out: numbers, to the Prometheus text of `admin`. Plain integers: there is
//! one thread.

use crate::cmd::Cause;
use crate::config::policy::Slow;
use std::collections::BTreeMap;

/// What a downstream is, for the gauge of sessions by transport and for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No downstream now.
    None,
    /// RFC 6455.
    WebSocket,
    /// `text/event-stream`, held open or answered once.
    Sse,
    /// One response over many batches.
    Stream,
    /// A held request answered once.
    LongPoll,
    /// The same for a script tag.
    Jsonp,
    /// Answered at once.
    Poll,
    /// Requests of the node's own to a URL of the application.
    Callback,
    /// A TCP connection without HTTP.
    Tcp,
}

impl Kind {
    /// Every kind and its label, in the order of the gauge's counters.
    pub const ALL: [(Kind, &'static str); 9] = [
        (Kind::None, "none"),
        (Kind::WebSocket, "websocket"),
        (Kind::Sse, "sse"),
        (Kind::Stream, "stream"),
        (Kind::LongPoll, "longpoll"),
        (Kind::Jsonp, "jsonp"),
        (Kind::Poll, "poll"),
        (Kind::Callback, "callback"),
        (Kind::Tcp, "tcp"),
    ];

    /// Its label.
    #[must_use]
    pub fn word(self) -> &'static str {
        let row = Self::ALL.iter().find(|(kind, _)| *kind == self);
        row.map_or("", |(_, word)| word)
    }
}

/// Totals since the start, and gauges that no table holds.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections taken in.
    pub accepts: u64,
    /// Refusals, by the code that the peer was given.
    pub refused: BTreeMap<&'static str, u64>,
    /// Requests served, of any kind.
    pub requests: u64,
    /// Sessions now, by what their downstream is, as [`Kind::ALL`].
    pub sessions: [u64; 9],
    /// Sessions begun.
    pub signons: u64,
    /// Sessions ended, by cause, as [`Cause::ALL`].
    pub signoffs: [u64; 11],
    /// Downstreams that took a session over while another was open.
    pub switches: u64,
    /// Payloads from clients and from the application.
    pub messages_in: u64,
    /// Payloads put into clients' backlogs.
    pub messages_out: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Packets written again on a new downstream.
    pub resent: u64,
    /// Messages that were never acknowledged when their session ended, by its cause, as [`Cause::ALL`].
    pub undelivered: [u64; 11],
    /// Messages dropped for readers that did not keep up.
    pub dropped: Dropped,
    /// Requests to URLs of the application.
    pub callbacks: Callbacks,
    /// Turns of the loop.
    pub turns: Turns,
}

/// Turns of the loop, and for how long they keep whoever comes meanwhile: from the kernel's news to the next wait for some.
#[derive(Debug, Default)]
pub struct Turns {
    /// All of them, that which is under way too.
    pub count: u64,
    /// Those that are over, by the first of [`TURN_US`] that they did not exceed; the last, of all.
    pub took: [u64; TURN_US.len() + 1],
    /// Their microseconds together.
    pub sum_us: u64,
    /// Of the longest.
    pub longest_us: u64,
}

/// Microseconds by which turns are told apart.
pub const TURN_US: [u64; 7] = [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

impl Turns {
    /// One took so many microseconds.
    pub fn took(&mut self, us: u64) {
        self.took[TURN_US.partition_point(|bound| *bound < us)] += 1;
        self.sum_us += us;
        self.longest_us = self.longest_us.max(us);
    }
}

/// What requests to URLs of the application came to.
#[derive(Debug, Default)]
pub struct Callbacks {
    requests: [u64; 7],
    /// Events that an answer acknowledged.
    acknowledged: u64,
    /// Events that went since too many waited.
    pub dropped: u64,
}

/// What a request to a URL of the application came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// Its events are acknowledged.
    Ok,
    /// The answer has another status than 2xx.
    Status,
    /// There was no answer in time.
    Timeout,
    /// Nobody is there.
    Unreachable,
    /// The connection broke before the answer was whole.
    Broken,
    /// What came is no answer, or too large for one.
    Malformed,
    /// A connection from before was closed under it: it is sent again at once.
    Stale,
}

impl Called {
    /// Every one, in the order of the counters.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Status,
        Self::Timeout,
        Self::Unreachable,
        Self::Broken,
        Self::Malformed,
        Self::Stale,
    ];

    /// The word used in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Status => "status",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Broken => "broken",
            Self::Malformed => "malformed",
            Self::Stale => "stale",
        }
    }
}

impl Callbacks {
    /// Counts a request, and the events that its answer acknowledged.
    pub fn count(&mut self, called: Called, acknowledged: u64) {
        self.requests[called as usize] += 1;
        self.acknowledged += acknowledged;
    }

    /// Requests, each with the word for what it came to.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |(called, count): (Called, u64)| (called.word(), count);
        Called::ALL.into_iter().zip(self.requests).map(count)
    }

    /// Events, by what became of them.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("acknowledged", self.acknowledged),
            ("dropped", self.dropped),
        ]
        .into_iter()
    }
}

/// Messages dropped, by the policy that let them.
#[derive(Debug, Default)]
pub struct Dropped([u64; 3]);

impl Dropped {
    /// Counts messages dropped by a policy.
    pub fn count(&mut self, slow: Slow, messages: u64) {
        let [oldest, latest, every] = &mut self.0;
        match slow {
            Slow::DropOldest => *oldest += messages,
            Slow::Latest => *latest += messages,
            Slow::Every(_) => *every += messages,
            Slow::Close => {}
        }
    }

    /// The counts, each with its policy's name.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ["drop-oldest", "latest", "every"].into_iter().zip(self.0)
    }
}

impl Metrics {
    /// Counts a refusal.
    pub fn refuse(&mut self, code: &'static str) {
        *self.refused.entry(code).or_default() += 1;
    }

    /// A session's downstream becomes `to`; `None` stands for no session.
    pub fn moved(&mut self, from: Option<Kind>, to: Option<Kind>) {
        if let Some(from) = from {
            self.sessions[from as usize] -= 1;
        }
        if let Some(to) = to {
            self.sessions[to as usize] += 1;
        }
    }

    /// Sessions ended, with the word for each cause.
    pub fn signoffs(&self) -> impl Iterator<Item = (&'static str, u64)> {
        by_cause(&self.signoffs)
    }

    /// Messages not delivered, with the word for each cause.
    pub fn undelivered(&self) -> impl Iterator<Item = (&'static str, u64)> {
        by_cause(&self.undelivered)
    }

    /// The same for all causes.
    #[must_use]
    pub fn undelivered_in_all(&self) -> u64 {
        self.undelivered.iter().sum()
    }

    /// Counts the end of a session, and the messages that it never got.
    pub fn signed_off(&mut self, cause: Cause, undelivered: u64) {
        self.signoffs[cause as usize] += 1;
        self.undelivered[cause as usize] += undelivered;
    }
}

fn by_cause(counts: &[u64; 11]) -> impl Iterator<Item = (&'static str, u64)> {
    let count = |(cause, count): (Cause, &u64)| (cause.word(), *count);
    Cause::ALL.into_iter().zip(counts).map(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_counts_under_the_first_bound_that_it_does_not_exceed() {
        let mut turns = Turns::default();
        for us in [0, 1_000, 1_001, 10_000, 10_001, 900_000] {
            turns.took(us);
        }
        assert_eq!(turns.took, [2, 1, 0, 1, 1, 0, 0, 1]);
        assert_eq!((turns.sum_us, turns.longest_us), (922_002, 900_000));
    }
}
