//! Signals as bytes in a pipe that the loop waits on like any socket.

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use std::io::{self, Read as _};

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Signals(UnixStream);

impl Signals {
    /// Takes the signals over from the system's defaults.
    ///
    /// # Errors
    /// The kernel's.
    pub fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        for signal in [libc::SIGTERM, libc::SIGINT] {
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        let mut reader = UnixStream::from_std(reader);
        registry.register(&mut reader, token, Interest::READABLE)?;
        Ok(Self(reader))
    }

    /// How many came since the last call.
    pub fn drain(&mut self) -> usize {
        let mut bytes = [0; 16];
        let mut count = 0;
        while let Ok(read @ 1..) = self.0.read(&mut bytes) {
            count += read;
        }
        count
    }
}
