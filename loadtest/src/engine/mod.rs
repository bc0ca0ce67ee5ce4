//! Very many clients on one thread: dials, reads, answers, acknowledges, counts.
//!
//! In: a mode, a target, how many. Out: counts. It knows no protocol, and nothing of the process it runs in but
//! that turns are taken.

mod aside;
mod churn;
mod closed;
mod conn;
mod deaf;
mod dial;
mod sources;
mod talk;
mod turnover;

pub use closed::Loop;
pub use talk::{Talk, Talking};
pub use turnover::{Pace, Turned};

use crate::beats::Beats;
use crate::marks::Marks;
use crate::mode::{Cx, Mode, Peer, Template};
use crate::part::Part;
use crate::sys::now_ns;
use crate::tally::Window;
use crate::trouble::Fault;
use aside::{Acks, Sides};
use closed::Closed;
use conn::{Conn, Got, Hearing, Role};
use mio::event::Event;
use mio::{Events, Registry};
use slab::Slab;
use sources::Sources;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use turnover::Turnover;

/// What an engine is made for.
#[derive(Debug)]
pub struct Setup {
    /// A row of `mode::ROWS`.
    pub mode: String,
    /// The server is the floor.
    pub floor: bool,
    /// Where to connect to.
    pub target: SocketAddr,
    /// What to subscribe to, or what rooms' names begin with.
    pub channel: String,
    /// What clients are there for.
    pub part: Part,
    /// The number of this process's first client.
    pub first: u32,
    /// How many clients it has.
    pub share: u32,
    /// Connections being set up at once.
    pub window: usize,
    /// See [`Cx::interval_s`].
    pub interval_s: u32,
    /// See [`Cx::hold_s`].
    pub hold_s: u32,
    /// The number of this load process.
    pub worker: u8,
    /// CSP streams and WebSockets acknowledge.
    pub acks: bool,
    /// For the mode `template`.
    pub template: Template,
}

/// Where an engine stands.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// Connections that hold what they should.
    pub ready: u32,
    /// Connections being set up.
    pub pending: u32,
    /// Attempts that failed.
    pub failed: u32,
    /// Connections that were ready and ended, not by us.
    pub lost: u32,
    /// Connections that do not read, or did not.
    pub deaf: u32,
    /// Those of them that ended, not by us.
    pub shed: u32,
    /// Sessions that were to be resumed, and that the server did not know any more.
    pub over: u32,
    /// Setups left to start.
    pub wanted: u32,
    /// When the last became ready.
    pub ready_ns: u64,
    /// Acknowledgements sent which no request carried by itself.
    pub acks: u64,
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    setup: Setup,
    host: String,
    mode: Box<dyn Mode>,
    registry: Registry,
    conns: Slab<Conn>,
    sources: Sources,
    sides: Sides,
    acks: Acks,
    closed: Option<Closed>,
    talking: Option<Talking>,
    turnover: Turnover,
    /// Where each client is, by its number; empty where nobody is looked for.
    seats: Vec<Option<u32>>,
    /// Clients that had a connection and wait for another.
    parked: Vec<Peer>,
    /// Clients that had one at all.
    fresh: u32,
    /// Why the turn cannot go on.
    broken: io::Result<()>,
    /// Connections to close and open again, and the next of them.
    churn: u32,
    churn_at: usize,
    counts: Counts,
    /// What arrived in the run.
    pub marks: Marks,
    buffer: Box<[u8]>,
    out: Vec<u8>,
    side: Vec<u8>,
}

