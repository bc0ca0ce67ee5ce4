//! What clients ask of the past, and the slow twin that keeps all of it.
//!
//! In: positions that clients remember, also of sessions that they lost; answers to SUBSCRIBE and HISTORY. It asserts: what
//! is said to be whole is exactly what lies between, in order; what is refused could not surely be given by the rules;
//! a page joins the one before; a channel's epoch stays as long as something of its past is surely kept.

use super::model::{CHANNELS, Fate, Model, Place, mark};
use super::patterns::PATTERNS;
use super::peer::{Call, Peer, field, json, null_or, raw_field, text};
use super::scene::Scene;
use orbited::config::Config;
use orbited::config::policy::History;
use orbited::config::rule::Rule;
use orbited::mem::Publication;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What a client remembers, across sessions.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    /// The last that it saw of each channel.
    pub last: BTreeMap<usize, Place>,
    /// What it published under a name of its own: number, payload, user.
    pub named: Vec<(usize, String, Option<String>)>,
}

/// What a SUBSCRIBE or HISTORY asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub channel: usize,
    since: Option<Place>,
    /// Of HISTORY: newest first, in front of this offset.
    before: Option<u64>,
    backwards: bool,
    /// Most messages; 0 for none.
    limit: usize,
    /// Who is there, and who comes and goes.
    pub presence: bool,
    /// When, and in which turn.
    at: u64,
    turn: u64,
}

/// One message of an answer.
struct Told<'a> {
    offset: u64,
    sender: Option<String>,
    payload: &'a str,
}

/// Draws rules for what channels keep, and how much all together.
pub fn draw_rules(chance: &mut super::chance::Chance, config: &mut Config) -> Vec<Rule> {
    let mut rules = Vec::new();
    for pattern in [
        "*",
        "chat/**",
        "news/2009/*",
        CHANNELS[2],
        CHANNELS[4],
        CHANNELS[0],
    ] {
        let many = chance.pick(&[1, 3, 8, 8, 40]);
        let ttl = chance.pick(&["2s", "30s", "10m", "2h", "2h"]);
        let bytes = chance.pick(&["1KiB", "6KiB", "64KiB", "1MiB", "1MiB"]);
        if !chance.one_in(4) {
            rules.push(Rule::parse(&format!("{pattern} history={many},{ttl},{bytes}")).unwrap());
        }
    }
    if chance.one_in(3) {
        config.max_history = chance.pick(&[2_000, 12_000, 60_000]);
    }
    rules
}

impl Peer {
    /// Subscribes, perhaps behind what it saw last, or somewhere near.
    pub(super) fn subscribe(&mut self, scene: &mut Scene) {
        let channel = scene.chance.below(CHANNELS.len());
        let asked = self.draw(scene, channel);
        let mut options = Vec::new();
        if let Some((epoch, offset)) = &asked.since {
            options.push(format!(
                "\"since\":{{\"epoch\":{},\"offset\":{offset}}}",
                json(epoch)
            ));
        }
        if asked.limit > 0 {
            options.push(format!("\"history\":{}", asked.limit));
        }
        if asked.presence {
            options.push("\"presence\":true".to_owned());
        }
        let options = match options.is_empty() {
            true => scene.chance.pick(&["", ",{}", ",null"]).to_owned(),
            false => format!(",{{{}}}", options.join(",")),
        };
        let args = format!("\"SUBSCRIBE\",[{}{options}]", json(CHANNELS[channel]));
        self.ask(scene, Call::Subscribe(asked), &args);
    }

    fn draw(&self, scene: &mut Scene, channel: usize) -> Asked {
        let (at, turn) = (scene.now(), scene.net.turns);
        let chance = &mut scene.chance;
        let last = self.memory.last.get(&channel).cloned();
        let since = match chance.below(6) {
            0..=2 => last,
            3 => last
                .map(|(epoch, offset)| (epoch, offset.saturating_sub(chance.between(1, 6) as u64))),
            4 => chance.one_in(4).then(|| ("1f".to_owned(), 1)),
            _ => None,
        };
        Asked {
            channel,
            since,
            before: None,
            backwards: false,
            limit: chance.pick(&[0, 0, 0, 1, 5, 1_000]),
            presence: scene.waits && chance.one_in(2),
            at,
            turn,
        }
    }

