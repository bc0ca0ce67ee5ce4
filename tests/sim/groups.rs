//! The application by STOMP: members of groups that share what happens, acknowledge it in all ways, refuse it, leave or die.
//!
//! In: a seed. Out: what happened how often, or a panic. Each group gets each event, in order for each session and once: again only
//! what nobody acknowledged, which then says so. Of each message to a user it is told one outcome. Calls are answered in order.

use super::chance::{Chance, Totals};
use super::driver::{Driver, LinkId};
use super::op::frames;
use orbited::config::{Config, Names};
use orbited::node::Door;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A connection of the application.
struct Member {
    link: LinkId,
    rest: Vec<u8>,
    group: usize,
    ack: &'static str,
    /// What it is to acknowledge: by what, and the event's number.
    owed: Vec<(String, u64)>,
    /// Calls that it made and that are not answered, and those of which there is no receipt.
    calls: Vec<u64>,
    receipts: Vec<u64>,
}

/// A user's connection.
struct User {
    link: LinkId,
    rest: Vec<u8>,
    owed: Vec<String>,
    acknowledges: bool,
}

/// What a group was given.
#[derive(Default)]
struct Group {
    /// By number: the event, and whether somebody acknowledged it.
    events: BTreeMap<u64, (Value, bool)>,
    /// Of each session the last that was new.
    last: BTreeMap<String, u64>,
    /// Somebody gave something back.
    gave_back: bool,
}

struct World {
    net: Driver,
    chance: Chance,
    members: Vec<Member>,
    users: Vec<User>,
    groups: [Group; GROUPS],
    /// Names, messages and calls so far.
    names: u64,
    sent: u64,
    calls: u64,
}

/// A run.
pub fn run(seed: u64) -> Totals {
    let mut world = World::new(seed);
    for step in 0..STEPS {
        world.net.step = step;
        world.step();
    }
    world.end();
    std::mem::take(&mut world.net.totals)
}

impl World {
    fn new(seed: u64) -> Self {
        let config = Config {
            names: Names::Anyone,
            heartbeat_ms: 3_600_000,
            ..Config::default()
        };
        let mut net = Driver::new(config, seed, std::env::var("ORB_SEED").is_ok());
        net.open_wide();
        let mut world = Self {
            net,
            chance: Chance::new(seed, 6),
            members: Vec::new(),
            users: Vec::new(),
            groups: Default::default(),
            names: 0,
            sent: 0,
            calls: 0,
        };
        (0..GROUPS).for_each(|group| world.join(group));
        world.hear();
        world
    }

    fn count(&mut self, name: &'static str) {
        self.net.totals.add_to("groups", name, 1);
    }

    fn step(&mut self) {
        match self.chance.weighted(&[6, 5, 10, 10, 2, 3, 2, 2, 4]) {
            0 if self.users.len() < 8 => self.come(),
            1 if !self.users.is_empty() => self.go(),
            2 => self.send(),
            3 => self.acknowledge(),
            4 if self.members.len() < 6 => {
                let group = self.chance.below(GROUPS);
                self.join(group);
            }
            5 => self.lose_member(),
            6 => self.refuse(),
            7 => self.call(),
            _ => {
                let ms = self.chance.between(1, 20_000) as u64;
                self.net.sleep(ms);
            }
        }
        if !self.chance.one_in(3) {
            self.hear();
        }
    }

    fn join(&mut self, group: usize) {
        let ack = self
            .chance
            .pick(&["client", "client-individual", "client-individual"]);
        let link = self.net.connect(Door::Stomp).unwrap();
        let frames = format!(
            "CONNECT\naccept-version:1.2\norbit-role:app\n\n\0\
             SUBSCRIBE\nid:1\ndestination:/orbit/*\nack:{ack}\ngroup:g{group}\n\n\0"
        );
        self.net.send(link, frames.as_bytes());
        self.members.push(Member {
            link,
            rest: Vec::new(),
            group,
            ack,
            owed: Vec::new(),
            calls: Vec::new(),
            receipts: Vec::new(),
        });
    }

    fn come(&mut self) {
        let link = self.net.connect(Door::Stomp).unwrap();
        let (name, acknowledges) = (self.names, self.chance.one_in(2));
        self.names += 1;
        let ack = if acknowledges {
            "client-individual"
        } else {
            "auto"
        };
        let frames = format!(
            "CONNECT\naccept-version:1.2\nlogin:u{name}\n\n\0\
             SUBSCRIBE\nid:s\ndestination:/user/self\nack:{ack}\n\n\0"
        );
        self.net.send(link, frames.as_bytes());
        self.users.push(User {
            link,
            rest: Vec::new(),
            owed: Vec::new(),
            acknowledges,
        });
        // Whose name it is is known from here on.
        self.net.settle();
    }

