//! Every flag: its name, what it takes, what `--help` says, and where its value goes.

use super::Options;
use super::value::{field, local, modes, name, number, path, push, set, some, text, time};
use crate::payload::MARK_BYTES;
use crate::report::Bar;
use std::path::PathBuf;

/// A flag.
pub struct Flag {
    /// Its long name.
    pub name: &'static str,
    /// What it takes; empty for a switch.
    pub value: &'static str,
    /// What `--help` says.
    pub help: &'static str,
    /// Puts the value in its place, or says what was wanted.
    pub set: fn(&mut Options, &str) -> Result<(), String>,
}

const fn flag(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut Options, &str) -> Result<(), String>,
) -> Flag {
    Flag {
        name,
        value,
        help,
        set,
    }
}

/// Every flag.
pub const FLAGS: [Flag; 53] = [
    flag(
        "server",
        "COMMAND",
        "start this and stop it after; it must print `ready http=… internal=…`",
        |o, v| some(&mut o.command, text(v)),
    ),
    flag(
        "servers",
        "N",
        "copies of it on one port, by SO_REUSEPORT (1)",
        |o, v| set(&mut o.servers, number(v, 1, 200)),
    ),
    flag("target", "ADDR", "a server that runs already", |o, v| {
        some(&mut o.target, local(v))
    }),
    flag("internal", "ADDR", "where it takes messages", |o, v| {
        some(&mut o.internal, local(v))
    }),
    flag("pid", "PID", "its process; may repeat", |o, v| {
        push(&mut o.pids, number(v, 1, u32::MAX))
    }),
    flag(
        "publish-path",
        "PATH",
        "where messages are posted, instead of /api/publish/CHANNEL",
        |o, v| some(&mut o.publish, path(v)),
    ),
    flag(
        "floor",
        "",
        "run against the floor too, and print ratios",
        |o, _| set(&mut o.floor, Ok(true)),
    ),
    flag(
        "batch",
        "",
        "the floor writes once per subscriber per turn",
        |o, _| set(&mut o.batch, Ok(true)),
    ),
    flag(
        "floor-heartbeat",
        "TIME",
        "the floor sends every held connection a ping or comment once in it",
        |o, v| some(&mut o.floor_heartbeat, time(v)),
    ),
    flag(
        "reuse-port",
        "",
        "`floor` shares its address with others",
        |o, _| set(&mut o.reuse_port, Ok(true)),
    ),
    flag(
        "listen",
        "ADDR",
        "where `floor` listens (a free port)",
        |o, v| set(&mut o.listen, local(v)),
    ),
    flag(
        "mode",
        "MODE[,MODE]",
        "kinds of client, one run each (ws)",
        |o, v| set(&mut o.modes, modes(v)),
    ),
    flag("connections", "N", "how many, also -n (1000)", |o, v| {
        set(&mut o.connections, number(v, 1, 1_000_000))
    }),
    flag(
        "window",
        "N",
        "connections being set up at once (128)",
        |o, v| set(&mut o.window, number(v, 1, 4096)),
    ),
    flag("rate", "N", "messages a second (10)", |o, v| {
        set(&mut o.rate, number(v, 0.01, 1e6))
    }),
    flag(
        "in-flight",
        "N",
        "fanout: publish when fewer are on their way, not at --rate",
        |o, v| some(&mut o.in_flight, number(v, 1, 1000)),
    ),
    flag("rooms", "N", "chat: how many rooms (100)", |o, v| {
        set(&mut o.rooms, number(v, 1, 1_000_000))
    }),
    flag(
        "rooms-per-client",
        "N",
        "chat: in how many each client is (10)",
        |o, v| set(&mut o.rooms_per_client, number(v, 1, 1000)),
    ),
    flag(
        "burst",
        "N",
        "chat: messages that a client sends at once, to rooms in turn (1)",
        |o, v| set(&mut o.burst, number(v, 1, 1000)),
    ),
    flag("size", "BYTES", "of a message (200)", |o, v| {
        set(&mut o.size, number(v, MARK_BYTES, 1 << 20))
    }),
    flag("time", "TIME", "for how long to publish (10s)", |o, v| {
        set(&mut o.time, time(v))
    }),
    flag(
        "anew",
        "",
        "storm: shake hands again, though the session waits",
        |o, _| set(&mut o.anew, Ok(true)),
    ),
    flag(
        "slow",
        "SHARE",
        "slow: of the clients that stop reading (0.1)",
        |o, v| set(&mut o.slow, number(v, 0.0, 0.99)),
    ),
    flag(
        "heartbeat",
        "TIME",
        "heartbeats: what the server's is set to (25s)",
        |o, v| set(&mut o.heartbeat, time(v)),
    ),
    flag(
        "storm-subscribers",
        "N",
        "heartbeats: who is published to (100)",
        |o, v| set(&mut o.storm_subscribers, number(v, 1, 1_000_000)),
    ),
    flag("total", "N", "connections to reopen (1000)", |o, v| {
        set(&mut o.total, number(v, 1, 10_000_000))
    }),
    flag("times", "N", "start: how often (10)", |o, v| {
        set(&mut o.times, number(v, 1, 1000))
    }),
    flag(
        "subscriptions",
        "N",
        "sessions: channels of each (1)",
        |o, v| set(&mut o.subscriptions, number(v, 1, 128)),
    ),
    flag(
        "every",
        "TIME",
        "soak: between two looks, each of which cuts a tenth off (1m)",
        |o, v| set(&mut o.every, time(v)),
    ),
    flag(
        "churn",
        "N",
        "soak: instead, so many sessions leave a second, and as many come, in every way that real ones do",
        |o, v| some(&mut o.churn, number(v, 0.1, 1e5)),
    ),
    flag(
        "hold",
        "SECONDS",
        "soak --churn: CSP's du; what is deserted lives twice as long, or for the server's --session-timeout (5)",
        |o, v| set(&mut o.hold_s, number(v, 1, 60)),
    ),
    flag("settle", "TIME", "rest before a look (1s)", |o, v| {
        set(&mut o.settle, time(v))
    }),
    flag(
        "no-subscribe",
        "",
        "hold: clients only connect: an open WebSocket, a session with its first comet",
        |o, _| set(&mut o.subscribe, Ok(false)),
    ),
    flag(
        "twice",
        "",
        "hold: close all and do it again, in the same server",
        |o, _| set(&mut o.twice, Ok(true)),
    ),
    flag(
        "between",
        "TIME",
        "--twice: rest between the two; for CSP longer than sessions live on, 65s (3s)",
        |o, v| set(&mut o.between, time(v)),
    ),
    flag(
        "idle",
        "TIME",
        "over which idle CPU is taken (5s)",
        |o, v| set(&mut o.idle, time(v)),
    ),
    flag("ramp", "TIME", "most for opening all (2m)", |o, v| {
        set(&mut o.ramp, time(v))
    }),
    flag(
        "drain",
        "TIME",
        "most for the last messages (5s)",
        |o, v| set(&mut o.drain, time(v)),
    ),
    flag(
        "channel",
        "NAME",
        "what to publish to (loadtest)",
        |o, v| set(&mut o.channel, name(v)),
    ),
    flag(
        "no-acks",
        "",
        "CSP streams and WebSockets do not acknowledge by themselves",
        |o, _| set(&mut o.acks, Ok(false)),
    ),
    flag(
        "pin",
        "",
        "the server on processor 0, the load on 1",
        |o, _| set(&mut o.pin, Ok(true)),
    ),
    flag(
        "path",
        "PATH",
        "template, http, nchan-poll, bayeux: what to ask for (/, and /_/bayeux)",
        |o, v| set(&mut o.template.path, path(v)),
    ),
    flag(
        "header",
        "FIELD",
        "template: `Name: value`; may repeat",
        |o, v| push(&mut o.template.headers, field(v)),
    ),
    flag(
        "first",
        "TEXT",
        "template: a WebSocket message to send first; may repeat",
        |o, v| push(&mut o.template.first, text(v)),
    ),
    flag(
        "websocket",
        "",
        "template: upgrade without a first message too",
        |o, _| set(&mut o.template.websocket, Ok(true)),
    ),
    flag("json", "FILE", "add a line of JSON for each run", |o, v| {
        some(&mut o.json, text(v).map(PathBuf::from))
    }),
    flag(
        "html",
        "FILE",
        "write a page with tables and charts",
        |o, v| some(&mut o.html, text(v).map(PathBuf::from)),
    ),
    flag(
        "repeat",
        "N",
        "runs of which the median is told, and the worst of losses (1)",
        |o, v| set(&mut o.repeat, number(v, 1, 99)),
    ),
    flag(
        "quick",
        "",
        "suite: few connections; holds bars on losses only",
        |o, _| set(&mut o.quick, Ok(true)),
    ),
    flag("only", "TEXT", "suite: rows with this in them", |o, v| {
        some(&mut o.only, text(v))
    }),
    flag(
        "bar",
        "BAR",
        "NAME<=VALUE or NAME>=VALUE, NAME a figure or FIGURE/floor; may repeat",
        |o, v| push(&mut o.bars, Bar::parse(v)),
    ),
    flag(
        "lost",
        "N",
        "bar: missing, repeated, reordered, refused, lost together",
        |o, v| push(&mut o.bars, number(v, 0.0, 1e12).map(Bar::losses)),
    ),
    flag("help", "", "this", |_, _| Ok(())),
];
