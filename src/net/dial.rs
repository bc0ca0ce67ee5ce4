//! Connections that the node asks for: to addresses at once, to names when one thread has looked them up.
//!
//! In: whom to connect to, edges of sockets that are being connected. Out: sockets, and what became of them. Nothing here
//! waits: looking a name up may, so it has a thread of its own, which is asked for each name once at a time. How long an
//! attempt may take is the node's business, which ends the connection.

use super::sockets::Socket;
use crate::config::callback::Address;
use crate::ids::ConnId;
use crate::node::Dial;
use crate::time::Tick;
use mio::net::{TcpStream, UnixStream};
use mio::{Registry, Token, Waker};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// A name with its port.
type Name = (Box<str>, u16);

/// Attempts under way.
#[derive(Debug, Default)]
pub struct Dialler {
    attempts: Vec<Attempt>,
    /// What names came to, and until when that is used.
    known: BTreeMap<Name, (Vec<SocketAddr>, Tick)>,
    asked: BTreeSet<Name>,
    resolver: Option<Resolver>,
}

/// A connection that is being made.
#[derive(Debug)]
struct Attempt {
    conn: ConnId,
    /// To be looked up first.
    name: Option<Name>,
    /// Addresses to try if this one does not answer.
    left: VecDeque<SocketAddr>,
}

/// The thread that looks names up.
#[derive(Debug)]
struct Resolver {
    names: Sender<Name>,
    found: Receiver<(Name, Vec<SocketAddr>)>,
}

/// What is next for an attempt.
#[derive(Debug)]
pub enum Next {
    /// There is a socket to register, on its way.
    Socket(Socket),
    /// It waits for something.
    Wait,
    /// It is connected.
    Connected,
    /// Nobody is there.
    Nobody,
}

impl Dialler {
    /// Begins an attempt.
    pub fn begin(&mut self, dial: Dial, now: Tick, registry: &Registry) -> Next {
        let conn = dial.conn;
        let (name, left) = match dial.to {
            Address::Ip(address) => (None, [address].into()),
            Address::Name(name, port) => (Some((name, port)), VecDeque::new()),
            Address::Unix(path) => {
                let Ok(stream) = UnixStream::connect(path) else {
                    return Next::Nobody;
                };
                let left = VecDeque::new();
                self.attempts.push(Attempt {
                    conn,
                    name: None,
                    left,
                });
                return Next::Socket(Socket::Unix(stream));
            }
        };
        self.attempts.push(Attempt { conn, name, left });
        self.go_on(conn, now, registry)
    }

    /// Looks the name up, or tries the next address.
    fn go_on(&mut self, conn: ConnId, now: Tick, registry: &Registry) -> Next {
        let Some(attempt) = self.attempts.iter_mut().find(|one| one.conn == conn) else {
            return Next::Wait;
        };
        if let Some(name) = attempt.name.take() {
            match self.known.get(&name).filter(|(_, until)| now < *until) {
                Some((found, _)) => attempt.left = found.iter().copied().collect(),
                None => {
                    attempt.name = Some(name.clone());
                    return self.ask(name, registry);
                }
            }
        }
        while let Some(address) = attempt.left.pop_front() {
            if let Ok(stream) = TcpStream::connect(address) {
                // A request is one write: nothing is gained by waiting for more.
                let _ = stream.set_nodelay(true);
                return Next::Socket(Socket::Tcp(stream));
            }
        }
        self.forget(conn);
        Next::Nobody
    }

    fn ask(&mut self, name: Name, registry: &Registry) -> Next {
        if self.resolver.is_none() {
            self.resolver = Resolver::start(registry)
                .inspect_err(|error| log::error!("cannot look names up error={error}"))
                .ok();
        }
        let Some(resolver) = &self.resolver else {
            return Next::Nobody;
        };
        if self.asked.insert(name.clone()) && resolver.names.send(name).is_err() {
            // It is gone with all that it was asked: the next attempt starts another.
            self.resolver = None;
            self.asked.clear();
            return Next::Nobody;
        }
        Next::Wait
    }

    /// Names were looked up: gives back who waited for them, to go on with.
    pub fn resolved(&mut self, now: Tick, registry: &Registry) -> Vec<(ConnId, Next)> {
        let found = self.resolver.iter().flat_map(|one| one.found.try_iter());
        for (name, addresses) in found.collect::<Vec<_>>() {
            self.asked.remove(&name);
            if addresses.is_empty() {
                log::debug!("name={} has no address", name.0);
            }
            self.known.insert(name, (addresses, now + KNOWN_MS));
        }
        let known = |one: &&Attempt| {
            let name = one.name.as_ref().and_then(|name| self.known.get(name));
            name.is_some_and(|(_, until)| now < *until)
        };
        let ready: Vec<ConnId> = self
            .attempts
            .iter()
            .filter(known)
            .map(|one| one.conn)
            .collect();
        let next = |conn| (conn, self.go_on(conn, now, registry));
        ready.into_iter().map(next).collect()
    }

    /// Whether the connection is being made.
    #[must_use]
    pub fn is_dialling(&self, conn: ConnId) -> bool {
        self.attempts.iter().any(|one| one.conn == conn)
    }

    /// An edge of its socket came.
    pub fn edge(&mut self, conn: ConnId, socket: &Socket, now: Tick, registry: &Registry) -> Next {
        match socket.is_connected() {
            Ok(true) => {
                self.forget(conn);
                Next::Connected
            }
            Ok(false) => Next::Wait,
            Err(_) => self.go_on(conn, now, registry),
        }
    }

    /// The connection is gone, or made.
    pub fn forget(&mut self, conn: ConnId) {
        self.attempts.retain(|one| one.conn != conn);
    }
}

impl Resolver {
    fn start(registry: &Registry) -> io::Result<Self> {
        let waker = Waker::new(registry, RESOLVED)?;
        let (names, asked) = channel::<Name>();
        let (found, answers) = channel();
        // It ends with the loop, or, if it waits for a name just then, with the process.
        thread::Builder::new().name("names".into()).spawn(move || {
            for name in asked {
                let addresses = (&*name.0, name.1).to_socket_addrs();
                let addresses = addresses.map(|all| all.take(ADDRESSES_MAX).collect());
                if found.send((name, addresses.unwrap_or_default())).is_err()
                    || waker.wake().is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Self {
            names,
            found: answers,
        })
    }
}

/// Token of the resolver's waker; that of the signals is the one above.
pub const RESOLVED: Token = Token(u32::MAX as usize - 1);
/// Milliseconds for which a name is not looked up again; also one that has no address.
const KNOWN_MS: u64 = 10_000;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
