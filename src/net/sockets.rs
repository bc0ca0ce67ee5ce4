//! Accepted sockets, by the index of their connection: eight bytes each.
//!
//! In: names of connections. Out: bytes read and written, through mio's types only, whose poll(2) selector is
//! armed by what they see.

use crate::ids::ConnId;
use crate::mem::{Sink, Wrote};
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;

/// A connection's socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix stream.
    Unix(UnixStream),
}

/// All sockets of the loop.
#[derive(Debug)]
pub struct Sockets(Vec<Option<Slot>>);

/// A socket, and whether its readable edge is in the loop's list.
#[derive(Debug)]
struct Slot {
    socket: Socket,
    listed: bool,
    /// Whether it is to be read until nothing comes: its peer shut its side, or an edge was passed over.
    drain: bool,
}

/// What a read came to.
#[derive(Debug)]
pub enum Read {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing now; there will be an edge.
    Nothing,
    /// The peer shut its side.
    End,
    /// The connection is broken.
    Broken,
}

impl Socket {
    /// Registers for all edges, once and for good.
    pub fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => registry.register(stream, token, interest),
            Socket::Unix(stream) => registry.register(stream, token, interest),
        }
    }

    /// Whether one that was to be connected is; not yet is false.
    ///
    /// # Errors
    /// It will never be.
    pub fn is_connected(&self) -> io::Result<bool> {
        let (error, peer) = match self {
            Socket::Tcp(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            Socket::Unix(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
        };
        match (error, peer) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(true),
            (None, Err(error)) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            (None, Err(error)) => Err(error),
        }
    }

    /// Tells a peer for whom there is no room, as far as that goes without waiting.
    pub fn refuse(&mut self) {
        let body = "{\"code\":\"connections-full\",\"reason\":\"There is no room for a connection.\",\
            \"hint\":\"Try again later; the operator's bound is --max-connections.\"}";
        let answer = format!(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Retry-After: 2\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = answer.as_bytes();
        let _ = match self {
            Socket::Tcp(stream) => stream.write(answer),
            Socket::Unix(stream) => stream.write(answer),
        };
        self.shut();
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, parts) {
            (Socket::Tcp(stream), [one]) => stream.write(one),
            (Socket::Tcp(stream), parts) => stream.write_vectored(parts),
            (Socket::Unix(stream), parts) => stream.write_vectored(parts),
        }
    }

    fn shut(&self) {
        // A peer that is gone already needs no goodbye.
        let _ = match self {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl Sockets {
    /// Room for `limit` sockets, as address space.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Vec::with_capacity(limit))
    }

    /// Keeps a connection's socket.
    pub fn insert(&mut self, id: ConnId, socket: Socket) {
        let index = id.index() as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.0.get_mut(index) {
            *slot = Some(Slot {
                socket,
                listed: false,
                drain: false,
            });
        }
    }

    /// Closes a connection's socket.
    pub fn remove(&mut self, id: ConnId) {
        if let Some(slot) = self.0.get_mut(id.index() as usize) {
            *slot = None;
        }
    }

    /// Notes a readable edge; true when the socket was not in the list yet.
    pub fn list(&mut self, id: ConnId, drain: bool) -> bool {
        let Some(slot) = self.slot(id) else {
            return false;
        };
        slot.drain |= drain;
        !std::mem::replace(&mut slot.listed, true)
    }

    /// Takes a socket's edge off the list; true when it is to be read until nothing comes.
    pub fn unlist(&mut self, id: ConnId) -> bool {
        let Some(slot) = self.slot(id) else {
            return false;
        };
        slot.listed = false;
        std::mem::take(&mut slot.drain)
    }

    /// Reads into `buffer`.
    pub fn read(&mut self, id: ConnId, buffer: &mut [u8]) -> Read {
        let Some(socket) = self.get(id) else {
            return Read::Nothing;
        };
        loop {
            return match socket.read(buffer) {
                Ok(0) => Read::End,
                Ok(count) => Read::Bytes(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Read::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => Read::Broken,
            };
        }
    }

    /// Where the node writes a connection's bytes.
    pub fn sink(&mut self, id: ConnId) -> SocketSink<'_> {
        SocketSink(self.get(id))
    }

    /// Shuts the sending side.
    pub fn shut(&mut self, id: ConnId) {
        if let Some(socket) = self.get(id) {
            socket.shut();
        }
    }

    /// A name's slot holds that name's socket: a slot is emptied in the sweep that frees the name.
    fn slot(&mut self, id: ConnId) -> Option<&mut Slot> {
        self.0.get_mut(id.index() as usize)?.as_mut()
    }

    /// A connection's socket.
    pub fn get(&mut self, id: ConnId) -> Option<&mut Socket> {
        self.slot(id).map(|slot| &mut slot.socket)
    }
}

/// A socket as the node sees it.
#[derive(Debug)]
pub struct SocketSink<'a>(Option<&'a mut Socket>);

impl Sink for SocketSink<'_> {
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
        let Some(socket) = &mut self.0 else {
            return Wrote::Broken;
        };
        loop {
            return match socket.write(parts) {
                Ok(0) => Wrote::Broken,
                Ok(count) => Wrote::Some(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Wrote::Blocked,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => Wrote::Broken,
            };
        }
    }
}
