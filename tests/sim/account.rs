//! What one session was given and what of it was acknowledged, as its client knows; held against what the application
//! is told of its end.
//!
//! In: a client's own record, a notice. Out: whether the notice can be of this session, what of its list the client
//! never saw, or what does not fit. Where an acknowledgement was in flight either outcome fits, and is counted as such.

use super::books::{Kick, kicked};
use super::driver::{Driver, LinkId};
use super::feed::Notice;
use super::model::{CHANNELS, Item, Model, Place};
use super::patterns::Wide;
use super::slow::Hole;
use std::collections::{BTreeMap, BTreeSet};

/// One session.
#[derive(Default)]
pub struct Account {
    pub name: u32,
    pub kind: Kind,
    /// Its key, if the client knows it.
    pub key: Option<String>,
    /// The connection of a bare session.
    pub link: Option<LinkId>,
    /// Whose it may be at the end: the client's user, or one that it asked to be.
    pub users: Vec<Option<String>>,
    /// Reasons that the client gave the node, and in which turn it first said goodbye.
    pub said: Vec<&'static str>,
    pub goodbye: Option<u64>,
    /// In which turn it began, at the earliest.
    pub begun: u64,
    /// In which turn a bare session surely was there, at the latest.
    pub alive: u64,
    /// When the client knows to have been heard last, and for how long silence is borne.
    pub heard: Option<(u64, u64)>,
    /// There surely was such a session.
    pub certain: bool,
    /// What reached the client, each with the packet in which it ended.
    pub seen: Vec<(u64, Item)>,
    /// The packets up to which the node is known to have read an acknowledgement, and since which turn.
    pub acked: Vec<(u64, u64)>,
    /// Acknowledgements that it may have read.
    pub flying: Vec<u64>,
    /// Bytes of each packet that came.
    pub packets: BTreeMap<u64, usize>,
    /// Calls without an answer.
    pub waiting: usize,
    /// Of these, what may be answered with some past.
    pub pages: Vec<Page>,
    pub topics: BTreeMap<usize, Topic>,
    /// What it reads by patterns.
    pub wide: Wide,
    /// How many messages it was told to have missed, each with the packet in which that ended, and which.
    pub gaps: Vec<(u64, u64)>,
    pub holes: Vec<Hole>,
    /// Channels that it left.
    pub left: BTreeSet<usize>,
    /// Messages to its user from this number on came, or are listed.
    pub user_since: Option<usize>,
    /// Of a bare session: its client read everything that was written.
    pub whole: bool,
    /// Of a session of Bayeux: something was written that counts as arrived and was not read.
    pub lossy: bool,
}

/// How a session is reached.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Begun by a handshake whose answer was lost, or refused behind its beginning.
    #[default]
    Orphan,
    Csp,
    Socket,
    Reader,
}

/// A call that may be answered with some past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// With as much as there is room for.
    Subscribe,
    /// Of this channel: with one message whatever it weighs.
    History(usize),
}

/// A channel that a session reads, or asked for.
#[derive(Debug, Default)]
pub struct Topic {
    /// What comes next, if the client is subscribed.
    pub next: Option<u64>,
    pub epoch: Option<String>,
    /// Publications from this number on must come.
    pub since: usize,
    /// How often it asked to subscribe and is not answered, and whether it asked to leave.
    pub asks: usize,
    pub leaves: bool,
    /// How many behind what came were missed, as it was told.
    pub missed: u64,
}

impl Topic {
    /// Whether what is at `place` has come.
    pub fn is_behind(&self, place: Option<&Place>) -> bool {
        let epoch = self.epoch.as_ref();
        let next = self.next.unwrap_or_default();
        place.is_some_and(|(its, offset)| epoch == Some(its) && *offset < next)
    }

    /// A channel that is asked for, or was left.
    pub fn asked() -> Self {
        Self {
            since: usize::MAX,
            ..Self::default()
        }
    }
}

/// What fits.
#[derive(Debug, Default)]
pub struct Fit {
    /// Listed, and never seen by the client.
    pub unseen: Vec<Item>,
    /// Only an acknowledgement in flight explains the list.
    pub flying: bool,
}

