//! The shadow model: what was published and sent, and who may and must have seen it.
//!
//! In: what clients ask for, what they are answered, what reaches them. It asserts: a publication has one
//! place in its channel's one epoch, the same for everyone; what was refused reaches nobody; what reaches
//! somebody is what was published, with its publisher's name; nobody is told of more readers than there are.

use super::account::Topic;
use super::feed::{Entry, Notice};
use super::past::HEADS_MAX;
use super::slow::Outdated;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orbited::config::policy::{History, Policy};
use std::collections::BTreeMap;

/// The channels of a run.
pub const CHANNELS: [&str; 6] = [
    "a",
    "chat/room1",
    "r\u{e4}ume/\u{20ac}",
    "x y",
    "q\"\\b",
    "news/2009/10",
];
/// The users of a run.
pub const USERS: [&str; 4] = ["ann", "bob", "\u{e9}ve", "o'x\"y"];

/// Everything published and sent.
#[derive(Default)]
pub struct Model {
    publications: Vec<Publication>,
    /// What holds for each channel.
    pub(super) policies: Vec<Policy>,
    /// And for subscribing to each pattern.
    pub(super) pattern_policies: Vec<Policy>,
    /// What is kept of each channel, and of all together, in bytes.
    pub(super) keeps: Vec<Option<History>>,
    pub(super) kept_max: usize,
    pub(super) bytes: usize,
    /// What was dropped because something newer stands for it.
    pub(super) outdated: Vec<Outdated>,
    /// The moment at which clients are looking.
    pub now: u64,
    peers: Vec<PeerMessage>,
    /// Which publication has which place.
    pub(super) places: BTreeMap<(usize, String, u64), usize>,
    /// By the number that the node gave it.
    ids: BTreeMap<u64, Item>,
    /// The turn of the node that clients are looking at.
    pub turn: u64,
}

/// What a session may be given, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Channel(usize),
    Peer(usize),
}

/// Where a publication is known to be.
pub type Place = (String, u64);

/// One publication.
#[derive(Debug)]
pub struct Publication {
    /// Its publisher.
    pub by: u32,
    pub channel: usize,
    /// As JSON readers get it, without line ends.
    json: String,
    /// As readers of events get it.
    event: String,
    /// Who may have published it.
    senders: Vec<Option<String>>,
    /// What it is the latest of.
    pub key: Option<&'static str>,
    pub fate: Fate,
    pub place: Option<Place>,
    /// Where who reads it by a pattern is told that it is, if that is anywhere.
    wide: Option<Option<u64>>,
    seen: usize,
    /// How many readers its publisher was told of.
    told: Option<usize>,
    ended_before: u64,
    /// The turn and the moment in which it was asked for, and in which somebody first knew that it was taken.
    issued: (u64, u64),
    known: Option<(u64, u64)>,
    /// It may have been asked for again by another than its publisher, whose order it is not in.
    late: bool,
    /// How many sessions ended without their client having seen it.
    listed: usize,
}

impl Publication {
    /// Where it is in its channel, as far as anybody was told.
    pub fn offset(&self) -> Option<u64> {
        match (self.fate, &self.place) {
            (Fate::At(offset), _) => Some(offset),
            (_, Some((_, offset))) => Some(*offset),
            _ => self.wide.flatten(),
        }
    }

    /// Most that it weighs in a history.
    pub fn weight_max(&self) -> usize {
        HEADS_MAX + self.event.len().max(self.json.len())
    }

    /// In which turn it was asked for.
    pub fn issued_turn(&self) -> u64 {
        self.issued.0
    }

    pub fn issued_ms(&self) -> u64 {
        self.issued.1
    }

    /// When somebody first knew that it was taken.
    pub fn known_ms(&self) -> Option<u64> {
        self.known.map(|(_, ms)| ms)
    }

    /// In which turn that was.
    pub fn known_turn(&self) -> Option<u64> {
        self.known.map(|(turn, _)| turn)
    }

