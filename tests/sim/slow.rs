//! Channels whose rule lets a reader who does not keep up miss some, and what readers are told of that.
//!
//! In: chance; notices of what was dropped, messages behind them. Out: rules, keys, or a panic. Every hole in what a reader
//! gets of a channel is as large as it was told, in front of what follows; where little waits nothing is dropped but what
//! something newer stands for; of that the newest comes. What the application is told at a session's end covers the rest.

use super::account::{Account, Facts, Kind, Topic};
use super::books::Books;
use super::chance::Chance;
use super::feed::{Entry, Notice};
use super::model::{CHANNELS, Fate, Item, Model, Publication};
use super::peer::{Peer, Sub};
use super::scene::Scene;
use orbited::config::policy::Slow;
use orbited::config::rule::Rule;
use std::collections::{BTreeMap, BTreeSet};

/// What a reader was told to have missed: a run of a channel's offsets.
#[derive(Debug, Clone)]
pub struct Hole {
    pub channel: usize,
    pub first: u64,
    pub last: u64,
}

/// Messages of a channel whose latest of each key is enough, which a reader with room for all of them was not given.
#[derive(Debug)]
pub struct Outdated {
    name: u32,
    hole: Hole,
    epoch: String,
    /// What takes their place was published before this number.
    until: usize,
}

/// Draws rules by which some channels drop messages.
pub fn draw_rules(chance: &mut Chance) -> Vec<Rule> {
    let mut rules = Vec::new();
    for pattern in ["**", "chat/**", "news/2009/*", CHANNELS[2], CHANNELS[0]] {
        let slow = chance.pick(&[
            "drop-oldest",
            "drop-oldest",
            "latest",
            "every=50ms",
            "every=1s",
            "every=5s",
            "close",
        ]);
        if chance.one_in(2) {
            rules.push(Rule::parse(&format!("{pattern} slow={slow}")).unwrap());
        }
    }
    rules
}

/// What a publication is the latest of, if it is to be said.
pub fn draw_key(scene: &mut Scene) -> Option<&'static str> {
    let keyed = scene.model.has_loose() && scene.chance.one_in(2);
    keyed.then(|| scene.chance.pick(&["EURUSD", "x", ""]))
}

impl Sub {
    /// The message at `offset` of `channel` comes; gives back the hole in front of it. Who was subscribed before, or
    /// reads by a pattern, may be told here of what it missed by that.
    pub fn goes_on(&mut self, name: u32, channel: usize, offset: u64, again: bool) -> Option<Hole> {
        let (first, told) = (self.next, std::mem::take(&mut self.missed));
        assert!(
            offset >= first,
            "{name} in channel {channel}: {offset} is a repeat, {first} comes next"
        );
        let hole = offset - first;
        assert!(
            hole == told || (again && hole < told),
            "{name} in channel {channel}: {hole} are missing in front of {offset}, and it is told of {told}"
        );
        self.next = offset + 1;
        (hole > 0).then(|| Hole {
            channel,
            first,
            last: offset - 1,
        })
    }
}

impl Peer {
    /// It is told that so many messages of a channel were dropped.
    pub(super) fn misses(&mut self, scene: &mut Scene, channel: &str, missed: u64) {
        let name = self.name;
        scene.note(|| format!("{name} misses {missed} of {channel}"));
        scene.net.totals.add("slow: messages missed", missed);
        let at = CHANNELS.iter().position(|known| *known == channel);
        let channel = at.expect("a channel");
        scene.model.check_may_miss(channel, self.has_room(scene));
        assert!(missed > 0, "{name} is told of nothing");
        let wide = self.wide.misses(channel, missed);
        match self.subs.get_mut(&channel) {
            Some(sub) => sub.missed += missed,
            None => assert!(
                wide || self.left.contains(&channel),
                "{name} misses {missed} of {channel}, to which it was never subscribed"
            ),
        }
    }

    /// There is a hole in a channel: if there was room, something newer is to stand for each of it.
    pub(super) fn finds(&mut self, scene: &mut Scene, hole: Hole, epoch: &str) {
        let latest = scene.model.policies[hole.channel].slow == Slow::Latest;
        if latest && self.has_room(scene) {
            let until = scene.model.next();
            scene.model.outdated.push(Outdated {
                name: self.name,
                hole: hole.clone(),
                epoch: epoch.to_owned(),
                until,
            });
        }
        self.holes.push(hole);
    }

