//! Subscriptions by patterns, beside those by names.
//!
//! In: chance, answers to SUBSCRIBE and UNSUBSCRIBE, messages of channels that a session does not read by name. Out: calls, or
//! a panic. It asserts: a message comes once, however many subscriptions match; by a pattern comes what its reader may read,
//! of everything that matches, from the answer to SUBSCRIBE on until it asks to leave; where a channel has a place for it,
//! it is the place that others are told; all readers of a channel have one order.

use super::account::{Account, Facts, Kind};
use super::chance::Chance;
use super::feed::Notice;
use super::model::{CHANNELS, Item, Model, Publication};
use super::peer::{Call, Peer, json, null_or};
use super::scene::Scene;
use orbited::config::policy::Who;
use std::collections::{BTreeMap, BTreeSet};

/// The patterns of a run. Some match no channel.
pub const PATTERNS: [&str; 10] = [
    "**",
    "*",
    "chat/*",
    "chat/**",
    "news/**",
    "news/*",
    "news/2009/*",
    "news/2009/**",
    "r\u{e4}ume/**",
    "a/*",
];

/// What a session reads by patterns, as its client knows.
#[derive(Debug, Default, Clone)]
pub struct Wide {
    /// By pattern: publications from this number on must come.
    since: BTreeMap<usize, usize>,
    /// Patterns that it asked for or asked to leave, and is not answered.
    flying: BTreeSet<usize>,
    /// Whether it has a user's name, and from which publication on surely.
    user: Option<usize>,
    /// What came.
    seen: BTreeSet<usize>,
    /// By channel, how many messages it was told to have missed while it read by a pattern.
    missed: BTreeMap<usize, u64>,
}

/// Patterns that a client asked to leave, and in which turn.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Leaving {
    patterns: Vec<usize>,
    turn: u64,
}

/// Whether in this run anybody subscribes by patterns.
pub fn draw(seed: u64) -> bool {
    Chance::new(seed, 5).one_in(2)
}

/// Whether the channel is one of the pattern's.
fn matches(pattern: usize, channel: usize) -> bool {
    let segments: Vec<&str> = CHANNELS[channel].split('/').collect();
    let mut fixed: Vec<&str> = PATTERNS[pattern].split('/').collect();
    let any_depth = fixed.pop() == Some("**");
    let rest = segments.strip_prefix(&fixed[..]).map_or(0, <[_]>::len);
    rest == 1 || (any_depth && rest > 1)
}

fn channels_of(pattern: usize) -> impl Iterator<Item = usize> {
    (0..CHANNELS.len()).filter(move |channel| matches(pattern, *channel))
}

impl Leaving {
    /// The patterns.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.patterns.iter().map(|at| PATTERNS[*at])
    }
}

impl Wide {
    /// Of a session that begins, perhaps with a user's name.
    pub fn new(has_user: bool) -> Self {
        Self {
            user: has_user.then_some(0),
            ..Self::default()
        }
    }

    /// Whether it may be given messages of the channel.
    pub fn reads(&self, channel: usize) -> bool {
        let patterns = self.since.keys().chain(&self.flying);
        patterns.into_iter().any(|at| matches(*at, channel))
    }

    fn is_subscribed(&self, channel: usize) -> bool {
        self.since.keys().any(|at| matches(*at, channel))
    }

    /// Whether it is subscribed to none.
    pub fn is_empty(&self) -> bool {
        self.since.is_empty() && self.flying.is_empty()
    }

    /// Whether a message has come.
    pub fn has(&self, number: usize) -> bool {
        self.seen.contains(&number)
    }

    /// It has a user's name from now on.
    pub fn signs_on(&mut self, model: &Model) {
        self.user.get_or_insert(model.next());
    }

    /// A message came, by whichever subscription.
    pub fn sees(&mut self, name: u32, number: usize) {
        assert!(
            self.seen.insert(number),
            "{name} gets publication {number} twice"
        );
    }

    /// It was told to have missed some of a channel. False when it does not read that by a pattern.
    pub fn misses(&mut self, channel: usize, missed: u64) -> bool {
        let reads = self.is_subscribed(channel);
        if reads {
            *self.missed.entry(channel).or_default() += missed;
        }
        reads
    }
}

