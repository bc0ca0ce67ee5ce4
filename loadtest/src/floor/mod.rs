//! The floor: a bare server that holds sockets and sends to all of them, the least that a push server can do.
//!
//! In: any request. Out: a fixed answer; a WebSocket or an event stream is held, and the body of a `POST /publish`
//! is sent once to each, framed once for each kind. No channels, no sessions, and no timers but for `--floor-heartbeat`.

mod beat;
mod reply;

use crate::flags::Options;
use crate::proto::ws;
use crate::sys::now_ns;
use crate::trouble::Trouble;
use beat::Beat;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use reply::{Reply, reply};
use slab::Slab;
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

/// Listens, says so as the node does, and serves until it is killed.
///
/// # Errors
/// An address that cannot be listened on.
pub fn run(options: &Options) -> Result<(), Trouble> {
    let _ = crate::sys::raise_open_files();
    let listen = |at, share| {
        let listener = listen(at, share).map_err(Trouble::io("listening"))?;
        let at = listener.local_addr().map_err(Trouble::io("listening"))?;
        Ok((listener, at))
    };
    let (listener, at) = listen(options.listen, options.reuse_port)?;
    let mut listeners = vec![listener];
    let mut internal = at;
    if options.reuse_port {
        // Who publishes has to reach each of those that share the other port.
        let (own, at) = listen(SocketAddr::new(at.ip(), 0), false)?;
        listeners.push(own);
        internal = at;
    }
    println!("ready http={at} internal={internal}");
    let mut floor = Floor {
        listeners,
        batch: options.batch,
        beat: options
            .floor_heartbeat
            .map(|every| Beat::new(every, now_ns())),
        slots: 0,
        conns: Slab::new(),
        heads: HashMap::new(),
        unsent: HashMap::new(),
        pending: Frames::default(),
    };
    floor.serve().map_err(Trouble::io("floor"))
}

struct Floor {
    /// Their tokens count from [`LISTENERS`].
    listeners: Vec<TcpListener>,
    batch: bool,
    beat: Option<Beat>,
    /// How many places of `conns` were ever in use.
    slots: usize,
    conns: Slab<Conn>,
    /// Requests that are not whole yet: of few, so not in every connection.
    heads: HashMap<usize, Vec<u8>>,
    /// What sockets did not take.
    unsent: HashMap<usize, Vec<u8>>,
    /// With `--batch`: what is sent at the end of the turn.
    pending: Frames,
}

/// Eight bytes: what a held connection costs at the least.
struct Conn {
    socket: TcpStream,
    kind: Kind,
}

/// What a connection has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asks and is answered.
    Http,
    /// Gets events.
    Events,
    /// Gets frames.
    Socket,
}

/// A message, framed for each kind.
#[derive(Debug, Default)]
struct Frames {
    events: Vec<u8>,
    socket: Vec<u8>,
}

impl Frames {
    fn add(&mut self, body: &[u8]) {
        self.events.extend_from_slice(b"data: ");
        self.events.extend_from_slice(body);
        self.events.extend_from_slice(b"\n\n");
        ws::plain(&mut self.socket, ws::TEXT, body);
    }

    fn of(&self, kind: Kind) -> &[u8] {
        match kind {
            Kind::Http => &[],
            Kind::Events => &self.events,
            Kind::Socket => &self.socket,
        }
    }
}

