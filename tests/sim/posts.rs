//! Events that are posted to an application which is slow, fails, closes, or is away.
//!
//! In: a seed. Out: what happened how often, or a panic. Of each session it is told the beginning and then the end, in the order
//! of everything, once or again where it did not say that it has it; what was let go is counted, and no more waits than may.

use super::app::{App, Request};
use super::asker::Asker;
use super::chance::{Chance, Totals};
use super::driver::Driver;
use orbited::config::{Callback, Config, Names};
use serde_json::Value;
use std::collections::BTreeMap;

struct World {
    net: Driver,
    chance: Chance,
    app: App,
    people: Vec<Asker>,
    /// Events that wait for their answer, by connection: up to which number.
    pending: Vec<(usize, u64)>,
    /// The run of the node, the last event that came, and the last whose request was answered with 2xx.
    run: Option<String>,
    last: u64,
    confirmed: u64,
    /// Answers that were well, whose events are not known to have counted: connection, number there, last event.
    answers: Vec<(usize, usize, u64)>,
    /// Events by their numbers, and which are gone.
    events: BTreeMap<u64, Value>,
    skipped: u64,
    queue_max: usize,
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
        let mut chance = Chance::new(seed, 5);
        let batch = chance.pick(&[1, 3, 100]);
        let text = format!("http://127.0.0.1:1/ events=signon,signoff batch={batch}");
        let queue_max = chance.pick(&[4 * 1024, 1024 * 1024]);
        let config = Config {
            names: Names::Anyone,
            callbacks: vec![Callback::parse(&text).unwrap()],
            callback_queue: queue_max,
            callback_timeout_ms: TIMEOUT_MS,
            ..Config::default()
        };
        let mut net = Driver::new(config, seed, std::env::var("ORB_SEED").is_ok());
        net.open_wide();
        Self {
            net,
            chance,
            app: App::default(),
            people: Vec::new(),
            pending: Vec::new(),
            run: None,
            last: 0,
            confirmed: 0,
            answers: Vec::new(),
            events: BTreeMap::new(),
            skipped: 0,
            queue_max,
        }
    }

    fn count(&mut self, name: &'static str) {
        self.net.totals.add_to("posts", name, 1);
    }

    fn step(&mut self) {
        match self.chance.weighted(&[6, 6, 8, 6, 1, 1]) {
            0 if self.people.len() < 12 => {
                let asker = Asker::open(&mut self.net, "/_/revolved/ws", "");
                self.people.extend(asker);
                self.count("came");
            }
            1 if !self.people.is_empty() => {
                let at = self.chance.below(self.people.len());
                self.people.swap_remove(at).vanish(&mut self.net);
            }
            2 => self.answer_something(),
            3 => {
                let ms = self.chance.between(1, 900) as u64;
                self.net.sleep(ms);
            }
            4 => {
                let ms = self.chance.between(1_000, 15_000) as u64;
                self.net.sleep(ms);
            }
            5 => self.app.away = self.chance.one_in(3) && !self.app.away,
            _ => {}
        }
        self.net.turn();
        self.pump();
    }

    fn pump(&mut self) {
        for person in &mut self.people {
            person.pump(&mut self.net, &mut self.chance);
        }
        for request in self.app.pump(&mut self.net, &mut self.chance) {
            self.net.note(|| format!("posted {request:?}"));
            self.is_posted(&request);
        }
        let lanes = &self.app.lanes;
        self.pending.retain(|(lane, _)| !lanes[*lane].ended);
        self.net.check();
        let held = self.net.node.queued_bytes() as usize;
        let most = self.queue_max + BESIDE;
        assert!(held < most, "{held} bytes are held, at most {most}");
    }

    fn is_posted(&mut self, request: &Request) {
        let list = match &request.body {
            Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        self.look_at_answers();
        let first = list[0]["seq"].as_u64().unwrap();
        let skipped = list[0]["skipped"].as_u64().unwrap_or_default();
        assert!(
            first > self.confirmed,
            "{first} again, which was taken with {}",
            self.confirmed
        );
        assert_eq!(first, self.confirmed + skipped + 1, "a hole of {skipped}");
        let mut next = first;
        for event in list {
            let run = self.run.get_or_insert_with(|| event["run"].to_string());
            assert_eq!(event["run"].to_string(), *run);
            assert_eq!(event["seq"], next, "a hole");
            let number = next;
            next += 1;
            if number <= self.last {
                self.net.totals.add_to("posts", "events again", 1);
            }
            self.last = self.last.max(number);
            let mut event = event;
            event.as_object_mut().unwrap().remove("skipped");
            if let Some(before) = self.events.insert(number, event.clone()) {
                assert_eq!(before, event, "{number} is two events");
            }
        }
        self.pending.push((request.lane, next - 1));
    }

    /// What was answered well and whole has been taken.
    fn look_at_answers(&mut self) {
        for (lane, number, last) in std::mem::take(&mut self.answers) {
            match self.app.has_answer(&self.net, lane, number) {
                Some(true) => {
                    let from = self.confirmed + 1;
                    let missing = (from..=last).filter(|one| !self.events.contains_key(one));
                    self.skipped += missing.count() as u64;
                    self.confirmed = self.confirmed.max(last);
                }
                Some(false) if !self.app.lanes[lane].ended => {
                    self.answers.push((lane, number, last));
                }
                Some(false) => {}
                // The next request tells.
                None => self.answers.push((lane, number, last)),
            }
        }
    }

    fn answer_something(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let (lane, last) = self.pending.swap_remove(0);
        let number = self.app.lanes[lane].asked - 1;
        match self.chance.weighted(&[8, 2, 1, 1, 1]) {
            0 => {
                let status = self.chance.pick(&[200, 204]);
                self.answers.push((lane, number, last));
                self.app.answer(&mut self.chance, lane, status, "");
                self.count("taken");
            }
            1 => {
                let status = self.chance.pick(&[500, 503, 404, 302]);
                self.app.answer(&mut self.chance, lane, status, "no");
                self.count("refused");
            }
            2 => {
                self.app.close(&mut self.net, &mut self.chance, lane);
                self.count("closed");
            }
            3 => {
                self.app.say(lane, b"well\r\n\r\n", false);
                self.count("malformed");
            }
            _ => self.count("never answered"),
        }
    }

    /// Everybody goes, and the application takes what there is.
    fn end(&mut self) {
        self.app.away = false;
        for mut person in std::mem::take(&mut self.people) {
            person.vanish(&mut self.net);
        }
        for round in 0..ROUNDS {
            if round > LAST_ROUNDS && self.net.node.callbacks_waiting() == 0 {
                break;
            }
            self.pump();
            for (lane, last) in std::mem::take(&mut self.pending) {
                let number = self.app.lanes[lane].asked - 1;
                self.answers.push((lane, number, last));
                self.app.answer(&mut self.chance, lane, 200, "");
            }
            self.net.sleep(500);
        }
        self.pump();
        self.look_at_answers();
        assert_eq!(self.net.node.callbacks_waiting(), 0, "events wait");
        assert_eq!(self.confirmed, self.last, "the last were not taken");
        let got = self.events.len() as u64;
        assert_eq!(got + self.skipped, self.last, "{} are let go", self.skipped);
        let dropped = self.net.node.metrics().callbacks.dropped;
        // What was let go on its way may have come all the same.
        assert!(self.skipped <= dropped, "{} of {dropped}", self.skipped);
        self.net.totals.add_to("posts", "let go", self.skipped);
        self.net.totals.add_to("posts", "events", got);
        self.check_events();
        self.net.stop();
        for _ in 0..20 {
            self.pump();
            self.net.sleep(500);
        }
        let node = &self.net.node;
        assert_eq!(node.session_count(), 0, "sessions are left");
        assert_eq!(node.conn_count(), 0, "connections are left");
        assert_eq!(node.queued_bytes(), 0, "bytes are left");
    }

    /// Of each session its beginning is told first, then its end, and neither twice.
    fn check_events(&mut self) {
        let mut there: BTreeMap<String, bool> = BTreeMap::new();
        let (whole, ended) = (self.skipped == 0, self.net.node.metrics().signoffs);
        for event in self.events.values() {
            let key = event["session"].to_string();
            match event["event"].as_str() {
                Some("signon") => assert_eq!(there.insert(key, true), None, "{event}"),
                Some("signoff") => {
                    let before = there.insert(key, false);
                    let fits = before == Some(true) || (before.is_none() && !whole);
                    assert!(fits, "{event} behind {before:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        if whole {
            assert!(there.values().all(|lives| !lives), "an end is not told");
            assert_eq!(there.len() as u64, ended.iter().sum::<u64>());
            self.count("whole");
        }
    }
}

const TIMEOUT_MS: u64 = 5_000;
const STEPS: u32 = 700;
/// Until everything is taken, one event in each; and until the last answer has come.
const ROUNDS: usize = 2_000;
const LAST_ROUNDS: usize = 60;
/// What sessions, connections and one request hold beside events that wait.
const BESIDE: usize = 160 * 1024;
/// What must happen over some seeds.
pub const MUST_HAPPEN: &[&str] = &[
    "closed",
    "events again",
    "let go",
    "malformed",
    "never answered",
    "refused",
    "taken",
    "whole",
];
