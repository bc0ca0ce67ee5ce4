//! One session of Bayeux as its client knows it: what it asked for, what came, what that says of the node.
//!
//! In: deliveries, replies. Out: nothing, or a panic. With acknowledgements the messages of a session are numbered without a
//! gap, and each comes once; of each channel they come in order and without a hole that was not told of. Where a message is in
//! its channel is not said: that is compared when it is known by others.

use super::account::{Account, Kind, Topic};
use super::bayeux::Call;
use super::bayeux_loose::Loose;
use super::books::kicked;
use super::model::{CHANNELS, Item};
use super::peer::{field, raw_field, text};
use super::rights::Spent;
use super::scene::Scene;
use super::slow::Hole;
use orbited::config::policy::{Slow, Who};
use std::collections::{BTreeMap, BTreeSet};

/// A session.
#[derive(Clone)]
pub struct Talk {
    pub name: u32,
    pub key: String,
    pub user: Option<String>,
    /// In which turn it began, at the earliest.
    begun: u64,
    /// When the client knows to have been heard last.
    pub contact: u64,
    /// It acknowledges.
    pub acks: bool,
    /// The number of the last message that came.
    pub has: u64,
    pub(super) loose: Loose,
    /// Something broke, or moved, since messages came last: what came may come again.
    pub broken: bool,
    /// It connected by WebSocket since a request of it was answered last.
    pub by_sockets: bool,
    given: Vec<(u64, Item)>,
    packets: BTreeMap<u64, usize>,
    seen: BTreeSet<usize>,
    /// By publisher and channel, the last that came.
    heard: BTreeMap<(u32, usize), usize>,
    /// What came of each channel, each with how many the client was told to have missed in front.
    log: BTreeMap<usize, Vec<(usize, u64)>>,
    /// How many of a channel it was told to have missed behind the last that came, and when by number.
    missed: BTreeMap<usize, u64>,
    gaps: Vec<(u64, u64)>,
    /// Publications from this number on must come, by channel.
    subs: BTreeMap<usize, usize>,
    /// Channels to which it asked to subscribe.
    pub(super) wanted: BTreeSet<usize>,
    /// Channels that it may have left, whatever it did since.
    pub(super) left: BTreeSet<usize>,
    pub acked: Vec<(u64, u64)>,
    pub flying: Vec<u64>,
    pub said: Vec<&'static str>,
    pub goodbye: Option<u64>,
    /// The node is known to have it no more.
    pub over: bool,
    pub spent: Spent,
}

impl Talk {
    pub fn new(name: u32, key: String, acks: bool, (begun, at): (u64, u64)) -> Self {
        Self {
            name,
            key,
            user: None,
            begun,
            contact: at,
            acks,
            has: 0,
            loose: Loose::default(),
            broken: false,
            by_sockets: false,
            given: Vec::new(),
            packets: BTreeMap::new(),
            seen: BTreeSet::new(),
            heard: BTreeMap::new(),
            log: BTreeMap::new(),
            missed: BTreeMap::new(),
            gaps: Vec::new(),
            subs: BTreeMap::new(),
            wanted: BTreeSet::new(),
            left: BTreeSet::new(),
            acked: Vec::new(),
            flying: Vec::new(),
            said: Vec::new(),
            goodbye: None,
            over: false,
            spent: Spent::new(at),
        }
    }

    /// Whether neither side ends it.
    pub fn is_live(&self) -> bool {
        !self.over && self.goodbye.is_none()
    }

    /// Whether it is subscribed to nothing and did not ask to be.
    pub fn is_fresh(&self) -> bool {
        self.wanted.is_empty()
    }

    /// A batch came, which is all that the client does not have up to number `last`.
    pub fn brings(&mut self, scene: &mut Scene, batch: &[&str], last: u64) {
        let first = last + 1 - batch.len() as u64;
        assert_eq!(
            first,
            self.has + 1,
            "{} has up to {}, and is given {} messages up to {last}",
            self.name,
            self.has,
            batch.len()
        );
        for (number, delivery) in (first..).zip(batch) {
            self.delivered(scene, delivery, number);
        }
        self.has = last;
    }

