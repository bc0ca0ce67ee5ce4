//! The server under test: started by command, already running, or the floor.
//!
//! In: a command line or addresses. Out: where it listens and its pids. What was started is stopped by its pid.

use crate::crowd::end;
use crate::sys;
use crate::trouble::Trouble;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    /// Where clients connect.
    pub target: SocketAddr,
    /// Where messages are published, if anywhere.
    pub internal: Option<SocketAddr>,
    /// What it uses is read by these; none, no figures of that.
    pub pids: Vec<u32>,
    child: Option<Child>,
}

impl Server {
    /// One that runs already.
    #[must_use]
    pub fn running(target: SocketAddr, internal: Option<SocketAddr>, pids: &[u32]) -> Self {
        Self {
            target,
            internal,
            pids: pids.to_vec(),
            child: None,
        }
    }

    /// Starts `command` and waits for its line `ready http=ADDR internal=ADDR`. The node takes free ports unless
    /// the command says which.
    ///
    /// # Errors
    /// It does not start, or says nothing of the kind in [`READY_MAX`].
    pub fn start(command: &str, pin: bool) -> Result<Self, Trouble> {
        // By the shell's rules of quoting, and in its place: the pid is the server's.
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("exec {command}"));
        Self::spawn(&mut shell, pin)
    }

    /// Starts the floor.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn floor(batch: bool, pin: bool) -> Result<Self, Trouble> {
        let program = std::env::current_exe().map_err(Trouble::io("own path"))?;
        let mut floor = Command::new(program);
        floor.args(["floor", "--listen", "127.0.0.1:0"]);
        if batch {
            floor.arg("--batch");
        }
        Self::spawn(&mut floor, pin)
    }

    fn spawn(command: &mut Command, pin: bool) -> Result<Self, Trouble> {
        let mut child = command
            .env("ORBITED_LISTEN", "127.0.0.1:0")
            .env("ORBITED_INTERNAL", "127.0.0.1:0")
            .env("ORBITED_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Trouble::io("starting the server"))?;
        let pid = child.id();
        let stdout = child.stdout.take();
        // From here on it is stopped whatever happens.
        let mut server = Self {
            target: SocketAddr::from(([127, 0, 0, 1], 0)),
            internal: None,
            pids: vec![pid],
            child: Some(child),
        };
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            // Reads on after the line, so that the server never finds its output closed.
            for line in stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines())
            {
                let _ = line.map(|line| tell.send(line));
            }
        });
        loop {
            let line = told.recv_timeout(READY_MAX);
            let line = line.map_err(|_| Trouble::Server("does not say that it is ready".into()))?;
            if let Some(ready) = ready(&line) {
                server.is(ready);
                break;
            }
        }
        if pin && !server.pids.iter().all(|pid| sys::pin(*pid, 0)) {
            return Err(Trouble::Server("cannot be bound to processor 0".into()));
        }
        Ok(server)
    }

    fn is(&mut self, ready: Ready) {
        (self.target, self.internal) = (ready.target, ready.internal);
        if !ready.pids.is_empty() {
            self.pids = ready.pids;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            sys::terminate(child.id());
            end(&mut child);
        }
    }
}

/// What the line says.
#[derive(Debug, PartialEq, Eq)]
struct Ready {
    target: SocketAddr,
    internal: Option<SocketAddr>,
    /// The processes that are the server, where the one that was started only starts them.
    pids: Vec<u32>,
}

/// `ready http=127.0.0.1:1 internal=127.0.0.1:2 op=off`, and `pid=3,4` where there are others.
fn ready(line: &str) -> Option<Ready> {
    let words = line.strip_prefix("ready ")?;
    let value = |name: &str| {
        let mut pairs = words.split(' ').filter_map(|word| word.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    };
    let pids = value("pid").unwrap_or_default().split(',');
    Some(Ready {
        target: value("http")?.parse().ok()?,
        internal: value("internal").and_then(|text| text.parse().ok()),
        pids: pids.filter_map(|pid| pid.parse().ok()).collect(),
    })
}

const READY_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_says_where_to_connect() {
        let line = "ready http=127.0.0.1:18000 internal=127.0.0.1:18001 op=off stomp=off";
        let said = ready(line).unwrap();
        assert_eq!(said.target.port(), 18000);
        assert_eq!(said.internal.unwrap().port(), 18001);
        assert!(said.pids.is_empty());
        let said = ready("ready http=127.0.0.1:1 internal=off pid=12,34").unwrap();
        assert_eq!((said.internal, said.pids), (None, vec![12, 34]));
        assert_eq!(ready("ready"), None);
        assert_eq!(ready("listening on http=127.0.0.1:1"), None);
    }

    #[test]
    fn a_server_that_says_nothing_is_no_server() {
        assert!(Server::start("true", false).is_err());
    }
}
