//! What a client that does not keep up gets, beside a slow twin, and what it is told.

use super::super::{Encoding, Opening, Profiles, ServiceKind};
use super::*;
use crate::ids::{ConnId, Id};
use crate::mem::{Content, Position, View};
use crate::metrics::Kind;
use crate::rng::Rng;
use crate::time::Tick;
use crate::transport::Profile;
use std::num::NonZeroU32;

/// A session, and its client as far as it is to be trusted: what it was written, by packet number.
struct Pair {
    session: Session,
    ledger: Ledger,
    dropped: Dropped,
    queue_max: usize,
    seen: Vec<String>,
    acked: usize,
    offsets: BTreeMap<&'static str, u64>,
}

impl Pair {
    fn new(carriage: Carriage, queue_max: usize) -> Self {
        let ledger = Ledger::default();
        let mut profiles = Profiles::new(Rng::new([0; 32]).keyed(), &ledger);
        let session = Session::new(Opening {
            secret: [0; 16],
            service: ServiceKind::Revolved,
            carriage,
            kind: Kind::None,
            encoding: Encoding::Plain,
            profile: profiles.intern(Profile::default()),
            now: Tick(0),
        });
        let mut pair = Self {
            session,
            ledger,
            dropped: Dropped::default(),
            queue_max,
            seen: Vec::new(),
            acked: 0,
            offsets: BTreeMap::new(),
        };
        pair.move_on();
        pair
    }