/// What a notice is held against beside the account.
pub struct Facts<'a> {
    pub net: &'a Driver,
    pub model: &'a Model,
    pub kicks: &'a [Kick],
    /// Every notice of the run was read as soon as it was there.
    pub steady: bool,
}

impl Facts<'_> {
    /// Whether `notice` was given too late to be because of what happened in `turn`; a feed that is read at leisure
    /// may give it at any time.
    fn is_late(&self, notice: &Notice, turn: u64) -> bool {
        self.steady && turn + 1 < notice.turns.0
    }
}

impl Account {
    /// Holds a notice, whose list is `items`, against this session.
    pub fn fit(&self, notice: &Notice, items: &[Item], facts: &Facts<'_>) -> Result<Fit, String> {
        self.fit_time(notice, facts)?;
        // Who is refused is nobody.
        let refused = notice.reason == "closed" && notice.user.is_none();
        if !(refused || self.users.contains(&notice.user)) {
            return Err(format!("it was one of {:?}", self.users));
        }
        let seen: BTreeSet<Item> = self.seen.iter().map(|(_, item)| *item).collect();
        let known = items.iter().take_while(|item| seen.contains(item)).count();
        let flying = self.fit_acks(&items[..known], notice.cut > 0 && known == items.len())?;
        let unseen = &items[known..];
        if let Some(item) = unseen.iter().find(|item| seen.contains(item)) {
            return Err(format!("{item:?} is listed behind what was never seen"));
        }
        let places = notice.undelivered[known..].iter();
        let places = places.filter_map(|entry| entry.place.as_ref());
        let holes = self.fit_channels(&places.collect::<Vec<_>>(), facts)?;
        self.fit_missed(notice, unseen, holes, facts)?;
        self.fit_user(notice, known)?;
        if facts.steady && notice.cut == 0 {
            self.is_whole(notice, unseen, facts)?;
        }
        self.fit_reason(notice, unseen, facts)?;
        Ok(Fit {
            unseen: unseen.to_vec(),
            flying,
        })
    }

    /// It ended while there was such a session, and was told at once.
    fn fit_time(&self, notice: &Notice, facts: &Facts<'_>) -> Result<(), String> {
        if self.key.as_ref().is_some_and(|key| *key != notice.session) {
            return Err("its key is another".to_owned());
        }
        let closed = self.link.and_then(|link| facts.net.closed_turn(link));
        let late = closed.is_some_and(|turn| facts.is_late(notice, turn));
        if late || notice.turns.1 < self.begun.max(self.alive) {
            return Err(OTHER_TIME.to_owned());
        }
        Ok(())
    }

    /// Up to which packet an acknowledgement was read before `turn`, as far as the client knows.
    pub(super) fn acked_before(&self, turn: u64) -> u64 {
        let before = self.acked.iter().filter(|(since, _)| *since < turn);
        before.map(|(_, acked)| *acked).max().unwrap_or_default()
    }

    /// What the client has seen is listed exactly behind some packet up to which it acknowledged. True when that was
    /// on its way only.
    fn fit_acks(&self, listed: &[Item], cut: bool) -> Result<bool, String> {
        if self.kind != Kind::Csp {
            return match listed.first() {
                Some(item) => Err(format!(
                    "{item:?} is listed, and was seen on a bare connection"
                )),
                None => Ok(false),
            };
        }
        let fits = |acked: u64| {
            let behind = self.seen.iter().filter(|(packet, _)| *packet > acked);
            let behind: Vec<Item> = behind.map(|(_, item)| *item).collect();
            behind == listed || (cut && behind.starts_with(listed))
        };
        let acked = self.acked_before(u64::MAX);
        if fits(acked) {
            return Ok(false);
        }
        let flying = self.flying.iter().filter(|ack| **ack > acked);
        if flying.copied().any(fits) {
            return Ok(true);
        }
        let behind = self.seen.iter().filter(|(packet, _)| *packet > acked);
        Err(format!(
            "acknowledged up to {acked}, perhaps {:?}: {listed:?} are listed of {:?}",
            self.flying,
            behind.collect::<Vec<_>>()
        ))
    }

