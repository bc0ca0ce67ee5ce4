//! The command line: one table of flags drives reading and `--help`.
//!
//! In: words. Out: [`Options`], whose values are all in bounds, or a text that says what is wrong.

mod table;
mod value;

use crate::mode::{self, Template};
use crate::report::Bar;
use crate::scenario;
use crate::server::{Launch, Server};
use crate::trouble::Trouble;
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use table::FLAGS;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Command that starts the server.
    pub command: Option<String>,
    /// A server that runs already.
    pub target: Option<SocketAddr>,
    /// Where that takes messages.
    pub internal: Option<SocketAddr>,
    /// Its processes.
    pub pids: Vec<u32>,
    /// The path messages are posted to, instead of the node's.
    pub publish: Option<String>,
    /// Copies of the server, on one port.
    pub servers: u32,
    /// Run against the floor too.
    pub floor: bool,
    /// The floor writes once per subscriber per turn.
    pub batch: bool,
    /// The floor sends everybody a heartbeat once in this time.
    pub floor_heartbeat: Option<Duration>,
    /// The floor shares its address with others.
    pub reuse_port: bool,
    /// Where the floor listens.
    pub listen: SocketAddr,
    /// The kinds of client.
    pub modes: Vec<&'static mode::Row>,
    /// How many connections.
    pub connections: u32,
    /// Connections being set up at once.
    pub window: usize,
    /// Messages a second.
    pub rate: f64,
    /// Publications on their way at once, instead of a rate.
    pub in_flight: Option<u32>,
    /// Rooms of a chat.
    pub rooms: u32,
    /// In how many of them each client is.
    pub rooms_per_client: u32,
    /// Messages that a client of a chat sends at once.
    pub burst: u32,
    /// Bytes of a message.
    pub size: usize,
    /// For how long messages are published.
    pub time: Duration,
    /// Sessions are not resumed after a storm.
    pub anew: bool,
    /// The server's: after so long a silence it says something.
    pub heartbeat: Duration,
    /// Who is published to while others are idle.
    pub storm_subscribers: u32,
    /// The share of clients that stop reading.
    pub slow: f64,
    /// `soak`: between two looks and cuts.
    pub every: Duration,
    /// `soak`: sessions that are left a second, and as many that come.
    pub churn: Option<f64>,
    /// `soak --churn`: seconds that CSP clients have a response held.
    pub hold_s: u32,
    /// Connections to reopen.
    pub total: u32,
    /// How often the server is started.
    pub times: u32,
    /// Channels that each session is subscribed to.
    pub subscriptions: u32,
    /// Between the last connection and the first look.
    pub settle: Duration,
    /// Clients ask for the channel.
    pub subscribe: bool,
    /// `hold`: all closed and opened again.
    pub twice: bool,
    /// Between the two.
    pub between: Duration,
    /// For how long idle CPU is looked at.
    pub idle: Duration,
    /// Most time for opening all.
    pub ramp: Duration,
    /// Most time for the last messages to arrive.
    pub drain: Duration,
    /// What is published to.
    pub channel: String,
    /// CSP streams and WebSockets acknowledge by themselves.
    pub acks: bool,
    /// The server on processor 0, the load on 1.
    pub pin: bool,
    /// For the mode `template`, and where those that have one ask.
    pub template: Template,
    /// Lines of JSON are added to this file.
    pub json: Option<PathBuf>,
    /// A page is written to this file.
    pub html: Option<PathBuf>,
    /// How many runs make a report.
    pub repeat: u32,
    /// Few connections, for a look whether all works.
    pub quick: bool,
    /// Rows of the suite have this in them.
    pub only: Option<String>,
    /// What the figures must meet.
    pub bars: Vec<Bar>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            command: None,
            target: None,
            internal: None,
            pids: Vec::new(),
            publish: None,
            servers: 1,
            floor: false,
            batch: false,
            floor_heartbeat: None,
            reuse_port: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            modes: mode::Row::named("ws").into_iter().collect(),
            connections: 1000,
            window: 128,
            rate: 10.0,
            in_flight: None,
            rooms: 100,
            rooms_per_client: 10,
            burst: 1,
            size: 200,
            time: Duration::from_secs(10),
            anew: false,
            heartbeat: Duration::from_secs(25),
            storm_subscribers: 100,
            slow: 0.1,
            every: Duration::from_secs(60),
            churn: None,
            hold_s: 5,
            total: 1000,
            times: 10,
            subscriptions: 1,
            settle: Duration::from_secs(1),
            subscribe: true,
            twice: false,
            between: Duration::from_secs(3),
            idle: Duration::from_secs(5),
            ramp: Duration::from_secs(120),
            drain: Duration::from_secs(5),
            channel: "loadtest".into(),
            acks: true,
            pin: false,
            template: Template::default(),
            json: None,
            html: None,
            repeat: 1,
            quick: false,
            only: None,
            bars: Vec::new(),
        }
    }
}

impl Options {
    /// The server under test, started if it is to be.
    ///
    /// # Errors
    /// It does not start, or none is named.
    pub fn server(&self) -> Result<Server, Trouble> {
        match (&self.command, self.target) {
            (Some(command), None) => Server::start(command, self.launch()),
            (None, Some(target)) => Ok(Server::running(target, self.internal, &self.pids)),
            _ => Err(Trouble::Usage(
                "one of --server and --target is needed".into(),
            )),
        }
    }

    /// How a server is started.
    #[must_use]
    pub fn launch(&self) -> Launch {
        Launch {
            copies: self.servers,
            pin: self.pin,
            quiet: false,
        }
    }
}