    /// What it was told to have missed at the end, with nothing behind.
    pub(super) fn pending_holes(&self, account: &mut Account) {
        for (channel, sub) in &self.subs {
            account
                .holes
                .extend(Hole::behind(*channel, sub.next, sub.missed));
        }
    }

    /// With every queue empty: of what is the latest of something, the newest came, if there was room for it.
    pub(super) fn check_newest(&self, scene: &Scene) {
        if !self.has_room(scene) {
            return;
        }
        for (channel, sub) in &self.subs {
            for (key, number) in scene.model.newest_of(*channel, sub) {
                assert!(
                    self.given
                        .iter()
                        .any(|(_, item)| *item == Item::Channel(number)),
                    "{} misses publication {number}, the newest {key:?} of channel {channel}: {sub:?}",
                    self.name
                );
            }
        }
    }
}

impl Hole {
    /// What follows `next` is missing, if anything is.
    pub fn behind(channel: usize, next: u64, missed: u64) -> Option<Self> {
        (missed > 0).then(|| Self {
            channel,
            first: next,
            last: next + missed - 1,
        })
    }

    fn covers(&self, channel: usize, offset: u64) -> bool {
        self.channel == channel && (self.first..=self.last).contains(&offset)
    }
}

/// What the rules let be dropped.
impl Model {
    /// Whether a channel's readers may miss something.
    pub fn is_loose(&self, channel: usize) -> bool {
        self.policies[channel].slow != Slow::Close
    }

    /// Whether a channel holds messages back.
    pub fn is_paced(&self, channel: usize) -> bool {
        matches!(self.policies[channel].slow, Slow::Every(_))
    }

    /// Whether a message may have been held back.
    pub fn is_held(&self, entry: &Entry) -> bool {
        let place = entry.place.as_ref();
        let channel =
            place.and_then(|(channel, _)| CHANNELS.iter().position(|known| known == channel));
        channel.is_some_and(|channel| self.is_paced(channel))
    }

    /// Whether any channel's readers may.
    pub fn has_loose(&self) -> bool {
        (0..CHANNELS.len()).any(|channel| self.is_loose(channel))
    }

    /// For how many rounds a run that comes to its end waits for what is held back.
    pub fn quiet_rounds(&self) -> u32 {
        if self.has_loose() { QUIET_ROUNDS } else { 0 }
    }

    /// Somebody for whom little waits, if `has_room`, misses something of a channel.
    pub fn check_may_miss(&self, channel: usize, has_room: bool) {
        let slow = self.policies[channel].slow;
        let may = match slow {
            Slow::Close => false,
            Slow::DropOldest => !has_room,
            Slow::Latest | Slow::Every(_) => true,
        };
        assert!(
            may,
            "something of channel {channel} was dropped, which is {slow:?}"
        );
    }

    /// At the end: what was dropped where there was room had something newer of its key behind it.
    pub fn check_outdated(&self) {
        for Outdated {
            name,
            hole,
            epoch,
            until,
        } in &self.outdated
        {
            let before =
                || (0..*until).filter(|one| self.publication(*one).channel == hole.channel);
            let newer = |one: usize, offset: u64| {
                let key = self.publication(one).key;
                let mut others = before().filter(|other| self.publication(*other).key == key);
                others.any(|other| other != one && self.may_be_behind(other, epoch, offset))
            };
            for offset in hole.first..=hole.last {
                let mut there = before()
                    .filter(|one| self.may_be_at(*one, epoch, offset))
                    .peekable();
                assert!(
                    there.peek().is_some(),
                    "{name} was not given {offset} of channel {}, and nothing is there",
                    hole.channel
                );
                assert!(
                    there.any(|one| newer(one, offset)),
                    "{name} was not given {offset} of channel {}, and nothing stands for it",
                    hole.channel
                );
            }
        }
    }

