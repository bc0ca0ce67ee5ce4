//! The loop: the only module that touches sockets, clocks, files, signals and entropy.
//!
//! In: readiness from the kernel. Out: calls of the node's verbs, and the bytes it gives to sockets. It knows
//! nothing of HTTP, sessions or channels: a connection is a name and a socket.
//!
//! A turn: wait, accept (bounded), read (bounded), commands, timers, commands, flush, sweep. Edges are
//! remembered here until they are used up: a socket is registered once and never again.

pub mod clock;
mod dial;
mod ebb;
pub mod files;
pub mod limits;
mod listener;
mod notify;
mod signals;
mod sockets;

pub use listener::{Bind, Listener};
pub use notify::ready as notify_ready;

use crate::ids::ConnId;
use crate::node::{Door, Flushed, Node};
use crate::time::Tick;
use clock::Stopwatch;
use dial::{Dialler, Next, RESOLVED};
use ebb::Ebb;
use listener::Accepted;
use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use signals::Signals;
use sockets::{Read, Socket, Sockets};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// The loop with everything it owns.
#[derive(Debug)]
pub struct Loop {
    poll: Poll,
    listeners: Vec<Listener>,
    signals: Signals,
    sockets: Sockets,
    /// Connections that the node asked for, until they are made.
    dialler: Dialler,
    node: Node,
    watch: Stopwatch,
    buffer: Box<[u8]>,
    /// Sockets whose readable edge is not used up, each once.
    readable: VecDeque<ConnId>,
    /// When to try a listener again that ran out of descriptors.
    retry: Option<Tick>,
    told_of_limit: bool,
    /// When memory goes back to the system.
    ebb: Ebb,
    /// Since when the node stops.
    stopping: Option<Tick>,
    /// Since when what is left of its sessions ends.
    finishing: Option<Tick>,
    /// Some of them are to end in the next turn.
    in_haste: bool,
    stop_at_once: bool,
}

