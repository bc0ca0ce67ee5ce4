//! What is done to a server: a scenario is a file here and a row in [`ROWS`].
//!
//! In: options, a mode, a server that runs. Out: figures. Each runs against the server and, asked for, against the
//! floor by the very same code.

mod chat;
mod churn;
mod closed;
mod delivery;
mod doors;
mod fanout;
mod growth;
mod heartbeats;
mod hold;
mod peer;
mod sessions;
mod slow;
pub mod smoke;
mod soak;
mod spoken;
mod start;
mod storm;
mod tables;
mod turnover;

use crate::crowd::Crowd;
use crate::engine::Setup;
use crate::flags::Options;
use crate::mode;
use crate::part::Part;
use crate::report::{Figure, Found, Report, figure, median};
use crate::server::Server;
use crate::sys;
use crate::trouble::Trouble;
use crate::watch::{Eye, Watch};
use std::net::SocketAddr;
use std::thread::sleep;

/// What a scenario works on.
#[derive(Debug)]
pub struct Case<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// The kind of client.
    pub mode: &'static mode::Row,
    /// The server.
    pub server: &'a Server,
    /// It is the floor.
    pub floor: bool,
    /// Told how far the run is.
    pub eye: Eye,
}

/// A scenario by its name.
#[derive(Debug)]
pub struct Row {
    /// The subcommand.
    pub name: &'static str,
    /// What `--help` says.
    pub help: &'static str,
    /// Whether a mode must be one that messages reach.
    pub subscribes: bool,
    /// Whether clients send themselves, which a mode must be able to.
    pub speaks: bool,
    /// Whether the floor can do it too: it hears no client, and has no heartbeats.
    pub floor: bool,
    run: fn(&Case<'_>) -> Result<Vec<Figure>, Trouble>,
}

/// Every scenario.
pub const ROWS: [Row; 12] = [
    Row {
        name: "hold",
        help: "opens -n connections and lets them idle: memory, CPU, descriptors",
        subscribes: false,
        speaks: false,
        floor: true,
        run: hold::run,
    },
    Row {
        name: "fanout",
        help: "publishes to -n subscribers, at --rate or with --in-flight: latency, CPU per delivery, what is lost",
        subscribes: true,
        speaks: false,
        floor: true,
        run: fanout::run,
    },
    Row {
        name: "chat",
        help: "every client is in some rooms and publishes to them itself, at --rate in total: latency, what is lost",
        subscribes: true,
        speaks: true,
        floor: false,
        run: chat::run,
    },
    Row {
        name: "peer",
        help: "clients in pairs send to each other by name, at --rate in total: latency, what is lost",
        subscribes: true,
        speaks: true,
        floor: false,
        run: peer::run,
    },
    Row {
        name: "churn",
        help: "closes and reopens --total of -n connections as fast as it goes: rate, CPU of each",
        subscribes: false,
        speaks: false,
        floor: true,
        run: churn::run,
    },
    Row {
        name: "storm",
        help: "cuts -n connections at once, which all come back: time, CPU of each, what is lost of sessions",
        subscribes: true,
        speaks: false,
        floor: true,
        run: storm::run,
    },
    Row {
        name: "slow",
        help: "publishes while a share of -n, --slow, reads nothing: what the others notice, and the server's memory",
        subscribes: true,
        speaks: false,
        floor: true,
        run: slow::run,
    },
    Row {
        name: "heartbeats",
        help: "holds -n idle ones beside a storm of messages on another channel: how late their heartbeats are",
        subscribes: true,
        speaks: false,
        floor: false,
        run: heartbeats::run,
    },
    Row {
        name: "soak",
        help: "publishes for hours, cuts a tenth off every --every, or with --churn all come and go: what grows, what is lost",
        subscribes: true,
        speaks: false,
        floor: true,
        run: soak::run,
    },
    Row {
        name: "start",
        help: "starts the server --times times: time until it is ready, memory before anybody connects, its size",
        subscribes: false,
        speaks: false,
        floor: false,
        run: start::run,
    },
    Row {
        name: "sessions",
        help: "makes -n CSP sessions without connections: memory of each, and of each of --subscriptions",
        subscribes: false,
        speaks: false,
        floor: false,
        run: sessions::run,
    },
    Row {
        name: "doors",
        help: "publishes as fast as it goes over HTTP, STOMP and OP, for --time each: messages a second, CPU of each",
        subscribes: false,
        speaks: false,
        floor: false,
        run: doors::run,
    },
];

/// Those that have no crowd, so no mode.
const CROWDLESS: [&str; 3] = ["start", "sessions", "doors"];

/// Those that need nothing of two connections to different copies of a server.
const SPREADS: [&str; 3] = ["hold", "fanout", "churn"];

impl Row {
    /// The scenario of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.name == name)
    }

    /// Whether clients of this mode can do what they are to.
    ///
    /// # Errors
    /// What they cannot.
    pub fn suits(&self, mode: &mode::Row) -> Result<(), Trouble> {
        let cannot = match (self.subscribes, self.speaks) {
            (true, _) if !mode.subscribes => "subscribe",
            (_, true) if !mode.speaks() => "send",
            _ => return Ok(()),
        };
        let text = format!(
            "{}: clients of mode {} do not {cannot}",
            self.name, mode.name
        );
        Err(Trouble::Usage(text))
    }

