//! The settings of a node, as plain typed data.
//!
//! Data in: `cli` fills a `Config` from flags and the environment, within the bounds of its table.
//! Data out: every layer reads its own limits here. Sizes are bytes, times are milliseconds, counts
//! say of what. `policy` is what holds for each channel, read by `rule`, `keys` and `pattern`; `units`
//! and `near` help to read what an operator wrote. This folder must not know flags or the environment.

pub mod callback;
pub mod cookie;
pub mod decider;
pub mod keys;
pub mod near;
pub mod pattern;
pub mod policy;
pub mod rule;
pub mod secret;
pub mod token;
pub mod units;

pub use callback::Callback;
pub use cookie::Cookie;
pub use decider::Decider;
pub use policy::{History, Peer, Policies, Policy, Who};
pub use secret::ApiKey;
pub use token::{Material, Names, TokenKey};

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything an operator can set. `Config::default()` is the node that runs without a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where browsers connect, HTTP and WebSocket; at least one. Loopback, so that a first run
    /// exposes nothing.
    pub listen: Vec<Listen>,
    /// Where the application and the operator connect (API, health, metrics); `None` is off.
    pub internal: Option<Listen>,
    /// Where STOMP is spoken without HTTP in front; `None` is off.
    pub stomp: Option<Listen>,
    /// Where OP is spoken, by the application; `None` is off.
    pub op: Option<Listen>,
    /// Whether nobody begins before the application said by OP that it is welcome.
    pub op_welcome: bool,
    /// What the node is called where it speaks of itself; empty until the host's name is known, if none is given.
    pub node_name: String,
    /// Keys, of which every call of the API must show one; none is that none is asked for.
    pub api_keys: Vec<ApiKey>,
    /// Whether no flag of authentication is set: anyone who can connect may do anything, so only this machine can.
    pub demo: bool,
    /// Keys by which tokens are checked.
    pub token_keys: Vec<TokenKey>,
    /// Sets of such keys, as JSON.
    pub token_jwks: Vec<Material>,
    /// Audiences that tokens may be meant for; empty is that none may name any.
    pub token_audience: Vec<String>,
    /// Issuers that tokens may be of; empty is any.
    pub token_issuer: Vec<String>,
    /// Milliseconds by which the clocks of who makes tokens and who checks them may differ.
    pub token_leeway_ms: u64,
    /// Milliseconds that a token may have to live at most; a week, for so long a revocation is remembered.
    pub token_life_ms: u64,
    /// Who may have a user's name.
    pub names: Names,
    /// Bind with `SO_REUSEPORT`, so that several nodes share one address. Off: a second node by
    /// mistake must fail.
    pub reuse_port: bool,
    /// Connections the kernel holds before they are accepted; 1,024 rides out a reconnect storm of
    /// one loop turn.
    pub backlog: u32,

    /// Sockets at once. A million slots cost address space, not memory; the open-file limit binds
    /// first.
    pub max_connections: usize,
    /// Sessions at once, connected or between two polls. As many as connections: a session has at
    /// most one stream.
    pub max_sessions: usize,
    /// Bytes of a request line: script-tag clients send in targets of up to 32 KiB, and 1 KiB is
    /// for the rest.
    pub max_line: usize,
    /// Bytes of the header fields after the request line; 16 KiB, as usual with other servers,
    /// holds large cookies.
    pub max_head: usize,
    /// Bytes of a request body; 1 MiB is far above any batch of a browser client.
    pub max_body: usize,
    /// Packets in one upstream batch; 1,024 small ones fill an ordinary body and still take one
    /// loop turn.
    pub max_batch: usize,
    /// Bytes of one message, published or sent to a session; 128 KiB is eight of them in a
    /// session's queue.
    pub max_message: usize,
    /// Bytes waiting for one session; beyond it the session is closed, so one slow reader cannot
    /// take all memory.
    pub max_queue: usize,
    /// Bytes waiting for all sessions together; 512 MiB leaves a small machine able to run.
    pub max_queue_total: usize,
    /// Bytes that the histories of all channels hold together; beyond it the oldest message of all goes.
    pub max_history: usize,
    /// What is kept of each kind of event, for an application that comes back.
    pub event_history: Option<History>,
    /// Milliseconds that a user may be without session before others are told that it left; 5 s is a reload or a tunnel.
    pub presence_grace_ms: u64,
    /// Milliseconds for which a publication of the same id is the same publication; 2 min is longer than clients retry.
    pub once_ms: u64,
    /// Channels one session may be subscribed to; 128 of them cost 3 KiB.
    pub max_subscriptions: usize,
    /// Channels at once; a million, so that one per user is possible.
    pub max_channels: usize,
    /// What holds for channels, by their names; without a rule of the operator's, only what the demo page needs.
    pub policies: Policies,
    /// Who may send messages to users.
    pub peer: Peer,
    /// URLs of the application to which events are posted.
    pub callbacks: Vec<Callback>,
    /// Whom it asks, each matter of one URL only.
    pub deciders: Vec<Decider>,
    /// Keys that sign what is posted, each of them; none is that it is not signed.
    pub callback_keys: Vec<ApiKey>,
    /// Bytes of events waiting for one such URL; beyond it the oldest go. 8 MiB are 40,000 ends of sessions that lost
    /// nothing.
    pub callback_queue: usize,
    /// Milliseconds from the connection, or from the request on an open one, to the end of the answer; 10 s is more than
    /// an application that lives should need.
    pub callback_timeout_ms: u64,
    /// Requests on one connection before it is closed; 10,000 spreads clients anew behind a
    /// balancer. 0 is no limit.
    pub max_requests: u32,

    /// Milliseconds for a request's head to arrive; 10 s is enough for bad radio and little for a
    /// hoarder of sockets.
    pub header_timeout_ms: u64,
    /// Milliseconds an idle connection is kept between two requests; 15 s covers the gap between
    /// polls.
    pub keepalive_timeout_ms: u64,
    /// Milliseconds a session lives without a downstream, from the end of the last one; 60 s
    /// survives a tunnel.
    pub session_timeout_ms: u64,
    /// Milliseconds after which a session of Bayeux ends whose client only keeps it open; 0 is never, at most a day.
    pub bayeux_idle_ms: u64,
    /// Milliseconds a closed session waits for its last packets to be acknowledged; 10 s is some
    /// retries.
    pub linger_ms: u64,
    /// Milliseconds of silence before a stream gets a heartbeat (a ping on WebSocket); 25 s is
    /// below the 30 s at which the strictest proxies cut.
    pub heartbeat_ms: u64,
    /// Milliseconds without a TCP acknowledgement after which a peer is gone (`TCP_USER_TIMEOUT`); 30 s is what a
    /// write is given too. The system's own is some 15 minutes.
    pub tcp_timeout_ms: u64,
    /// Milliseconds of silence before TCP probes a peer; 0 is never, since heartbeats and pings do it.
    pub tcp_keepalive_ms: u64,

    /// Origins that browsers may come from, as browsers spell them; empty is any.
    pub allow_origin: Vec<String>,
    /// Locations served at these paths too, each with its slash, beside those below `/_/orbit`.
    pub locations: Vec<String>,
    /// How a browser that speaks Bayeux is given its cookie; `None` for no cookie.
    pub bayeux_cookie: Option<Cookie>,
    /// Answer client-chosen text as HTML, `reflect` too. Off: it is script on the operator's
    /// origin.
    pub legacy_html: bool,
    /// Folder served instead of the built-in pages; `None` is the built-in ones.
    pub static_dir: Option<PathBuf>,
    /// Which log lines are written: a level, then `module=level` after commas.
    pub log: String,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// TCP; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix stream socket at this path.
    Unix(PathBuf),
}

