//! A connection's pipe between the node and a client: how much it takes, and how it ends.
//!
//! In: what the node writes. Out: what the pipe took of it, as its room and chance have it.

use super::chance::{Chance, Totals};
use super::pings::Pings;
use orbited::ids::ConnId;
use orbited::mem::{Sink, Wrote};
use std::io::IoSlice;

/// One connection's pipe.
pub struct Link {
    pub conn: ConnId,
    /// Sent and not read by the node.
    pub up: Vec<u8>,
    /// Written by the node and not read by the client.
    pub down: Vec<u8>,
    /// Most bytes of `down`: of its own, and as long as all pipes are narrow.
    pub room: usize,
    pub narrow: usize,
    /// The client sends nothing more.
    pub finished: bool,
    /// The client is gone without goodbye.
    pub reset: bool,
    /// The node shut its side.
    pub shut: bool,
    /// The node closed.
    pub closed: bool,
    /// Bytes came for it afterwards.
    pub late: bool,
    /// The client closed and reads no more.
    pub left: bool,
    /// In which turn the node closed, and whether the client had ended it before.
    pub ended: Option<(u64, bool)>,
    /// It takes everything at once, whatever befalls the others.
    pub spared: bool,
    /// The node knows that nothing more comes.
    pub told: bool,
    pub edge_read: bool,
    /// Since when the pipe takes nothing, in milliseconds.
    pub blocked: Option<u64>,
    pub ever_blocked: bool,
    /// It took something that nobody reads.
    pub wasted: bool,
    /// The node was told to wait, and not yet that it need not.
    pub waits: bool,
    /// Of what the node wrote last, the pipe took a part.
    pub cut: bool,
    pub written_at: u64,
    /// Of one that is to become a WebSocket.
    pub pings: Option<Box<Pings>>,
}

impl Link {
    /// What it holds is read by nobody.
    pub fn waste(&mut self) {
        self.wasted |= !self.down.is_empty();
        self.down.clear();
    }

    pub fn has_room(&self) -> bool {
        self.left || self.spared || self.down.len() < self.room.min(self.narrow)
    }

    pub fn has_edge(&self) -> bool {
        !self.closed && (self.edge_read || (self.blocked.is_some() && self.has_room()))
    }
}

/// Where the node writes.
pub struct Pipe<'a> {
    pub link: &'a mut Link,
    pub chance: &'a mut Chance,
    pub totals: &'a mut Totals,
    pub calm: bool,
    pub now: u64,
}

impl Sink for Pipe<'_> {
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
        let offered: usize = parts.iter().map(|part| part.len()).sum();
        assert!(offered > 0, "conn {} is offered nothing", self.link.conn);
        assert!(
            !self.link.shut,
            "conn {} is written to after its end",
            self.link.conn
        );
        assert!(
            !self.link.waits,
            "conn {} is written to before it says that it takes anything",
            self.link.conn
        );
        if self.link.reset || (self.link.left && self.chance.one_in(2)) {
            return Wrote::Broken;
        }
        self.link.written_at = self.now;
        if self.link.left {
            self.link.wasted = true;
            self.link.blocked = None;
            return Wrote::Some(offered);
        }
        let room = match self.link.spared {
            true => usize::MAX,
            false => self.link.room.min(self.link.narrow),
        };
        let calm = self.calm || self.link.spared;
        let room = room.saturating_sub(self.link.down.len());
        if room == 0 || (!calm && self.chance.one_in(40)) {
            self.totals.count("faults: writes blocked");
            self.link.blocked.get_or_insert(self.now);
            self.link.waits = true;
            self.link.ever_blocked |= room == 0;
            return Wrote::Blocked;
        }
        let mut take = offered.min(room);
        if !calm && self.chance.one_in(4) {
            take = self.chance.between(1, take);
        }
        self.link.blocked = None;
        let (mut left, before) = (take, self.link.down.len());
        for part in parts {
            let now = left.min(part.len());
            self.link.down.extend_from_slice(&part[..now]);
            left -= now;
        }
        if let Some(pings) = &mut self.link.pings {
            pings.wrote(&self.link.down[before..], self.now);
        }
        self.totals.add("bytes to clients", take as u64);
        Wrote::Some(take)
    }
}

/// Of a connection whose row is gone.
pub struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[IoSlice<'_>]) -> Wrote {
        panic!("a connection that is gone is written to");
    }
}
