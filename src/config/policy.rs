//! What is allowed and kept for a channel: rules by prefix, and what they come to for one name.
//!
//! In: rules in the order the operator wrote them (`rule` reads them), names of channels. Out: a name's policy, and
//! which rule decides each part of it. Nothing is enforced here, and nobody's channels are known.

use super::keys::{Key, Setting};
use super::rule::Rule;

/// What holds for a channel. The default is a node without rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Who may subscribe.
    pub subscribe: Who,
    /// Who may publish; the application always may.
    pub publish: Who,
    /// What is kept of what was published.
    pub history: Option<History>,
    /// What is told of who is subscribed.
    pub presence: Presence,
    /// Bytes of the largest message a session may publish, where that is less than `--max-message`.
    pub message_max: Option<usize>,
    /// How much a session may publish in a second.
    pub rate: Option<Rate>,
    /// What becomes of a subscriber who does not keep up.
    pub slow: Slow,
    /// Milliseconds for which a message may wait for others, so that it wakes no client of Bayeux by itself.
    pub lazy_ms: Option<u32>,
}

/// Who may do something with a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Who {
    /// Any session.
    #[default]
    Anyone,
    /// A session that has a user's name.
    User,
    /// Nobody but the application.
    App,
    /// Who has the right in a token.
    Token,
    /// Whom the application lets, which is asked each time.
    Ask,
}

impl Who {
    /// Whether such a channel is read by its name only: nobody was asked for it who reads by a pattern.
    #[must_use]
    pub fn reads_by_name(self) -> bool {
        matches!(self, Who::App | Who::Ask)
    }
}

/// Who may send messages to users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Peer {
    /// Any session.
    #[default]
    Anyone,
    /// A session that has a user's name.
    User,
    /// Nobody.
    Off,
}

/// How much of a channel's past is kept; whatever bound is reached first holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Most messages.
    pub messages: u32,
    /// Most bytes of them.
    pub bytes: u64,
    /// Milliseconds after which a message is forgotten.
    pub ttl_ms: u64,
}

/// What is told of a channel's subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// Nothing.
    #[default]
    Off,
    /// How many there are.
    Count,
    /// Who they are.
    List,
}

/// How much one session may publish to channels of one policy. A second's worth may come at once, and one message always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Messages a second.
    pub messages: u32,
    /// Bytes a second, if they are bounded.
    pub bytes: Option<u64>,
}

/// What becomes of a subscriber for whom too much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slow {
    /// Its session ends.
    #[default]
    Close,
    /// It misses the oldest messages.
    DropOldest,
    /// Only the latest message waits.
    Latest,
    /// It is sent the latest message, at most once in so many milliseconds.
    Every(u64),
}

/// All rules, in the order they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policies {
    rules: Vec<Rule>,
    closed: bool,
}

/// One part of a name's policy, and why it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained<'a> {
    /// Which part.
    pub key: &'static Key,
    /// Its value.
    pub setting: Setting,
    /// The rule that decided; `None` is the default.
    pub rule: Option<&'a Rule>,
}

impl Policies {
    /// These rules, at most [`RULES_MAX`] of them.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        debug_assert!(rules.len() <= RULES_MAX, "the table of flags bounds them");
        Self {
            rules,
            closed: false,
        }
    }

    /// The same, of a node where nothing is open that no rule has opened: who says nothing else is asked for a token.
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.closed = true;
        self
    }

    /// What holds where no rule says anything.
    #[must_use]
    pub fn base(&self) -> Policy {
        let who = match self.closed {
            true => Who::Token,
            false => Who::Anyone,
        };
        Policy {
            subscribe: who,
            publish: who,
            ..Policy::default()
        }
    }

    /// The rules of a node without any of the operator's: the channels of the demo page are told who is there, and what
    /// came before.
    #[must_use]
    pub fn of_the_demo() -> Self {
        Self::new(Rule::parse(DEMO_RULE).into_iter().collect())
    }

    /// Whether no rule says who may publish or subscribe, so that anyone may.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let binds =
            |setting: &Setting| matches!(setting, Setting::Publish(_) | Setting::Subscribe(_));
        !self.closed && !self.rules.iter().flat_map(Rule::settings).any(binds)
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What holds for the channel called `name`: of all rules that match it, the last that names a key decides that key.
    #[must_use]
    pub fn of(&self, name: &str) -> Policy {
        let mut policy = self.base();
        for setting in self.matching(name).flat_map(Rule::settings) {
            policy.set(setting);
        }
        policy
    }

    /// Why [`Policies::of`] says what it says: each key in the order of the table.
    #[must_use]
    pub fn explain(&self, name: &str) -> Vec<Explained<'_>> {
        let settings = self.of(name).settings();
        let explained = settings.into_iter().map(|setting| {
            let key = setting.key();
            let rule = self.matching(name).filter(|rule| rule.sets(key)).last();
            Explained { key, setting, rule }
        });
        explained.collect()
    }

    fn matching(&self, name: &str) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.matches(name))
    }
}

impl Policy {
    fn set(&mut self, setting: &Setting) {
        match *setting {
            Setting::Subscribe(who) => self.subscribe = who,
            Setting::Publish(who) => self.publish = who,
            Setting::History(history) => self.history = history,
            Setting::Presence(presence) => self.presence = presence,
            Setting::Message(max) => self.message_max = max,
            Setting::Rate(rate) => self.rate = rate,
            Setting::Slow(slow) => self.slow = slow,
            Setting::Lazy(ms) => self.lazy_ms = ms,
        }
    }

    /// All of it, in the order of the table of keys.
    pub(super) fn settings(&self) -> [Setting; 8] {
        [
            Setting::Subscribe(self.subscribe),
            Setting::Publish(self.publish),
            Setting::History(self.history),
            Setting::Presence(self.presence),
            Setting::Message(self.message_max),
            Setting::Rate(self.rate),
            Setting::Slow(self.slow),
            Setting::Lazy(self.lazy_ms),
        ]
    }
}

/// A whiteboard of an hour is some thousand strokes; 1 MiB bounds them. Cursors (`demo/board/cursors`) have no past.
pub const DEMO_RULE: &str = "demo/* history=5000,1h presence";

/// Most rules. Each is compared with the name of a channel when that is made or published to without subscribers, which
/// a client can bring about: a thousand are microseconds. Names of equal policy are told apart by no more rules
/// than there are (`hub/book.rs`), so a policy's number fits 16 bits.
pub const RULES_MAX: usize = 1_000;
