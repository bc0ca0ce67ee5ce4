//! The one table of flags: a new flag is a row here, its field in `Config`, its reader, its test.
//!
//! Data in: a flag's texts. Data out: fields of `Config`, or the `Fault`. This file must not know
//! in which order flags are read or how help is laid out.

use super::fields::{
    ANY, BUILT_IN, NO_RULES, NONE, PEER_FORM, joined, listen_or_off, peer_word, read_listen,
    set_channels, set_cookie, set_listen, set_origins, set_peer, set_static_dir, several,
};
use super::flag::{Flag, Group, Kind, Number, env_name};
use super::{auth, callbacks, logging, value};
use crate::config::keys::{self, HISTORY_FORM, Setting};
use crate::config::rule;
use crate::config::{Cookie, cookie};

/// A `Number` for a field of `Config`.
macro_rules! number {
    ($field:ident, $min:expr, $max:expr) => {
        Number {
            min: $min,
            max: $max,
            read: |config| config.$field as u64,
            write: |config, n| n.try_into().map(|n| config.$field = n).is_ok(),
        }
    };
}

/// Every flag, in the order of `--help`.
pub static FLAGS: &[Flag] = &[
    Flag {
        name: "listen",
        group: Group::Listen,
        kind: Kind::Words {
            placeholder: "ADDR:PORT|unix:PATH",
            form: value::LISTEN_FORM,
            between: ',',
            read: |config| joined(&config.listen, ","),
            write: set_listen,
        },
        help: "Where browsers connect, by HTTP and WebSocket. Port 0 takes a free one.",
    },
    Flag {
        name: "internal",
        group: Group::Listen,
        kind: Kind::Word {
            placeholder: "ADDR:PORT|unix:PATH|off",
            form: value::LISTEN_FORM,
            read: |config| listen_or_off(&config.internal),
            write: |config, text| read_listen(text).map(|at| config.internal = at),
        },
        help: "Where the application and the operator connect: API, health, metrics.",
    },
    Flag {
        name: "op",
        group: Group::Listen,
        kind: Kind::Word {
            placeholder: "ADDR:PORT|unix:PATH|off",
            form: value::LISTEN_FORM,
            read: |config| listen_or_off(&config.op),
            write: |config, text| read_listen(text).map(|at| config.op = at),
        },
        help: "Where the application speaks OP; outside demo mode its password is a key of --api-key.",
    },
    Flag {
        name: "op-welcome",
        group: Group::Listen,
        kind: Kind::Switch {
            read: |config| config.op_welcome,
            write: |config, on| config.op_welcome = on,
        },
        help: "Who signs on waits until the application says WELCOME by OP, for --callback-timeout at most.",
    },
    Flag {
        name: "stomp",
        group: Group::Listen,
        kind: Kind::Word {
            placeholder: "ADDR:PORT|unix:PATH|off",
            form: value::LISTEN_FORM,
            read: |config| listen_or_off(&config.stomp),
            write: |config, text| read_listen(text).map(|at| config.stomp = at),
        },
        help: "Where STOMP is spoken; with HTTP in front it is at --listen too, under /_/stomp.",
    },
    Flag {
        name: "reuse-port",
        group: Group::Listen,
        kind: Kind::Switch {
            read: |config| config.reuse_port,
            write: |config, on| config.reuse_port = on,
        },
        help: "Let several nodes share the addresses (SO_REUSEPORT).",
    },
    Flag {
        name: "backlog",
        group: Group::Listen,
        kind: Kind::Count(number!(backlog, 1, 65_535)),
        help: "Connections the kernel holds until they are accepted, at most net.core.somaxconn.",
    },
    Flag {
        name: "max-sessions",
        group: Group::Sessions,
        kind: Kind::Count(number!(max_sessions, 1, SLOTS_MAX)),
        help: "Sessions at once; further handshakes are refused.",
    },
    Flag {
        name: "session-timeout",
        group: Group::Sessions,
        kind: Kind::Time(number!(session_timeout_ms, TENTH_MS, DAY_MS)),
        help: "How long a session lives without a downstream; at least twice its du (30s). A ping waits no longer for its answer.",
    },
    Flag {
        name: "bayeux-idle",
        group: Group::Sessions,
        kind: Kind::Time(number!(bayeux_idle_ms, 0, DAY_MS)),
        help: "When a session of Bayeux ends whose client sends nothing but connects; 0 is never.",
    },
    Flag {
        name: "linger",
        group: Group::Sessions,
        kind: Kind::Time(number!(linger_ms, 0, 10 * MINUTE_MS)),
        help: "How long a closed session waits for its last packets to be acknowledged.",
    },
    Flag {
        name: "max-queue",
        group: Group::Sessions,
        kind: Kind::Size(number!(max_queue, 4 * KIB, GIB)),
        help: "Bytes waiting for one session; beyond it the session is closed.",
    },
    Flag {
        name: "max-queue-total",
        group: Group::Sessions,
        kind: Kind::Size(number!(max_queue_total, MIB, 1024 * GIB)),
        help: "Bytes waiting for all sessions together.",
    },
    Flag {
        name: "max-channels",
        group: Group::Channels,
        kind: Kind::Count(number!(max_channels, 1, SLOTS_MAX)),
        help: "Channels at once.",
    },
    Flag {
        name: "presence-grace",
        group: Group::Channels,
        kind: Kind::Time(number!(presence_grace_ms, 0, 10 * MINUTE_MS)),
        help: "How long a user who loses the last session may take to come back before others are told.",
    },
    Flag {
        name: "idempotency-window",
        group: Group::Channels,
        kind: Kind::Time(number!(once_ms, 1_000, DAY_MS)),
        help: "How long a publication with the id of another is the same.",
    },
    Flag {
        name: "max-history",
        group: Group::Channels,
        kind: Kind::Size(number!(max_history, KIB, 1024 * GIB)),
        help: "Bytes that all channels keep as history together; beyond it the oldest message goes.",
    },
    Flag {
        name: "event-history",
        group: Group::Channels,
        kind: Kind::Word {
            placeholder: "N[,TIME][,SIZE]|off",
            form: HISTORY_FORM,
            read: |config| Setting::History(config.event_history).to_string(),
            write: |config, text| {
                config.event_history = keys::history(text)?;
                Ok(())
            },
        },
        help: "What is kept of each kind of event for the application, so that it may come back to /api/events; part of --max-history.",
    },
    Flag {
        name: "max-subscriptions",
        group: Group::Channels,
        kind: Kind::Count(number!(max_subscriptions, 1, 65_535)),
        help: "Channels that one session may be subscribed to.",
    },
    Flag {
        name: "max-message",
        group: Group::Channels,
        kind: Kind::Size(number!(max_message, KIB, 64 * MIB)),
        help: "Bytes of one message; a bare WebSocket allows 4KiB more. At most --max-queue.",
    },
    Flag {
        name: "channel",
        group: Group::Channels,
        kind: Kind::Words {
            placeholder: "RULE",
            form: rule::RULE_FORM,
            between: ';',
            read: |config| match config.policies.rules() {
                [] => NO_RULES.to_owned(),
                rules => joined(rules, "; "),
            },
            write: set_channels,
        },
        help: "What holds for channels: a pattern and keys, see Channel rules; none is no rule. The default is for the demo page, and gone when a rule is given. A variable has ; between them.",
    },
    Flag {
        name: "peer",
        group: Group::Channels,
        kind: Kind::Word {
            placeholder: "anyone|user|off",
            form: PEER_FORM,
            read: |config| peer_word(config.peer).to_owned(),
            write: set_peer,
        },
        help: "Who may send to users by name: any session, one with a user name, nobody.",
    },
    auth::API_KEY,
    auth::TOKEN_KEY,
    auth::TOKEN_JWKS,
    auth::TOKEN_AUDIENCE,
    auth::TOKEN_ISSUER,
    auth::TOKEN_LEEWAY,
    auth::TOKEN_LIFE,
    auth::NAMES,
    callbacks::URL,
    callbacks::DECIDE,
    callbacks::KEY,
    callbacks::QUEUE,
    callbacks::TIMEOUT,
    callbacks::NODE,
    Flag {
        name: "max-connections",
        group: Group::Limits,
        kind: Kind::Count(number!(max_connections, 1, SLOTS_MAX)),
        help: "Sockets at once. The open-file limit (ulimit -n) binds first.",
    },
    Flag {
        name: "max-line",
        group: Group::Limits,
        kind: Kind::Size(number!(max_line, KIB, MIB)),
        help: "Bytes of a request line; longer is 414. Script-tag clients send up to 32KiB in it.",
    },
    Flag {
        name: "max-head",
        group: Group::Limits,
        kind: Kind::Size(number!(max_head, KIB, MIB)),
        help: "Bytes of a request's header fields; more is 431.",
    },
    Flag {
        name: "max-body",
        group: Group::Limits,
        kind: Kind::Size(number!(max_body, KIB, GIB)),
        help: "Bytes of a request's body; more is 413.",
    },
    Flag {
        name: "max-batch",
        group: Group::Limits,
        kind: Kind::Count(number!(max_batch, 1, 65_536)),
        help: "Packets in one batch of a client.",
    },
    Flag {
        name: "max-requests",
        group: Group::Limits,
        kind: Kind::Count(number!(max_requests, 0, 1_000_000_000)),
        help: "Requests on one connection, then it is closed; 0 is no limit.",
    },
    Flag {
        name: "header-timeout",
        group: Group::Timeouts,
        kind: Kind::Time(number!(header_timeout_ms, TENTH_MS, 10 * MINUTE_MS)),
        help: "How long a request's head may take to arrive.",
    },
    Flag {
        name: "keepalive-timeout",
        group: Group::Timeouts,
        kind: Kind::Time(number!(keepalive_timeout_ms, TENTH_MS, 60 * MINUTE_MS)),
        help: "How long an idle connection is kept between two requests.",
    },
    Flag {
        name: "heartbeat",
        group: Group::Timeouts,
        kind: Kind::Time(number!(heartbeat_ms, TENTH_MS, 60 * MINUTE_MS)),
        help: "Silence after which a stream is sent a heartbeat (a ping on WebSocket), at most.",
    },
    Flag {
        name: "tcp-timeout",
        group: Group::Timeouts,
        kind: Kind::Time(number!(tcp_timeout_ms, 0, 60 * MINUTE_MS)),
        help: "A peer whose kernel acknowledges nothing for so long is gone; 0s is the system's.",
    },
    Flag {
        name: "tcp-keepalive",
        group: Group::Timeouts,
        kind: Kind::Time(number!(tcp_keepalive_ms, 0, 9 * 60 * MINUTE_MS)),
        help: "Silence after which TCP itself probes a peer; 0s is never.",
    },
    Flag {
        name: "allow-origin",
        group: Group::Browsers,
        kind: Kind::Words {
            placeholder: "ORIGIN",
            form: value::ORIGIN_FORM,
            between: ',',
            read: |config| match config.allow_origin.is_empty() {
                true => ANY.to_owned(),
                false => joined(&config.allow_origin, ","),
            },
            write: set_origins,
        },
        help: "Origins whose pages may connect, like https://example.org; * is any.",
    },
    Flag {
        name: "location",
        group: Group::Browsers,
        kind: Kind::Words {
            placeholder: "/PATH",
            form: value::LOCATION_FORM,
            between: ',',
            read: |config| match config.locations.is_empty() {
                true => NONE.to_owned(),
                false => joined(&config.locations, ","),
            },
            write: |config, values| {
                config.locations = several(values, value::location)?;
                Ok(())
            },
        },
        help: "A location of Orbited 0.3 that is served at its own path too, like /chat, in front of files; all are served below /_/orbit.",
    },
    Flag {
        name: "bayeux-cookie",
        group: Group::Browsers,
        kind: Kind::Word {
            placeholder: "WORDS|off",
            form: cookie::COOKIE_FORM,
            read: |config| {
                let cookie = config.bayeux_cookie.as_ref();
                cookie.map_or("off".to_owned(), Cookie::to_string)
            },
            write: set_cookie,
        },
        help: "How BAYEUX_BROWSER is set, like secure,samesite=none.",
    },
    Flag {
        name: "legacy-html",
        group: Group::Browsers,
        kind: Kind::Switch {
            read: |config| config.legacy_html,
            write: |config, on| config.legacy_html = on,
        },
        help: "Answer client-chosen text as HTML, and reflect. Unsafe on an origin with users.",
    },
    Flag {
        name: "static-dir",
        group: Group::Browsers,
        kind: Kind::Word {
            placeholder: "DIR",
            form: "a folder, or built-in",
            read: |config| match &config.static_dir {
                Some(folder) => folder.display().to_string(),
                None => BUILT_IN.to_owned(),
            },
            write: set_static_dir,
        },
        help: "Folder of pages and client libraries, instead of the built-in ones.",
    },
    Flag {
        name: "log",
        group: Group::Logging,
        kind: Kind::Word {
            placeholder: "FILTER",
            form: logging::FILTER_FORM,
            read: |config| config.log.clone(),
            write: |config, text| {
                logging::check(text)?;
                config.log = text.to_owned();
                Ok(())
            },
        },
        help: "What is logged: a level, or levels by module, like info,orbited::session=debug.",
    },
];

/// The row of this name and its index in `FLAGS`.
pub fn find(name: &str) -> Option<(usize, &'static Flag)> {
    FLAGS.iter().enumerate().find(|(_, flag)| flag.name == name)
}

/// The row that this environment name sets and its index in `FLAGS`.
pub fn of_variable(name: &str) -> Option<(usize, &'static Flag)> {
    FLAGS
        .iter()
        .enumerate()
        .find(|(_, flag)| env_name(flag.name) == name)
}

/// Rows of a table: 16 times the default, and every index still fits 24 bits.
const SLOTS_MAX: u64 = 1 << 24;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// The least timeout, for tests: a tenth of a second is well above a turn of the loop.
const TENTH_MS: u64 = 100;
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