    /// Of each channel what follows what the client has seen, without a gap but where it may have left and come back.
    /// Gives back how many messages are missing of those that may be.
    fn fit_channels(&self, unseen: &[&(String, u64)], facts: &Facts<'_>) -> Result<u64, String> {
        let mut holes = 0;
        let mut runs: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (channel, offset) in unseen {
            runs.entry(channel).or_default().push(*offset);
        }
        let lost = self.kind != Kind::Csp && !self.whole;
        for (channel, offsets) in runs {
            let at = CHANNELS.iter().position(|known| *known == channel);
            let topic = at.and_then(|at| self.topics.get(&at));
            let topic = topic.filter(|topic| topic.next.is_some() || topic.asks > 0);
            let wide = at.is_some_and(|at| self.may_be_given(at, facts.model));
            // Only from the answer to a subscription by name on is there a place that all of them follow.
            if wide && topic.is_none_or(|topic| topic.leaves || topic.next.is_none()) {
                continue;
            }
            let Some(topic) = topic else {
                return Err(format!("it was not subscribed to {channel}"));
            };
            if at.is_some_and(|at| facts.model.is_loose(at)) {
                holes += self.holes_in(&offsets, topic, at.unwrap_or_default())?;
                continue;
            }
            let gaps = offsets
                .windows(2)
                .filter(|two| two[0] + 1 != two[1])
                .count();
            let late = topic.next.is_some_and(|next| match lost {
                true => offsets[0] < next,
                false => offsets[0] != next,
            });
            let may = if topic.leaves { topic.asks } else { 0 };
            if gaps + usize::from(late) > may {
                return Err(format!("{offsets:?} of {channel} are listed: {topic:?}"));
            }
        }
        Ok(holes)
    }

    fn fit_user(&self, notice: &Notice, known: usize) -> Result<(), String> {
        let whom = notice.undelivered[known..].iter();
        let mut whom = whom.filter_map(|entry| entry.user.as_ref());
        match whom.find(|user| !self.users.contains(&Some((*user).clone()))) {
            Some(user) => Err(format!("a message to {user} is listed")),
            None => Ok(()),
        }
    }

    /// What was taken while the session surely was there came, or is listed.
    fn is_whole(&self, notice: &Notice, unseen: &[Item], facts: &Facts<'_>) -> Result<(), String> {
        let kicked = kicked(facts.kicks, &self.users, self.begun);
        let ends = kicked
            .into_iter()
            .chain(self.goodbye)
            .chain(facts.net.stopped_turn());
        let left = ends.map(|turn| turn.saturating_sub(1));
        let until = left
            .chain([notice.turns.0.saturating_sub(2)])
            .min()
            .unwrap_or(0);
        let lost = !matches!(self.kind, Kind::Csp | Kind::Orphan) && !self.whole;
        let given: BTreeSet<Item> = unseen.iter().copied().collect();
        let seen = |item: Item| self.seen.iter().any(|(_, seen)| *seen == item);
        let missing = |item: &Item| !lost && !given.contains(item) && !seen(*item);
        for (channel, topic) in self.topics.iter().filter(|(_, topic)| !topic.leaves) {
            let due = facts.model.taken_until(*channel, topic, until);
            if facts.model.is_loose(*channel) {
                self.is_told(
                    notice,
                    (*channel, topic),
                    &due.into_iter().filter(missing).collect::<Vec<_>>(),
                    facts,
                )?;
                continue;
            }
            if let Some(item) = due.into_iter().find(missing) {
                return Err(format!(
                    "{item:?} of {topic:?} is missing, known until {until}"
                ));
            }
        }
        if !lost {
            self.is_wide_whole(notice, unseen, until, facts)?;
        }
        let user = self.users.first().cloned().flatten();
        let due = self.user_since.zip(user);
        let due = due.map(|(since, user)| facts.model.sent_until(&user, since, until));
        match due.into_iter().flatten().find(missing) {
            Some(item) => Err(format!("{item:?} is missing, known until {until}")),
            None => Ok(()),
        }
    }