    pub(super) fn delivered(&mut self, scene: &mut Scene, delivery: &str, packet: u64) {
        for never in ["\"id\":", "\"clientId\":", "\"successful\":"] {
            assert!(!delivery.contains(never), "{delivery}");
        }
        self.packets.insert(packet, delivery.len());
        let (channel, data) = (
            text(&raw_field(delivery, "channel")),
            raw_field(delivery, "data"),
        );
        if channel == "/service/gap" {
            return self.misses(scene, &data, packet);
        }
        let name = self.name;
        let channel = index(&channel);
        assert!(
            self.wanted.contains(&channel),
            "{name} gets something of channel {channel}, to which it is not subscribed"
        );
        let number = scene.model.reaches_bayeux(channel, &data);
        scene.count("bayeux: messages");
        scene.note(|| format!("{name} gets publication {number} as {packet}"));
        assert!(
            self.seen.insert(number),
            "{name} gets publication {number} twice"
        );
        self.given.push((packet, Item::Channel(number)));
        let missed = self.missed.remove(&channel).unwrap_or(0);
        self.log.entry(channel).or_default().push((number, missed));
        let publication = scene.model.publication(number);
        if !publication.is_late() {
            let before = self.heard.insert((publication.by, channel), number);
            assert!(
                before.is_none_or(|before| before < number),
                "{name} hears {number} of {} after {before:?}",
                publication.by
            );
        }
    }

    fn misses(&mut self, scene: &mut Scene, data: &str, packet: u64) {
        let (channel, missed) = (text(&raw_field(data, "channel")), field(data, "missed"));
        let (name, queue) = (self.name, scene.net.node.config().max_queue);
        scene.note(|| format!("{name} misses {missed} of {channel}"));
        scene.count("bayeux: gaps");
        let channel = index(&channel);
        let has_room = queue >= 1024 * 1024 && scene.model.bytes() < 400_000;
        scene.model.check_may_miss(channel, has_room);
        assert!(
            missed > 0 && self.wanted.contains(&channel),
            "{name}: {data}"
        );
        *self.missed.entry(channel).or_default() += missed;
        self.gaps.push((packet, missed));
    }

    /// It asks for something.
    pub fn asks(&mut self, call: &Call) {
        match call {
            Call::Subscribe(channels) => self.wanted.extend(channels),
            Call::Unsubscribe(channels) => {
                let wanted = channels
                    .iter()
                    .filter(|channel| self.wanted.contains(channel));
                self.left.extend(wanted);
            }
            _ => {}
        }
    }

    /// A call of it was done.
    pub fn done(&mut self, scene: &mut Scene, call: &Call) {
        match call {
            Call::Subscribe(channels) => {
                let since = scene.model.next();
                for channel in channels {
                    self.may(scene.model.policies[*channel].subscribe, call);
                    self.subs.entry(*channel).or_insert(since);
                }
            }
            Call::Unsubscribe(channels) => channels.iter().for_each(|channel| {
                self.subs.remove(channel);
            }),
            Call::Publish(number) => self.published(scene, *number, call),
            Call::Handshake | Call::Connect | Call::Disconnect => {}
        }
    }

    fn published(&mut self, scene: &mut Scene, number: usize, call: &Call) {
        let channel = scene.model.publication(number).channel;
        self.may(scene.model.policies[channel].publish, call);
        self.spent.take(&scene.model, channel);
        scene.model.taken_somewhere(number);
    }

    fn may(&self, who: Who, call: &Call) {
        let may = match who {
            Who::Anyone => true,
            Who::User => self.user.is_some(),
            Who::App | Who::Token | Who::Ask => false,
        };
        assert!(may, "{}: {call:?} is for {who:?}", self.name);
    }