impl Floor {
    fn serve(&mut self) -> io::Result<()> {
        let mut poll = Poll::new()?;
        for (n, listener) in self.listeners.iter_mut().enumerate() {
            let token = Token(LISTENERS + n);
            poll.registry()
                .register(listener, token, Interest::READABLE)?;
        }
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let beat = self.beat.as_ref();
            let wait = beat.and_then(|beat| beat.wait(now_ns(), self.slots));
            match poll.poll(&mut events, wait) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token() {
                    Token(index @ LISTENERS..) => self.accept(&poll, index - LISTENERS)?,
                    Token(index) => {
                        if event.is_writable() {
                            self.flush(index);
                        }
                        if event.is_readable() || event.is_read_closed() {
                            self.read(index, &mut buffer);
                        }
                    }
                }
            }
            let frames = std::mem::take(&mut self.pending);
            if !frames.events.is_empty() {
                self.send_all(&frames);
            }
            self.send_beats();
        }
    }

    fn accept(&mut self, poll: &Poll, listener: usize) -> io::Result<()> {
        while let Some(listener) = self.listeners.get(listener) {
            let mut socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The peer is gone again, or there are no descriptors: the load counts it.
                Err(_) => continue,
            };
            let _ = socket.set_nodelay(true);
            let entry = self.conns.vacant_entry();
            self.slots = self.slots.max(entry.key() + 1);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut socket, Token(entry.key()), interest)?;
            entry.insert(Conn {
                socket,
                kind: Kind::Http,
            });
        }
        Ok(())
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) {
        while let Some(conn) = self.conns.get_mut(index) {
            match conn.socket.read(buffer) {
                Ok(0) => return self.close(index),
                // What a held client says is not for the floor.
                Ok(_) if conn.kind != Kind::Http => {}
                Ok(n) => self.take(index, buffer.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.close(index),
            }
        }
    }

    fn take(&mut self, index: usize, bytes: &[u8]) {
        let mut text = self.heads.remove(&index).unwrap_or_default();
        text.extend_from_slice(bytes);
        let mut rest = &text[..];
        while let Some(reply) = reply(&mut rest, self.conns.len()) {
            let Ok(Reply { head, kind, body }) = reply else {
                return self.close(index);
            };
            self.send(index, &head);
            if let Some(conn) = self.conns.get_mut(index) {
                conn.kind = kind;
            }
            if let Some(body) = body {
                self.publish(body);
            }
            if kind != Kind::Http {
                return;
            }
        }
        if !rest.is_empty() {
            self.heads.insert(index, rest.to_vec());
        }
    }

    fn publish(&mut self, body: &[u8]) {
        if self.batch {
            return self.pending.add(body);
        }
        let mut frames = Frames::default();
        frames.add(body);
        self.send_all(&frames);
    }

    fn send_all(&mut self, frames: &Frames) {
        for index in 0..self.slots {
            self.send_frame(index, frames);
        }
    }

    fn send_frame(&mut self, index: usize, frames: &Frames) {
        let Some(conn) = self.conns.get_mut(index) else {
            return;
        };
        let bytes = frames.of(conn.kind);
        if bytes.is_empty() {
            return;
        }
        // Most often the whole of it goes at once, and nothing has to be looked up.
        if self.unsent.is_empty() && matches!(conn.socket.write(bytes), Ok(n) if n == bytes.len()) {
            return;
        }
        self.send(index, bytes);
    }

    /// A ping or a comment to each whose turn it is, one write each: what heartbeats cost at the least.
    fn send_beats(&mut self) {
        let Some(beat) = &mut self.beat else {
            return;
        };
        let due = beat.due(now_ns(), self.slots);
        let mut frames = Frames {
            events: b":\n\n".to_vec(),
            socket: Vec::new(),
        };
        ws::plain(&mut frames.socket, ws::PING, b"");
        for index in due {
            self.send_frame(index, &frames);
        }
    }

    fn send(&mut self, index: usize, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(index) else {
            return;
        };
        let held = self.unsent.entry(index).or_default();
        held.extend_from_slice(bytes);
        let sent = match conn.socket.write(held) {
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => return self.close(index),
        };
        held.drain(..sent);
        match held.len() {
            0 => drop(self.unsent.remove(&index)),
            1..=UNSENT_BYTES_MAX => {}
            _ => self.close(index),
        }
    }

    fn flush(&mut self, index: usize) {
        if self.unsent.contains_key(&index) {
            self.send(index, &[]);
        }
    }

    fn close(&mut self, index: usize) {
        self.conns.try_remove(index);
        self.heads.remove(&index);
        self.unsent.remove(&index);
    }
}

fn listen(at: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM.nonblocking(), None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    socket.bind(&at.into())?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into()))
}

const LISTENERS: usize = usize::MAX - 8;
/// Of one who does not read.
const UNSENT_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_connection_is_a_socket_and_its_kind() {
        // A mio socket is 4 bytes, and more only where debug assertions are on.
        assert!(size_of::<Conn>() - size_of::<TcpStream>() <= 8);
    }
}