    /// Whether a publication may stand at a place, as far as anybody was told: nothing else does, and what surely was taken
    /// before or after it stands on its side of it.
    fn may_be_at(&self, number: usize, epoch: &str, offset: u64) -> bool {
        let one = self.publication(number);
        if one.fate == Fate::Refused || one.offset().is_some_and(|its| its != offset) {
            return false;
        }
        match self.places.get(&(one.channel, epoch.to_owned(), offset)) {
            Some(there) => *there == number,
            None => one.place.is_none() && self.is_in_order(one, epoch, offset),
        }
    }

    /// Whether it may stand somewhere behind that.
    fn may_be_behind(&self, number: usize, epoch: &str, offset: u64) -> bool {
        let one = self.publication(number);
        match one.offset() {
            Some(its) => its > offset && self.may_be_at(number, epoch, its),
            // Nothing that came later stands behind the end.
            None => one.fate != Fate::Refused && self.is_in_order(one, epoch, u64::MAX),
        }
    }

    /// Whether nobody knew of something on the wrong side of a place in front of who asked for the other.
    fn is_in_order(&self, one: &Publication, epoch: &str, offset: u64) -> bool {
        let first = (one.channel, epoch.to_owned(), 0);
        let behind = self.places.range(first..);
        let mut placed = behind.map_while(|((channel, its, at), other)| {
            let here = *channel == one.channel && its == epoch;
            here.then(|| (*at, self.publication(*other)))
        });
        let before = |one: &Publication, other: &Publication| {
            one.known_turn()
                .is_some_and(|known| known < other.issued_turn())
        };
        placed.all(|(at, other)| match at < offset {
            true => !before(one, other),
            false => !before(other, one),
        })
    }

    /// By key, the newest that a subscriber of a channel must have seen.
    fn newest_of(&self, channel: usize, sub: &Sub) -> BTreeMap<Option<&'static str>, usize> {
        let slow = self.policies[channel].slow;
        let mut newest: BTreeMap<_, (u64, usize)> = BTreeMap::new();
        for (number, publication) in self.publications().iter().enumerate() {
            let Some(offset) = publication.offset() else {
                continue;
            };
            if publication.channel != channel || !sub.surely_covers(number, publication) {
                continue;
            }
            let key = match slow {
                Slow::Latest => publication.key,
                Slow::Every(_) => None,
                Slow::Close | Slow::DropOldest => continue,
            };
            let best = newest.entry(key).or_insert((offset, number));
            *best = (*best).max((offset, number));
        }
        let each = newest.into_iter();
        each.map(|(key, (_, number))| (key, number)).collect()
    }
}

impl Sub {
    /// Whether a publication was certainly taken behind the beginning of this subscription.
    fn surely_covers(&self, number: usize, publication: &Publication) -> bool {
        let placed = publication.place.as_ref();
        let placed = placed.is_some_and(|(epoch, at)| *epoch == self.epoch && *at >= self.begun);
        placed || (number >= self.since && publication.is_taken())
    }
}

/// What the application is told of those who missed something.
impl Account {
    /// How many of a channel whose readers may miss some are missing in front of and between `offsets`, which are listed.
    pub fn holes_in(&self, offsets: &[u64], topic: &Topic, channel: usize) -> Result<u64, String> {
        if self.left.contains(&channel) || topic.leaves {
            return Ok(0);
        }
        let told = topic.next.map(|next| next + topic.missed);
        let sorted = offsets.is_sorted_by(|one, next| one < next);
        if !sorted || told.is_some_and(|told| offsets[0] < told) {
            return Err(format!(
                "{offsets:?} of channel {channel} are listed: {topic:?}"
            ));
        }
        let first = told.map_or(0, |told| offsets[0].saturating_sub(told));
        let inner: u64 = offsets.windows(2).map(|two| two[1] - two[0] - 1).sum();
        Ok(first + inner)
    }