    /// Asks for a page of some channel's history.
    pub(super) fn leaf_through(&mut self, scene: &mut Scene) {
        let channel = scene.chance.below(CHANNELS.len());
        let mut asked = self.draw(scene, channel);
        asked.limit = scene.chance.pick(&[1, 2, 3, 1_000]);
        if scene.chance.one_in(2) {
            let before = asked.since.take().map(|(_, offset)| offset);
            (asked.before, asked.backwards) = (before, true);
        }
        self.ask_for_page(scene, asked);
    }

    fn ask_for_page(&mut self, scene: &mut Scene, asked: Asked) {
        let mut options = vec![format!("\"limit\":{}", asked.limit)];
        if let Some((epoch, offset)) = &asked.since {
            options.push(format!(
                "\"since\":{{\"epoch\":{},\"offset\":{offset}}}",
                json(epoch)
            ));
        }
        match (asked.before, asked.backwards) {
            (Some(before), _) => options.push(format!("\"before\":{before}")),
            (None, true) => options.push("\"reverse\":true".to_owned()),
            _ => {}
        }
        let channel = json(CHANNELS[asked.channel]);
        let args = format!("\"HISTORY\",[{channel},{{{}}}]", options.join(","));
        self.ask(scene, Call::History(asked), &args);
    }

    /// The past that came with the answer to a SUBSCRIBE that made a subscription at `offset` of `epoch`.
    pub(super) fn recovered(
        &mut self,
        scene: &mut Scene,
        asked: &Asked,
        place: &Place,
        result: &str,
    ) {
        let (epoch, offset) = place;
        let list = raw_field(result, "messages");
        let messages = told(&list);
        let whole = raw_field(result, "recovered") == "true";
        let exact = self.memory.last.get(&asked.channel) == asked.since.as_ref();
        let numbers = self.recall(scene, asked.channel, epoch, &messages, list.len());
        let ends = messages.last().map_or(*offset, |last| last.offset);
        assert_eq!(
            ends, *offset,
            "what came with a subscription does not end where it begins"
        );
        let contiguous = messages
            .windows(2)
            .all(|two| two[0].offset + 1 == two[1].offset);
        assert!(contiguous, "what came with a subscription has gaps");
        let model = &scene.model;
        model.check_epoch(asked.channel, epoch, asked.turn);
        let count = messages.len() as u64;
        if whole {
            let Some((since_epoch, since)) = &asked.since else {
                panic!("recovered from nowhere");
            };
            assert_eq!(since_epoch, epoch, "recovered from another epoch");
            assert_eq!(*since + count, *offset, "recovered, and not whole");
            let oldest = (epoch.clone(), since + 1);
            let gone = count > 0 && model.is_surely_gone(asked.channel, &oldest, *offset, asked.at);
            assert!(
                !gone,
                "{} was recovered from {since}, which was forgotten",
                self.name
            );
            let late = |number: &usize| model.publication(*number).is_late();
            let ordered: Vec<usize> = numbers.into_iter().filter(|n| !late(n)).collect();
            // What it has by a pattern comes again, perhaps behind something later.
            let fresh = exact && ordered.iter().all(|number| !self.wide.has(*number));
            for number in ordered.into_iter().filter(|_| fresh) {
                let by = scene.model.publication(number).by;
                self.in_order(by, Some(asked.channel), number);
            }
            scene.count("past: recovered");
            scene.net.totals.add("past: messages recovered", count);
            return;
        }
        self.not_recovered(scene, asked, place, count);
        if asked.since.is_some() {
            scene.count("past: not recovered");
        }
    }

