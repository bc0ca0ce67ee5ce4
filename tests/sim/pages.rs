//! Pages as Orbited 0.3 had them, by the calls of Revolved and at locations: their streams come, take each other's place and
//! go, and whatever was sent to a session is on one of its streams, once and in order, or named at its end.
//!
//! In: a seed. Out: nothing, or a panic. Of what was written for a connection that broke nobody says anything.

use super::chance::Chance;
use super::driver::{Driver, LinkId};
use orbited::config::Config;
use orbited::node::Door;
use serde_json::Value;

/// A session, and what it got.
struct Page {
    user: String,
    /// Of the calls of Revolved; a page at a location has none.
    key: Option<String>,
    /// In the order they began, and what came on each.
    streams: Vec<(LinkId, Vec<u8>)>,
    /// The last of them is open, or will be.
    streaming: bool,
    /// Its streams may break, or take little at a time: what waits in front of a pipe goes with it.
    rough: bool,
    /// Since when nobody is there, as far as the client knows, and for how long that may be.
    away: (u64, u64),
    /// What was sent to it.
    sent: Vec<u64>,
    /// What its end named.
    end: Option<Vec<u64>>,
}

struct Scene {
    net: Driver,
    chance: Chance,
    app: LinkId,
    feed: LinkId,
    told: Vec<u8>,
    pages: Vec<Page>,
    messages: u64,
    takeovers: usize,
}

/// A run.
pub fn run(seed: u64) {
    let mut scene = Scene::new(seed);
    for _ in 0..STEPS {
        scene.step();
    }
    for page in 0..scene.pages.len() {
        scene.leave(page, false);
    }
    scene.net.settle();
    scene.hear();
    scene.net.sleep(COME_MS + SLACK_MS);
    scene.net.settle();
    scene.hear();
    scene.check();
}

impl Scene {
    fn new(seed: u64) -> Self {
        let config = Config {
            max_requests: 0,
            keepalive_timeout_ms: 3_600_000,
            ..Config::default()
        };
        let mut net = Driver::new(config, seed, false);
        net.open_wide();
        let [app, feed] = [(); 2].map(|()| net.connect(Door::Internal).unwrap());
        net.send(feed, &get("/api/events/signoff"));
        net.settle();
        Self {
            net,
            chance: Chance::new(seed, 4),
            app,
            feed,
            told: Vec::new(),
            pages: Vec::new(),
            messages: 0,
            takeovers: 0,
        }
    }

    fn step(&mut self) {
        let alive = |page: &Page| page.end.is_none();
        let alive: Vec<usize> = (0..self.pages.len())
            .filter(|at| alive(&self.pages[*at]))
            .collect();
        let some = (!alive.is_empty()).then(|| self.chance.pick(&alive));
        match (self.chance.weighted(&[5, 2, 4, 3, 3]), some) {
            (0, _) => self.publish(),
            (1, _) | (_, None) => self.come(),
            (2, Some(page)) => self.stream(page),
            (3, Some(page)) => {
                let breaks = self.pages[page].rough && self.chance.one_in(2);
                self.leave(page, breaks);
            }
            _ => {
                let ms = self.chance.between(1, 4_000) as u64;
                self.net.sleep(ms);
                self.catch_up();
            }
        }
        // Sometimes several things happen in one turn.
        if !self.chance.one_in(3) {
            self.net.settle();
            self.hear();
        }
    }