    /// Whether it need not be in its publisher's order.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// Whether it reached anybody.
    pub fn was_seen(&self) -> bool {
        self.seen > 0
    }

    /// Whether its publisher was told that it is taken.
    pub fn is_taken(&self) -> bool {
        matches!(self.fate, Fate::At(_) | Fate::Taken)
    }

    /// The payload as JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Bytes of the payload as JSON.
    pub fn len(&self) -> usize {
        self.json.len()
    }
}

/// What its publisher knows of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Unknown,
    /// Taken, at this offset.
    At(u64),
    /// Taken, and nobody says where: publishers of Bayeux are not told.
    Taken,
    Refused,
}

#[derive(Debug)]
struct PeerMessage {
    by: u32,
    to: String,
    json: String,
    senders: Vec<Option<String>>,
    refused: bool,
    seen: usize,
    told: Option<usize>,
    ended_before: u64,
    issued: u64,
    known: Option<u64>,
    listed: usize,
}

impl Model {
    /// A publication begins; `json` and `event` are its payload as readers get it, with [`mark`] of its
    /// number in it. `ended` is how many sessions have ended so far.
    pub fn publish(
        &mut self,
        by: u32,
        channel: usize,
        json: &str,
        event: &str,
        senders: Vec<Option<String>>,
        ended: u64,
    ) -> usize {
        self.publications.push(Publication {
            by,
            channel,
            json: flat(json),
            event: event.replace("\r\n", "\n").replace('\r', "\n"),
            senders,
            key: None,
            fate: Fate::Unknown,
            place: None,
            wide: None,
            seen: 0,
            told: None,
            ended_before: ended,
            issued: (self.turn, self.now),
            known: None,
            late: false,
            listed: 0,
        });
        self.bytes += json.len() + WAITS_BYTES;
        self.publications.len() - 1
    }

    /// The number of the next publication.
    pub fn next(&self) -> usize {
        self.publications.len()
    }

    /// What the last publication is the latest of.
    pub fn keyed(&mut self, key: &'static str) {
        if let Some(publication) = self.publications.last_mut() {
            publication.key = Some(key);
        }
    }

    pub fn publication(&self, number: usize) -> &Publication {
        &self.publications[number]
    }

    /// Its publisher is told that a publication is at `offset` (and had so many readers).
    pub fn taken(&mut self, number: usize, offset: u64, readers: Option<usize>) {
        let paced = self.is_paced(self.publications[number].channel);
        let publication = &mut self.publications[number];
        assert_eq!(
            publication.fate,
            Fate::Unknown,
            "publication {number} is answered twice"
        );
        assert!(offset > 0);
        publication.fate = Fate::At(offset);
        publication.known.get_or_insert((self.turn, self.now));
        // What its channel holds back goes to readers whom nobody counts yet.
        let held = readers == Some(0) && paced;
        publication.told = readers.filter(|_| !held);
        if let Some((_, place)) = &publication.place {
            assert_eq!(
                *place, offset,
                "publication {number} was seen elsewhere than its publisher is told"
            );
        }
    }

    /// Its publisher is told no.
    pub fn refused(&mut self, number: usize) {
        let publication = &mut self.publications[number];
        assert_eq!(
            publication.fate,
            Fate::Unknown,
            "publication {number} is answered twice"
        );
        assert_eq!(
            publication.seen, 0,
            "publication {number} is refused and was seen"
        );
        publication.fate = Fate::Refused;
    }

    /// Somebody asks again for a publication, perhaps another than who first did, and perhaps before it is taken.
    pub fn may_come_late(&mut self, number: usize, own: bool) {
        let publication = &mut self.publications[number];
        publication.late |= !own && publication.fate == Fate::Unknown;
    }

