//! The Prometheus text format, version 0.0.4.
//!
//! In: counters and facts. Out: one `# TYPE` per name and its samples. Names are those users of such servers
//! know; labels are words of our own, never a client's.

use crate::metrics::{Kind, Metrics, TURN_US, Turns};
use std::fmt::Write as _;

/// What the tables hold now.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Open connections.
    pub connections: usize,
    /// Channels and users with a session.
    pub channels: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Bytes that all queues hold.
    pub queue_bytes: u64,
    /// Bytes and messages that channels have kept.
    pub history: (usize, usize),
    /// Messages that wait for users without session, and their bytes.
    pub waiting: (usize, usize),
    /// Different transport settings in use.
    pub profiles: usize,
    /// Events that wait for URLs of the application, or for its groups.
    pub callback_waiting: usize,
    /// Such URLs to which little is sent since they answered nothing.
    pub callbacks_open: usize,
}

/// The text of `/metrics`.
#[must_use]
pub fn prometheus(facts: &Facts, metrics: &Metrics) -> String {
    let mut text = Text(String::with_capacity(4096));
    for (name, help, value) in gauges(facts) {
        text.head(name, "gauge", help);
        text.sample(name, "", value);
    }
    let sessions = Kind::ALL
        .iter()
        .map(|(kind, name)| (*name, metrics.sessions[*kind as usize]));
    text.family(
        "orbited_sessions",
        "gauge",
        "Sessions by transport.",
        "transport",
        sessions,
    );
    text.family(
        "orbited_signoffs_total",
        "counter",
        "Sessions ended.",
        "reason",
        metrics.signoffs(),
    );
    text.family(
        "orbited_undelivered_total",
        "counter",
        "Messages not acknowledged at sign-off.",
        "reason",
        metrics.undelivered(),
    );
    text.family(
        "orbited_dropped_total",
        "counter",
        "Messages dropped by a channel's slow policy: for a reader, or by every for all.",
        "policy",
        metrics.dropped.counts(),
    );
    let refused = metrics.refused.iter().map(|(code, count)| (*code, *count));
    text.family(
        "orbited_refused_total",
        "counter",
        "Refusals.",
        "reason",
        refused,
    );
    text.callbacks(metrics);
    for (name, help, value) in counters(metrics) {
        text.head(name, "counter", help);
        text.sample(name, "", value);
    }
    text.turns(&metrics.turns);
    text.head("orbited_build_info", "gauge", "The version.");
    text.sample(
        "orbited_build_info",
        concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}"),
        1,
    );
    text.0
}

/// What has no labels of it, as JSON, and how many sessions there are.
#[must_use]
pub fn stats(facts: &Facts, metrics: &Metrics) -> String {
    let mut out = format!("{{\"sessions\":{}", metrics.sessions.iter().sum::<u64>());
    for (name, _, value) in gauges(facts).into_iter().chain(counters(metrics)) {
        let name = name.trim_start_matches("orbited_");
        // A string cannot fail.
        let _ = write!(out, ",\"{name}\":{value}");
    }
    out.push_str("}\n");
    out
}

/// A metric without labels: its name, what it says, its value.
type Plain = (&'static str, &'static str, u64);

#[rustfmt::skip]
fn gauges(facts: &Facts) -> [Plain; 11] {
    [
        ("orbited_connections", "Open connections.", facts.connections as u64),
        ("orbited_channels", "Channels and users with a session.", facts.channels as u64),
        ("orbited_subscriptions", "Subscriptions of sessions, and one for each named user's own messages.", facts.subscriptions as u64),
        ("orbited_queue_bytes", "Bytes waiting for all clients.", facts.queue_bytes),
        ("orbited_history_bytes", "Bytes kept as history.", facts.history.0 as u64),
        ("orbited_history_messages", "Messages kept as history.", facts.history.1 as u64),
        ("orbited_waiting_messages", "Messages that wait for users without session.", facts.waiting.0 as u64),
        ("orbited_waiting_bytes", "Bytes of these, and of their places.", facts.waiting.1 as u64),
        ("orbited_profiles", "Different transport settings in use.", facts.profiles as u64),
        ("orbited_callback_waiting", "Events that wait for URLs or groups of the application.", facts.callback_waiting as u64),
        ("orbited_callbacks_open", "URLs of the application whose circuit breaker is open.", facts.callbacks_open as u64),
    ]
}

#[rustfmt::skip]
fn counters(metrics: &Metrics) -> [Plain; 10] {
    [
        ("orbited_accepts_total", "Connections taken in.", metrics.accepts),
        ("orbited_requests_total", "Requests served.", metrics.requests),
        ("orbited_signons_total", "Sessions begun.", metrics.signons),
        ("orbited_takeovers_total", "Downstreams taken over by another.", metrics.switches),
        ("orbited_messages_in_total", "Messages from clients and the application.", metrics.messages_in),
        ("orbited_messages_out_total", "Messages queued for clients.", metrics.messages_out),
        ("orbited_bytes_in_total", "Bytes read.", metrics.bytes_in),
        ("orbited_bytes_out_total", "Bytes written.", metrics.bytes_out),
        ("orbited_resent_total", "Packets written again on a new downstream.", metrics.resent),
        ("orbited_loop_turns_total", "Turns of the loop.", metrics.turns.count),
    ]
}

struct Text(String);

impl Text {
    fn family<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        samples: impl Iterator<Item = (&'a str, u64)>,
    ) {
        self.head(name, kind, help);
        samples.for_each(|(value, count)| {
            self.sample(name, &format!("{{{label}=\"{value}\"}}"), count)
        });
    }

    fn callbacks(&mut self, metrics: &Metrics) {
        self.family(
            "orbited_callbacks_total",
            "counter",
            "Requests to URLs of the application.",
            "result",
            metrics.callbacks.requests(),
        );
        self.family(
            "orbited_callback_events_total",
            "counter",
            "Events for URLs of the application.",
            "result",
            metrics.callbacks.events(),
        );
    }

    /// A histogram has the samples of each bucket and all below it.
    fn turns(&mut self, turns: &Turns) {
        let name = "orbited_loop_turn_seconds";
        let help = "Work of a turn of the loop, during which nobody else is served.";
        self.head(name, "histogram", help);
        let mut below = 0;
        for (n, took) in turns.took.iter().enumerate() {
            below += took;
            let bound = TURN_US.get(n).map(|us| seconds(*us));
            let bound = bound.as_deref().unwrap_or("+Inf");
            let label = format!("{{le=\"{bound}\"}}");
            self.sample(&format!("{name}_bucket"), &label, below);
        }
        self.sample(&format!("{name}_count"), "", below);
        let _ = writeln!(self.0, "{name}_sum {}", seconds(turns.sum_us));
        let name = "orbited_loop_turn_seconds_max";
        self.head(name, "gauge", "The longest turn of the loop so far.");
        let _ = writeln!(self.0, "{name} {}", seconds(turns.longest_us));
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn seconds(us: u64) -> String {
    (us as f64 / 1e6).to_string()
}
