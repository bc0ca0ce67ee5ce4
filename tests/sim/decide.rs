//! An application that decides who comes in, reads and publishes, and what calls come to: late, out of order, or never.
//!
//! In: a seed. Out: what happened how often, or a panic. Whoever was denied is not let in; what was said behind a question is
//! done once, in its order, as whoever the speaker is by then; what is delivered is what the application made of it.

use super::app::App;
use super::asker::Asker;
use super::chance::{Chance, Totals};
use super::decided::{Op, Outcome, Want};
use super::driver::Driver;
use super::knocks::Knock;
use orbited::config::rule::Rule;
use orbited::config::{Config, Decider, Names, Policies};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything of a run.
pub struct World {
    pub net: Driver,
    pub chance: Chance,
    pub app: App,
    pub ops: Vec<Op>,
    pub people: Vec<Person>,
    knocks: Vec<Knock>,
    /// Questions that wait: the connection, what about, and since when.
    pub pending: Vec<(usize, usize)>,
    pub fails_open: bool,
    /// Publications by channel and place, as their publishers were told.
    taken: BTreeMap<(usize, u64), usize>,
    /// And as somebody saw them who saw all.
    seen: BTreeSet<usize>,
    /// The application answers everything, at once and well.
    pub kind: bool,
}

/// Somebody who came.
pub struct Person {
    asker: Asker,
    /// What it wanted, in order.
    pub ops: Vec<usize>,
    /// What the application calls its session.
    pub key: Option<String>,
    /// Channels that it reads, and where it stands there.
    subs: BTreeMap<usize, Option<u64>>,
    /// Of each publisher the last that came.
    last: BTreeMap<usize, usize>,
}

