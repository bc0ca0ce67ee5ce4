//! A running `orbited`: started on free ports, looked at through its internal port, ended with the test.
//!
//! In: flags. Out: addresses, counters, what it wrote to standard error, its exit status.

use crate::client::Client;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A node that is ready.
pub struct Node {
    child: Child,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    /// The line it was ready with.
    pub ready: String,
}

/// A wait beyond this is a fault: it is long, for slow machines that run other things too.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The binary with these arguments, without the settings of whoever runs the tests.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orbited"));
    clean(&mut command);
    command.args(args);
    command
}

/// Removes every variable that the binary reads.
pub fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORBITED_") || name == "NOTIFY_SOCKET" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null())
}

/// Runs the binary to its end.
pub fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = command(args);
    let command = command.envs(env.iter().copied());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it runs, with {args:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

impl Node {
    /// A node on free ports of 127.0.0.1, with these flags besides.
    pub fn start(flags: &[&str]) -> Self {
        let mut command = command(&[&["--listen", "127.0.0.1:0"], flags].concat());
        Self::spawn(command.args(["--internal", "127.0.0.1:0"]))
    }

    /// Whatever `command` runs, once it says that it is ready.
    pub fn spawn(command: &mut Command) -> Self {
        // Unless its flags say otherwise.
        let mut child = command
            .env("ORBITED_STOMP", "127.0.0.1:0")
            .env("ORBITED_OP", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let reader = collect(child.stderr.take().unwrap(), stderr.clone());
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let node = Self {
            child,
            stderr,
            reader: Some(reader),
            ready: ready.trim_end().to_owned(),
        };
        assert!(
            node.ready.starts_with("ready "),
            "{:?} {}",
            node.ready,
            node.stderr()
        );
        node
    }

    /// The value of a word of the ready line.
    pub fn said(&self, name: &str) -> &str {
        let mut words = self
            .ready
            .split(' ')
            .filter_map(|word| word.split_once('='));
        words
            .find(|(word, _)| *word == name)
            .map_or("", |(_, value)| value)
    }

    /// A connection to the public port.
    pub fn connect(&self) -> Client {
        Client::connect(self.said("http"))
    }

    /// A connection to the internal port.
    pub fn internal(&self) -> Client {
        Client::connect(self.said("internal"))
    }

    /// A counter or gauge by its name, with its labels as printed; 0 for one that is not there.
    pub fn metric(&self, name: &str) -> u64 {
        metric(&mut self.internal(), name)
    }

    /// Waits until a counter or gauge is as asked.
    pub fn until_metric(&self, name: &str, is: impl Fn(u64) -> bool) {
        let mut internal = self.internal();
        until(name, || is(metric(&mut internal, name)));
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end. What it wrote to standard error is whole after this.
    pub fn ended(&mut self) -> ExitStatus {
        until("the node ends", || self.child.try_wait().unwrap().is_some());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.child.wait().unwrap()
    }

    /// Stops it as an init system would, and expects that it was glad to.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.ended().code(), Some(0), "{}", self.stderr());
    }

    /// Ticks of processor time it has used, in user space and in the kernel.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, behind) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = behind.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Memory it has resident, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// The most it had resident ever, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name));
        line.unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A counter or gauge, asked for on a connection to the internal port.
pub fn metric(internal: &mut Client, name: &str) -> u64 {
    let text = internal.get("/metrics").text();
    let line = text.lines().find_map(|line| {
        line.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(' '))
    });
    line.map_or(0, |value| value.parse().unwrap())
}

/// Waits for a condition, for as long as [`PATIENCE`] lasts.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A path for a file or socket of one test, below cargo's folder for them.
pub fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Not cargo's own folder: a socket's path may have 107 bytes only.
    std::env::temp_dir().join(format!("orbited-{}-{number}-{name}", std::process::id()))
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<String>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]);
            into.lock().unwrap().push_str(&text);
        }
    })
}