    fn go(&mut self) {
        let at = self.chance.below(self.users.len());
        let user = self.users.swap_remove(at);
        match self.chance.one_in(2) {
            true => self.net.reset(user.link),
            false => self.net.send(user.link, b"DISCONNECT\n\n\0"),
        }
    }

    /// Somebody of the application sends to a user, of whom it may know nothing.
    fn send(&mut self) {
        if self.members.is_empty() || self.names == 0 {
            return;
        }
        let at = self.chance.below(self.members.len());
        let first = self.names.saturating_sub(10);
        let user = self.chance.between(first as usize, self.names as usize);
        let id = self.sent;
        self.sent += 1;
        let frame = format!(
            "SEND\ndestination:/user/u{user}\norbit-id:m{id}\norbit-report:both\n\nm{id}\0"
        );
        self.net.send(self.members[at].link, frame.as_bytes());
        // Who dies may have said nothing.
        self.net.settle();
    }

    fn call(&mut self) {
        if self.members.is_empty() {
            return;
        }
        let at = self.chance.below(self.members.len());
        let call = self.calls;
        self.calls += 1;
        let member = &mut self.members[at];
        member.calls.push(call);
        member.receipts.push(call);
        let frame = format!(
            "SEND\ndestination:/orbit/control/stats\nreply-to:/temp-queue/x\n\
             correlation-id:{call}\nreceipt:{call}\n\n\0"
        );
        self.net.send(member.link, frame.as_bytes());
    }

    /// Somebody acknowledges some of what it has.
    fn acknowledge(&mut self) {
        for user in &mut self.users {
            for id in user.owed.drain(..) {
                let frame = format!("ACK\nid:{id}\n\n\0");
                self.net.send(user.link, frame.as_bytes());
            }
        }
        for at in 0..self.members.len() {
            if !self.chance.one_in(3) {
                let many = self.chance.below(self.members[at].owed.len() + 1);
                self.settle(at, many, true);
            }
        }
    }

    /// One event, which somebody else is to have.
    fn refuse(&mut self) {
        if !self.members.is_empty() {
            let at = self.chance.below(self.members.len());
            let some = !self.members[at].owed.is_empty();
            self.settle(at, usize::from(some), false);
        }
    }

    /// A member has the first `many` of what it owes, or will not have them.
    fn settle(&mut self, at: usize, many: usize, taken: bool) {
        let member = &mut self.members[at];
        let gone: Vec<_> = member.owed.drain(..many).collect();
        let one_by_one = member.ack == "client-individual";
        let verb = if taken { "ACK" } else { "NACK" };
        for (n, (id, _)) in gone.iter().enumerate() {
            if one_by_one || n + 1 == gone.len() {
                let frame = format!("{verb}\nid:{id}\n\n\0");
                self.net.send(member.link, frame.as_bytes());
            }
        }
        let group = &mut self.groups[member.group];
        for (_, seq) in &gone {
            group.gave_back |= !taken;
            group.events.get_mut(seq).unwrap().1 |= taken;
        }
        if many > 0 {
            self.count(if taken { "acknowledged" } else { "refused" });
        }
        self.net.settle();
    }

    fn lose_member(&mut self) {
        if self.members.is_empty() {
            return;
        }
        let at = self.chance.below(self.members.len());
        let group = self.members[at].group;
        let others = self.members.iter().filter(|one| one.group == group);
        if others.count() == 1 {
            // A group that nobody is in for ten minutes is forgotten.
            return;
        }
        let member = self.members.swap_remove(at);
        self.groups[member.group].gave_back = true;
        self.count(if member.owed.is_empty() {
            "members that left with nothing"
        } else {
            "members that died"
        });
        match self.chance.below(3) {
            0 => self.net.reset(member.link),
            1 => self.net.leave(member.link),
            _ => self.net.send(member.link, b"DISCONNECT\n\n\0"),
        }
    }

    /// Everybody reads.
    fn hear(&mut self) {
        self.net.settle();
        self.net.check();
        for at in 0..self.users.len() {
            let user = &mut self.users[at];
            for frame in frames(&mut self.net, user.link, &mut user.rest) {
                assert!(!frame.starts_with("ERROR"), "{frame}");
                if user.acknowledges && frame.starts_with("MESSAGE") {
                    user.owed.extend(header(&frame, "ack"));
                }
            }
        }
        for at in 0..self.members.len() {
            let member = &mut self.members[at];
            for frame in frames(&mut self.net, member.link, &mut member.rest) {
                self.net.note(|| format!("member {at} hears {frame:?}"));
                self.is_told(at, &frame);
            }
        }
    }

