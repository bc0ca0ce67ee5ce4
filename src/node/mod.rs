//! The node: a pure state machine that owns every table.
//!
//! In: bytes of connections, their ends, moments. Out: bytes into sinks, names of connections to write, to
//! close, to read again, and the moment to wake. It touches no socket, no clock, no file: `net` drives it,
//! and tests and the simulation drive the very same.
//!
//! Inbound bytes call down (`requests` or `frames`, then `csp`, `events`, `api`, then a service); whatever
//! concerns others is a command, run by `commands` after the call; what is due on a connection is composed
//! and written by `flush`, once a turn.

mod admission;
mod api;
mod bayeux;
mod callbacks;
mod commands;
pub mod conn;
mod csp;
mod deciding;
mod downstream;
mod events;
mod flush;
mod frames;
mod groups;
mod invariants;
mod locations;
mod one;
mod outgoing;
mod params;
mod public;
mod raw;
mod requests;
mod respond;
mod revolved;
mod sessions;
mod sockets;
mod streamtest;
mod timers;
mod tokens;
mod waiting;
mod writing;

pub use commands::DELIVERIES_PER_TURN;
pub use conn::{Conn, Door};
pub use flush::Flushed;
pub use outgoing::Dial;
pub use public::StaticFile;

use crate::cmd::{Caller, Cmds};
use crate::config::Config;
use crate::http::assets::Assets;
use crate::http::cors::Origins;
use crate::http::reader::Limits;
use crate::http::response::{self, Date};
use crate::hub::{Hub, Once};
use crate::ids::{ConnId, ConnTag, SessionId, SessionTag};
use crate::mem::{Ledger, OutQueue, Slots, TimerWheel};
use crate::metrics::Metrics;
use crate::rng::{Keyed, Rng};
use crate::service::decide::Asking;
use crate::service::groups::Groups;
use crate::session::{Profiles, Session, Times};
use crate::time::{Clock, Tick};
use crate::token::{Keys, Tokens};
use commands::FanOut;
use conn::{Stage, WriteSide};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

/// The whole state of the server.
#[derive(Debug)]
pub struct Node {
    config: Config,
    limits: Limits,
    times: Times,
    origins: Origins,
    assets: Assets,
    files: Vec<Rc<StaticFile>>,
    clock: Clock,
    date: Date,
    rng: Rng,
    metrics: Metrics,
    ledger: Ledger,
    conns: Slots<ConnTag, Conn>,
    sessions: Slots<SessionTag, Session>,
    conn_timers: TimerWheel<ConnTag>,
    session_timers: TimerWheel<SessionTag>,
    profiles: Profiles,
    /// Sessions of Bayeux that wait or waited, by their browser.
    browsers: HashMap<u64, [Option<SessionId>; 2], Keyed>,
    hub: Hub,
    tokens: Tokens,
    /// Who of the application shares the events that are told.
    groups: Groups,
    cmds: Cmds,
    fan_out: Option<FanOut>,
    /// Requests of many publications, until the last of each is run.
    batches: BTreeMap<Caller, api::Batch>,
    /// Publications that may come twice.
    once: Once,
    /// Whether it was a coming or going that was told last.
    changes_next: bool,
    /// Publications and messages taken so far.
    published: u64,
    /// Connections with something to write.
    dirty: VecDeque<ConnId>,
    /// Connections whose parked input may be served, and whose sockets may be read again.
    resumed: VecDeque<ConnId>,
    /// Connections to be closed at the end of the turn.
    dead: Vec<ConnId>,
    /// Where a batch is composed before its length is known.
    scratch: OutQueue,
    /// Output queues between two uses.
    #[expect(
        clippy::vec_box,
        reason = "they move between here and rows, whose field is a box"
    )]
    pool: Vec<Box<OutQueue>>,
    /// Per kind of refusal: when it may be logged again, and how many were not.
    told: BTreeMap<&'static str, (Tick, u64)>,
    /// Sessions of the application that read what happens to the others.
    feeds: Vec<SessionId>,
    /// URLs of the application, to which the same is posted.
    couriers: Vec<callbacks::Courier>,
    /// URLs of the application that are asked.
    desks: Vec<deciding::Desk>,
    /// Who waits for what they say.
    holds: deciding::Holds,
    /// What counts as reached when it is written.
    writings: writing::Writings,
    /// What is decided of what is being said.
    asking: Asking,
    /// Connections to those URLs.
    outgoing: outgoing::Pool,
    /// What tells the numbers of this run from those of another.
    run: u64,
    /// Of a node that stops: the slots of sessions below this are done with.
    finished: u32,
    stopping: bool,
}