impl Loop {
    /// A loop over listeners that are bound.
    ///
    /// # Errors
    /// What the kernel says to the poll and the signal handlers.
    pub fn new(node: Node, listeners: Vec<Listener>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listeners = listeners;
        for (n, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), Token(n))?;
        }
        let signals = Signals::register(poll.registry(), SIGNALS)?;
        Ok(Self {
            poll,
            listeners,
            signals,
            sockets: Sockets::new(node.config().sockets_max()),
            dialler: Dialler::default(),
            node,
            watch: Stopwatch::start(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            readable: VecDeque::new(),
            retry: None,
            told_of_limit: false,
            ebb: Ebb::default(),
            stopping: None,
            finishing: None,
            in_haste: false,
            stop_at_once: false,
        })
    }

    /// Turns until a signal ends it and everybody has been told.
    ///
    /// # Errors
    /// A poll that fails for good.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut now = self.watch.micros();
        while !self.is_over() {
            match self.poll.poll(&mut events, self.wait(clock::tick(now))) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    now = self.watch.micros();
                    continue;
                }
                other => other?,
            }
            let begun = self.watch.micros();
            let clock = self.watch.at(begun);
            self.node.turn(clock);
            events.iter().for_each(|event| self.note(event));
            self.turn();
            self.ebb(clock.tick);
            now = self.watch.micros();
            self.node.turned(now.saturating_sub(begun));
        }
        if self.node.callbacks_waiting() > 0 {
            let events = self.node.callbacks_waiting();
            log::warn!("callbacks did not answer in time: events={events} are lost");
        }
        log::info!(
            "stopped sessions={} undelivered={}",
            self.node.session_count(),
            self.node.metrics().undelivered_in_all()
        );
        Ok(())
    }

    fn turn(&mut self) {
        self.accept();
        self.read();
        self.serve();
        self.node.tick();
        self.serve();
        self.dial();
        self.flush();
        self.resume();
        self.sweep();
        // What broke while it was written is dialled again.
        self.dial();
        self.finish();
    }

    /// When everybody was told that the node stops, or their time for that is over, the sessions end.
    fn finish(&mut self) {
        let Some(since) = self.stopping else {
            return;
        };
        let now = self.watch.clock().tick;
        if self.finishing.is_none() && (self.node.is_drained() || now >= since + STOP_MS) {
            self.finishing = Some(now);
        }
        let late = self
            .finishing
            .is_some_and(|since| now >= since + FINISH_MS / 2);
        self.in_haste = self.finishing.is_some() && self.node.finish(late);
    }

    /// A burst that is over gives its memory back.
    fn ebb(&mut self, now: Tick) {
        if self.ebb.is_out(self.node.queued_bytes(), now) {
            limits::give_back_memory();
        }
    }

    /// Runs commands, and goes on with requests that waited for them: so the publications that an
    /// application pipelines are one write for each subscriber.
    fn serve(&mut self) {
        for _ in 0..SERVES_PER_TURN {
            if self.node.run_commands() || !self.resume() {
                return;
            }
        }
    }

    /// How long to sleep: not at all while edges or work are left, else until the next deadline.
    fn wait(&self, now: Tick) -> Option<Duration> {
        let work = !self.readable.is_empty()
            || self.node.dirty_len() > 0
            || self.node.has_commands()
            || self.in_haste;
        let retry = self.retry.filter(|_| self.stopping.is_none());
        if work
            || self
                .listeners
                .iter()
                .any(|listener| listener.pending && retry.is_none())
        {
            return Some(Duration::ZERO);
        }
        let stop = self.last_moment();
        let due = self
            .node
            .next_due()
            .into_iter()
            .chain(retry)
            .chain(stop)
            .chain(self.ebb.due(self.node.queued_bytes()))
            .min()?;
        Some(Duration::from_millis(due.since(now)))
    }

    fn note(&mut self, event: &Event) {
        let Token(token) = event.token();
        if token == SIGNALS.0 {
            return self.signalled();
        }
        if token == RESOLVED.0 {
            let (now, registry) = (self.watch.clock().tick, self.poll.registry());
            let resolved = self.dialler.resolved(now, registry);
            return resolved
                .into_iter()
                .for_each(|(id, next)| self.go_on(id, next));
        }
        if let Some(listener) = self.listeners.get_mut(token) {
            listener.pending = true;
            return;
        }
        let Some(id) = ConnId::unpack(token as u64) else {
            return;
        };
        if self.dialler.is_dialling(id) {
            return self.dialled(id);
        }
        let broken = event.is_error() || (event.is_read_closed() && event.is_write_closed());
        if broken && !self.node.wants_read(id) {
            self.node.ended(id, true);
        } else if broken || event.is_readable() || event.is_read_closed() {
            // What came before the end is read before the end is seen.
            self.list(id, broken || event.is_read_closed());
        }
        if event.is_writable() {
            self.node.writable(id);
        }
    }

    /// SIGTERM and SIGINT end the node politely; twice, at once.
    fn signalled(&mut self) {
        let count = self.signals.drain();
        if count == 0 {
            return;
        }
        if self.stopping.is_some() || count > 1 {
            self.stop_at_once = true;
        }
        log::info!(
            "stopping sessions={} connections={}",
            self.node.session_count(),
            self.node.conn_count()
        );
        self.stopping = Some(self.watch.clock().tick);
        self.listeners.clear();
        self.node.stop();
    }

    fn is_over(&self) -> bool {
        if self.stopping.is_none() {
            return false;
        }
        let now = self.watch.clock().tick;
        let late = self.finishing.is_some() && self.last_moment().is_some_and(|last| now >= last);
        let done = self.finishing.is_some() && !self.in_haste && self.node.is_finished();
        self.stop_at_once || late || done
    }

    /// When goodbyes have taken long enough; behind that, when the end of what is left has.
    fn last_moment(&self) -> Option<Tick> {
        match self.finishing {
            Some(since) => Some(since + FINISH_MS),
            None => self.stopping.map(|since| since + STOP_MS),
        }
    }

    fn accept(&mut self) {
        let now = self.watch.clock().tick;
        if self.retry.is_some_and(|at| now < at) {
            return;
        }
        self.retry = None;
        for n in 0..self.listeners.len() {
            for _ in 0..ACCEPTS_PER_TURN {
                let Some(listener) = self
                    .listeners
                    .get_mut(n)
                    .filter(|listener| listener.pending)
                else {
                    break;
                };
                let door = listener.door;
                match listener.accept() {
                    Accepted::Socket(socket) => self.admit(socket, door),
                    Accepted::Nothing => listener.pending = false,
                    Accepted::NoDescriptors => return self.out_of_descriptors(now),
                    Accepted::Failed(error) => {
                        // The one connection is gone; a fault that lasts must not keep the loop busy.
                        log::debug!("accept failed error={error}");
                        self.retry = Some(now + RETRY_MS);
                        break;
                    }
                }
            }
        }
    }

    /// The listener's edge is lost in both selectors when there is no descriptor for the newcomer, so its
    /// flag stays up, and it is tried again soon, and as soon as a socket is closed.
    fn out_of_descriptors(&mut self, now: Tick) {
        self.retry = Some(now + RETRY_MS);
        self.node.refused("no-descriptors");
        if !self.told_of_limit {
            self.told_of_limit = true;
            let limit = limits::open_files();
            log::error!(
                "out of file descriptors limit={limit} hint=\"raise ulimit -n or LimitNOFILE\""
            );
        }
    }

    fn admit(&mut self, mut socket: Socket, door: Door) {
        let Some(id) = self.node.accept(door) else {
            self.node.refused("connections-full");
            return socket.refuse();
        };
        self.register(id, socket);
    }

    /// Listens for both edges of a connection's socket, once and for all.
    fn register(&mut self, id: ConnId, mut socket: Socket) {
        let token = Token(id.pack() as usize);
        let both = Interest::READABLE | Interest::WRITABLE;
        match socket.register(self.poll.registry(), token, both) {
            Ok(()) => self.sockets.insert(id, socket),
            Err(error) => {
                log::error!("cannot register a socket error={error}");
                self.node.ended(id, true);
            }
        }
    }

    /// Makes the connections that the node asks for.
    fn dial(&mut self) {
        while let Some(dial) = self.node.next_dial() {
            let (now, id) = (self.watch.clock().tick, dial.conn);
            let next = self.dialler.begin(dial, now, self.poll.registry());
            self.go_on(id, next);
        }
    }

    /// An edge came of a socket that is being connected.
    fn dialled(&mut self, id: ConnId) {
        let (now, registry) = (self.watch.clock().tick, self.poll.registry());
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let next = self.dialler.edge(id, socket, now, registry);
        self.go_on(id, next);
    }

    fn go_on(&mut self, id: ConnId, next: Next) {
        match next {
            Next::Wait => {}
            Next::Nobody => self.node.ended(id, true),
            Next::Connected => {
                self.node.connected(id);
                // What came with the edge is read like anything else.
                self.list(id, true);
            }
            Next::Socket(socket) => self.register(id, socket),
        }
    }

    /// Keeps a readable edge until it is used up.
    fn list(&mut self, id: ConnId, drain: bool) {
        if self.sockets.list(id, drain) {
            self.readable.push_back(id);
        }
    }

    fn read(&mut self) {
        for n in 1..=self.readable.len() {
            let Some(id) = self.readable.pop_front() else {
                return;
            };
            let drain = self.sockets.unlist(id);
            self.read_one(id, drain);
            // What a thousand requests are answered is not to lie in memory together.
            if n.is_multiple_of(READ_AT_ONCE) {
                self.flush();
            }
        }
    }

    fn read_one(&mut self, id: ConnId, drain: bool) {
        for _ in 0..READS_PER_TURN {
            if !self.node.wants_read(id) {
                return;
            }
            match self.sockets.read(id, &mut self.buffer) {
                Read::Bytes(count) => {
                    let Some(bytes) = self.buffer.get_mut(..count) else {
                        return;
                    };
                    self.node.receive(id, bytes);
                    // Less than was asked for: the kernel has no more, and the next byte is a new edge. Not
                    // so in the poll(2) selector, which is armed by a read that would block.
                    if count < READ_BYTES && !drain && !READ_UNTIL_BLOCKED {
                        return;
                    }
                }
                Read::Nothing => return,
                Read::End => return self.node.ended(id, false),
                Read::Broken => return self.node.ended(id, true),
            }
        }
        self.list(id, drain);
    }

    fn flush(&mut self) {
        for _ in 0..self.node.dirty_len() {
            let Some(id) = self.node.next_dirty() else {
                return;
            };
            let mut sink = self.sockets.sink(id);
            if self.node.flush(id, &mut sink) == Flushed::Shut {
                self.sockets.shut(id);
            }
        }
    }

    /// Goes on with connections whose request was answered; false when there was none.
    fn resume(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.node.next_resumed() {
            any = true;
            self.node.resume(id);
            self.list(id, true);
        }
        any
    }

    fn sweep(&mut self) {
        while let Some(id) = self.node.next_dead() {
            self.sockets.remove(id);
            self.dialler.forget(id);
            if self.retry.is_some() {
                self.retry = Some(Tick(0));
            }
        }
    }
}

/// Token of the signals' pipe. Listeners have the numbers below, connections those above 2^32.
const SIGNALS: Token = Token(u32::MAX as usize);
/// Sockets looked at in one turn: the ends of so many connections are some 6 ms of work.
const EVENTS_MAX: usize = 512;
/// One read; also the most that a connection parks behind a request being answered.
const READ_BYTES: usize = 16 * 1024;
/// Reads of one socket per turn, so that an upload does not keep others waiting.
const READS_PER_TURN: usize = 4;
const ACCEPTS_PER_TURN: usize = 128;
/// Sockets that are read before what they are answered is written: so that a process that was not run for a moment needs
/// no more memory, which the allocator would keep, than one that was.
const READ_AT_ONCE: usize = 64;
/// Requests of one connection that are answered by commands in one turn.
const SERVES_PER_TURN: usize = 64;
/// Milliseconds until a listener without descriptors is tried again.
const RETRY_MS: u64 = 250;
/// Milliseconds that goodbyes may take.
const STOP_MS: u64 = 3_000;
/// Milliseconds behind them for the application to read what became of sessions.
const FINISH_MS: u64 = 3_000;
const READ_UNTIL_BLOCKED: bool = cfg!(mio_unsupported_force_poll_poll);