/// A run.
pub fn run(seed: u64) -> Totals {
    let mut world = World::new(seed);
    for step in 0..STEPS {
        world.net.step = step;
        world.step();
    }
    match world.chance.one_in(4) {
        true => world.stop(),
        false => world.come_to_rest(),
    }
    world.end();
    std::mem::take(&mut world.net.totals)
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 4);
        let fails_open = chance.one_in(3);
        let fail = if fails_open { "open" } else { "closed" };
        let lanes = chance.between(1, 4);
        let lists: &[&str] = match chance.one_in(2) {
            true => &["signon,subscribe,publish,call"],
            false => &["signon,call", "subscribe,publish"],
        };
        let decider = |events: &&str| {
            let text = format!("http://127.0.0.1:1/ events={events} fail={fail} lanes={lanes}");
            Decider::parse(&text).unwrap()
        };
        let rules = [
            "asked subscribe=ask publish=ask",
            "read subscribe=ask",
            "talk publish=ask",
        ];
        let config = Config {
            policies: Policies::new(rules.map(|rule| Rule::parse(rule).unwrap()).into()),
            names: Names::Anyone,
            deciders: lists.iter().map(decider).collect(),
            callback_timeout_ms: TIMEOUT_MS,
            // Nobody is to end for a ping that it answers late.
            heartbeat_ms: 3_600_000,
            max_connections: 64,
            ..Config::default()
        };
        let mut world = Self {
            net: Driver::new(config, seed, std::env::var("ORB_SEED").is_ok()),
            chance,
            app: App::default(),
            ops: Vec::new(),
            people: Vec::new(),
            knocks: Vec::new(),
            pending: Vec::new(),
            fails_open,
            taken: BTreeMap::new(),
            seen: BTreeSet::new(),
            kind: true,
        };
        world.begin();
        world
    }

    /// Somebody comes who reads everything all the time.
    fn begin(&mut self) {
        self.come();
        self.net.spare(self.people[0].asker.link);
        let first = self.ops.len();
        let lines: Vec<String> = (0..CHANNELS.len())
            .map(|channel| {
                let op = self.want(0, Want::Subscribe(channel));
                format!("[{op},\"SUBSCRIBE\",[\"{}\"]]\n", CHANNELS[channel])
            })
            .collect();
        // Whose session it is is known by a call.
        let call = self.want(0, Want::Call);
        self.people[0].asker.say(
            &mut self.chance,
            &format!("[{call},\"CALL\",[\"f\",{call}]]\n"),
        );
        while self.people[0].key.is_none() {
            self.go_on(1);
        }
        let lines = lines.concat();
        self.people[0].asker.say(&mut self.chance, &lines);
        // A question that is written byte by byte takes hundreds of steps.
        for _ in 0..20 {
            self.go_on(200);
            if self.ops[first..].iter().all(|op| op.done) {
                break;
            }
        }
        assert!(self.ops[first..].iter().all(|op| op.done));
        self.kind = false;
    }

    fn step(&mut self) {
        match self.chance.weighted(&[3, 12, 14, 1, 10, 1, 1, 2, 2]) {
            0 if self.people.iter().filter(|one| one.is_in()).count() < 6 => self.come(),
            1 => self.somebody_talks(),
            2 => self.say_something(),
            3 => self.somebody_vanishes(),
            4 => {
                let ms = self.chance.between(1, 800) as u64;
                self.net.sleep(ms);
            }
            5 => {
                let ms = self.chance.between(1_000, TIMEOUT_MS as usize + 2_000) as u64;
                self.net.sleep(ms);
            }
            6 => self.app.away = self.chance.one_in(3) && !self.app.away,
            7 => {
                let room = self.chance.pick(&[1, 60, 1 << 30, 1 << 30]);
                let at = self.chance.below(self.people.len());
                self.net.set_room(self.people[at].asker.link, room);
            }
            8 if self.knocks.len() < 4 => self.somebody_knocks(),
            _ => {}
        }
        match self.chance.one_in(3) {
            true => self.net.turn(),
            false => self.net.settle(),
        }
        self.pump();
        self.net.check();
    }

    fn go_on(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.pump();
            self.net.settle();
            self.net.check();
        }
    }

    fn come(&mut self) {
        let op = self.ops.len();
        let cookie = format!("Cookie: n={op}\r\n");
        let Some(asker) = Asker::open(&mut self.net, "/_/revolved/ws", &cookie) else {
            return;
        };
        self.people.push(Person {
            asker,
            ops: Vec::new(),
            key: None,
            subs: BTreeMap::new(),
            last: BTreeMap::new(),
        });
        self.want(self.people.len() - 1, Want::Come);
    }

    /// Somebody wants something; gives back its number.
    pub fn want(&mut self, by: usize, want: Want) -> usize {
        let decided = match want {
            Want::Come | Want::Auth(_) | Want::Call => true,
            Want::Subscribe(channel) => channel < 2,
            Want::Publish(channel) => channel == 0 || channel == 2,
            Want::Leave => false,
        };
        self.ops.push(Op {
            by,
            want,
            at: self.net.now(),
            asked: None,
            said: None,
            done: false,
            decided,
        });
        let op = self.ops.len() - 1;
        if let Some(person) = self.people.get_mut(by) {
            person.ops.push(op);
        }
        op
    }

    fn somebody_knocks(&mut self) {
        let many = self.chance.between(1, 3);
        let first = self.ops.len();
        for _ in 0..many {
            self.want(NOBODY, Want::Come);
        }
        let knock = Knock::open(&mut self.net, &mut self.chance, first..first + many);
        match knock {
            Some(knock) => self.knocks.push(knock),
            None => self.ops.truncate(first),
        }
    }

    /// Somebody says a few lines, in one message or several.
    fn somebody_talks(&mut self) {
        let at = self.chance.below(self.people.len());
        let open = |op: &&usize| !self.ops[**op].done;
        let waits = self.people[at].ops.iter().filter(open).count();
        if at == 0 || !self.people[at].is_in() || waits > 12 {
            return;
        }
        let mut lines = String::new();
        for _ in 0..self.chance.between(1, 4) {
            lines += &self.line_of(at);
            if self.chance.one_in(2) {
                self.people[at]
                    .asker
                    .say(&mut self.chance, &std::mem::take(&mut lines));
            }
        }
        if !lines.is_empty() {
            self.people[at].asker.say(&mut self.chance, &lines);
        }
    }

    fn line_of(&mut self, at: usize) -> String {
        let channel = self.chance.below(CHANNELS.len());
        let name = CHANNELS[channel];
        // Questions about one session and channel are told apart by there being only one.
        let asks = |op: &usize| {
            let op = &self.ops[*op];
            !op.done && op.want == Want::Subscribe(channel)
        };
        let known = self.people[at].key.is_some() && !self.people[at].ops.iter().any(asks);
        match self.chance.weighted(&[3, 3, 12, 3, 0]) {
            0 => {
                let user = format!("u{}", self.chance.below(5));
                let op = self.want(at, Want::Auth(user.clone()));
                format!("[{op},\"AUTH\",[\"{user}\",{op}]]\n")
            }
            1 if known || channel > 1 => {
                let op = self.want(at, Want::Subscribe(channel));
                format!("[{op},\"SUBSCRIBE\",[\"{name}\"]]\n")
            }
            2 => {
                let op = self.want(at, Want::Publish(channel));
                format!("[{op},\"PUBLISH\",[\"{name}\",{{\"m\":{op}}}]]\n")
            }
            _ if self.chance.one_in(30) => {
                let op = self.want(at, Want::Leave);
                format!("[{op},\"DISCONNECT\",[]]\n")
            }
            _ => {
                let op = self.want(at, Want::Call);
                format!("[{op},\"CALL\",[\"f\",{op}]]\n")
            }
        }
    }

    fn somebody_vanishes(&mut self) {
        let at = self.chance.below(self.people.len());
        let person = &mut self.people[at];
        if at > 0 && !person.asker.over {
            let waits = person.ops.iter().any(|op| !self.ops[*op].done);
            person.asker.vanish(&mut self.net);
            let told = if waits {
                "left in the middle"
            } else {
                "left idle"
            };
            self.net.totals.add_to("decide", told, 1);
        }
    }

    fn pump(&mut self) {
        self.hear_questions();
        for at in 0..self.people.len() {
            let person = &mut self.people[at];
            let lines = person.asker.pump(&mut self.net, &mut self.chance);
            self.look_at_door(at);
            for line in lines {
                self.net.note(|| format!("{at} hears {line}"));
                self.hears(at, &line);
            }
            let (code, said) = (self.people[at].asker.code, &self.people[at].ops);
            let leaves = said
                .iter()
                .any(|op| self.ops[*op].want == Want::Leave && self.ops[*op].done);
            let may = leaves || self.net.was_blocked(self.people[at].asker.link);
            assert!(
                code.is_none() || (code == Some(1000) && may) || self.net.is_stopped(),
                "{at} is closed by {code:?}"
            );
        }
        for knock in &mut self.knocks {
            for (op, status, body) in knock.pump(&mut self.net, &mut self.chance) {
                self.ops[op].done = true;
                let outcome = self.ops[op].outcome(&self.app, &self.net, self.fails_open);
                super::knocks::check(op, outcome, (status, &body), &mut self.net);
            }
        }
        self.knocks.retain(|knock| !knock.is_over());
    }

    /// Whoever is let in may be.
    fn look_at_door(&mut self, at: usize) {
        let (status, op) = (self.people[at].asker.status, self.people[at].ops[0]);
        let Some(status) = status.filter(|_| !self.ops[op].done) else {
            return;
        };
        self.ops[op].done = true;
        let outcome = self.ops[op].outcome(&self.app, &self.net, self.fails_open);
        match (status, outcome) {
            (101, Some(Outcome::Allowed(..))) => self.count("let in"),
            (403, Some(Outcome::Denied(_))) => self.count("kept out"),
            (503, Some(Outcome::NoAnswer)) => {
                self.check_unanswered(op);
                self.count("not let in for no answer");
            }
            (101 | 403 | 503, None) | (408, _) => {}
            (503, _) if self.net.is_stopped() => {}
            (status, outcome) => panic!("{at} is told {status}: {outcome:?} {:?}", self.ops[op]),
        }
    }

    pub fn count(&mut self, name: &'static str) {
        self.net.totals.add_to("decide", name, 1);
    }

    fn check_unanswered(&self, op: usize) {
        let in_vain = |op: &&Op| op.was_asked_in_vain(&self.app, &self.net, TIMEOUT_MS);
        let vain =
            self.app.refused + self.net.given_up + self.ops.iter().filter(in_vain).count() as u64;
        let now = self.net.now();
        if !self.net.is_stopped() {
            self.ops[op].check_unanswered(&self.app, now, vain, TIMEOUT_MS);
        }
    }

    fn hears(&mut self, at: usize, line: &Value) {
        match line[0].as_str().unwrap() {
            "OK" => self.is_told(at, &line[1], Ok(&line[1][1])),
            "ERR" => {
                let why = [&line[1][1], &line[1][2]].map(|text| text.as_str().unwrap());
                self.is_told(at, &line[1], Err((why[0], why[1])));
            }
            "PUBLISH" => self.is_given(at, &line[1]),
            "SUBSCRIBED" => {
                let channel = channel(&line[1][0]);
                let granted = self.people[at]
                    .ops
                    .iter()
                    .filter(|op| matches!(self.ops[**op].want, Want::Come | Want::Auth(_)))
                    .any(|op| {
                        let outcome = self.ops[*op].outcome(&self.app, &self.net, self.fails_open);
                        match outcome {
                            Some(Outcome::Allowed(_, _, list)) => list.contains(&channel),
                            Some(_) => false,
                            None => true,
                        }
                    });
                assert!(granted, "{at} is subscribed to {channel} by nobody");
                let before = self.people[at].subs.insert(channel, None);
                assert_eq!(before, None, "{at} is subscribed to {channel} again");
                self.count("subscribed by the application");
            }
            "BYE" => assert!(self.net.is_stopped(), "{line}"),
            other => panic!("{other}"),
        }
    }

    /// Something that it said is answered.
    fn is_told(&mut self, at: usize, line: &Value, said: Result<&Value, (&str, &str)>) {
        let op = line[0].as_u64().unwrap() as usize;
        let wanted = &mut self.ops[op];
        assert_eq!(wanted.by, at, "{op} is another's");
        assert!(!std::mem::replace(&mut wanted.done, true), "{op} twice");
        let want = wanted.want.clone();
        if !matches!(want, Want::Call | Want::Publish(_)) {
            let before = self.people[at].ops.iter().take_while(|one| **one < op);
            let mut open = before.filter(|one| !self.ops[**one].done);
            let late =
                open.find(|one| !matches!(self.ops[**one].want, Want::Call | Want::Publish(_)));
            assert_eq!(late, None, "{op} is answered before");
        }
        let outcome = self.ops[op].outcome(&self.app, &self.net, self.fails_open);
        let Some(outcome) = outcome else { return };
        match (said, outcome) {
            (Ok(result), Outcome::Allowed(user, payload, list)) => {
                self.is_done(at, op, result, (user, payload, &list));
            }
            (Err((text, "denied")), Outcome::Denied(why)) if text == why => self.count("denied"),
            (Err((_, "no-answer")), Outcome::NoAnswer) => {
                self.check_unanswered(op);
                self.count("unanswered");
            }
            (Err((_, "too-many")), _) if want == Want::Call => self.count("too many calls"),
            (said, outcome) => panic!("{:?} is told {said:?}: {outcome:?}", self.ops[op]),
        }
    }

    fn is_done(
        &mut self,
        at: usize,
        op: usize,
        result: &Value,
        (user, payload, list): (Option<String>, Option<Value>, &[usize]),
    ) {
        match self.ops[op].want.clone() {
            Want::Auth(asked) => {
                assert_eq!(*result, Value::from(user.unwrap_or(asked)), "{op}");
                let subs = &self.people[at].subs;
                assert!(list.iter().all(|one| subs.contains_key(one)), "{op}");
                self.count("named");
            }
            Want::Subscribe(channel) => {
                let next = result["offset"].as_u64().unwrap() + 1;
                let again = result["again"] == true;
                let before = self.people[at].subs.get(&channel).copied();
                assert_eq!(again, before.is_some(), "{op} to {channel}: {result}");
                if !again {
                    self.people[at].subs.insert(channel, Some(next));
                }
                self.count("subscribed");
            }
            Want::Publish(channel) => {
                let offset = result["offset"].as_u64().unwrap();
                let before = self.taken.insert((channel, offset), op);
                assert_eq!(before, None, "two at {offset} of {channel}");
                self.count("published");
            }
            Want::Call => {
                assert_eq!(*result, payload.unwrap_or(Value::Null), "{op}");
                self.count("called");
            }
            Want::Leave => self.count("left behind a question"),
            Want::Come => panic!("{op}"),
        }
    }

    /// A publication comes.
    fn is_given(&mut self, at: usize, line: &Value) {
        let channel = channel(&line[0]);
        let offset = line[3]["offset"].as_u64().unwrap();
        let person = &mut self.people[at];
        let next = person.subs.get_mut(&channel);
        let next = next.unwrap_or_else(|| panic!("{at} reads {channel} and may not"));
        assert_eq!(next.unwrap_or(offset), offset, "{at} in {channel}");
        *next = Some(offset + 1);
        let payload = &line[2];
        let op = payload.get("m").or(payload.get("c")).unwrap();
        let op = op.as_u64().unwrap() as usize;
        let by = self.ops[op].by;
        assert_eq!(self.ops[op].want, Want::Publish(channel), "{op}");
        let before = person.last.insert(by, op);
        assert!(before.is_none_or(|before| before < op), "{op} at {at}");
        match self.ops[op].outcome(&self.app, &self.net, self.fails_open) {
            Some(Outcome::Allowed(_, instead, _)) => {
                let own = serde_json::json!({"m": op});
                let changed = instead.is_some();
                assert_eq!(*payload, instead.unwrap_or(own), "{op}");
                self.count(if changed { "changed" } else { "as it was" });
            }
            None => {}
            other => panic!("{op} is seen, and was {other:?}"),
        }
        if let Some(user) = self.user_before(op) {
            assert_eq!(line[1], Value::from(user), "{op} by {by}");
        }
        if at == 0 {
            self.seen.insert(op);
        }
    }

    /// Whose the session is that wanted `op`, by then; `None` where nobody can tell.
    pub fn user_before(&self, op: usize) -> Option<Option<String>> {
        let mut user = None;
        let before = self.people[self.ops[op].by].ops.iter();
        for one in before.take_while(|one| **one < op) {
            let one = &self.ops[*one];
            let asked = match &one.want {
                Want::Come => None,
                Want::Auth(user) => Some(user.clone()),
                _ => continue,
            };
            if let Outcome::Allowed(given, ..) =
                one.outcome(&self.app, &self.net, self.fails_open)?
            {
                user = given.or(asked);
            }
        }
        Some(user)
    }

    fn stop(&mut self) {
        self.count("stopped in the middle");
        self.net.stop();
        self.net.open_wide();
        for _ in 0..40 {
            self.pump();
            self.net.sleep(200);
            self.net.check();
        }
    }

    /// The application answers, and everybody is heard.
    fn come_to_rest(&mut self) {
        (self.app.away, self.kind) = (false, true);
        self.net.open_wide();
        for _ in 0..ROUNDS {
            self.pump();
            self.net.sleep(100);
            self.net.settle();
            self.net.check();
        }
        self.pump();
        let ends: BTreeMap<usize, Option<u64>> = self.people[0].subs.clone();
        for (at, person) in self.people.iter().enumerate() {
            if !person.is_in() {
                continue;
            }
            let open = person.ops.iter().find(|op| !self.ops[**op].done);
            assert_eq!(open, None, "{at} waits for ever");
            for (channel, next) in &person.subs {
                assert!(
                    next.is_none() || *next == ends[channel],
                    "{at} in {channel}"
                );
            }
        }
        let missed = self.taken.values().find(|op| !self.seen.contains(op));
        assert_eq!(missed, None, "was taken and reached nobody");
    }

    fn end(&mut self) {
        for person in &mut self.people {
            if !person.asker.over {
                person.asker.vanish(&mut self.net);
            }
        }
        self.knocks.clear();
        for _ in 0..80 {
            self.pump();
            self.net.sleep(2_000);
            self.net.settle();
        }
        self.net.leap(2 * 3_600_000);
        let node = &self.net.node;
        assert_eq!(node.session_count(), 0, "sessions are left");
        assert_eq!(node.conn_count(), 0, "connections are left");
        assert_eq!(node.queued_bytes(), 0, "bytes are left");
        assert_eq!(node.next_due(), None, "deadlines are left");
    }
}

impl Person {
    pub fn is_in(&self) -> bool {
        self.asker.is_in()
    }
}

fn channel(name: &Value) -> usize {
    let known = CHANNELS.iter().position(|channel| *name == **channel);
    known.unwrap_or_else(|| panic!("{name}"))
}

/// What is decided of each is in their rules.
pub const CHANNELS: [&str; 4] = ["asked", "read", "talk", "free"];
/// Who knocks is nobody of those who talk.
pub const NOBODY: usize = usize::MAX;
pub const TIMEOUT_MS: u64 = 10_000;
const STEPS: u32 = 700;
/// Until everything that is wanted is answered, a question in each.
const ROUNDS: usize = 300;
/// What must happen over some seeds.
pub const MUST_HAPPEN: &[&str] = &[
    "answered out of order",
    "as it was",
    "asked again",
    "called",
    "changed",
    "closed",
    "denied",
    "hands not shaken",
    "hands shaken",
    "handshakes without answer",
    "kept out",
    "left behind a question",
    "left in the middle",
    "let in",
    "named",
    "never answered",
    "not let in for no answer",
    "published",
    "rubbish",
    "stopped in the middle",
    "subscribed",
    "subscribed by the application",
    "unanswered",
];