    /// What followed `since` is not given, but so many of the last messages: there is a reason for both.
    fn not_recovered(&self, scene: &Scene, asked: &Asked, place: &Place, count: u64) {
        let (epoch, offset) = place;
        let sure = |at: u64| {
            let kept = scene
                .model
                .is_surely_kept(asked.channel, epoch, at, *offset);
            kept && self.has_room(scene)
        };
        assert!(count <= asked.limit as u64, "more than was asked for");
        if let Some((since_epoch, since)) = &asked.since {
            let lost =
                since_epoch != epoch || since > offset || (since < offset && !sure(since + 1));
            assert!(
                lost,
                "{} is not given what followed {since} up to {offset}, and it is kept",
                self.name
            );
        }
        let short = count < asked.limit as u64 && *offset > count;
        assert!(
            !short || !sure(offset - count),
            "{} is given {count} of its last {} messages, and more are kept",
            self.name,
            asked.limit
        );
    }

    /// The answer to HISTORY; if there is more, it asks on.
    pub(super) fn page(&mut self, scene: &mut Scene, asked: &Asked, result: &str) {
        let (epoch, offset) = (text(&raw_field(result, "epoch")), field(result, "offset"));
        let list = raw_field(result, "messages");
        let messages = told(&list);
        let more = raw_field(result, "more") == "true";
        self.recall(scene, asked.channel, &epoch, &messages, list.len());
        scene.count("past: pages");
        assert!(messages.len() <= asked.limit && (!more || !messages.is_empty()));
        if let Some((since_epoch, _)) = &asked.since {
            assert_eq!(*since_epoch, epoch, "a page of another epoch");
        }
        let offsets: Vec<u64> = messages.iter().map(|message| message.offset).collect();
        let model = &scene.model;
        model.check_epoch(asked.channel, &epoch, asked.turn);
        let sure = |at: u64| {
            at > 0
                && self.has_room(scene)
                && model.is_surely_kept(asked.channel, &epoch, at, offset)
        };
        let (next, missing) = if asked.backwards {
            assert!(
                offsets.is_sorted_by(|one, next| *one == next + 1),
                "{offsets:?}"
            );
            let first = asked
                .before
                .map_or(offset, |before| before.saturating_sub(1).min(offset));
            assert!(
                offsets.first().is_none_or(|found| *found == first),
                "{offsets:?} from {first}"
            );
            let next = offsets.last().map_or(first, |last| last - 1);
            (offsets.last().copied(), next)
        } else {
            assert!(
                offsets.is_sorted_by(|one, next| one + 1 == *next),
                "{offsets:?}"
            );
            let from = asked.since.as_ref().map_or(0, |(_, since)| *since);
            assert!(
                offsets.first().is_none_or(|first| *first > from),
                "{offsets:?} behind {from}"
            );
            assert!(
                more || offsets.last().is_none_or(|last| *last == offset),
                "{offsets:?} of {offset}"
            );
            let in_front = offsets.first().map_or(offset, |first| first - 1);
            (
                offsets.last().copied(),
                if in_front > from { in_front } else { 0 },
            )
        };
        let ends = !asked.backwards || !more;
        assert!(
            !(ends && sure(missing)),
            "{offsets:?} of {offset}: {missing} is kept and missing, {asked:?}"
        );
        let goes_on = more && !self.leaves;
        if let Some(next) = next.filter(|_| goes_on && !scene.chance.one_in(4)) {
            self.turn_over(scene, asked, (epoch, next));
        }
    }

    /// Asks for the page behind one that ended at `place`.
    fn turn_over(&mut self, scene: &mut Scene, asked: &Asked, place: Place) {
        let (at, turn) = (scene.now(), scene.net.turns);
        let mut asked = Asked {
            at,
            turn,
            ..asked.clone()
        };
        match asked.backwards {
            true => asked.before = Some(place.1),
            false => asked.since = Some(place),
        }
        scene.count("past: pages that join");
        self.ask_for_page(scene, asked);
    }

