//! How connections come and go.
//!
//! In: how many are wanted, what the kernel says of each. Out: sockets on their way; numbers for clients, which a
//! client that failed leaves to the next.

use super::Engine;
use super::conn::{Conn, Hearing, Role};
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

    /// The server broke the protocol or refused: a session that waited is over.
    pub(super) fn fail(&mut self, index: usize) {
        let peer = self.conns.get_mut(index).map(|conn| &mut conn.peer);
        if let Some(peer) = peer.filter(|peer| !peer.ready) {
            let resumed = peer.key.is_some() && peer.got >= self.setup.part.calls();
            self.counts.over += u32::from(resumed);
            *peer = std::mem::take(peer).anew();
        }
        self.drop_conn(index);
    }

    /// A connection ended that should not have.
    pub(super) fn drop_conn(&mut self, index: usize) {
        let Some(conn) = self.conns.try_remove(index) else {
            return;
        };
        match conn.role {
            Role::Side(slot) => self.sides.forget(slot, index),
            Role::Publisher => self.publish_again(),
            Role::Leaving => self.turnover.leaving -= 1,
            Role::Held if conn.peer.ready => {
                self.seat(conn.peer.client, None);
                self.counts.ready -= 1;
                match conn.hearing {
                    Hearing::Good => self.counts.lost += 1,
                    Hearing::Deaf | Hearing::Woken => self.counts.shed += 1,
                }
            }
            Role::Held => {
                self.counts.pending -= 1;
                self.counts.failed += 1;
                // Tried again, but not for ever.
                if self.counts.failed < FAILED_MAX.max(self.setup.share) {
                    self.counts.wanted += 1;
                    self.parked.push(conn.peer.cut(self.setup.part.calls()));
                }
            }
        }
    }
}

/// Between two looks at what the kernel says.
const DIALS_PER_TURN: usize = 64;
/// Attempts that may fail in one process before it gives up.
const FAILED_MAX: u32 = 1000;

#[cfg(test)]
pub(super) mod tests {
    use super::super::Setup;
    use super::*;
    use crate::mode::{Row, Template, Wish};
    use crate::part::Part;
    use mio::Poll;
    use std::net::TcpListener;

    /// An engine for two clients whose sessions would wait, and somebody who listens.
    fn engine() -> (Engine, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let setup = Setup {
            mode: "csp-ws".into(),
            floor: false,
            target: listener.local_addr().unwrap(),
            channel: "x".into(),
            part: Part::Pairs(8),
            first: 4,
            share: 2,
            window: 2,
            interval_s: 0,
            hold_s: 0,
            worker: 0,
            acks: true,
            template: Template::default(),
        };
        let wish = Wish {
            floor: false,
            template: &setup.template,
        };
        let mode = Row::named(&setup.mode).unwrap().make(&wish);
        let registry = Poll::new().unwrap().registry().try_clone().unwrap();
        (Engine::new(setup, mode, registry), listener)
    }

    /// Both clients are ready, in sessions of their own.
    pub fn ready() -> (Engine, TcpListener) {
        let (mut engine, listener) = engine();
        engine.raise(2);
        engine.dial().unwrap();
        for index in 0..2 {
            engine.conns[index].peer.key = Some("key".into());
            engine.conns[index].peer.got = 1;
            engine.conns[index].peer.ready = true;
            engine.seat(4 + index as u32, Some(index));
        }
        (engine.counts.ready, engine.counts.pending) = (2, 0);
        (engine, listener)
    }

    #[test]
    fn clients_are_numbered_and_whoever_fails_leaves_his_number_to_the_next() {
        let (mut engine, _listener) = engine();
        engine.raise(2);
        engine.dial().unwrap();
        let clients: Vec<u32> = engine.conns.iter().map(|(_, c)| c.peer.client).collect();
        assert_eq!(clients, [4, 5]);
        engine.drop_conn(0);
        assert_eq!((engine.counts.failed, engine.counts.wanted), (1, 1));
        engine.dial().unwrap();
        assert_eq!(engine.conns[0].peer.client, 4);
        assert_eq!((engine.counts.pending, engine.fresh), (2, 2));
    }

    #[test]
    fn who_is_cut_off_comes_back_to_the_session_until_the_server_denies_it() {
        let (mut engine, _listener) = ready();
        engine.cut(2, false);
        assert_eq!((engine.counts.ready, engine.counts.wanted), (0, 2));
        assert_eq!(engine.seats, [None, None]);
        engine.dial().unwrap();
        let keys = |engine: &Engine| -> Vec<bool> {
            let conns = engine.conns.iter();
            conns.map(|(_, conn)| conn.peer.key.is_some()).collect()
        };
        assert_eq!(keys(&engine), [true, true]);
        // One connection breaks, the other is told that there is no such session.
        engine.drop_conn(0);
        engine.dial().unwrap();
        assert_eq!(keys(&engine), [true, true]);
        engine.fail(1);
        assert_eq!((engine.counts.over, engine.counts.failed), (1, 2));
        engine.dial().unwrap();
        assert_eq!(keys(&engine), [true, false]);
        let mut clients: Vec<u32> = engine.conns.iter().map(|(_, c)| c.peer.client).collect();
        clients.sort_unstable();
        assert_eq!(clients, [4, 5]);
    }

    #[test]
    fn who_shakes_hands_anew_does_not_come_back() {
        let (mut engine, _listener) = ready();
        engine.cut(2, true);
        engine.dial().unwrap();
        assert!(engine.conns.iter().all(|(_, c)| c.peer.key.is_none()));
    }
}
