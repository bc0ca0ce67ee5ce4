//! The server under test: started by command, already running, or the floor.
//!
//! In: a command line or addresses. Out: where it listens and its pids. What was started is stopped by its pid.

use crate::crowd::end;
use crate::flags::Options;
use crate::sys;
use crate::trouble::Trouble;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A server that runs, or several copies of it on one port.
#[derive(Debug)]
pub struct Server {
    /// Where clients connect.
    pub target: SocketAddr,
    /// Where messages are published: nowhere, or to each copy.
    pub internals: Vec<SocketAddr>,
    /// Where STOMP is spoken without HTTP in front.
    pub stomp: Option<SocketAddr>,
    /// Where OP is spoken.
    pub op: Option<SocketAddr>,
    /// What it uses is read by these; none, no figures of that.
    pub pids: Vec<u32>,
    /// From its start, by a shell, until it said that it was ready.
    pub started_in: Duration,
    children: Vec<Child>,
}

/// How a server is started.
#[derive(Debug, Clone, Copy)]
pub struct Launch {
    /// So many copies, which share their port by SO_REUSEPORT.
    pub copies: u32,
    /// On processor 0.
    pub pin: bool,
    /// What it says on standard error is not to be seen.
    pub quiet: bool,
}

impl Server {
    /// One that runs already.
    #[must_use]
    pub fn running(target: SocketAddr, internal: Option<SocketAddr>, pids: &[u32]) -> Self {
        Self {
            target,
            internals: internal.into_iter().collect(),
            stomp: None,
            op: None,
            pids: pids.to_vec(),
            started_in: Duration::ZERO,
            children: Vec::new(),
        }
    }

    /// Starts `command` and waits for its line `ready http=ADDR internal=ADDR`. The node takes free ports unless
    /// the command says which.
    ///
    /// # Errors
    /// It does not start, or says nothing of the kind in [`READY_MAX`].
    pub fn start(command: &str, launch: Launch) -> Result<Self, Trouble> {
        Self::copies(launch, |_| {
            // By the shell's rules of quoting, and in its place: the pid is the server's.
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(format!("exec {command}"));
            shell
        })
    }

    /// Starts the floor.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn floor(options: &Options) -> Result<Self, Trouble> {
        let program = std::env::current_exe().map_err(Trouble::io("own path"))?;
        Self::copies(options.launch(), |listen| {
            let mut floor = Command::new(&program);
            floor.args(["floor", "--listen", &listen.to_string()]);
            floor.args(options.batch.then_some("--batch"));
            floor.args((options.servers > 1).then_some("--reuse-port"));
            if let Some(every) = options.floor_heartbeat {
                floor.args(["--floor-heartbeat", &format!("{}ms", every.as_millis())]);
            }
            floor
        })
    }

    /// The first copy takes a free port, the others the same.
    fn copies(launch: Launch, make: impl Fn(SocketAddr) -> Command) -> Result<Self, Trouble> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut first = Self::spawn(&mut make(any), any, launch)?;
        for _ in 1..launch.copies {
            let at = first.target;
            // One of them has said on standard error what there is to say.
            let quiet = Launch {
                quiet: true,
                ..launch
            };
            let mut copy = Self::spawn(&mut make(at), at, quiet)?;
            if copy.target != at {
                let text = format!("a copy listens on {}, not on {at}", copy.target);
                return Err(Trouble::Server(text));
            }
            first.internals.append(&mut copy.internals);
            first.pids.append(&mut copy.pids);
            first.children.append(&mut copy.children);
        }
        Ok(first)
    }

    fn spawn(command: &mut Command, at: SocketAddr, launch: Launch) -> Result<Self, Trouble> {
        command
            .env("ORBITED_LISTEN", at.to_string())
            .env("ORBITED_INTERNAL", "127.0.0.1:0")
            .env("ORBITED_STOMP", "127.0.0.1:0")
            .env("ORBITED_OP", "127.0.0.1:0")
            .env("ORBITED_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if launch.copies > 1 {
            command.env("ORBITED_REUSE_PORT", "true");
        }
        if launch.quiet {
            command.stderr(Stdio::null());
        }
        let start = Instant::now();
        let mut child = command
            .spawn()
            .map_err(Trouble::io("starting the server"))?;
        let (pid, stdout) = (child.id(), child.stdout.take());
        // From here on it is stopped whatever happens.
        let mut server = Self {
            target: at,
            internals: Vec::new(),
            stomp: None,
            op: None,
            pids: vec![pid],
            started_in: Duration::ZERO,
            children: vec![child],
        };
        let ready = wait_ready(stdout)?;
        server.started_in = start.elapsed();
        server.is(ready);
        if launch.pin && !server.pids.iter().all(|pid| sys::pin(*pid, 0)) {
            return Err(Trouble::Server("cannot be bound to processor 0".into()));
        }
        Ok(server)
    }

    fn is(&mut self, ready: Ready) {
        self.target = ready.target;
        self.internals = ready.internal.into_iter().collect();
        (self.stomp, self.op) = (ready.stomp, ready.op);
        if !ready.pids.is_empty() {
            self.pids = ready.pids;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &self.children {
            sys::terminate(child.id());
        }
        self.children.iter_mut().for_each(end);
    }
}

/// Waits for the line that says where it listens, and reads on after it, so that the server never finds its output
/// closed.
fn wait_ready(stdout: Option<ChildStdout>) -> Result<Ready, Trouble> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let lines = stdout.into_iter().map(BufReader::new);
        for line in lines.flat_map(BufReader::lines) {
            let _ = line.map(|line| tell.send(line));
        }
    });
    loop {
        let line = told.recv_timeout(READY_MAX);
        let line = line.map_err(|_| Trouble::Server("does not say that it is ready".into()))?;
        if let Some(ready) = ready(&line) {
            return Ok(ready);
        }
    }
}

/// What the line says.
#[derive(Debug, PartialEq, Eq)]
struct Ready {
    target: SocketAddr,
    internal: Option<SocketAddr>,
    stomp: Option<SocketAddr>,
    op: Option<SocketAddr>,
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
    let address = |name: &str| value(name).and_then(|text| text.parse().ok());
    let pids = value("pid").unwrap_or_default().split(',');
    Some(Ready {
        target: value("http")?.parse().ok()?,
        internal: address("internal"),
        stomp: address("stomp"),
        op: address("op"),
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
        let launch = Options::default().launch();
        assert!(Server::start("true", launch).is_err());
    }
}
