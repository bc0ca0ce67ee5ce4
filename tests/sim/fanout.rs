//! A publication to more sessions than one turn serves, with people coming and going while it is under way.
//!
//! In: nothing. Out: nothing, or a panic. The runs of `world` have too few sessions for this, as each step of
//! theirs looks at every table.

use super::chance::Chance;
use super::driver::{Driver, LinkId};
use orbited::config::Config;
use orbited::node::{DELIVERIES_PER_TURN, Door};
use std::collections::BTreeMap;

/// Readers of one channel, and publishers to it.
struct Crowd {
    net: Driver,
    readers: Vec<LinkId>,
}

/// Half a dozen turns' worth of readers: publications wait behind the first, readers leave before and after
/// their turn, and newcomers see only what is published after they came.
pub fn run(seed: u64) {
    let mut chance = Chance::new(seed, 3);
    let mut crowd = Crowd::new(seed);
    let publishers = [0, 1].map(|_| crowd.net.connect(Door::Internal).unwrap());
    crowd.publish(publishers[0], "first");
    crowd.net.turn();
    assert!(crowd.net.node.has_commands(), "one turn served everybody");
    // The newest came first in the list, so those around the one whose turn is next are in the middle.
    let next = READERS - 2 * DELIVERIES_PER_TURN;
    let gone: Vec<LinkId> = (0..50)
        .map(|_| crowd.readers[chance.below(READERS)])
        .chain(crowd.readers[next - 25..next + 25].iter().copied())
        .collect();
    gone.iter().for_each(|link| crowd.net.reset(*link));
    crowd.publish(publishers[1], "second");
    let newcomers: Vec<LinkId> = (0..50).map(|_| crowd.reader()).collect();
    crowd.net.settle();
    let seen = crowd.events();
    for link in crowd.readers.iter().filter(|link| !gone.contains(link)) {
        let expected: &[&str] = if newcomers.contains(link) {
            &["second"]
        } else {
            &["first", "second"]
        };
        assert_eq!(seen[link], expected, "reader {link}");
    }
    let all = READERS + newcomers.len();
    let [first, second] = publishers.map(|link| crowd.told(link));
    assert!(
        first.1 == 1 && second.1 == 2,
        "offsets {first:?} {second:?}"
    );
    assert!(
        (all - 150..=all).contains(&first.0) && (all - 150..=all).contains(&second.0),
        "{first:?} {second:?}"
    );
    crowd.net.check();
}

/// A long poll that is answered while a publication is on its way to everybody, and has not come to it: the answer
/// does not say that it has.
pub fn run_poll(seed: u64) {
    let mut crowd = Crowd::empty(seed);
    // Who came first is last in the list.
    let poller = crowd.net.connect(Door::Public).unwrap();
    let target = "/_/events?channel=a&channel=b&transport=longpoll";
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    crowd.net.send(poller, request.as_bytes());
    crowd.net.settle();
    crowd.fill();
    let [first, second] = [0, 1].map(|_| crowd.net.connect(Door::Internal).unwrap());
    crowd.publish_to(first, "b", "to the poller at once");
    crowd.publish(second, "on its way");
    crowd.net.turn();
    assert!(crowd.net.node.has_commands(), "one turn served everybody");
    crowd.net.settle();
    let text = String::from_utf8(crowd.net.take(poller, usize::MAX)).unwrap();
    let since = text.split("\"since\":\"").nth(1).unwrap();
    let (a, rest) = since.split_once(',').unwrap();
    assert!(
        a.ends_with(":0") && rest.split('"').next().unwrap().ends_with(":1"),
        "{text}"
    );
    assert!(
        text.contains("to the poller at once") && !text.contains("on its way"),
        "{text}"
    );
    crowd.net.check();
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut crowd = Self::empty(seed);
        crowd.fill();
        crowd
    }

    fn empty(seed: u64) -> Self {
        let config = Config {
            max_connections: READERS + 200,
            max_sessions: READERS + 200,
            ..Config::default()
        };
        let mut net = Driver::new(config, seed, false);
        net.open_wide();
        let readers = Vec::new();
        Self { net, readers }
    }

    fn fill(&mut self) {
        for _ in 0..READERS {
            self.reader();
        }
        self.net.settle();
        self.events();
    }

    fn reader(&mut self) -> LinkId {
        let link = self.net.connect(Door::Public).unwrap();
        self.net
            .send(link, b"GET /_/events?channel=a HTTP/1.1\r\nHost: h\r\n\r\n");
        self.readers.push(link);
        link
    }

    fn publish(&mut self, publisher: LinkId, text: &str) {
        self.publish_to(publisher, "a", text);
    }

    fn publish_to(&mut self, publisher: LinkId, channel: &str, text: &str) {
        let head = format!(
            "POST /api/publish/{channel} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
        );
        let request = format!("{head}Content-Length: {}\r\n\r\n{text}", text.len());
        self.net.send(publisher, request.as_bytes());
    }

    /// What each reader has got since it was last asked.
    fn events(&mut self) -> BTreeMap<LinkId, Vec<String>> {
        let mut seen = BTreeMap::new();
        for link in &self.readers {
            let text = String::from_utf8(self.net.take(*link, usize::MAX)).unwrap();
            let data = text
                .split("data: ")
                .skip(1)
                .map(|rest| rest.split('\n').next().unwrap().to_owned());
            seen.insert(*link, data.collect());
        }
        seen
    }

    /// How many readers a publication had, and its offset, as its publisher is told.
    fn told(&mut self, publisher: LinkId) -> (usize, usize) {
        let text = String::from_utf8(self.net.take(publisher, usize::MAX)).unwrap();
        let number = |name: &str| {
            let behind = text
                .split(&format!("\"{name}\":"))
                .nth(1)
                .unwrap_or_else(|| panic!("{text}"));
            behind.split([',', '}']).next().unwrap().parse().unwrap()
        };
        (number("subscribers"), number("offset"))
    }
}

const READERS: usize = 3 * DELIVERIES_PER_TURN;