    /// A call of it was refused, but not since the session is gone.
    pub fn refused(&mut self, scene: &mut Scene, call: &Call, error: &str) {
        let config = scene.net.node.config();
        let full = config.max_channels < 100 || scene.may_be_full();
        let policies = &scene.model.policies;
        let kept_out = |who: Who| match who {
            Who::Anyone => false,
            Who::User => self.user.is_none(),
            Who::App | Who::Token | Who::Ask => true,
        };
        let expected = match (call, error) {
            (Call::Subscribe(channels), "403:denied_by_security_policy:subscribe_denied") => {
                channels
                    .iter()
                    .any(|channel| kept_out(policies[*channel].subscribe))
            }
            (Call::Subscribe(_), "403::subscriptions_too_many") => config.max_subscriptions < 100,
            (Call::Subscribe(_), "503::server_full") => full,
            (Call::Subscribe(_), "503::server_busy") => true,
            (Call::Publish(number), error) => {
                let publication = scene.model.publication(*number);
                match error {
                    "413::message_too_large" => publication.len() > config.max_message,
                    "429::rate_exceeded" => {
                        self.spent.check_refused(&scene.model, publication.channel);
                        true
                    }
                    "503::server_full" => full,
                    "403:denied_by_security_policy:publish_denied" => {
                        kept_out(policies[publication.channel].publish)
                    }
                    _ => false,
                }
            }
            _ => false,
        };
        assert!(expected, "{}: {call:?} is refused: {error}", self.name);
        scene.count("bayeux: calls refused");
        if let Call::Publish(number) = call {
            scene.model.refused(*number);
        }
    }

    /// Nobody knows whether, or when, this is done.
    pub fn loses(&mut self, scene: &mut Scene, call: &Call) {
        match call {
            Call::Subscribe(channels) | Call::Unsubscribe(channels) => {
                self.left.extend(channels);
            }
            Call::Publish(number) => scene.model.may_come_late(*number, false),
            Call::Handshake | Call::Connect | Call::Disconnect => {}
        }
    }

    /// Whether the application was told to end sessions of its user.
    pub fn may_be_kicked(&self, scene: &Scene) -> bool {
        kicked(
            &scene.books.kicks,
            std::slice::from_ref(&self.user),
            self.begun,
        )
        .is_some()
    }

    /// With every queue empty: nothing is missing.
    pub fn check(&self, scene: &Scene) {
        for (channel, since) in &self.subs {
            if self.left.contains(channel) || scene.model.is_loose(*channel) {
                continue;
            }
            for number in *since..scene.model.next() {
                let publication = scene.model.publication(number);
                let due = publication.channel == *channel && publication.is_taken();
                assert!(
                    !due || self.seen.contains(&number),
                    "{} misses publication {number} of channel {channel}",
                    self.name
                );
            }
        }
    }

    /// What came of each channel is in its order, and what is missing between was told.
    pub fn check_order(&self, scene: &Scene) {
        for (channel, log) in &self.log {
            let mut before: Option<usize> = None;
            for (at, (number, _)) in log.iter().enumerate() {
                if scene.model.publication(*number).offset().is_some() {
                    let from = before.replace(at);
                    from.into_iter()
                        .for_each(|from| self.check_run(scene, *channel, &log[from..=at]));
                }
            }
        }
    }

    /// Of a run of what came of a channel, the first and the last place are known.
    fn check_run(&self, scene: &Scene, channel: usize, run: &[(usize, u64)]) {
        let ends = [run[0].0, run[run.len() - 1].0];
        let [first, last] = ends.map(|number| scene.model.publication(number));
        let told: u64 = run[1..].iter().map(|(_, missed)| missed).sum();
        let came = run.len() as u64 - 1;
        let paced = matches!(scene.model.policies[channel].slow, Slow::Every(_));
        let epochs = [first, last].map(|one| one.place.as_ref().map(|(epoch, _)| epoch));
        let offsets = [first, last].map(|one| one.offset().unwrap_or_default());
        let least = offsets[0] + came;
        let fits = match (self.left.contains(&channel), paced) {
            // It may have come back to a channel that began anew.
            (true, _) => offsets[1] >= least || epochs[0] != epochs[1] || epochs[0].is_none(),
            (false, true) => (least..=least + told).contains(&offsets[1]),
            (false, false) => offsets[1] == least + told,
        };
        assert!(
            fits,
            "{} in channel {channel}: {came} messages behind {} is {}, and it is told of {told}",
            self.name, offsets[0], offsets[1]
        );
    }