    /// Who asked again is told that a publication is at `offset`.
    pub fn taken_again(&mut self, number: usize, offset: u64, readers: Option<usize>) {
        match self.publications[number].fate {
            Fate::At(known) => {
                assert_eq!(known, offset, "publication {number} is there twice");
                let told = self.publications[number].told;
                assert!(
                    readers.is_none() || readers == told.or(Some(0)),
                    "publication {number} went out twice"
                );
            }
            _ => {
                self.taken(number, offset, readers);
                // Who asked first may be answered yet.
                self.publications[number].fate = Fate::Unknown;
            }
        }
    }

    pub fn publications(&self) -> &[Publication] {
        &self.publications
    }

    /// A publication reaches a Revolved client at a place. Gives back its number.
    pub fn reaches(
        &mut self,
        channel: usize,
        sender: Option<&str>,
        payload: &str,
        place: Place,
    ) -> usize {
        let number = self.recalls(channel, sender, payload, place);
        self.publications[number].seen += 1;
        number
    }

    /// A publication reaches somebody who does not read its channel by name. Gives back its number.
    pub fn reaches_widely(
        &mut self,
        channel: usize,
        sender: Option<&str>,
        payload: &str,
        offset: Option<u64>,
    ) -> usize {
        let number = self.recognises(channel, sender, payload, offset);
        assert!(
            offset.is_some() || self.keeps[channel].is_none() || self.is_paced(channel),
            "publication {number} is kept, and nowhere"
        );
        let publication = &mut self.publications[number];
        let place = publication.place.as_ref().map(|(_, offset)| *offset);
        assert!(
            place.is_none() || place == offset,
            "publication {number} is at {offset:?} and at {place:?}"
        );
        assert_eq!(
            *publication.wide.get_or_insert(offset),
            offset,
            "publication {number} has two places"
        );
        publication.seen += 1;
        number
    }

    /// A publication is told at its place, as it was. Gives back its number.
    pub fn recalls(
        &mut self,
        channel: usize,
        sender: Option<&str>,
        payload: &str,
        place: Place,
    ) -> usize {
        let number = self.recognises(channel, sender, payload, Some(place.1));
        let publication = &mut self.publications[number];
        let first = publication.place.get_or_insert_with(|| place.clone());
        assert_eq!(*first, place, "publication {number} has two places");
        let (epoch, offset) = place;
        assert!(
            publication.wide.is_none_or(|wide| wide == Some(offset)),
            "publication {number} is at {offset} and at {:?}",
            publication.wide
        );
        let there = *self
            .places
            .entry((channel, epoch.clone(), offset))
            .or_insert(number);
        assert_eq!(there, number, "two publications at {epoch} {offset}");
        number
    }

    /// It is what was published, as its publisher was told.
    fn recognises(
        &mut self,
        channel: usize,
        sender: Option<&str>,
        payload: &str,
        offset: Option<u64>,
    ) -> usize {
        let number = number_in(payload);
        // What was held back when its channel was forgotten had a place there.
        let forgotten = offset.is_none() && self.is_paced(channel);
        let publication = &mut self.publications[number];
        assert_eq!(
            publication.channel, channel,
            "publication {number} is in the wrong channel"
        );
        assert_eq!(
            publication.json,
            flat(payload),
            "publication {number} is not what was published"
        );
        let known = publication
            .senders
            .iter()
            .any(|may| may.as_deref() == sender);
        assert!(
            known,
            "publication {number} is {sender:?}'s instead of {:?}'s",
            publication.senders
        );
        assert_ne!(
            publication.fate,
            Fate::Refused,
            "publication {number} was refused and is seen"
        );
        if let Fate::At(known) = publication.fate {
            assert!(
                forgotten || known == offset.unwrap_or(NOWHERE),
                "publication {number} is at {offset:?}, and its publisher was told {known}"
            );
        }
        publication.known.get_or_insert((self.turn, self.now));
        number
    }