    fn fit_reason(
        &self,
        notice: &Notice,
        unseen: &[Item],
        facts: &Facts<'_>,
    ) -> Result<(), String> {
        let bare = self.link;
        let blocked = bare.is_some_and(|link| facts.net.was_blocked(link));
        let stopped = facts.net.stopped_turn();
        let fits = match notice.reason.as_str() {
            said @ ("clean" | "protocol" | "too-big") => {
                let since = self.goodbye.is_some_and(|turn| turn <= notice.turns.1);
                since && self.said.contains(&said)
            }
            "timeout" => match (self.heard, bare) {
                (Some((at, ms)), _) => notice.at - at >= ms,
                // Nothing is asked of a reader: it ends with its connection.
                (None, Some(_)) if self.kind == Kind::Reader => false,
                (None, Some(link)) => facts.net.was_unheard(link) || blocked,
                (None, None) => false,
            },
            "gone" => bare.is_some_and(|link| {
                // That ended with its connection, in one turn.
                let closed = facts.net.closed_turn(link);
                let may = blocked || closed.is_none() || facts.net.was_ended_by_client(link);
                may && closed.is_none_or(|turn| turn <= notice.turns.1)
            }),
            "kicked" => {
                let user = [notice.user.clone()];
                let kicked = kicked(facts.kicks, &user, self.begun);
                kicked.is_some_and(|turn| turn <= notice.turns.1)
            }
            "shutdown" => stopped.is_some_and(|turn| turn <= notice.turns.1),
            "overflow" => notice.cut > 0 || self.may_overflow(notice, unseen, facts),
            // One that was refused behind its beginning.
            "closed" => !self.certain && notice.undelivered.is_empty(),
            _ => false,
        };
        match fits {
            true => Ok(()),
            false => Err(format!("it did not end by that: {:?}", self.said)),
        }
    }

    /// Whether so much may have waited for it: what it was given and has not acknowledged, and every answer that it
    /// did not get.
    fn may_overflow(&self, notice: &Notice, unseen: &[Item], facts: &Facts<'_>) -> bool {
        let config = facts.net.node.config();
        let bare = matches!(self.kind, Kind::Socket | Kind::Reader);
        let full = bare && config.max_queue_total < 1024 * 1024;
        // It may have run over in front of what else was read in that turn; the last of that was answered, if the feed does
        // not tell when.
        let last = self.acked.iter().map(|(turn, _)| *turn).max();
        let turn = match facts.steady {
            true => notice.turns.0,
            false => last.unwrap_or(0).min(notice.turns.0),
        };
        let acked = self.acked_before(turn);
        let behind = self.packets.range(acked + 1..);
        let packets: usize = behind.map(|(_, bytes)| bytes + PLACE_BYTES).sum();
        let listed = &notice.undelivered[notice.undelivered.len() - unseen.len()..];
        // Who reads several channels is told in front of each message where it stands in all of them.
        let places = match self.kind {
            Kind::Reader if self.topics.len() > 1 => {
                PLACE_BYTES + self.topics.len() * POSITION_BYTES
            }
            _ => 0,
        };
        let line = |entry: &super::feed::Entry| {
            let target = entry.place.as_ref().map_or("", |(channel, _)| channel);
            let names = 2 * (target.len() + entry.sender.as_ref().map_or(0, String::len));
            let pieces = 1 + entry.json.len() / orbited::session::PACKET_BYTES_MAX;
            // An event has a word in front of each of its lines, a few in a message.
            entry.json.len() + names + places + LINE_BYTES + pieces * PLACE_BYTES
        };
        let listed: usize = listed.iter().map(line).sum();
        let most = packets + listed + (self.waiting + 1) * ANSWER_BYTES;
        // Each page takes at most half of what is left, but for one message of a history.
        let half = config.max_queue / 2;
        let page = |page: &Page| match page {
            Page::Subscribe => half,
            Page::History(channel) => half.max(facts.model.longest_of(*channel)),
        };
        let pages: usize = self.pages.iter().map(page).sum();
        full || most + pages > config.max_queue
    }
}

/// What is not worth telling.
pub const OTHER_TIME: &str = "it was there at another time";
/// What a waiting payload counts beside its bytes.
const PLACE_BYTES: usize = 32;
/// Most of an epoch and an offset.
const POSITION_BYTES: usize = 24;
/// Most of a line or event beside its names and its payload.
const LINE_BYTES: usize = 80;
/// Most of an answer to a call, or of a goodbye.
const ANSWER_BYTES: usize = 300;
