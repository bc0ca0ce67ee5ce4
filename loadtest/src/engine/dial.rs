//! How connections come and go.
//!
//! In: how many are wanted, what the kernel says of each. Out: sockets on their way; numbers for clients, which a
//! client that failed leaves to the next.

use super::Engine;
use super::conn::{Conn, Role};
use crate::mode::Peer;
use mio::{Interest, Token};
use std::io;
use std::net::SocketAddr;

impl Engine {
    /// Starts as many as there is room for.
    pub(super) fn dial(&mut self) -> io::Result<()> {
        let tries_max = DIALS_PER_TURN.min(self.setup.window);
        for _ in 0..tries_max {
            if self.counts.wanted == 0 || self.counts.pending as usize >= self.setup.window {
                break;
            }
            let index = self.open(self.setup.target, Role::Held)?;
            let peer = self.next_peer();
            if let Some(conn) = self.conns.get_mut(index) {
                conn.peer = peer;
            }
            self.counts.wanted -= 1;
            self.counts.pending += 1;
        }
        Ok(())
    }

    /// One that waits for a connection, or somebody new.
    fn next_peer(&mut self) -> Peer {
        self.parked.pop().unwrap_or_else(|| {
            let client = self.setup.first + self.fresh;
            self.fresh += 1;
            Peer {
                client,
                ..Peer::default()
            }
        })
    }

    pub(super) fn open(&mut self, to: SocketAddr, role: Role) -> io::Result<usize> {
        let mut socket = self.sources.dial(to)?;
        let entry = self.conns.vacant_entry();
        let index = entry.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry
            .register(&mut socket, Token(index), interest)?;
        entry.insert(Conn::new(socket, role));
        Ok(index)
    }

    /// A connection is ready: its client is found by its number from now on, if it is to be found.
    pub(super) fn seat(&mut self, client: u32, index: Option<usize>) {
        let place = client.checked_sub(self.setup.first);
        let seat = place.and_then(|place| self.seats.get_mut(place as usize));
        if let Some(seat) = seat {
            *seat = index.map(|index| index as u32);
        }
    }

    /// A connection ended that should not have.
    pub(super) fn drop_conn(&mut self, index: usize) {
        let Some(conn) = self.conns.try_remove(index) else {
            return;
        };
        match conn.role {
            Role::Side(slot) => self.sides.forget(slot, index),
            Role::Publisher => self.publish_again(),
            Role::Held if conn.peer.ready => {
                self.seat(conn.peer.client, None);
                self.counts.ready -= 1;
                self.counts.lost += 1;
            }
            Role::Held => {
                self.counts.pending -= 1;
                self.counts.failed += 1;
                // Tried again, but not for ever.
                if self.counts.failed < FAILED_MAX {
                    self.counts.wanted += 1;
                    self.parked.push(conn.peer.anew());
                }
            }
        }
    }
}

/// Between two looks at what the kernel says.
const DIALS_PER_TURN: usize = 64;
/// Attempts that may fail in one process before it gives up.
const FAILED_MAX: u32 = 1000;