    /// The past of an epoch is said to be forgotten.
    pub(super) fn forgotten(&self, scene: &Scene, asked: &Asked) {
        let (epoch, _) = asked.since.as_ref().expect("no epoch was asked for");
        scene
            .model
            .check_forgotten(asked.channel, epoch, asked.turn);
    }

    fn recall(
        &mut self,
        scene: &mut Scene,
        channel: usize,
        epoch: &str,
        messages: &[Told<'_>],
        bytes: usize,
    ) -> Vec<usize> {
        self.answers += bytes;
        let each = messages.iter().map(|message| {
            let place = (epoch.to_owned(), message.offset);
            scene
                .model
                .recalls(channel, message.sender.as_deref(), message.payload, place)
        });
        each.collect()
    }

    /// Whether the session's queue surely had room for whatever the past is.
    pub(super) fn has_room(&self, scene: &Scene) -> bool {
        let calls = self.next_call.min(10_000) as usize * 300;
        let most = scene.model.bytes() + self.answers + calls;
        scene.net.node.config().max_queue >= 1024 * 1024 && most < 400_000
    }

    /// Publishes, perhaps under a name by which it may do so again.
    pub(super) fn publish_named(
        &mut self,
        scene: &mut Scene,
        number: usize,
        payload: &str,
    ) -> String {
        let senders = self.senders();
        let [user] = senders.as_slice() else {
            return String::new();
        };
        if !scene.is_never_refused() || !scene.chance.one_in(5) {
            return String::new();
        }
        self.memory
            .named
            .push((number, payload.to_owned(), user.clone()));
        format!(",{{\"id\":\"n{number}\"}}")
    }

    /// Publishes again what it published under a name.
    pub(super) fn publish_again(&mut self, scene: &mut Scene) {
        let senders = self.senders();
        let [user] = senders.as_slice() else { return };
        let own = self.memory.named.iter().filter(|(_, _, by)| by == user);
        let own: Vec<_> = own
            .filter(|(number, ..)| user.is_some() || *number >= self.first_named)
            .collect();
        if own.is_empty() {
            return;
        }
        let (number, payload, _) = own[scene.chance.below(own.len())].clone();
        scene.count("publications: again");
        let own = number >= self.first_named;
        scene.model.may_come_late(number, own);
        let channel = json(CHANNELS[scene.model.publication(number).channel]);
        let args = format!("\"PUBLISH\",[{channel},{payload},{{\"id\":\"n{number}\"}}]");
        debug_assert!(payload.contains(&mark(number)));
        self.ask(scene, Call::PublishAgain(number), &args);
    }
}

fn told(list: &str) -> Vec<Told<'_>> {
    let list: Vec<BTreeMap<&str, &RawValue>> = serde_json::from_str(list).unwrap();
    let mut messages = Vec::new();
    for fields in list {
        messages.push(Told {
            offset: fields["offset"].get().parse().unwrap(),
            sender: null_or(fields["sender"].get()),
            payload: fields["payload"].get(),
        });
    }
    messages
}

/// The slow twin: it keeps everything, and knows what the rules surely keep of it.
impl Model {
    /// Reads the rules of a run.
    pub fn set_rules(&mut self, config: &Config) {
        let policies = CHANNELS.iter().map(|name| config.policies.of(name));
        self.policies = policies.collect();
        let patterns = PATTERNS.iter().map(|name| config.policies.of(name));
        self.pattern_policies = patterns.collect();
        self.keeps = self.policies.iter().map(|policy| policy.history).collect();
        // A table of channels that is full lets go those that only remember.
        let bounded = config.max_channels < 100;
        self.kept_max = if bounded { 0 } else { config.max_history };
    }

    /// Bytes of everything published and sent, as it may wait for a session.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the longest message that a channel may have kept.
    pub fn longest_of(&self, channel: usize) -> usize {
        let of = |publication: &&super::model::Publication| {
            publication.channel == channel && publication.fate != Fate::Refused
        };
        let own = self.publications().iter().filter(of);
        own.map(super::model::Publication::len).max().unwrap_or(0)
    }