impl Listen {
    /// Whether only this machine can connect: 127.0.0.0/8 (mapped into IPv6 too), `::1`, and every
    /// Unix socket.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// The spelling that `--listen` takes: `ADDR:PORT` or `unix:PATH`.
impl fmt::Display for Listen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl Config {
    /// Sockets at once, those that the node opens itself to the application among them: nobody else takes their places, and each
    /// may be replaced in the turn in which it ends.
    #[must_use]
    pub fn sockets_max(&self) -> usize {
        let lanes: usize = self.deciders.iter().map(|one| one.lanes).sum();
        self.max_connections + 2 * (self.callbacks.len() + lanes)
    }

    /// Whether the application is asked who may begin, by whatever way.
    #[must_use]
    pub fn asks_who_begins(&self) -> bool {
        self.op_welcome || self.decider("signon").is_some()
    }

    /// Whom the application asks about `matter`, of `decider::MATTERS`: which of them, if there is one.
    #[must_use]
    pub fn decider(&self, matter: &str) -> Option<usize> {
        self.deciders.iter().position(|one| one.decides(matter))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![loopback(8000)],
            internal: Some(loopback(8001)),
            stomp: Some(loopback(61613)),
            op: Some(loopback(9000)),
            op_welcome: false,
            node_name: String::new(),
            api_keys: Vec::new(),
            demo: true,
            token_keys: Vec::new(),
            token_jwks: Vec::new(),
            token_audience: Vec::new(),
            token_issuer: Vec::new(),
            token_leeway_ms: 10_000,
            token_life_ms: 168 * 3_600_000,
            names: Names::Token,
            reuse_port: false,
            backlog: 1024,

            max_connections: 1_000_000,
            max_sessions: 1_000_000,
            max_line: 33 * KIB,
            max_head: 16 * KIB,
            max_body: 1024 * KIB,
            max_batch: 1024,
            max_message: 128 * KIB,
            max_queue: 1024 * KIB,
            max_queue_total: 512 * 1024 * KIB,
            max_history: 128 * 1024 * KIB,
            event_history: None,
            presence_grace_ms: 5_000,
            once_ms: 120_000,
            max_subscriptions: 128,
            max_channels: 1_000_000,
            policies: Policies::of_the_demo(),
            peer: Peer::Anyone,
            callbacks: Vec::new(),
            deciders: Vec::new(),
            callback_keys: Vec::new(),
            callback_queue: 8 * 1024 * KIB,
            callback_timeout_ms: 10_000,
            max_requests: 10_000,

            header_timeout_ms: 10_000,
            keepalive_timeout_ms: 15_000,
            session_timeout_ms: 60_000,
            bayeux_idle_ms: 0,
            linger_ms: 10_000,
            heartbeat_ms: 25_000,
            tcp_timeout_ms: 30_000,
            tcp_keepalive_ms: 0,

            allow_origin: Vec::new(),
            locations: Vec::new(),
            bayeux_cookie: Some(Cookie::default()),
            legacy_html: false,
            static_dir: None,
            log: "info".to_owned(),
        }
    }
}

fn loopback(port: u16) -> Listen {
    Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], port)))
}

const KIB: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_flag_the_node_listens_on_loopback_only() {
        let config = Config::default();
        assert!(config.listen.iter().all(Listen::is_local));
        assert!(config.internal.iter().all(Listen::is_local));
        assert!(config.stomp.iter().all(Listen::is_local));
        assert!(config.op.iter().all(Listen::is_local));
    }

    #[test]
    fn only_loopback_and_unix_addresses_are_local() {
        let local = [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ];
        let open = [
            "0.0.0.0:1",
            "[::]:1",
            "192.168.0.1:1",
            "[::ffff:10.0.0.1]:1",
        ];
        let is_local = |text: &&str| text.parse().is_ok_and(|a| Listen::Tcp(a).is_local());
        assert!(local.iter().all(is_local));
        assert!(!open.iter().any(is_local));
        assert!(Listen::Unix("/run/orbited".into()).is_local());
    }

    #[test]
    fn a_default_message_fits_a_queue_and_a_queue_fits_the_total() {
        let config = Config::default();
        assert!(config.max_message <= config.max_queue);
        assert!(config.max_queue <= config.max_queue_total);
    }
}
