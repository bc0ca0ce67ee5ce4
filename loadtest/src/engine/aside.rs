//! What goes beside the held connections: acknowledgements that no request carries, over a few shared ones.
//!
//! In: moments, whole requests. Out: the same, written. A second socket for each client would double what is
//! measured, and a browser keeps one for all.

use super::Engine;
use super::conn::Role;
use crate::mode::{Ack, Peer};
use crate::sys::now_ns;
use std::collections::VecDeque;
use std::io;

/// The shared connections that are open.
#[derive(Debug, Default)]
pub struct Sides([Option<usize>; SIDES]);

impl Sides {
    /// One of them ended.
    pub(super) fn forget(&mut self, slot: u8) {
        if let Some(place) = self.0.get_mut(usize::from(slot)) {
            *place = None;
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

    pub(super) fn acknowledge_due(&mut self) -> io::Result<()> {
        for index in std::mem::take(&mut self.acks.now) {
            self.acknowledge(index, |peer| peer.ack_now = false)?;
        }
        let now = now_ns();
        while let Some((due, index)) = self.acks.later.front().copied()
            && due <= now
        {
            self.acks.later.pop_front();
            self.acknowledge(index, |peer| peer.ack_later = false)?;
        }
        Ok(())
    }

    fn acknowledge(&mut self, index: usize, leave: fn(&mut Peer)) -> io::Result<()> {
        let mut done = false;
        self.act(index, |mode, cx, conn| {
            leave(&mut conn.peer);
            done = mode.wants_ack(&conn.peer) != Ack::None;
            if done {
                mode.acknowledge(cx, &mut conn.peer);
            }
            Ok(())
        });
        self.counts.acks += u64::from(done);
        match self.side.is_empty() {
            true => Ok(()),
            false => self.send_aside(index),
        }
    }

    /// Sends requests over the shared connection that belongs to `index`, always the same, so that they keep
    /// their order.
    fn send_aside(&mut self, index: usize) -> io::Result<()> {
        let slot = index % SIDES;
        let side = match self.sides.0.get(slot).copied().flatten() {
            Some(side) => side,
            None => {
                let side = self.open(self.setup.target, Role::Side(slot as u8))?;
                if let Some(place) = self.sides.0.get_mut(slot) {
                    *place = Some(side);
                }
                side
            }
        };
        let sent = self.conns.get_mut(side).map(|conn| conn.write(&self.side));
        self.side.clear();
        if !matches!(sent, Some(Ok(()))) {
            self.drop_conn(side);
        }
        Ok(())
    }
}

/// Shared connections of a load process.
const SIDES: usize = 8;