impl Node {
    /// A node without connections.
    ///
    /// # Errors
    /// An origin of `config` that is none, or a key.
    pub fn new(config: Config, seed: [u8; 32]) -> Result<Self, String> {
        let mut rng = Rng::new(seed);
        let ledger = Ledger::default();
        let origins = match config.allow_origin.as_slice() {
            [] => Origins::any(),
            listed => Origins::parse(&listed.join(",")).map_err(|error| error.0)?,
        };
        let keyed = rng.keyed();
        let keys = Keys::new(&config).map_err(|bad| format!("--token-key: {bad}"))?;
        // Of a seed of its own, so that what else is drawn is the same with it and without.
        let tokens = Tokens::new(keys, &mut Rng::new(seed.map(|byte| !byte)));
        let mut node = Self {
            limits: limits(&config),
            times: Times {
                idle_ms: config.session_timeout_ms,
                linger_ms: config.linger_ms,
                heartbeat_ms: config.heartbeat_ms,
                active_ms: config.bayeux_idle_ms,
            },
            origins,
            assets: Assets::new(),
            files: Vec::new(),
            clock: Clock::default(),
            date: response::date(0),
            metrics: Metrics::default(),
            conns: Slots::new(config.sockets_max()),
            sessions: Slots::new(config.max_sessions),
            conn_timers: TimerWheel::new(config.sockets_max()),
            session_timers: TimerWheel::new(config.max_sessions),
            profiles: Profiles::new(keyed, &ledger),
            browsers: HashMap::with_hasher(keyed),
            hub: Hub::new(config.max_channels, config.max_history, &mut rng)
                .with_policies(config.policies.clone())
                .with_events(config.event_history)
                .with_grace(config.presence_grace_ms),
            tokens,
            groups: Groups::new(&config, &ledger),
            cmds: Cmds::default(),
            fan_out: None,
            batches: BTreeMap::new(),
            once: Once::new(config.once_ms),
            changes_next: false,
            published: 0,
            dirty: VecDeque::new(),
            resumed: VecDeque::new(),
            dead: Vec::new(),
            scratch: OutQueue::new(&ledger),
            pool: Vec::new(),
            told: BTreeMap::new(),
            feeds: Vec::new(),
            couriers: Vec::new(),
            desks: Vec::new(),
            holds: deciding::Holds::default(),
            writings: writing::Writings::default(),
            asking: Asking::default(),
            outgoing: outgoing::Pool::default(),
            run: 0,
            finished: 0,
            stopping: false,
            rng,
            ledger,
            config,
        };
        node.open_callbacks()?;
        node.open_desks();
        Ok(node)
    }

    /// Begins a turn of the loop.
    pub fn turn(&mut self, clock: Clock) {
        if clock.unix_s() != self.clock.unix_s() {
            self.date = response::date(clock.unix_s());
        }
        self.clock = clock;
        self.metrics.turns.count += 1;
    }

    /// The turn is over, after so many microseconds of work.
    pub fn turned(&mut self, us: u64) {
        self.metrics.turns.took(us);
    }

    /// Takes a connection in; `None` when there are as many as there may be.
    pub fn accept(&mut self, door: Door) -> Option<ConnId> {
        if self.conns.len() - self.outgoing.len() >= self.config.max_connections {
            return None;
        }
        let id = self.conns.insert(Conn::new(door)).ok()?;
        self.metrics.accepts += 1;
        self.conn_timers
            .set(id.index(), self.now() + self.config.header_timeout_ms);
        Some(id)
    }

