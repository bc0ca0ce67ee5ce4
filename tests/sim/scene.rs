//! What every client of a run shares: the node behind its pipes, chance, the shadow model, the trace.
//!
//! In: a seed. Out: the setting of its run: some runs have small bounds, so that refusals and overflows
//! happen, most have wide ones, so that nothing but faults of the pipes disturbs.

use super::books::Books;
use super::chance::{Chance, Totals};
use super::driver::Driver;
use super::model::Model;
use super::past::{self, Memory};
use super::patterns;
use super::peer::Peer;
use super::rights;
use super::rooms;
use super::slow;
use orbited::cmd::Cause;
use orbited::config::Config;
use orbited::config::policy::Policies;

/// What is shared.
pub struct Scene {
    pub net: Driver,
    pub chance: Chance,
    pub model: Model,
    /// What the application is told of sessions, and what there is to tell.
    pub books: Books,
    /// Sessions that ended by overflow and are accounted for by a client that saw it.
    overflows_seen: u64,
    /// Sessions that clients ended by breaking the protocol.
    pub doomed: u64,
    /// What the application published under a name: number, head and body.
    pub named: Vec<(usize, String, Vec<u8>)>,
    /// What clients remember whose session is lost.
    pub memories: Vec<Memory>,
    /// Payloads are small in this run.
    pub small: bool,
    /// At its end the run waits until every session that nobody uses is over: who is where, and what became of messages
    /// to users, is exact then.
    pub waits: bool,
    /// Some subscribe by patterns.
    pub wide: bool,
    /// The limit of sessions was lowered at some time.
    pub shrunk: bool,
}

impl Scene {
    pub fn new(seed: u64, traced: bool) -> Self {
        let mut chance = Chance::new(seed, 1);
        let mut config = Config {
            max_connections: 64,
            max_sessions: SESSIONS_MAX,
            once_ms: ONCE_MS,
            ..Config::default()
        };
        let mut small = false;
        match chance.below(8) {
            0 => (config.max_queue, small) = (12 * 1024, true),
            1 => (config.max_queue_total, small) = (48 * 1024, true),
            2 => (config.max_channels, config.max_subscriptions) = (9, 3),
            3 => (config.max_connections, config.max_requests) = (24, 7),
            4 => (config.session_timeout_ms, config.keepalive_timeout_ms) = (20_000, 3_000),
            6 => config.allow_origin.push("http://page.test".to_owned()),
            5 => (config.max_message, config.max_body, small) = (6_000, 40_000, true),
            _ => {}
        }
        let mut rules = Vec::new();
        if chance.one_in(2) {
            rules.extend(past::draw_rules(&mut chance, &mut config));
        }
        if chance.one_in(3) {
            rules.extend(slow::draw_rules(&mut chance));
            if config.max_queue_total >= 1024 * 1024 && chance.one_in(2) {
                (config.max_queue, small) = (chance.pick(&[6, 12, 24]) * 1024, true);
            }
        }
        if chance.one_in(4) {
            rules.extend(rights::draw_rules(&mut chance));
        }
        let wide = config.max_queue_total >= 1024 * 1024 && config.max_queue >= 1024 * 1024;
        let waits = wide && chance.one_in(5);
        if waits {
            rules.extend(rooms::draw_rules(&mut chance));
        }
        config.policies = Policies::new(rules);
        let mut model = Model::default();
        model.set_rules(&config);
        let full = config.max_queue_total < 1024 * 1024;
        let books = Books {
            // Where everything that waits is little, the feed itself runs over.
            steady: !full && !chance.one_in(3),
            ..Books::default()
        };
        Self {
            net: Driver::new(config, seed, traced),
            chance,
            model,
            books,
            overflows_seen: 0,
            doomed: 0,
            named: Vec::new(),
            memories: Vec::new(),
            small,
            shrunk: false,
            waits,
            wide: patterns::draw(seed),
        }
    }

    /// Begins step `step`.
    pub fn begin(&mut self, step: u32) {
        self.net.step = step;
    }

    /// Keeps a line for whoever replays the seed.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        self.net.note(line);
    }

    pub fn now(&self) -> u64 {
        self.net.now()
    }

    pub fn count(&mut self, name: &'static str) {
        self.net.totals.count(name);
    }

    pub fn totals(&self) -> &Totals {
        &self.net.totals
    }

    /// How often sessions ended for `cause`.
    pub fn signoffs(&self, cause: Cause) -> u64 {
        self.net.node.metrics().signoffs[cause as usize]
    }

    /// Sessions that ended, for any cause.
    pub fn ended_sessions(&self) -> u64 {
        self.net.node.metrics().signoffs.iter().sum()
    }

    /// Whether a session may have ended by overflow that no client has claimed yet; claims it.
    pub fn claim_overflow(&mut self) -> bool {
        let claimed = self.overflows_seen < self.signoffs(Cause::Overflow);
        self.overflows_seen += u64::from(claimed);
        claimed
    }

    /// The application's wish to end the sessions of a user is answered.
    pub fn kicked(&mut self, number: usize, status: u16, body: &[u8]) {
        let text = String::from_utf8_lossy(body);
        match status {
            200 => {}
            408 | 503 => return,
            _ => panic!("a kick is answered {status}: {text}"),
        }
        let many = text.trim().strip_prefix("{\"sessions\":");
        let many = many.and_then(|rest| rest.strip_suffix('}')?.parse().ok());
        let many: u64 = many.unwrap_or_else(|| panic!("{text}"));
        let kick = &mut self.books.kicks[number];
        (kick.turns.1, kick.ended) = (Some(self.net.turns), many);
    }

    /// Whether a client answers the ping it was sent.
    pub fn answers_ping(&mut self) -> bool {
        self.count("pings from the server");
        let mute = self.chance.one_in(8);
        if mute {
            self.count("faults: pings not answered");
        }
        !mute
    }

    /// A client that is new, or comes back with what one before it remembers.
    pub fn comer(&mut self, name: u32) -> Peer {
        let mut peer = Peer::new(name, None, self);
        if self.chance.one_in(2) {
            peer.memory = self.memories.pop().unwrap_or_default();
        }
        peer
    }

    /// Whether a publication is never refused in this run.
    pub fn is_never_refused(&self) -> bool {
        let config = self.net.node.config();
        let bounded = config.max_message < 10_000 || config.max_channels < 100;
        !bounded && !self.may_be_full() && !self.model.has_gates()
    }

    /// For how many rounds everything is to be quiet at the end.
    pub fn quiet_rounds(&self) -> u32 {
        match self.waits {
            true => rooms::QUIET_ROUNDS,
            false => self.model.quiet_rounds(),
        }
    }

    /// Whether the run's bounds are such that the node refuses work when its queues are full.
    pub fn may_be_full(&self) -> bool {
        self.net.node.config().max_queue_total < 1024 * 1024
    }
}

/// Milliseconds for which a name of a publication is known: longer than a run.
pub const ONCE_MS: u64 = 400 * 86_400_000;
/// Sessions at once, unless a run lowers it.
pub const SESSIONS_MAX: usize = 48;