impl Peer {
    /// Subscribes to a pattern, or asks for what no pattern has.
    pub(super) fn subscribe_widely(&mut self, scene: &mut Scene) {
        let at = scene.chance.below(PATTERNS.len());
        let pattern = json(PATTERNS[at]);
        let (code, args) = match scene.chance.below(24) {
            0 => (
                "not-offered",
                format!("\"SUBSCRIBE\",[{pattern},{{\"history\":1}}]"),
            ),
            1 => ("bad-name", format!("\"HISTORY\",[{pattern}]")),
            2 => ("bad-name", format!("\"PUBLISH\",[{pattern},1]")),
            _ => {
                let args = format!("\"SUBSCRIBE\",[{pattern}]");
                return self.ask(scene, Call::Cover(at), &args);
            }
        };
        self.ask(scene, Call::Bad(code), &args);
    }

    /// Patterns to leave, mostly some that it has.
    pub(super) fn draw_leaving(&self, scene: &mut Scene) -> Leaving {
        let mut patterns = Vec::new();
        if scene.wide && scene.chance.one_in(2) {
            let own: Vec<usize> = self.wide.since.keys().copied().collect();
            patterns.push(match own.is_empty() || scene.chance.one_in(5) {
                true => scene.chance.below(PATTERNS.len()),
                false => scene.chance.pick(&own),
            });
        }
        let turn = scene.net.turns;
        Leaving { patterns, turn }
    }

    /// The answer to SUBSCRIBE came.
    pub(super) fn covers(&mut self, scene: &mut Scene, pattern: usize, result: &str) {
        assert_eq!(result, "{\"recovered\":false,\"messages\":[]}");
        scene.count("patterns: subscribed");
        let since = scene.model.next();
        self.wide.since.entry(pattern).or_insert(since);
        // Of what was dropped of these it may be told in another subscription.
        self.left.extend(channels_of(pattern));
    }

    /// The answer to UNSUBSCRIBE came, behind everything that was given before.
    pub(super) fn uncovers(&mut self, scene: &mut Scene, leaving: &Leaving) {
        let until = leaving.turn.saturating_sub(1);
        for pattern in &leaving.patterns {
            let missing = scene.model.due_of(*pattern, &self.wide, Some(until));
            let missing = missing.iter().find(|number| {
                let publication = scene.model.publication(**number);
                !scene.model.is_loose(publication.channel)
            });
            assert!(
                missing.is_none(),
                "{} left {:?} and misses publication {missing:?}",
                self.name,
                PATTERNS[*pattern]
            );
            if self.wide.since.remove(pattern).is_some() {
                scene.count("patterns: left");
            }
        }
    }

    /// A message of a channel comes that it does not read by its name.
    pub(super) fn comes_widely(
        &mut self,
        scene: &mut Scene,
        channel: usize,
        (sender, payload): (&str, &str),
        offset: Option<u64>,
    ) -> usize {
        let name = self.name;
        assert!(
            self.wide.is_subscribed(channel),
            "{name} gets offset {offset:?} of channel {channel}, to which it is not subscribed"
        );
        assert!(
            scene.model.may_read(channel, self.user.is_some()),
            "{name} gets offset {offset:?} of channel {channel}, which is not for {:?}",
            self.user
        );
        scene.count(match offset {
            Some(_) => "patterns: messages",
            None => "patterns: messages that have no place",
        });
        let sender = null_or(sender);
        scene
            .model
            .reaches_widely(channel, sender.as_deref(), payload, offset)
    }

    /// With every queue empty: nothing is missing, but what it was told of.
    pub(super) fn check_wide(&self, scene: &Scene) {
        let mut dropped: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for pattern in self.wide.since.keys() {
            for number in scene.model.due_of(*pattern, &self.wide, None) {
                let channel = scene.model.publication(number).channel;
                assert!(
                    scene.model.is_loose(channel),
                    "{} misses publication {number} of channel {channel}, read by {:?}",
                    self.name,
                    PATTERNS[*pattern]
                );
                dropped.entry(channel).or_default().insert(number);
            }
        }
        for (channel, dropped) in dropped {
            let told = self.wide.missed.get(&channel).copied().unwrap_or(0);
            assert!(
                dropped.len() as u64 <= told,
                "{} misses {dropped:?} of channel {channel}, and is told of {told}",
                self.name
            );
        }
    }

