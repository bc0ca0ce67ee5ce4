//! One connection: a socket, what its mode remembers, and what would not go through yet.

use crate::held::Held;
use crate::mode::Peer;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read as _, Write as _};

/// A connection.
#[derive(Debug)]
pub struct Conn {
    pub(super) socket: TcpStream,
    pub(super) role: Role,
    /// The kernel has not said yet that it is connected.
    pub(super) connecting: bool,
    pub(super) hearing: Hearing,
    pub(super) peer: Peer,
    /// Bytes read that are no whole piece yet.
    pub(super) unread: Held,
    /// Bytes the socket did not take.
    pub(super) unsent: Held,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One of those that are measured.
    Held,
    /// One that has said goodbye, until the server ends it.
    Leaving,
    /// Takes requests of many, like this one of the shared ones.
    Side(u8),
    /// Publishes in a closed loop.
    Publisher,
}

/// Whether what comes is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// It is.
    Good,
    /// It is not.
    Deaf,
    /// It is again.
    Woken,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    /// So many bytes, and there may be more.
    Full(usize),
    /// So many bytes, the last for now.
    Last(usize),
    /// The end, by the peer or an error.
    End,
}

impl Conn {
    pub(super) fn new(socket: TcpStream, role: Role) -> Self {
        Self {
            socket,
            role,
            connecting: true,
            hearing: Hearing::Good,
            peer: Peer::default(),
            unread: Held::default(),
            unsent: Held::default(),
        }
    }

    /// Reads once. Less than the buffer takes is all there was: the next edge tells of more.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Got {
        loop {
            return match self.socket.read(buffer) {
                Ok(0) => Got::End,
                Ok(n) if n < buffer.len() => Got::Last(n),
                Ok(n) => Got::Full(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Got::Last(0),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => Got::End,
            };
        }
    }

    /// Writes behind what is waiting; what does not go waits too.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.connecting || !self.unsent.is_empty() {
            self.unsent.push(bytes);
            return Ok(());
        }
        let sent = self.send(bytes)?;
        self.unsent.push(bytes.get(sent..).unwrap_or_default());
        Ok(())
    }

    /// The socket may take more.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let waiting = self.unsent.take();
        let sent = self.send(&waiting)?;
        self.unsent.push(waiting.get(sent..).unwrap_or_default());
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while let Some(rest @ [_, ..]) = bytes.get(sent..) {
            match self.socket.write(rest) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_lean() {
        // A mio socket is 4 bytes, and more only where debug assertions are on. To that come the slab's tag, and
        // for CSP the session's key with malloc's share (48) and a place among those that acknowledge (16).
        let size = size_of::<Conn>() - size_of::<TcpStream>() + 4;
        assert!(size <= 112, "{size}");
    }
}