    fn terms<T>(&mut self, call: impl FnOnce(&mut Session, &mut Terms<'_>) -> T) -> T {
        let mut terms = Terms {
            queue_max: self.queue_max,
            ledger: &self.ledger,
            spell: |channel, missed| format!("gap {channel} {missed}").into_bytes(),
            dropped: &mut self.dropped,
            skipped: 0,
        };
        call(&mut self.session, &mut terms)
    }

    /// What waits, as the client will see it.
    fn publish(&mut self, channel: &'static str, slow: Slow, key: &str, pad: usize) -> Item {
        let offset = self.offsets.entry(channel).or_default();
        *offset += 1;
        let item = Item {
            channel,
            slow,
            key: key.to_owned(),
            gap: 0,
            text: format!("{channel} {offset} {key} {}", "x".repeat(pad)),
        };
        let offset = *offset;
        let publication = Publication::keyed(
            channel.into(),
            None,
            Content::Text,
            item.text.clone().into_bytes().into(),
            Some(key.into()),
            &self.ledger,
        );
        publication.follow(slow);
        publication.put(Position { epoch: 1, offset });
        let view = publication.view(View::Event, &self.ledger, |of| of.bytes.to_vec());
        let took = match view.is_loose() {
            true => self.terms(|session, terms| session.offer(&[view], terms)),
            false => self.push(view),
        };
        assert_eq!(took, Ok(()), "{} of {}", self.session.queued(), item.text);
        item
    }

    fn push(&mut self, msg: Rc<Msg>) -> Result<(), Overflow> {
        let pushed = self.session.push(msg, self.queue_max, &self.ledger);
        pushed.or_else(|_| self.terms(Session::make_room))
    }

    /// Some of what is due is written. Gives back what was never written before.
    fn write(&mut self, most: usize) -> Vec<String> {
        self.terms(|session, terms| session.settle(terms)).unwrap();
        let known = self.seen.len();
        let text = |msg: &Msg| String::from_utf8(msg.bytes().to_vec()).unwrap();
        if self.session.carriage() == Carriage::Bare {
            for _ in 0..most {
                let Some(msg) = self.session.next_bare().cloned() else {
                    break;
                };
                self.seen.push(text(&msg));
                self.session.wrote_bare(Tick(0));
            }
            return self.seen[known..].to_vec();
        }
        let mut last = None;
        for packet in self.session.pending().take(most) {
            let said = text(packet.body.unwrap().0);
            match self.seen.get(packet.id as usize - 1) {
                Some(before) => assert_eq!(*before, said, "packet {} changed", packet.id),
                None => self.seen.push(said),
            }
            last = Some(packet.id);
        }
        if let Some(last) = last {
            self.session.wrote(last, Tick(0));
        }
        self.seen[known..].to_vec()
    }

    fn ack(&mut self, packets: usize) {
        self.acked = (self.acked + packets).min(self.seen.len());
        self.session.ack(self.acked as u64);
    }

    /// A new downstream: what is not acknowledged is written again.
    fn move_on(&mut self) {
        let conn: ConnId = Id::new(1, NonZeroU32::MIN);
        self.session.attach(conn, Kind::Stream, Tick(0));
    }

    fn drain(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        loop {
            let more = self.write(1000);
            self.ack(1000);
            if more.is_empty() && !self.session.has_pending() {
                return rest;
            }
            rest.extend(more);
        }
    }
}

/// What waits in the twin: a message, or a gap.
#[derive(Clone)]
struct Item {
    channel: &'static str,
    slow: Slow,
    key: String,
    gap: u64,
    text: String,
}

/// The plain way to say what a client is to get of `waits`, if there is room for all of it.
fn settled(waits: &[Item]) -> Vec<Item> {
    let mut missed: BTreeMap<&str, u64> = BTreeMap::new();
    let mut out: Vec<Item> = Vec::new();
    let gap = |channel, gap| Item {
        channel,
        slow: Slow::Close,
        key: String::new(),
        gap,
        text: format!("gap {channel} {gap}"),
    };
    for (at, item) in waits.iter().enumerate() {
        let same =
            |other: &Item| (other.channel, &other.key, other.gap) == (item.channel, &item.key, 0);
        if item.gap > 0 {
            *missed.entry(item.channel).or_default() += item.gap;
        } else if item.slow == Slow::Latest && waits[at + 1..].iter().any(same) {
            *missed.entry(item.channel).or_default() += 1;
        } else {
            if let Some(n) = missed.remove(item.channel) {
                out.push(gap(item.channel, n));
            }
            out.push(item.clone());
        }
    }
    for channel in CHANNELS.map(|(channel, _)| channel) {
        out.extend(missed.remove(channel).map(|n| gap(channel, n)));
    }
    out
}

const CHANNELS: [(&str, Slow); 4] = [
    ("a", Slow::Latest),
    ("b", Slow::DropOldest),
    ("c", Slow::Close),
    ("d", Slow::Latest),
];

/// Random publications, writes, acknowledgements and moves, with room for everything.
#[test]
fn the_latest_of_each_key_waits_as_in_a_plain_list() {
    for seed in 0..120 {
        let carriage = [Carriage::Csp, Carriage::Bare][usize::from(seed % 2)];
        let mut pair = Pair::new(carriage, [9_000, 1 << 20][usize::from(seed / 2 % 2)]);
        let mut rng = Rng::new([seed; 32]);
        let mut waits: Vec<Item> = Vec::new();
        for step in 0..600 {
            match rng.below(10) {
                0..=6 if waits.len() < 30 => {
                    let (channel, slow) = CHANNELS[rng.below(4) as usize];
                    let key = format!("k{}", rng.below(3));
                    waits.push(pair.publish(channel, slow, &key, rng.below(40) as usize));
                }
                7 => pair.ack(rng.below(20) as usize),
                8 => pair.move_on(),
                _ => {
                    let wrote = pair.write(rng.below(12) as usize + 1);
                    let expected = settled(&waits);
                    let (written, rest) = expected.split_at(wrote.len());
                    let written: Vec<&str> = written.iter().map(|item| &*item.text).collect();
                    assert_eq!(wrote, written, "seed {seed}, step {step}");
                    waits = rest.to_vec();
                }
            }
            if pair.session.queued() > 7_000 {
                pair.drain();
                waits.clear();
            }
        }
        let rest: Vec<String> = settled(&waits).into_iter().map(|item| item.text).collect();
        assert_eq!(pair.drain(), rest, "seed {seed}");
        assert!(pair.session.extra.is_none(), "it keeps up again");
        drop(pair.session);
    }
}

/// Random publications far beyond the bound, of messages that weigh up to a quarter of it.
#[test]
fn whatever_is_dropped_is_told_by_number_at_its_place_and_nothing_else_is_dropped() {
    for seed in 0..120 {
        let carriage = [Carriage::Csp, Carriage::Bare][usize::from(seed % 2)];
        let mut pair = Pair::new(carriage, 20_000);
        let mut rng = Rng::new([seed; 32]);
        let mut kept = Vec::new();
        let mut newest: BTreeMap<String, String> = BTreeMap::new();
        for _ in 0..1_500 {
            match rng.below(24) {
                0..=18 => {
                    let (channel, slow) = CHANNELS[rng.below(2) as usize];
                    let key = format!("k{}", rng.below(2));
                    let pad = rng.below(10) * rng.below(10) * rng.below(60);
                    let item = pair.publish(channel, slow, &key, pad as usize);
                    newest.insert(format!("{channel} {key}"), item.text);
                }
                19 if kept.len() < pair.seen.len() => {
                    kept.push(pair.publish("c", Slow::Close, "", 5).text);
                }
                20 => pair.ack(rng.below(9) as usize),
                21 => pair.move_on(),
                22 => drop(pair.write(rng.below(9) as usize + 1)),
                _ => {}
            }
            let queued = pair.session.queued();
            assert!(queued <= pair.queue_max / 8 * 9, "{queued} bytes wait");
        }
        pair.drain();
        let told: u64 = pair.dropped.counts().map(|(_, count)| count).sum();
        assert!(told > 100, "seed {seed}: {told} dropped");
        check(&pair, told, seed);
        let fixed = pair.seen.iter().filter(|said| said.starts_with("c "));
        assert!(fixed.eq(&kept), "seed {seed}: what may not be dropped");
        for key in ["a k0", "a k1"] {
            let (channel, key_only) = key.split_once(' ').unwrap();
            let of_key = |said: &&String| {
                let words: Vec<&str> = said.split(' ').collect();
                words[0] == channel && words[2] == key_only
            };
            assert_eq!(
                pair.seen.iter().rfind(of_key),
                newest.get(key),
                "seed {seed}: the latest of {key}"
            );
        }
        assert!(pair.session.extra.is_none() && pair.session.is_empty());
    }
}

/// Offsets and gaps of each channel add up, without a hole.
fn check(pair: &Pair, dropped: u64, seed: u8) {
    let mut told = 0;
    for (channel, last) in &pair.offsets {
        let mut at = 0;
        for said in &pair.seen {
            let words: Vec<&str> = said.split(' ').collect();
            match words[..] {
                ["gap", of, missed] if of == *channel => {
                    let missed: u64 = missed.parse().unwrap();
                    at += missed;
                    told += missed;
                }
                [of, offset, ..] if of == *channel => {
                    // Of a channel with keys an older key's message may stand behind what was dropped later.
                    at += 1;
                    let offset: u64 = offset.parse().unwrap();
                    assert!(
                        *channel == "a" || offset == at,
                        "seed {seed}: {said} at {at}"
                    );
                }
                _ => {}
            }
        }
        assert_eq!(at, *last, "seed {seed}: all of {channel} is accounted for");
    }
    assert_eq!(told, dropped, "seed {seed}");
}

impl Session {
    fn is_empty(&self) -> bool {
        self.queued() == 0 && self.backlog.is_empty()
    }
}

#[test]
fn a_run_is_one_notice_and_ends_on_what_came_last() {
    let mut pair = Pair::new(Carriage::Bare, 4096);
    for _ in 0..10_000 {
        pair.publish("b", Slow::DropOldest, "", 60);
    }
    let wrote = pair.write(10_000);
    assert!(
        wrote[0].starts_with("gap b 9") && wrote.len() > 20,
        "{wrote:?}"
    );
    assert!(wrote.iter().skip(1).all(|said| said.starts_with("b ")));
    assert!(wrote.last().unwrap().starts_with("b 10000 "));
}

#[test]
fn what_was_written_stays_whatever_comes() {
    let mut pair = Pair::new(Carriage::Csp, 4096);
    for _ in 0..1_000 {
        pair.publish("b", Slow::DropOldest, "", 60);
        pair.write(1_000);
    }
    let written = pair.seen.len();
    assert!((15..40).contains(&written), "half of the queue: {written}");
    pair.move_on();
    pair.write(1_000);
    assert_eq!(pair.seen.len(), written);
    let told = pair.session.missed();
    assert_eq!(told, pair.dropped.counts().map(|(_, n)| n).sum::<u64>());
    assert!(told > 900);
    pair.drain();
    assert_eq!(pair.session.missed(), 0);
}

#[test]
fn without_anything_to_drop_a_queue_that_runs_over_ends_its_session() {
    let mut pair = Pair::new(Carriage::Csp, 4096);
    let reply = |pair: &mut Pair| {
        let msg = Msg::new(vec![b'r'; 200], &pair.ledger);
        pair.push(msg)
    };
    for _ in 0..8 {
        assert_eq!(reply(&mut pair), Ok(()));
        pair.publish("b", Slow::DropOldest, "", 150);
    }
    let more = (0..100).take_while(|_| reply(&mut pair).is_ok()).count();
    assert!((8..12).contains(&more), "room was made for {more}");
    assert!(!pair.session.is_open());
    let b = |publication: &&Rc<Publication>| &*publication.target == "b";
    assert_eq!(pair.session.unwritten().filter(b).count(), 0);
    assert_eq!(pair.session.missed(), 8);
}

#[test]
fn notices_of_very_many_channels_end_the_session() {
    let mut pair = Pair::new(Carriage::Csp, 4096);
    let ledger = pair.ledger.clone();
    let told = (0..2_000).take_while(|n| {
        let bytes = vec![b'x'; 100].into();
        let name = format!("news/{n}").as_str().into();
        let publication = Publication::new(name, None, Content::Text, bytes, &ledger);
        publication.follow(Slow::DropOldest);
        let view = publication.view(View::Event, &ledger, |of| of.bytes.to_vec());
        pair.terms(|session, terms| session.offer(&[view], terms))
            .is_ok()
    });
    let told = told.count();
    assert!((30..60).contains(&told), "{told}");
    assert!(ledger.used() < 40_000, "{}", ledger.used());
}

#[test]
fn a_message_cut_over_packets_is_dropped_whole() {
    let mut pair = Pair::new(Carriage::Csp, 1 << 20);
    for _ in 0..40 {
        pair.publish("b", Slow::DropOldest, "", 100_000);
    }
    pair.terms(|session, terms| session.settle(terms)).unwrap();
    let wrote = pair.drain();
    let (first, rest) = wrote.split_first().unwrap();
    assert!(first.starts_with("gap b "), "{}", &first[..20]);
    assert_eq!(rest.len() % 4, 0, "four packets each");
    assert!(rest[rest.len() - 4].starts_with("b 40 "));
}

#[test]
fn what_has_no_room_at_all_makes_nothing_else_go() {
    let mut pair = Pair::new(Carriage::Csp, 4096);
    for _ in 0..10 {
        let fixed = Msg::new(vec![b'r'; 150], &pair.ledger);
        pair.push(fixed).unwrap();
    }
    pair.write(1000);
    let waits = pair.publish("a", Slow::Latest, "EUR", 50);
    let older = pair.publish("d", Slow::Latest, "", 20);
    pair.publish("d", Slow::Latest, "", 3000);
    let rest = pair.drain();
    assert_eq!(rest, [&*waits.text, &*older.text, "gap d 1"]);
}

#[test]
fn notices_are_bounded_however_often_they_are_told() {
    let mut pair = Pair::new(Carriage::Csp, 64 << 10);
    for _ in 0..63 {
        let fixed = Msg::new(vec![b'r'; 1000], &pair.ledger);
        pair.push(fixed).unwrap();
    }
    // Each time other names are missed, and a new downstream is to be told.
    let mut told = 0;
    let ended = (0..1000).any(|n| {
        let name = format!("news/{}/{n}", "y".repeat(200));
        let of = Content::Text;
        let publication =
            Publication::new(name.into(), None, of, vec![b'x'; 3000].into(), &pair.ledger);
        publication.follow(Slow::DropOldest);
        let view = publication.view(View::Event, &pair.ledger, |of| of.bytes.to_vec());
        let offered = pair.terms(|session, terms| session.offer(&[view], terms));
        if n % 20 == 0 {
            pair.move_on();
            told += usize::from(pair.terms(|session, terms| session.settle(terms)).is_ok());
        }
        assert!(pair.session.queued() < (64 << 10) / 8 * 13);
        offered.is_err()
    });
    assert!(ended && told > 2, "told {told} times");
}

#[test]
fn the_rest_of_a_message_stays_though_what_was_written_of_it_is_acknowledged() {
    let mut pair = Pair::new(Carriage::Csp, 1 << 20);
    let begun = pair.publish("a", Slow::Latest, "", 100_000);
    assert_eq!(pair.write(2).len(), 2);
    pair.ack(2);
    pair.publish("a", Slow::Latest, "", 10);
    let last = pair.publish("a", Slow::Latest, "", 10);
    pair.drain();
    let text = pair.seen.concat();
    assert_eq!(text, format!("{}gap a 1{}", begun.text, last.text));
}

/// Many waited and all of it was written, or is about to be: so is what comes behind it, though none of that may be dropped.
#[test]
fn what_is_pushed_behind_many_is_due_as_they_are() {
    for (carriage, many) in [
        (Carriage::Csp, 17),
        (Carriage::Csp, 300),
        (Carriage::Bayeux, 17),
    ] {
        for written in [0, 9, 1_000] {
            let mut pair = Pair::new(carriage, 1 << 20);
            for _ in 0..many {
                pair.publish("c", Slow::Close, "", 5);
            }
            pair.publish("a", Slow::Latest, "", 5);
            pair.write(written);
            let reply = Msg::new(b"reply".to_vec(), &pair.ledger);
            pair.push(reply).unwrap();
            let case = format!("{carriage:?}: {written} of {many} written");
            assert!(!pair.session.is_unsettled(), "{case}");
            let writable = pair.session.writable();
            assert_eq!(writable, pair.session.backlog.len(), "{case}");
            assert_eq!(pair.write(1_000).last().unwrap(), "reply", "{case}");
        }
    }
}