    /// The count of what it missed and did not acknowledge the notice of covers these holes, and no more than there is.
    pub fn fit_missed(
        &self,
        notice: &Notice,
        unseen: &[Item],
        holes: u64,
        facts: &Facts<'_>,
    ) -> Result<(), String> {
        let unacked = |acked: u64| -> u64 {
            let behind = self.gaps.iter().filter(|(packet, _)| *packet > acked);
            behind.map(|(_, missed)| missed).sum()
        };
        let acked = self.acked_before(u64::MAX);
        let acks = self.flying.iter().copied().filter(|ack| *ack > acked);
        let counts: Vec<u64> = acks.chain([acked]).map(unacked).collect();
        let (least, most) = match self.kind {
            Kind::Csp => (counts.iter().min().copied(), counts.iter().max().copied()),
            _ => (None, None),
        };
        let told = self.kind == Kind::Csp || self.whole;
        let least = least.unwrap_or(0) + if told { holes } else { 0 };
        let seen: BTreeSet<Item> = self.seen.iter().map(|(_, item)| *item).collect();
        let given = |item: &Item| seen.contains(item) || unseen.contains(item);
        let may = facts.model.publications().iter().enumerate();
        let may = may.filter(|(number, publication)| {
            let reads = self.topics.contains_key(&publication.channel)
                || self.left.contains(&publication.channel);
            let loose = facts.model.is_loose(publication.channel);
            reads && loose && publication.fate != Fate::Refused && !given(&Item::Channel(*number))
        });
        let most = most.unwrap_or(0) + may.count() as u64;
        match (least..=most).contains(&notice.missed) {
            true => Ok(()),
            false => Err(format!(
                "it missed from {least} to {most}, and {} are told",
                notice.missed
            )),
        }
    }

    /// What it surely was given of a channel and neither saw nor is listed for it, it was told of, or it is counted.
    pub fn is_told(
        &self,
        notice: &Notice,
        (channel, topic): (usize, &Topic),
        missing: &[Item],
        facts: &Facts<'_>,
    ) -> Result<(), String> {
        // What is held back when it ends is nobody's yet.
        if facts.model.is_paced(channel) || self.left.contains(&channel) {
            return Ok(());
        }
        let end = topic.next.unwrap_or(0) + topic.missed;
        let untold = missing.iter().filter(|item| match item {
            Item::Channel(number) => {
                let offset = facts.model.publication(*number).offset();
                offset.is_some_and(|offset| offset >= end)
            }
            Item::Peer(_) => false,
        });
        // Where nobody was told a place, what it was told of is any of them.
        let unplaced = topic.next.map_or(topic.missed, |_| 0);
        let told = notice.missed + unplaced;
        match untold.count() as u64 {
            many if many <= told => Ok(()),
            many => Err(format!(
                "{many} of channel {channel} were dropped, {told} are told: {topic:?}"
            )),
        }
    }
}

impl Books {
    /// Sessions that may have missed something, each with whether not all of that is known by its place.
    pub fn missed(&self, told: &[Option<usize>]) -> Vec<(&Account, bool)> {
        let each = self.accounts.iter().enumerate();
        let unknown = |at: usize| {
            let number = told.iter().position(|by| *by == Some(at));
            number.is_none_or(|number| self.notices[number].missed > 0)
        };
        let each = each.map(|(at, account)| (account, unknown(at)));
        each.filter(|(account, unknown)| {
            *unknown || !account.holes.is_empty() || !account.left.is_empty()
        })
        .collect()
    }
}

/// How many sessions may have missed a message because its channel's rule let it be dropped.
pub fn dropped_for(missed: &[(&Account, bool)], model: &Model, item: Item) -> usize {
    let Item::Channel(number) = item else {
        return 0;
    };
    let publication = model.publication(number);
    let channel = publication.channel;
    if !model.is_loose(channel) {
        return 0;
    }
    let offset = publication.offset();
    let may = |(account, unknown): &&(&Account, bool)| {
        let hole = |hole: &Hole| offset.is_none_or(|offset| hole.covers(channel, offset));
        let told = account.holes.iter().any(hole);
        let reads = *unknown && account.topics.contains_key(&channel);
        let seen = account.seen.iter().any(|(_, seen)| *seen == item);
        !seen && (told || reads || account.left.contains(&channel))
    };
    missed.iter().filter(may).count()
}

/// Rounds of the end for which everything is to be quiet: longer than any channel holds something back.
const QUIET_ROUNDS: u32 = 30;