    /// Whether what is at `offset` is kept until now, whatever else was published meanwhile, `last` being the last.
    fn is_surely_kept(&self, channel: usize, epoch: &str, offset: u64, last: u64) -> bool {
        // What is held back may have taken its place.
        let Some(keep) = self.keeps[channel].filter(|_| !self.is_paced(channel)) else {
            return false;
        };
        let number = |offset: u64| {
            self.places
                .get(&(channel, epoch.to_owned(), offset))
                .copied()
        };
        let Some(oldest) = number(offset).filter(|_| last - offset < u64::from(keep.messages))
        else {
            return false;
        };
        let weights = (offset..=last)
            .map(|offset| number(offset).map(|number| self.publication(number).weight_max()));
        let weight: Option<usize> = weights.sum();
        weight.is_some_and(|weight| weight as u64 <= keep.bytes) && self.outlives(oldest, keep)
    }

    /// Whether a publication is young enough, and no bound of all histories together lets it go.
    fn outlives(&self, number: usize, keep: History) -> bool {
        let oldest = self.publication(number);
        let since = |publication: &&super::model::Publication| {
            let kept =
                self.keeps[publication.channel].is_some() && publication.fate != Fate::Refused;
            kept && publication
                .known_ms()
                .is_none_or(|known| known >= oldest.issued_ms())
        };
        let later = self.publications().iter().filter(since);
        let weight: usize = later.map(super::model::Publication::weight_max).sum();
        oldest.issued_ms() + keep.ttl_ms > self.now && weight <= self.kept_max
    }

    /// Whether what is at `place` was forgotten when it was asked for.
    fn is_surely_gone(&self, channel: usize, place: &Place, last: u64, asked: u64) -> bool {
        let Some(keep) = self.keeps[channel] else {
            return true;
        };
        let number = self.places.get(&(channel, place.0.clone(), place.1));
        let known = number.and_then(|number| self.publication(*number).known_ms());
        let old = known.is_some_and(|known| known + keep.ttl_ms <= asked);
        old || last - place.1 >= u64::from(keep.messages)
    }

    /// A channel says that it stands in `epoch`: so it does not, as long as something of another is surely kept.
    fn check_epoch(&self, channel: usize, epoch: &str, asked: u64) {
        for (its, number) in self.newest(channel, asked) {
            assert!(
                its == epoch,
                "channel {channel} stands in {epoch}, and has kept publication {number} of {its}"
            );
        }
    }

    fn check_forgotten(&self, channel: usize, epoch: &str, asked: u64) {
        for (its, number) in self.newest(channel, asked) {
            assert!(
                its != epoch,
                "channel {channel} has forgotten {epoch}, and has kept publication {number}"
            );
        }
    }

    /// By epoch, the newest publication of a channel that was known when somebody asked and surely is kept.
    fn newest(&self, channel: usize, asked: u64) -> Vec<(&str, usize)> {
        let Some(keep) = self.keeps[channel] else {
            return Vec::new();
        };
        let own = self
            .publications()
            .iter()
            .filter(|publication| publication.channel == channel);
        let heavy = own.map(super::model::Publication::weight_max).max();
        if heavy.is_none_or(|heavy| heavy as u64 > keep.bytes) {
            return Vec::new();
        }
        let mut newest: BTreeMap<&str, usize> = BTreeMap::new();
        for ((_, epoch, _), number) in self
            .places
            .range((channel, String::new(), 0)..(channel + 1, String::new(), 0))
        {
            if self
                .publication(*number)
                .known_turn()
                .is_some_and(|known| known <= asked)
            {
                newest.insert(epoch, *number);
            }
        }
        newest.retain(|_, number| self.outlives(*number, keep));
        newest.into_iter().collect()
    }
}

/// Most that a publication weighs beside its bytes.
pub const HEADS_MAX: usize = size_of::<Publication>() + 160;