    /// To those who are subscribed, which is by calls only, or to everybody.
    fn publish(&mut self) {
        self.messages += 1;
        let (number, to_all) = (self.messages, self.chance.one_in(2));
        let target = match to_all {
            true => "/api/broadcast",
            false => "/api/publish/room",
        };
        let head = format!("POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        let body = number.to_string();
        let rest = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.net.send(self.app, (head + &rest).as_bytes());
        for page in &mut self.pages {
            if page.end.is_none() && (to_all || page.key.is_some()) {
                page.sent.push(number);
            }
        }
        self.catch_up();
    }

    /// Whoever ended is known before anybody is sent to.
    fn catch_up(&mut self) {
        self.net.settle();
        self.hear();
    }

    /// A session begins: one with its stream, or one that waits for it.
    fn come(&mut self) {
        let user = format!("u{}", self.pages.len());
        let mut page = Page {
            user: user.clone(),
            key: None,
            streams: Vec::new(),
            streaming: false,
            rough: self.chance.one_in(3),
            away: (self.net.now(), COME_MS),
            sent: Vec::new(),
            end: None,
        };
        if self.chance.one_in(2) {
            let told = self.ask(&format!("connect?resource=r&user={user}"));
            let key = told.split('"').nth(3).unwrap().to_owned();
            let done = self.ask(&format!("subscribe?session={key}&channel=room"));
            assert_eq!(done, "success");
            page.key = Some(key);
            self.pages.push(page);
        } else {
            self.pages.push(page);
            self.stream(self.pages.len() - 1);
        }
        self.catch_up();
    }

    /// A stream for a session, which takes the place of the one before.
    fn stream(&mut self, page: usize) {
        let page = &mut self.pages[page];
        let link = self.net.connect(Door::Public).unwrap();
        let path = match &page.key {
            Some(key) => format!("/_/revolved/event?user=null&session={key}"),
            None => format!("/_/orbit/chat?user={}", page.user),
        };
        self.net.send(link, &get(&path));
        if page.rough && self.chance.one_in(2) {
            self.net.set_room(link, self.chance.between(1, 300));
        }
        self.takeovers += usize::from(page.streaming);
        page.streams.push((link, Vec::new()));
        page.streaming = true;
        self.catch_up();
    }

    fn leave(&mut self, page: usize, breaks: bool) {
        let now = self.net.now();
        let page = &mut self.pages[page];
        let Some((link, got)) = page.streams.last_mut().filter(|_| page.streaming) else {
            return;
        };
        if breaks {
            got.extend(self.net.take(*link, usize::MAX));
            self.net.reset(*link);
        } else {
            self.net.finish(*link);
        }
        (page.streaming, page.away) = (false, (now, RETURN_MS));
    }

    /// One call, and its answer.
    fn ask(&mut self, call: &str) -> String {
        let link = self.net.connect(Door::Public).unwrap();
        self.net.send(link, &get(&format!("/_/revolved/{call}")));
        self.net.settle();
        let text = String::from_utf8(self.net.take(link, usize::MAX)).unwrap();
        self.net.finish(link);
        let (_, body) = text.split_once("\r\n\r\n").expect("an answer");
        body.to_owned()
    }

    /// Reads what came to everybody.
    fn hear(&mut self) {
        for page in &mut self.pages {
            for (link, got) in &mut page.streams {
                got.extend(self.net.take(*link, usize::MAX));
            }
        }
        self.net.take(self.app, usize::MAX);
        self.told.extend(self.net.take(self.feed, usize::MAX));
        let end = self.told.iter().rposition(|byte| *byte == b'\n');
        let behind = self.told.split_off(end.map_or(0, |end| end + 1));
        let whole = String::from_utf8(std::mem::replace(&mut self.told, behind)).unwrap();
        let events = whole.lines().filter_map(|line| line.strip_prefix("data: "));
        for event in events.collect::<Vec<_>>() {
            self.ended(&serde_json::from_str(event).unwrap());
        }
    }

    fn ended(&mut self, event: &Value) {
        let now = self.net.now();
        let of = |page: &&mut Page| event["user"] == *page.user;
        let page = self.pages.iter_mut().find(of).unwrap();
        assert_eq!(event["reason"], "timeout", "{}", page.user);
        assert!(!page.streaming, "{} has a stream", page.user);
        let (since, least) = page.away;
        assert!(now >= since + least, "{} ends early", page.user);
        let bodies = event["undelivered"].as_array().unwrap().iter();
        let numbers = bodies.map(|one| one["body"].as_str().unwrap().parse().unwrap());
        let before = page.end.replace(numbers.collect());
        assert_eq!(before, None, "{} ends once", page.user);
    }

    fn check(&mut self) {
        let (mut named, mut late) = (0, 0);
        for page in &self.pages {
            let user = &page.user;
            let Some(undelivered) = &page.end else {
                panic!("{user} does not end");
            };
            let parts: Vec<Vec<u64>> = page.streams.iter().map(|(_, got)| numbers(got)).collect();
            let mut all = parts.concat();
            all.extend(undelivered);
            assert!(all.is_sorted_by(|a, b| a < b), "{user}: {all:?}");
            match page.rough {
                false => assert_eq!(all, page.sent, "{user}"),
                true => assert!(all.iter().all(|it| page.sent.contains(it)), "{user}"),
            }
            named += undelivered.len();
            late += usize::from(parts.iter().filter(|part| !part.is_empty()).count() > 1);
        }
        assert!(
            named > 0 && late > 0 && self.takeovers > 0,
            "nothing happened"
        );
        assert_eq!(self.net.node.session_count(), 1, "the feed's is left");
        self.net.check();
    }
}

/// What a stream brought, of which the end may be cut off.
fn numbers(got: &[u8]) -> Vec<u64> {
    let text = String::from_utf8(got.to_vec()).unwrap();
    let parts = text.splitn(3, "\r\n\r\n").nth(2).unwrap_or_default();
    let mut events: Vec<&str> = parts.split("\r\n|O|\r\n").collect();
    events.pop();
    let number = |event: &str| match serde_json::from_str(event).unwrap() {
        Value::Array(event) => event.last().unwrap().as_str().unwrap().parse().unwrap(),
        number => number.as_u64().unwrap(),
    };
    let events = events
        .into_iter()
        .filter(|event| !event.is_empty() && *event != "ping");
    events.map(number).collect()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes()
}

const STEPS: usize = 600;
/// Milliseconds in which the first stream of a session is to come, and the next one.
const COME_MS: u64 = 30_000;
const RETURN_MS: u64 = 5_000;
const SLACK_MS: u64 = 1_000;