impl Engine {
    /// An engine without connections.
    #[must_use]
    pub fn new(setup: Setup, mode: Box<dyn Mode>, registry: Registry) -> Self {
        Self {
            host: setup.target.to_string(),
            sources: Sources::new(setup.worker),
            marks: Marks::new(0, setup.part, setup.first, setup.share),
            seats: match setup.part.speaks() {
                true => vec![None; setup.share as usize],
                false => Vec::new(),
            },
            setup,
            mode,
            registry,
            conns: Slab::new(),
            sides: Sides::default(),
            acks: Acks::default(),
            closed: None,
            talking: None,
            turnover: Turnover::default(),
            parked: Vec::new(),
            fresh: 0,
            broken: Ok(()),
            churn: 0,
            churn_at: 0,
            counts: Counts::default(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            out: Vec::new(),
            side: Vec::new(),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            wanted: self.counts.wanted + self.churn,
            ..self.counts
        }
    }

    /// Opens so many more.
    pub fn raise(&mut self, more: u32) {
        self.counts.wanted += more;
    }

    /// Counts from zero, and only marks of this run.
    pub fn begin(&mut self, run: u16) {
        let (part, first, share) = (self.setup.part, self.setup.first, self.setup.share);
        self.marks = Marks::new(run, part, first, share);
        for (_, conn) in &mut self.conns {
            conn.peer.window = Window::default();
        }
    }

    /// Listens for heartbeats.
    pub fn listen(&mut self, interval_ms: u32) {
        self.marks.beats = Some(Beats::new(interval_ms));
    }

    /// What it heard of them, with those that have not come.
    #[must_use]
    pub fn beats(&self) -> Option<Beats> {
        let mut beats = self.marks.beats.clone()?;
        let now = now_ns();
        let held = self.conns.iter().map(|(_, conn)| conn);
        held.filter(|conn| conn.peer.ready)
            .for_each(|conn| beats.end(conn.peer.silence_ms(now)));
        Some(beats)
    }

    /// How long a turn may sleep, and whether to the point: a message that is sent late is late by the load.
    #[must_use]
    pub fn wait(&self) -> (Option<Duration>, bool) {
        let said = self.talking.as_ref().and_then(Talking::due);
        let turns = self.turnover.due();
        let due = self.acks.due().into_iter().chain(said).chain(turns).min();
        let wait = due.map(|due| Duration::from_nanos(due.saturating_sub(now_ns())));
        (wait, said.is_some())
    }

    /// Takes what the kernel says, then does what is due.
    ///
    /// # Errors
    /// A socket that cannot be made or registered.
    pub fn turn(&mut self, events: &Events) -> io::Result<()> {
        for event in events.iter().filter(|event| event.token().0 < TOKENS_MAX) {
            self.on_event(event);
        }
        self.acknowledge_due();
        self.depart();
        self.say_due();
        self.turn_over_due();
        self.reopen();
        self.dial()?;
        std::mem::replace(&mut self.broken, Ok(()))
    }

    fn on_event(&mut self, event: &Event) {
        let index = event.token().0;
        let Some(conn) = self.conns.get_mut(index) else {
            return;
        };
        if conn.connecting {
            if !matches!(conn.socket.take_error(), Ok(None)) || event.is_error() {
                return self.drop_conn(index);
            }
            if !event.is_writable() {
                return;
            }
            conn.connecting = false;
            if conn.role == Role::Held {
                self.act(index, |mode, cx, conn| {
                    match conn.peer.key.is_some() {
                        true => mode.resumed(cx, &mut conn.peer),
                        false => mode.opened(cx, &mut conn.peer),
                    }
                    Ok(())
                });
            }
        }
        if event.is_writable()
            && let Some(conn) = self.conns.get_mut(index)
            && conn.flush().is_err()
        {
            return self.drop_conn(index);
        }
        let ended = event.is_read_closed() || event.is_error();
        match self.conns.get(index).map(|conn| conn.hearing) {
            // Who does not read can only be told of the end.
            Some(Hearing::Deaf) if ended => self.drop_conn(index),
            Some(Hearing::Good | Hearing::Woken) if ended || event.is_readable() => {
                self.read(index, event.is_read_closed());
            }
            _ => {}
        }
    }

    fn read(&mut self, index: usize, to_end: bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(conn) = self.conns.get_mut(index) {
            let (got, more) = match conn.read(&mut buffer) {
                Got::Full(n) => (n, true),
                // With the end announced the zero behind the bytes is still to be read.
                Got::Last(n) => (n, to_end && n > 0),
                Got::End => {
                    self.drop_conn(index);
                    break;
                }
            };
            self.take(index, buffer.get(..got).unwrap_or_default());
            if !more {
                break;
            }
        }
        self.buffer = buffer;
    }

    /// Gives bytes to the mode, behind those it did not take before.
    fn take(&mut self, index: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.conns.get(index).map(|conn| conn.role) {
            Some(Role::Held | Role::Leaving) => {}
            Some(Role::Publisher) => return self.answers(index, bytes),
            Some(Role::Side(_)) if self.setup.part.speaks() => return self.heard(index, bytes),
            _ => return,
        }
        self.act(index, |mode, cx, conn| {
            cx.marks.heard(&mut conn.peer, cx.now_ns);
            let mut held = conn.unread.take();
            let input = match held.is_empty() {
                true => bytes,
                false => {
                    held.extend_from_slice(bytes);
                    &held[..]
                }
            };
            let taken = mode.received(cx, &mut conn.peer, input)?;
            let rest = input.get(taken..).unwrap_or_default();
            if rest.len() > UNREAD_BYTES_MAX {
                return Err(Fault::TooMuch);
            }
            conn.unread.push(rest);
            Ok(())
        });
    }

    /// Lets the mode act for a connection, sends what it says, and counts what became of it.
    fn act(
        &mut self,
        index: usize,
        verb: impl FnOnce(&dyn Mode, &mut Cx<'_>, &mut Conn) -> Result<(), Fault>,
    ) {
        let Some(conn) = self.conns.get_mut(index) else {
            return;
        };
        let was_ready = conn.peer.ready;
        let now = now_ns();
        let mut cx = Cx {
            host: &self.host,
            channel: &self.setup.channel,
            part: self.setup.part,
            interval_s: self.setup.interval_s,
            hold_s: self.setup.hold_s,
            out: &mut self.out,
            side: &mut self.side,
            marks: &mut self.marks,
            now_ns: now,
        };
        let done = verb(&*self.mode, &mut cx, conn);
        let sent = self.out.is_empty() || done.is_err() || conn.write(&self.out).is_ok();
        self.out.clear();
        let client = conn.peer.client;
        if conn.peer.ready && !was_ready {
            self.counts.ready += 1;
            self.counts.pending -= 1;
            self.counts.ready_ns = now;
            self.seat(client, Some(index));
            self.welcome(index, now);
        }
        self.send_aside(index);
        match (done, sent) {
            (Err(_), _) => return self.fail(index),
            (Ok(()), false) => return self.drop_conn(index),
            (Ok(()), true) => {}
        }
        if self.setup.acks {
            self.queue_ack(index, now);
        }
    }
}

/// Tokens from here on are not the engine's.
pub const TOKENS_MAX: usize = 1 << 30;
/// One buffer for all.
const READ_BYTES: usize = 128 * 1024;
/// Bytes of one piece that is not whole yet.
const UNREAD_BYTES_MAX: usize = 32 * 1024 * 1024;
