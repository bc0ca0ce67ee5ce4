//! What goes beside the held connections: acknowledgements that no request carries, over a few shared ones.
//!
//! In: moments, whole requests. Out: the same, written. A second socket for each client would double what is
//! measured, and a browser keeps one for all.

use super::Engine;
use super::conn::Role;
use crate::mode::{Ack, Peer};
use crate::proto::http::{self, Event};
use crate::sys::now_ns;
use std::collections::VecDeque;

/// The shared connections that take requests.
#[derive(Debug, Default)]
pub struct Sides([Option<Side>; SIDES]);

#[derive(Debug, Clone, Copy)]
struct Side {
    index: usize,
    requests: u32,
}

impl Sides {
    /// One of them ended.
    pub(super) fn forget(&mut self, slot: u8, index: usize) {
        if let Some(place) = self.0.get_mut(usize::from(slot))
            && place.is_some_and(|side| side.index == index)
        {
            *place = None;
        }
    }

    /// The one that takes requests.
    fn take(&self, slot: usize) -> Option<usize> {
        let side = self.0.get(slot).copied().flatten()?;
        (side.requests < REQUESTS_MAX).then_some(side.index)
    }

    /// A request goes over this one. A server may end a connection after so many, with what is behind them: before
    /// that another takes its place. What then overtakes a session's own, CSP puts in its order again.
    fn note(&mut self, slot: usize, index: usize) {
        if let Some(place) = self.0.get_mut(slot) {
            let same = place.filter(|side| side.index == index);
            let requests = same.map_or(0, |side| side.requests) + 1;
            *place = Some(Side { index, requests });
        }
    }
}

/// Who acknowledges when.
#[derive(Debug, Default)]
pub struct Acks {
    /// In the order of time, since a mode always waits as long.
    later: VecDeque<(u64, usize)>,
    /// In this turn. Who stands here may stand there too, and then has nothing left to say.
    now: Vec<usize>,
}

impl Acks {
    /// When the next is due.
    pub(super) fn due(&self) -> Option<u64> {
        match self.now.is_empty() {
            true => self.later.front().map(|(due, _)| *due),
            false => Some(0),
        }
    }
}

impl Engine {
    /// Notes when a connection has to acknowledge, if it has.
    pub(super) fn queue_ack(&mut self, index: usize, now: u64) {
        let Some(peer) = self.conns.get_mut(index).map(|conn| &mut conn.peer) else {
            return;
        };
        match self.mode.wants_ack(peer) {
            Ack::Now if !peer.ack_now => {
                peer.ack_now = true;
                self.acks.now.push(index);
            }
            Ack::After(wait) if !peer.ack_later => {
                peer.ack_later = true;
                self.acks.later.push_back((now + wait, index));
            }
            _ => {}
        }
    }

    pub(super) fn acknowledge_due(&mut self) {
        for index in std::mem::take(&mut self.acks.now) {
            self.acknowledge(index, |peer| peer.ack_now = false);
        }
        let now = now_ns();
        while let Some((due, index)) = self.acks.later.front().copied()
            && due <= now
        {
            self.acks.later.pop_front();
            self.acknowledge(index, |peer| peer.ack_later = false);
        }
    }

    fn acknowledge(&mut self, index: usize, leave: fn(&mut Peer)) {
        let mut done = false;
        self.act(index, |mode, cx, conn| {
            leave(&mut conn.peer);
            // Who stood here may have been somebody before, and this one is to ask first.
            done = !conn.connecting && mode.wants_ack(&conn.peer) != Ack::None;
            if done {
                mode.acknowledge(cx, &mut conn.peer);
            }
            Ok(())
        });
        self.counts.acks += u64::from(done);
    }

    /// Sends requests over the shared connection that belongs to `index`, always the same, so that they keep
    /// their order.
    pub(super) fn send_aside(&mut self, index: usize) {
        if self.side.is_empty() {
            return;
        }
        let slot = index % SIDES;
        let side = match self.sides.take(slot) {
            Some(side) => Ok(side),
            None => self.open(self.setup.target, Role::Side(slot as u8)),
        };
        match side {
            Ok(side) => {
                self.sides.note(slot, side);
                let sent = self.conns.get_mut(side).map(|conn| conn.write(&self.side));
                if !matches!(sent, Some(Ok(()))) {
                    self.drop_conn(side);
                }
            }
            Err(error) => self.broken = Err(error),
        }
        self.side.clear();
    }

    /// Reads answers on a shared connection: a message that was not taken is counted.
    pub(super) fn heard(&mut self, index: usize, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(index) else {
            return;
        };
        let mut text = conn.unread.take();
        text.extend_from_slice(bytes);
        let mut rest = &text[..];
        let fault = loop {
            match http::next(&mut conn.peer.body, &mut rest) {
                Ok(Event::More) => break None,
                Ok(Event::Head(200) | Event::Data(_) | Event::End) => {}
                Ok(Event::Head(_)) => self.marks.tally.refused += 1,
                Err(fault) => break Some(fault),
            }
        };
        conn.unread.push(rest);
        if fault.is_some() {
            self.drop_conn(index);
        }
    }
}

/// Requests over one of them: half of what the node takes.
const REQUESTS_MAX: u32 = 5000;
/// Shared connections of a load process.
const SIDES: usize = 8;
