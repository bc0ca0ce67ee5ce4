//! Why a run could not be made. That a bar was not met is no trouble, but a result.

use std::fmt;
use std::io;

/// What stops a run.
#[derive(Debug)]
pub enum Trouble {
    /// The command line asks for what cannot be; exit status 2.
    Usage(String),
    /// The kernel refused something; what was tried comes first.
    Io(&'static str, io::Error),
    /// The server under test did not do its part.
    Server(String),
    /// A load process did not do its part.
    Worker(String),
}

impl Trouble {
    /// For `map_err`: the kernel refused `what`.
    pub fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io(what, error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
            Self::Server(text) => write!(f, "server: {text}"),
            Self::Worker(text) => write!(f, "load process: {text}"),
        }
    }
}

/// The answer of a peer that breaks its protocol: the connection is closed and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No HTTP response, or one that says no.
    Response,
    /// No WebSocket frame that a server may send, or one over the cap.
    Frame,
    /// No CSP batch, or packets are missing before it.
    Batch,
    /// More bytes than a connection may hold back.
    TooMuch,
}