    /// A publication reaches a reader of events. Gives back its number.
    pub fn reaches_reader(&mut self, channels: &[usize], data: &str) -> usize {
        let number = number_in(data);
        let publication = &mut self.publications[number];
        assert!(
            channels.contains(&publication.channel),
            "publication {number} is in the wrong channel"
        );
        assert_eq!(
            publication.event, data,
            "publication {number} is not what was published"
        );
        assert_ne!(
            publication.fate,
            Fate::Refused,
            "publication {number} was refused and is seen"
        );
        publication.seen += 1;
        publication.known.get_or_insert((self.turn, self.now));
        number
    }

    /// Its publisher is told that a publication is taken, and not where.
    pub fn taken_somewhere(&mut self, number: usize) {
        let publication = &mut self.publications[number];
        assert_eq!(
            publication.fate,
            Fate::Unknown,
            "publication {number} is answered twice"
        );
        publication.fate = Fate::Taken;
        publication.known.get_or_insert((self.turn, self.now));
    }

    /// A publication reaches a client of Bayeux, which is told neither its place nor its publisher. Gives back its number.
    pub fn reaches_bayeux(&mut self, channel: usize, data: &str) -> usize {
        let number = number_in(data);
        let publication = &mut self.publications[number];
        assert_eq!(
            (publication.channel, &publication.json),
            (channel, &flat(data)),
            "publication {number} is not what was published"
        );
        assert_ne!(
            publication.fate,
            Fate::Refused,
            "publication {number} was refused and is seen"
        );
        publication.seen += 1;
        publication.known.get_or_insert((self.turn, self.now));
        number
    }

    /// A peer message begins.
    pub fn send(
        &mut self,
        by: u32,
        to: &str,
        json: &str,
        senders: Vec<Option<String>>,
        ended: u64,
    ) -> usize {
        self.peers.push(PeerMessage {
            by,
            to: to.to_owned(),
            json: flat(json),
            senders,
            refused: false,
            seen: 0,
            told: None,
            ended_before: ended,
            issued: self.turn,
            known: None,
            listed: 0,
        });
        self.bytes += json.len() + WAITS_BYTES;
        self.peers.len() - 1
    }

    /// Who sent a peer message.
    pub fn sender(&self, number: usize) -> u32 {
        self.peers[number].by
    }

    /// Bytes of a peer message's payload.
    pub fn peer_message_len(&self, number: usize) -> usize {
        self.peers[number].json.len()
    }

    /// The number of the next peer message.
    pub fn next_peer(&self) -> usize {
        self.peers.len()
    }

    /// Its sender is told how many sessions it went to, or that it went to none.
    pub fn sent(&mut self, number: usize, sessions: Option<usize>) {
        let message = &mut self.peers[number];
        assert!(
            message.told.is_none() && !message.refused,
            "peer message {number} is answered twice"
        );
        message.told = sessions;
        message.refused = sessions.is_none();
        message.known = sessions.map(|_| self.turn);
        assert!(
            sessions != Some(0),
            "peer message {number} went to nobody and is OK"
        );
        assert!(
            !message.refused || message.seen == 0,
            "peer message {number} is refused and was seen"
        );
    }

    /// A peer message reaches a session of `user`. Gives back its number.
    pub fn reaches_peer(
        &mut self,
        user: Option<&str>,
        sender: Option<&str>,
        payload: &str,
    ) -> usize {
        let number = number_in(payload);
        let message = &mut self.peers[number];
        assert_eq!(
            Some(message.to.as_str()),
            user,
            "peer message {number} is another's"
        );
        assert_eq!(
            message.json,
            flat(payload),
            "peer message {number} is not what was sent"
        );
        let known = message.senders.iter().any(|may| may.as_deref() == sender);
        assert!(
            known,
            "peer message {number} is {sender:?}'s instead of {:?}'s",
            message.senders
        );
        assert!(
            !message.refused,
            "peer message {number} was refused and is seen"
        );
        message.seen += 1;
        number
    }