    fn is_told(&mut self, at: usize, frame: &str) {
        let member = &mut self.members[at];
        let number = |name: &str| header(frame, name).and_then(|text| text.parse::<u64>().ok());
        match frame.split('\n').find(|line| !line.is_empty()).unwrap() {
            "CONNECTED" => {}
            "RECEIPT" => {
                assert_eq!(number("receipt-id"), Some(member.receipts.remove(0)));
                assert_eq!(member.calls.len(), member.receipts.len(), "{frame}");
            }
            "MESSAGE" if frame.contains("/temp-queue/") => {
                assert_eq!(number("correlation-id"), Some(member.calls.remove(0)));
                assert_eq!(number("orbit-status"), Some(200), "{frame}");
                self.count("calls answered");
            }
            "MESSAGE" => self.is_given(at, frame),
            _ => panic!("{frame}"),
        }
    }

    /// A member is given an event.
    fn is_given(&mut self, at: usize, frame: &str) {
        let member = &mut self.members[at];
        let group = &mut self.groups[member.group];
        let body = frame.split_once("\n\n").unwrap().1;
        let event: Value = serde_json::from_str(body).unwrap();
        let seq = header(frame, "orbit-event-seq").unwrap().parse().unwrap();
        let again = header(frame, "redelivered").is_some();
        assert_eq!(header(frame, "orbit-missed"), None, "nothing is let go");
        member.owed.push((header(frame, "ack").unwrap(), seq));
        let before = group.events.insert(seq, (event.clone(), false));
        match before {
            Some((_, true)) => panic!("{seq} was acknowledged and comes again"),
            Some((before, false)) => {
                assert!(again, "{seq} comes again and does not say so");
                assert_eq!(before, event, "{seq} is two events");
                self.count("events again");
            }
            None => {
                // It may have gone with one that died before it read it.
                assert!(!again || group.gave_back, "{seq} was given to nobody");
                if let Some(key) = event["session"].as_str() {
                    let last = group.last.insert(key.to_owned(), seq);
                    assert!(last.is_none_or(|last| last < seq), "{seq} behind {last:?}");
                }
                self.count("events");
            }
        }
    }

    fn end(&mut self) {
        while let Some(user) = self.users.pop() {
            self.net.reset(user.link);
        }
        (0..GROUPS).for_each(|group| self.join(group));
        for _ in 0..ROUNDS {
            self.hear();
            for at in 0..self.members.len() {
                let many = self.members[at].owed.len();
                self.settle(at, many, true);
            }
            self.net.sleep(500);
        }
        for group in &self.groups {
            check_group(group, self.sent);
        }
        let waits = |member: &Member| !(member.calls.is_empty() && member.receipts.is_empty());
        assert!(!self.members.iter().any(waits), "a call has no answer");
        while let Some(member) = self.members.pop() {
            self.net.reset(member.link);
        }
        self.net.settle();
        self.net.leap(3 * 3_600_000);
        let node = &self.net.node;
        assert_eq!(node.session_count(), 0, "sessions are left");
        assert_eq!(node.conn_count(), 0, "connections are left");
        assert_eq!(node.queued_bytes(), 0, "bytes are left");
        assert_eq!(node.next_due(), None, "deadlines are left");
    }
}

/// Everything came, and it is true.
fn check_group(group: &Group, sent: u64) {
    let numbers = group.events.keys().copied();
    assert!(numbers.eq(1..=group.events.len() as u64), "a hole");
    let mut there: BTreeMap<&str, bool> = BTreeMap::new();
    let mut outcomes: BTreeMap<&str, &str> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (event, acked) in group.events.values() {
        assert!(acked, "{event} is nobody's");
        let word = event["event"].as_str().unwrap();
        let key = event["session"].as_str().unwrap_or_default();
        match word {
            "signon" => assert_eq!(there.insert(key, true), None, "{event}"),
            "signoff" => {
                assert_eq!(there.insert(key, false), Some(true), "{event}");
                for entry in event["undelivered"].as_array().unwrap() {
                    let id = entry["body"].as_str().unwrap();
                    assert_eq!(outcomes.insert(id, word), None, "{event}");
                }
                assert!(event.get("cut").is_none(), "{event}");
            }
            "delivered" | "failed" => {
                let id = event["id"].as_str().unwrap();
                assert_eq!(outcomes.insert(id, word), None, "{event}");
                let known = key.is_empty() || there.get(key) == Some(&true);
                assert!(known, "{event} of a session that is not there");
            }
            other => panic!("{other}"),
        }
        told.insert(word);
    }
    assert!(there.values().all(|lives| !lives), "an end is not told");
    assert_eq!(outcomes.len() as u64, sent, "a message has no outcome");
    assert_eq!(told.len(), 4, "{told:?}");
}

fn header(frame: &str, name: &str) -> Option<String> {
    let head = frame.split_once("\n\n")?.0;
    let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned());
    head.lines().find_map(value)
}

const GROUPS: usize = 2;
const STEPS: u32 = 500;
const ROUNDS: usize = 40;
/// What must happen over some seeds.
pub const MUST_HAPPEN: &[&str] = &[
    "acknowledged",
    "calls answered",
    "events",
    "events again",
    "members that died",
    "members that left with nothing",
    "refused",
];
