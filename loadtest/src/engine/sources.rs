//! Where connections come from: addresses of 127.0.0.0/8 in turn, so that no address runs out of ports.
//!
//! In: the number of a load process, the target. Out: sockets on their way.

use crate::sys;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;

/// Deals out source addresses.
#[derive(Debug)]
pub struct Sources {
    worker: u8,
    dialed: u32,
}

impl Sources {
    /// For the load process of this number.
    #[must_use]
    pub fn new(worker: u8) -> Self {
        // Not where the process before began: its ports still wait.
        let first = std::process::id() % 4000 * 16;
        Self::starting_at(worker, first)
    }

    fn starting_at(worker: u8, first: u32) -> Self {
        Self {
            worker,
            dialed: first * PER_ADDRESS,
        }
    }

    /// The address of the next connection: 127.W.x.y, another after each [`PER_ADDRESS`]. The cycle of 65,000
    /// addresses is longer than ports wait after a close.
    fn address(&mut self) -> Ipv4Addr {
        let turn = self.dialed / PER_ADDRESS;
        self.dialed = self.dialed.wrapping_add(1);
        let [_, _, high, low] = (turn % 65_000 + 2).to_be_bytes();
        Ipv4Addr::new(127, self.worker.saturating_add(1), high, low)
    }

    /// Starts to connect.
    ///
    /// # Errors
    /// What the kernel says, but that it goes on.
    pub fn dial(&mut self, target: SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(
            Domain::for_address(target),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        let source = self.address();
        if target.is_ipv4() {
            sys::choose_port_late(socket.as_fd())?;
            socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
        }
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&target.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }
}

/// An address has some 28,000 ports; the kernel finds a free one slowly when most are taken or still wait.
const PER_ADDRESS: u32 = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_serves_more_than_its_share() {
        let mut sources = Sources::starting_at(3, 0);
        let all: Vec<_> = (0..10_000).map(|_| sources.address()).collect();
        assert_eq!(all[0], Ipv4Addr::new(127, 4, 0, 2));
        assert_eq!(all[1999], all[0]);
        assert_eq!(all[2000], Ipv4Addr::new(127, 4, 0, 3));
        assert_eq!(all[9999], Ipv4Addr::new(127, 4, 0, 6));
    }
}