    /// Whether bytes of this connection would be looked at now. If not, the edge is remembered: the
    /// connection comes up in [`Node::next_resumed`] when they are.
    pub fn wants_read(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get_mut(id) else {
            return false;
        };
        let wants = conn.wants_read();
        conn.passed_over |= !wants;
        wants
    }

    /// Lists a connection to be read again, if something was left unread.
    fn read_again(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && (conn.passed_over || matches!(conn.inbox, conn::Inbox::Parked(_)))
        {
            conn.passed_over = false;
            self.resumed.push_back(id);
        }
    }

    /// The next connection to flush.
    pub fn next_dirty(&mut self) -> Option<ConnId> {
        self.dirty.pop_front()
    }

    /// How many connections wait to be flushed.
    #[must_use]
    pub fn dirty_len(&self) -> usize {
        self.dirty.len()
    }

    /// A blocked socket takes bytes again.
    pub fn writable(&mut self, id: ConnId) {
        let due = self.now() + self.pong_ms();
        if let Some(conn) = self.conns.get_mut(id)
            && conn.write == WriteSide::Blocked
        {
            conn.write = WriteSide::Dirty;
            self.dirty.push_back(id);
            // A ping that waited for room is only now on its way.
            if conn.stage == Stage::Socket && !conn.heard {
                self.conn_timers.set(id.index(), due);
            }
            if conn.stage == Stage::Raw {
                self.watch(id);
            }
        }
    }

    /// The next connection that may be read again; its parked input comes first, by [`Node::resume`].
    pub fn next_resumed(&mut self) -> Option<ConnId> {
        self.resumed.pop_front()
    }

    /// The next connection to close; its row is gone after this.
    pub fn next_dead(&mut self) -> Option<ConnId> {
        let id = self.dead.pop()?;
        self.bury(id);
        Some(id)
    }

    /// When the node has something to do without being called, if nothing comes.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        let due = self
            .conn_timers
            .next_due()
            .into_iter()
            .chain(self.session_timers.next_due())
            .chain(self.hub.next_due())
            .chain(self.once.next_due())
            .chain(self.groups.next_due())
            .chain(self.next_ticket_due())
            .chain(self.hub.next_waited().map(|(until, _)| until))
            .chain(self.next_doorstep());
        due.min()
    }

    /// Whether commands wait.
    #[must_use]
    pub fn has_commands(&self) -> bool {
        self.fan_out.is_some()
            || !self.cmds.is_empty()
            || self.hub.has_changes()
            || self.hub.has_turnouts()
            || self.hub.has_arrived()
    }

    /// Counters, for `/metrics` and tests.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Counts a refusal, and logs it: the first of its kind at once, of a flood one line a second.
    pub fn refused(&mut self, code: &'static str) {
        self.metrics.refuse(code);
        let now = self.now();
        let (next, folded) = self.told.entry(code).or_default();
        if now < *next {
            *folded += 1;
            return;
        }
        *next = now + REFUSAL_LOG_MS;
        match std::mem::take(folded) {
            0 => log::info!("refused reason={code}"),
            more => log::info!("refused reason={code} more={more}"),
        }
    }

    /// Connections now.
    #[must_use]
    pub fn conn_count(&self) -> usize {
        self.conns.len()
    }

    /// Sessions now.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Bytes that all queues hold together; what is kept as history is not waiting for anybody.
    #[must_use]
    pub fn queued_bytes(&self) -> u64 {
        self.ledger.used().saturating_sub(self.hub.kept().0 as u64)
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Lowers or raises how many sessions there may be.
    pub fn set_max_sessions(&mut self, limit: usize) {
        self.sessions.set_limit(limit);
    }

    fn now(&self) -> Tick {
        self.clock.tick
    }

    /// Puts a connection into the dirty list, once.
    fn mark_dirty(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && conn.write == WriteSide::Idle
        {
            conn.write = WriteSide::Dirty;
            self.dirty.push_back(id);
        }
    }
}

/// Milliseconds between two log lines about one kind of refusal.
const REFUSAL_LOG_MS: u64 = 1_000;

fn limits(config: &Config) -> Limits {
    Limits {
        line_bytes_max: config.max_line,
        head_bytes_max: config.max_head,
        body_bytes_max: config.max_body,
    }
}