/// The first word.
#[derive(Debug)]
pub enum Command {
    /// A scenario.
    Run(&'static scenario::Row, Options),
    /// All of them, tiny.
    Smoke(Options),
    /// The published tables.
    Suite(Options),
    /// The floor.
    Floor(Options),
    /// A load process.
    Worker,
    /// `--help`.
    Help,
}

/// Reads the command line, the program's name left out.
///
/// # Errors
/// What is wrong with it.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, Trouble> {
    let mut parser = Parser::from_args(words);
    let usage = |error: lexopt::Error| Trouble::Usage(error.to_string());
    let (mut verb, mut options) = (None, Options::default());
    while let Some(arg) = parser.next().map_err(usage)? {
        let name = match arg {
            Arg::Value(word) if verb.is_none() => {
                verb = Some(word.to_string_lossy().into_owned());
                continue;
            }
            Arg::Short('h') => "help".to_owned(),
            Arg::Short('n') => "connections".to_owned(),
            Arg::Long(name) => name.to_owned(),
            other => return Err(usage(other.unexpected())),
        };
        if name == "help" {
            return Ok(Command::Help);
        }
        let flag = FLAGS.iter().find(|flag| flag.name == name);
        let flag = flag.ok_or_else(|| Trouble::Usage(format!("no flag --{name}")))?;
        let value = match flag.value {
            "" => String::new(),
            _ => parser
                .value()
                .map_err(usage)?
                .to_string_lossy()
                .into_owned(),
        };
        (flag.set)(&mut options, &value).map_err(|wrong| {
            let (name, wanted) = (flag.name, flag.value);
            Trouble::Usage(format!("--{name} {wanted}: {wrong}, not {value:?}"))
        })?;
    }
    let verb = verb.unwrap_or_default();
    match (scenario::Row::named(&verb), &*verb) {
        (Some(row), _) => Ok(Command::Run(row, options)),
        (None, "smoke") => Ok(Command::Smoke(options)),
        (None, "suite") => Ok(Command::Suite(options)),
        (None, "floor") => Ok(Command::Floor(options)),
        (None, "worker") => Ok(Command::Worker),
        (None, "") => Ok(Command::Help),
        (None, verb) => Err(Trouble::Usage(format!("no command {verb}; see --help"))),
    }
}

/// What `--help` prints.
#[must_use]
pub fn help() -> String {
    let mut out = String::from("Usage: orbited-loadtest COMMAND [FLAGS]\n\nCommands:\n");
    // Writing to a string cannot fail.
    for row in &scenario::ROWS {
        let _ = writeln!(out, "  {:<14} {}", row.name, row.help);
    }
    let _ = writeln!(out, "  {:<14} all of them, tiny: that it works", "smoke");
    let _ = writeln!(
        out,
        "  {:<14} the published tables, as Markdown; --quick for a look whether all works",
        "suite"
    );
    let _ = writeln!(
        out,
        "  {:<14} a bare hold-and-send server: the physical limit",
        "floor"
    );
    out.push_str("\nModes:\n");
    for row in mode::Row::all() {
        let _ = writeln!(out, "  {:<14} {}", row.name, row.help);
    }
    out.push_str("\nFlags:\n");
    for flag in &FLAGS {
        let _ = writeln!(
            out,
            "  --{:<28} {}",
            format!("{} {}", flag.name, flag.value),
            flag.help
        );
    }
    out.push_str("\nExit status: 0 done and all bars met, 1 could not run, 2 wrong flags, 3 a bar not met.\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, Trouble> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn flags_are_read_in_any_order_with_their_units() {
        let line =
            "--mode ws,csp-sse hold -n 9000 --idle 500ms --pid 1 --pid 2 --bar a>=1 --lost 0";
        let Ok(Command::Run(row, options)) = read(line) else {
            panic!("{:?}", read(line));
        };
        assert_eq!((row.name, options.connections), ("hold", 9000));
        assert_eq!(options.idle, Duration::from_millis(500));
        assert_eq!((options.pids, options.bars.len()), (vec![1, 2], 2));
        let names: Vec<_> = options.modes.iter().map(|mode| mode.name).collect();
        assert_eq!(names, ["ws", "csp-sse"]);
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_flag() {
        for (line, flag) in [
            ("hold --idle 5", "--idle"),
            ("hold --idle 5000h", "--idle"),
            ("hold --connections 0", "--connections"),
            ("hold --mode ws,nope", "--mode"),
            ("hold --target 10.0.0.1:80", "--target"),
            ("hold --size 10", "--size"),
            ("hold --channel a\"b", "--channel"),
            ("hold --path x", "--path"),
            ("hold --rate NaN", "--rate"),
            ("hold --bar p99<1", "--bar"),
            ("hold --nope", "--nope"),
            ("nope", "nope"),
        ] {
            match read(line) {
                Err(Trouble::Usage(text)) => assert!(text.contains(flag), "{line}: {text}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn help_has_every_command_mode_and_flag() {
        let help = help();
        let names = FLAGS.iter().map(|flag| flag.name);
        let names = names.chain(mode::Row::all().map(|row| row.name));
        for name in names.chain(scenario::ROWS.iter().map(|row| row.name)) {
            assert!(help.contains(name), "{name}");
        }
    }

    #[test]
    fn a_server_is_started_or_named_not_both() {
        assert!(Options::default().server().is_err());
        let both = Options {
            command: Some("true".into()),
            target: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
            ..Options::default()
        };
        assert!(both.server().is_err());
    }
}