    /// What its account is to know of that.
    pub(super) fn tell_wide(&self, account: &mut Account) {
        account.wide = self.wide.clone();
        for (_, call) in &self.asked {
            match call {
                Call::Cover(pattern) => _ = account.wide.flying.insert(*pattern),
                Call::Unsubscribe(_, leaving) => {
                    for pattern in &leaving.patterns {
                        account.wide.since.remove(pattern);
                        account.wide.flying.insert(*pattern);
                    }
                }
                _ => {}
            }
        }
        let flying = account.wide.flying.iter();
        account.left.extend(flying.flat_map(|at| channels_of(*at)));
    }
}

/// What must have come by a pattern.
impl Model {
    /// Whether a session may read a channel.
    pub fn may_read(&self, channel: usize, has_user: bool) -> bool {
        match self.policies[channel].subscribe {
            Who::Anyone => true,
            Who::User => has_user,
            Who::App | Who::Token | Who::Ask => false,
        }
    }

    /// Publications that must have come by a pattern and did not: known to be taken, by the end of turn `until` if there is
    /// one.
    fn due_of(&self, pattern: usize, wide: &Wide, until: Option<u64>) -> Vec<usize> {
        let Some(since) = wide.since.get(&pattern) else {
            return Vec::new();
        };
        let due = |(number, publication): &(usize, &Publication)| {
            let users = wide.user.is_some_and(|since| *number >= since);
            let known = publication.known_turn();
            let taken = publication.is_taken() || publication.was_seen();
            matches(pattern, publication.channel)
                && self.may_read(publication.channel, users)
                && taken
                && known.is_some_and(|known| until.is_none_or(|until| known <= until))
                && !wide.seen.contains(number)
        };
        let publications = self.publications().iter().enumerate().skip(*since);
        publications.filter(due).map(|(number, _)| number).collect()
    }
}

impl Account {
    /// What was taken while it surely was subscribed to a pattern came, or is listed, or was missed by a channel's rule.
    pub(super) fn is_wide_whole(
        &self,
        notice: &Notice,
        unseen: &[Item],
        until: u64,
        facts: &Facts<'_>,
    ) -> Result<(), String> {
        let given: BTreeSet<Item> = unseen.iter().copied().collect();
        let mut dropped = BTreeSet::new();
        for pattern in self.wide.since.keys() {
            let due = facts.model.due_of(*pattern, &self.wide, Some(until));
            for number in due {
                let publication = facts.model.publication(number);
                if given.contains(&Item::Channel(number))
                    || facts.model.is_paced(publication.channel)
                {
                    continue;
                }
                if !facts.model.is_loose(publication.channel) {
                    let pattern = PATTERNS[*pattern];
                    return Err(format!("publication {number} of {pattern} is missing"));
                }
                dropped.insert(number);
            }
        }
        let told: u64 = self.gaps.iter().map(|(_, missed)| missed).sum();
        match dropped.len() as u64 <= notice.missed + told {
            true => Ok(()),
            false => Err(format!(
                "{dropped:?} were dropped, {told} and {} are told",
                notice.missed
            )),
        }
    }

    /// Whether what is listed of a channel that it does not read by name may be.
    pub(super) fn may_be_given(&self, channel: usize, model: &Model) -> bool {
        let has_user = self.users.iter().any(Option::is_some);
        self.wide.reads(channel) && model.may_read(channel, has_user)
    }

    /// Of each channel, by their numbers, what it was given in the order of that.
    fn orders(&self, model: &Model) -> BTreeMap<usize, Vec<usize>> {
        let mut orders: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (_, item) in &self.seen {
            if let Item::Channel(number) = item {
                let channel = model.publication(*number).channel;
                orders.entry(channel).or_default().push(*number);
            }
        }
        orders
    }
}

/// Everybody has one order of a channel, whether or not its messages have a place.
pub fn check_orders(accounts: &[Account], model: &Model) {
    let peers = accounts.iter().filter(|one| one.kind != Kind::Reader);
    let peers: Vec<_> = peers.map(|one| (one, one.orders(model))).collect();
    for (one, orders) in peers.iter().filter(|(one, _)| !one.wide.seen.is_empty()) {
        for (channel, order) in orders {
            let places: BTreeMap<usize, usize> =
                order.iter().enumerate().map(|(at, n)| (*n, at)).collect();
            for (other, orders) in &peers {
                let order = orders.get(channel).into_iter().flatten();
                let common = order.filter_map(|number| places.get(number));
                assert!(
                    common.is_sorted(),
                    "{} and {} have two orders of channel {channel}",
                    one.name,
                    other.name
                );
            }
        }
    }
}