    /// Runs against the floor first if asked for, then against the server; `--repeat` times.
    ///
    /// # Errors
    /// A run that could not be made.
    pub fn report(&self, options: &Options, mode: &'static mode::Row) -> Result<Report, Trouble> {
        self.suits(mode)?;
        if options.floor && !self.floor {
            eprintln!("{}: not what the floor can do: no ratios", self.name);
        }
        if options.servers > 1 && !SPREADS.contains(&self.name) {
            let text = format!("{} is about one server, not --servers", self.name);
            return Err(Trouble::Usage(text));
        }
        let runs = (0..options.repeat).map(|_| self.once(options, mode));
        let runs: Result<Vec<_>, _> = runs.collect();
        median(runs?).ok_or_else(|| Trouble::Usage("no run is asked for".into()))
    }

    fn once(&self, options: &Options, mode: &'static mode::Row) -> Result<Report, Trouble> {
        let floor = match (options.floor && self.floor, mode::Row::named(mode.floor)) {
            (true, Some(mode)) => {
                let server = Server::floor(options)?;
                Some(self.case(options, mode, &server, true)?)
            }
            _ => None,
        };
        let server = options.server()?;
        let mut report = Report {
            scenario: self.name,
            mode: match CROWDLESS.contains(&self.name) {
                true => "-",
                false => mode.name,
            },
            connections: options.connections,
            server: self.case(options, mode, &server, false)?,
            floor,
        };
        if let Some(floor) = report.floor_value("idle_cpu") {
            let above = report.value("idle_cpu").unwrap_or_default() - floor;
            let above = figure("idle_cpu_above", above, "% of a core, above the floor");
            report.server.figures.push(above);
        }
        Ok(report)
    }

    fn case(
        &self,
        options: &Options,
        mode: &'static mode::Row,
        server: &Server,
        floor: bool,
    ) -> Result<Found, Trouble> {
        let of_floor = if floor { " (floor)" } else { "" };
        let label = format!("{} {}{of_floor}", self.name, mode.name);
        let watch = Watch::start(label, options.connections, &server.pids);
        let figures = (self.run)(&Case {
            options,
            mode,
            server,
            floor,
            eye: watch.eye(),
        })?;
        Ok(Found {
            figures,
            seen: watch.end(),
        })
    }
}

impl Case<'_> {
    /// The crowd that reads the channel, or only connects; not yet dialed.
    fn crowd(&self) -> Result<Crowd, Trouble> {
        self.crowd_of(match self.options.subscribe {
            true => Part::Reads,
            false => Part::Idles,
        })
    }

    /// The crowd once all of it is ready and the server has come to rest.
    fn held(&self, mut crowd: Crowd) -> Result<Crowd, Trouble> {
        crowd.raise(self.options.ramp)?;
        sleep(self.options.settle);
        Ok(crowd)
    }

    /// The crowd that is there for something else.
    fn crowd_of(&self, part: Part) -> Result<Crowd, Trouble> {
        self.crowd_for(&Crew {
            channel: &self.options.channel,
            part,
            total: self.options.connections,
            interval_s: 0,
            hold_s: 0,
        })
    }

    /// One of several crowds.
    fn crowd_for(&self, crew: &Crew<'_>) -> Result<Crowd, Trouble> {
        let setup = Setup {
            mode: self.mode.name.to_owned(),
            floor: self.floor,
            target: self.server.target,
            channel: crew.channel.to_owned(),
            part: crew.part,
            first: 0,
            share: 0,
            interval_s: crew.interval_s,
            hold_s: crew.hold_s,
            window: self.options.window,
            worker: 0,
            acks: self.options.acks,
            template: self.options.template.clone(),
        };
        // As many load processes as there are servers, or what one may hold decides.
        let share = Self::per_process().min(crew.total.div_ceil(self.options.servers));
        Crowd::start(setup, crew.total, share, self.options.pin, self.eye.clone())
    }

    /// Connections that one load process holds.
    fn per_process() -> u32 {
        let files = u32::try_from(sys::raise_open_files()).unwrap_or(u32::MAX);
        // What is left is for pipes, the poll and shared connections.
        files.saturating_sub(200).clamp(100, PER_PROCESS)
    }

    /// Where messages are published: to each of these.
    fn internals(&self) -> Result<&[SocketAddr], Trouble> {
        match &self.server.internals[..] {
            [] => Err(Trouble::Usage("this needs --internal".into())),
            internals => Ok(internals),
        }
    }

    /// Where they are where it is one server.
    fn internal(&self) -> Result<SocketAddr, Trouble> {
        match self.internals()? {
            [internal] => Ok(*internal),
            _ => Err(Trouble::Usage(
                "this is about one server, not --servers".into(),
            )),
        }
    }

    /// The path there.
    fn publish_path(&self) -> String {
        self.publish_path_of(&self.options.channel)
    }

    /// The path there of some channel.
    fn publish_path_of(&self, channel: &str) -> String {
        match (self.floor, &self.options.publish) {
            (true, _) => "/publish".into(),
            (false, Some(path)) => path.clone(),
            (false, None) => format!("/api/publish/{channel}"),
        }
    }
}

/// Clients of one kind.
#[derive(Debug)]
struct Crew<'a> {
    /// What they subscribe to.
    channel: &'a str,
    /// What they are there for.
    part: Part,
    /// How many they are.
    total: u32,
    /// The silence, in seconds, after which CSP clients ask to hear something; 0 leaves it to the server.
    interval_s: u32,
    /// Seconds that CSP clients have a response held; 0 leaves it to the server.
    hold_s: u32,
}

/// Connections of one load process where the open-file limit allows more: one thread reads no more in time.
const PER_PROCESS: u32 = 18_000;