    /// What it knows of the session, of which these calls have no answer.
    pub fn account(&self, scene: &Scene, asked: &[&Call], connects: &[u64]) -> Account {
        let mut flying = self.flying.clone();
        flying.extend(connects);
        let ended = self.goodbye.is_some() || scene.net.is_stopped();
        if !self.acks && (ended || self.may_have_lost(scene)) {
            flying.push(self.has);
        }
        let mut account = Account {
            name: self.name,
            kind: Kind::Csp,
            key: Some(self.key.clone()),
            users: vec![self.user.clone()],
            said: self.said.clone(),
            goodbye: self.goodbye,
            begun: self.begun,
            heard: Some((self.contact, scene.net.node.config().session_timeout_ms)),
            certain: true,
            seen: self.given.clone(),
            acked: self.acked.clone(),
            flying,
            packets: self.packets.clone(),
            waiting: asked.len(),
            gaps: self.gaps.clone(),
            left: self.left.clone(),
            lossy: self.may_have_lost(scene),
            ..Account::default()
        };
        for channel in &self.wanted {
            let topic = self.topic(scene, *channel, asked);
            account.topics.insert(*channel, topic);
            account.holes.extend(self.holes(scene, *channel));
        }
        account
    }

    fn topic(&self, scene: &Scene, channel: usize, asked: &[&Call]) -> Topic {
        let next = self.next(scene, channel);
        let asks = |call: &&&Call| matches!(call, Call::Subscribe(some) if some.contains(&channel));
        let leaves = self.left.contains(&channel);
        let since = self.subs.get(&channel).copied();
        let placed =
            next.is_some() || !self.log.contains_key(&channel) || !scene.model.is_loose(channel);
        // Where it stands is not said, and who may have left may have come back often.
        let asks = asked.iter().filter(asks).count()
            + usize::from(next.is_none())
            + if leaves { MURKY } else { 0 };
        Topic {
            next,
            since: since.filter(|_| placed).unwrap_or(usize::MAX),
            asks,
            leaves,
            missed: self.missed.get(&channel).copied().unwrap_or(0),
            ..Topic::default()
        }
    }

    /// Where in a channel it stands, if anybody knows the place of anything that came of it.
    fn next(&self, scene: &Scene, channel: usize) -> Option<u64> {
        let mut next = None;
        for (number, missed) in self.log.get(&channel)? {
            let known = scene.model.publication(*number).offset();
            let after = next.map(|next| next + missed + 1);
            next = known.map(|offset| offset + 1).or(after);
        }
        next
    }

    /// What it missed of a channel, as far as it is known where that was.
    fn holes(&self, scene: &Scene, channel: usize) -> Vec<Hole> {
        let (mut holes, mut first, mut told) = (Vec::new(), 0, 0);
        for (number, missed) in self.log.get(&channel).into_iter().flatten() {
            told += missed;
            if let Some(offset) = scene.model.publication(*number).offset() {
                let last = offset.saturating_sub(1);
                holes.extend((told > 0).then_some(Hole {
                    channel,
                    first,
                    last,
                }));
                (first, told) = (offset + 1, 0);
            }
        }
        told += self.missed.get(&channel).copied().unwrap_or(0);
        let last = u64::MAX;
        holes.extend((told > 0).then_some(Hole {
            channel,
            first,
            last,
        }));
        holes
    }
}

fn index(channel: &str) -> usize {
    let known = |known: &str| channel.strip_prefix('/') == Some(known);
    let at = CHANNELS.iter().position(|one| known(one));
    at.unwrap_or_else(|| panic!("no channel: {channel}"))
}

/// More often than anybody comes back to a channel.
const MURKY: usize = 1_000;
