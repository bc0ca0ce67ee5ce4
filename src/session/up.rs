//! The upstream half of a session: packets in their turn, and what only some sessions keep for a moment.
//!
//! In: packets from a client. Out: the next bytes of its stream. Only this file counts what was taken.

use super::extra::{self, Early, Extra};
use super::{Session, Up};
use crate::mem::Ledger;
use std::borrow::Cow;

/// What became of an upstream packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// The next bytes of the stream.
    Bytes(Cow<'a, [u8]>),
    /// The client closed.
    Eof,
    /// Taken before, or kept until the packets before it come; nothing to do.
    Nothing,
    /// Too far ahead: the gap is over its bound.
    TooFarAhead,
}

impl Session {
    /// The acknowledgement of upstream packets that a WebSocket owes, once.
    pub fn take_owed_ack(&mut self) -> Option<u64> {
        std::mem::take(&mut self.owes_ack).then_some(u64::from(self.taken))
    }

    /// An upstream batch came over a WebSocket, whose only answer is an acknowledgement.
    pub fn owe_ack(&mut self) {
        self.owes_ack = true;
    }

    /// Takes an upstream packet in its turn; what comes before its turn is kept, accounted to `ledger`.
    pub fn receive<'a>(&mut self, up: Up<'a>, ledger: &Ledger) -> Received<'a> {
        let next = u64::from(self.taken) + 1;
        if up.id < next {
            return Received::Nothing;
        }
        if up.id > next && !self.is_open() {
            // What was kept was let go with the closing: a gap says nothing any more.
            return Received::Nothing;
        }
        if up.id > next {
            let near = up.id - next <= extra::GAP_IDS_MAX;
            let (true, Ok(id)) = (near, u32::try_from(up.id)) else {
                return Received::TooFarAhead;
            };
            let early = Early {
                id,
                data: up.data.map(Cow::into_owned),
            };
            let fits = self.extra().keep_early(early, ledger);
            return if fits {
                Received::Nothing
            } else {
                Received::TooFarAhead
            };
        }
        self.taken = next as u32;
        self.deliver(up.data)
    }

    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// The next packet that waited for a gap to be filled, if it is filled.
    pub fn next_early(&mut self) -> Option<Received<'static>> {
        let next = self.taken.checked_add(1)?;
        let early = self.extra.as_mut()?.take_early(next);
        self.drop_empty_extra();
        let early = early?;
        self.taken = next;
        Some(self.deliver(early.data.map(Cow::Owned)))
    }

    fn deliver<'a>(&self, data: Option<Cow<'a, [u8]>>) -> Received<'a> {
        match data {
            None => Received::Eof,
            Some(bytes) if self.listens() => Received::Bytes(bytes),
            Some(_) => Received::Nothing,
        }
    }

    /// Bytes of an unfinished line of the service's protocol, to take or put back.
    pub fn take_line(&mut self) -> Vec<u8> {
        let line = self
            .extra
            .as_mut()
            .map(|extra| extra.take_line())
            .unwrap_or_default();
        self.drop_empty_extra();
        line
    }

    /// Keeps the bytes of an unfinished line until more come.
    pub fn put_line(&mut self, line: Vec<u8>, ledger: &Ledger) {
        if !line.is_empty() {
            self.extra().put_line(line, ledger);
        }
    }

    pub(super) fn drop_empty_extra(&mut self) {
        if self.extra.as_ref().is_some_and(|extra| extra.is_empty()) {
            self.extra = None;
        }
    }

    /// Keeps whose session this was, for when it has left the hub.
    pub fn put_user(&mut self, user: &str, ledger: &Ledger) {
        self.extra().put_user(user.into(), ledger);
    }

    /// Where the client said it stands could not be met: between what it has and what it gets, messages may be missing.
    pub fn put_unmet(&mut self) {
        self.extra().put_unmet();
    }

    /// Whether it could not.
    #[must_use]
    pub fn is_unmet(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.is_unmet())
    }

    /// Of a session that was closed: whose it was.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.extra.as_ref().and_then(|extra| extra.user())
    }
}