    /// At the end, with everybody's queue empty; `ended` is how many sessions have ended in all: what is
    /// missing must be with one of those that ended since.
    pub fn check_counts(&self, ended: u64) {
        let check = |what: &str, number: usize, told: Option<usize>, seen: usize, may: u64| {
            let Some(told) = told else { return };
            assert!(
                seen <= told,
                "{what} {number} went to {told} and was seen by {seen}"
            );
            let missing = (told - seen) as u64;
            assert!(
                missing <= may,
                "{what} {number} went to {told}, was seen by {seen}, and {may} ended"
            );
        };
        for (number, message) in self.peers.iter().enumerate() {
            check(
                "peer message",
                number,
                message.told,
                message.seen,
                ended - message.ended_before,
            );
        }
        for (number, publication) in self.publications.iter().enumerate() {
            // What was dropped is told to readers, and counted by the books.
            let may = match self.is_loose(publication.channel) {
                true => u64::MAX,
                false => ended - publication.ended_before,
            };
            check(
                "publication",
                number,
                publication.told,
                publication.seen,
                may,
            );
        }
    }
}

/// What the application is told of.
impl Model {
    /// The messages that a notice lists. Each is what was published or sent, and has one number at the node.
    pub fn listed(&mut self, notice: &Notice) -> Vec<Item> {
        let mut ids: Vec<u64> = notice.undelivered.iter().map(|entry| entry.id).collect();
        // What was held back was taken before it was sent.
        let at_once = |entry: &&Entry| !self.is_held(entry);
        let sent = notice.undelivered.iter().filter(at_once);
        assert!(
            sent.is_sorted_by(|one, next| one.id < next.id),
            "a list is not in the order of sending: {ids:?}"
        );
        ids.sort_unstable();
        assert!(
            ids.is_sorted_by(|one, next| one < next),
            "a list has something twice: {ids:?}"
        );
        let list = notice.undelivered.iter();
        list.map(|entry| self.listed_one(entry)).collect()
    }

    fn listed_one(&mut self, entry: &Entry) -> Item {
        let number = number_in(&entry.json);
        let (item, json, senders) = match &entry.place {
            Some((channel, offset)) => {
                let publication = &mut self.publications[number];
                assert_eq!(
                    CHANNELS[publication.channel], channel,
                    "listed: publication {number}"
                );
                let known = match publication.fate {
                    Fate::At(known) => Some(known),
                    Fate::Unknown | Fate::Taken => {
                        let place = publication.place.as_ref().map(|(_, known)| *known);
                        place.or(publication.wide.flatten())
                    }
                    Fate::Refused => panic!("publication {number} was refused and is listed"),
                };
                assert!(
                    known.is_none_or(|known| known == *offset),
                    "publication {number} is listed elsewhere"
                );
                (
                    Item::Channel(number),
                    &publication.json,
                    &publication.senders,
                )
            }
            None => {
                let message = &self.peers[number];
                assert_eq!(
                    Some(&message.to),
                    entry.user.as_ref(),
                    "listed: peer message {number}"
                );
                assert!(
                    !message.refused,
                    "peer message {number} was refused and is listed"
                );
                (Item::Peer(number), &message.json, &message.senders)
            }
        };
        assert_eq!(
            *json,
            flat(&entry.json),
            "{item:?} is listed as something else"
        );
        assert!(
            senders.contains(&entry.sender),
            "{item:?} is {:?}'s instead of {senders:?}'s",
            entry.sender
        );
        let known = *self.ids.entry(entry.id).or_insert(item);
        assert_eq!(known, item, "two messages have the number {}", entry.id);
        item
    }

    /// Whoever was subscribed as `topic` says must have been given these by the end of turn `until`.
    pub fn taken_until(&self, channel: usize, topic: &Topic, until: u64) -> Vec<Item> {
        let due = |(number, publication): (usize, &Publication)| {
            let known = publication.known.is_some_and(|(turn, _)| turn <= until);
            let taken = publication.is_taken() || publication.place.is_some();
            let placed = publication.place.as_ref().is_some_and(|(epoch, offset)| {
                topic.epoch.as_ref() == Some(epoch)
                    && topic.next.is_some_and(|next| *offset >= next)
            });
            let due = publication.channel == channel
                && known
                && taken
                && (number >= topic.since || placed);
            due.then_some(Item::Channel(number))
        };
        self.publications
            .iter()
            .enumerate()
            .filter_map(due)
            .collect()
    }

