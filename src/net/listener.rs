//! Listening sockets: bound with what the operator asked for, accepted from within bounds.
//!
//! In: addresses. Out: sockets. A listener that could not be emptied keeps its flag up.

use super::sockets::Socket;
use crate::config::Listen;
use crate::node::Door;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    /// What its connections are for.
    pub door: Door,
    /// Whether its edge is not used up.
    pub pending: bool,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// How to bind.
#[derive(Debug, Clone, Copy)]
pub struct Bind {
    /// `SO_REUSEPORT`: several processes share the address.
    pub reuse_port: bool,
    /// Connections the kernel keeps for us.
    pub backlog: u32,
    /// Without an acknowledgement of its kernel a peer is gone after this; zero leaves it to the system.
    pub tcp_timeout: Duration,
    /// Silence before TCP probes a peer; zero is never.
    pub tcp_keepalive: Duration,
}

/// What an accept came to.
#[derive(Debug)]
pub enum Accepted {
    /// A connection.
    Socket(Socket),
    /// Nobody waits; there will be an edge.
    Nothing,
    /// Somebody waits, and the process or the machine has no descriptor left.
    NoDescriptors,
    /// One connection failed; there may be more.
    Failed(io::Error),
}

impl Listener {
    /// Binds and listens.
    ///
    /// # Errors
    /// The kernel's.
    pub fn bind(address: &Listen, door: Door, bind: Bind) -> io::Result<Self> {
        let kind = match address {
            Listen::Tcp(address) => Kind::Tcp(tcp(*address, bind)?),
            Listen::Unix(path) => Kind::Unix(unix(path, bind)?, path.clone()),
        };
        Ok(Self {
            kind,
            door,
            pending: false,
        })
    }

    /// The address as bound, with the port that was free.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.kind {
            Kind::Tcp(listener) => listener
                .local_addr()
                .map(|a| a.to_string())
                .unwrap_or_default(),
            Kind::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Registers for its edges.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.kind {
            Kind::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Kind::Unix(listener, _) => registry.register(listener, token, Interest::READABLE),
        }
    }

    /// Takes the next connection.
    pub fn accept(&self) -> Accepted {
        let accepted = match &self.kind {
            Kind::Tcp(listener) => listener.accept().map(|(stream, _)| Socket::Tcp(stream)),
            Kind::Unix(listener, _) => listener.accept().map(|(stream, _)| Socket::Unix(stream)),
        };
        match accepted {
            Ok(socket) => Accepted::Socket(socket),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Accepted::Nothing,
            Err(error) => match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                    Accepted::NoDescriptors
                }
                _ => Accepted::Failed(error),
            },
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Kind::Unix(_, path) = &self.kind {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn tcp(address: SocketAddr, bind: Bind) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if bind.reuse_port {
        socket.set_reuse_port(true)?;
    }
    // Linux hands these on to accepted sockets, which saves calls for each.
    socket.set_tcp_nodelay(true)?;
    if !bind.tcp_timeout.is_zero() {
        socket.set_tcp_user_timeout(Some(bind.tcp_timeout))?;
    }
    if !bind.tcp_keepalive.is_zero() {
        let time = bind.tcp_keepalive.max(Duration::from_secs(1));
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time))?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog(bind))?;
    Ok(TcpListener::from_std(socket.into()))
}

fn unix(path: &Path, bind: Bind) -> io::Result<UnixListener> {
    let address = SockAddr::unix(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse || !is_socket(path) || is_served(path) {
            return Err(error);
        }
        // A file that a killed process left behind.
        std::fs::remove_file(path)?;
        socket.bind(&address)?;
    }
    socket.listen(backlog(bind))?;
    Ok(UnixListener::from_std(socket.into()))
}

/// Whether the file may be replaced: nothing but a socket ever is.
fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

fn is_served(path: &Path) -> bool {
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    std::os::unix::net::UnixStream::connect(path).map_or_else(|error| !refused(error), |_| true)
}

fn backlog(bind: Bind) -> i32 {
    i32::try_from(bind.backlog).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    #[test]
    fn what_a_listener_is_told_holds_for_the_sockets_it_accepts() {
        let bind = Bind {
            reuse_port: false,
            backlog: 8,
            tcp_timeout: Duration::from_secs(7),
            tcp_keepalive: Duration::from_millis(1),
        };
        let listener = tcp(SocketAddr::from(([127, 0, 0, 1], 0)), bind).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = (0..1_000)
            .find_map(|_| {
                std::thread::yield_now();
                listener.accept().ok()
            })
            .unwrap();
        let socket = SockRef::from(&socket);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(bind.tcp_timeout));
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(1));
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    }
}