    /// The messages to `user` from number `since` on that were known to be sent by the end of turn `until`.
    pub fn sent_until(&self, user: &str, since: usize, until: u64) -> Vec<Item> {
        let due = |(number, message): (usize, &PeerMessage)| {
            let known = message.known.is_some_and(|known| known <= until);
            (known && message.to == user).then_some(Item::Peer(number))
        };
        self.peers
            .iter()
            .enumerate()
            .skip(since)
            .filter_map(due)
            .collect()
    }

    /// A session ended whose client never saw these.
    pub fn count_listed(&mut self, unseen: &[Item]) {
        for item in unseen {
            match item {
                Item::Channel(number) => self.publications[*number].listed += 1,
                Item::Peer(number) => self.peers[*number].listed += 1,
            }
        }
    }

    /// What was published later has a higher number at the node, as it has a higher place in its channel.
    pub fn check_places(&self) {
        let mut last: BTreeMap<(usize, &str), u64> = BTreeMap::new();
        for item in self.ids.values() {
            let Item::Channel(number) = item else {
                continue;
            };
            let publication = &self.publications[*number];
            if let Some((epoch, offset)) = &publication.place {
                let before = last.insert((publication.channel, epoch), *offset);
                assert!(
                    before.is_none_or(|before| before < *offset),
                    "{item:?} has a number before its turn"
                );
            }
        }
    }

    /// At the end, with every session over and told of: whoever a message went to has seen it, or the application was
    /// told that it did not, but for those of whom `lost` says that they may have lost it, by its channel and place and
    /// the turns between which it was taken. Gives back how often that was the case.
    pub fn check_readers(
        &self,
        lost: impl Fn(Item, Option<(usize, Option<&Place>)>, (u64, Option<u64>)) -> usize,
    ) -> u64 {
        let mut slack = 0;
        let mut check = |item, place, (told, seen, listed), known| {
            let Some(told): Option<usize> = told else {
                return;
            };
            let had: usize = seen + listed;
            let missing = told
                .checked_sub(had)
                .filter(|missing| *missing == 0 || *missing <= lost(item, place, known));
            slack += missing.unwrap_or_else(|| {
                panic!(
                    "{item:?} went to {told}, was seen by {seen} and is listed for {listed} more"
                )
            }) as u64;
        };
        for (number, message) in self.peers.iter().enumerate() {
            let counts = (message.told, message.seen, message.listed);
            let known = (message.issued, message.known);
            check(Item::Peer(number), None, counts, known);
        }
        for (number, publication) in self.publications.iter().enumerate() {
            let counts = (publication.told, publication.seen, publication.listed);
            let place = Some((publication.channel, publication.place.as_ref()));
            let known = (
                publication.issued.0,
                publication.known.map(|(turn, _)| turn),
            );
            check(Item::Channel(number), place, counts, known);
        }
        slack
    }
}

/// Most that a message takes in a queue beside its payload.
const WAITS_BYTES: usize = 200;

/// What is told of a place in a channel that nobody reads by its name and that keeps nothing.
const NOWHERE: u64 = 1;

/// How a number stands in a payload.
pub fn mark(number: usize) -> String {
    format!("#{number}#")
}

fn number_in(payload: &str) -> usize {
    let decoded = payload.strip_prefix("{\"base64\":\"").and_then(|rest| {
        let bytes = STANDARD.decode(rest.split('"').next()?).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    });
    let text = decoded.as_deref().unwrap_or(payload);
    let number = text
        .split('#')
        .nth(1)
        .and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("nobody published {payload:?}"))
}

/// Line ends between the tokens of JSON become blanks on their way to a protocol of lines.
fn flat(json: &str) -> String {
    json.replace(['\r', '\n'], " ")
}
