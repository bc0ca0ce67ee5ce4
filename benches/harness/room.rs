//! A channel with members, and a guest who comes and goes: each on a bare WebSocket of a node without sockets.
//!
//! In: a bench that says how often. Out: how long the node took, and what everybody was sent.

use super::subscribers::{frame, upgrade};
use super::{Bench, Laps, policies, publish};
use orbited::config::Config;
use orbited::ids::ConnId;
use orbited::node::Door;
use std::time::Instant;

/// The node with the channel.
pub struct Room {
    /// The node.
    pub bench: Bench,
    name: String,
    internal: ConnId,
    /// The first is told who comes and goes.
    members: Vec<ConnId>,
    guest: ConnId,
}

impl Room {
    /// A channel of so many members, each a user, on a node of these rules, which tells at once who went.
    pub fn new(name: &str, rules: &str, members: usize) -> Self {
        let mut bench = Bench::new(Config {
            max_sessions: members + 1,
            max_connections: members + 8,
            presence_grace_ms: 0,
            policies: policies(rules),
            ..Config::default()
        });
        let internal = bench.connect(Door::Internal);
        let ids: Vec<ConnId> = (0..=members).map(|n| user(&mut bench, n)).collect();
        let (guest, members) = (ids[members], ids[..members].to_vec());
        for (n, id) in members.iter().enumerate() {
            let options = if n == 0 { ",{\"presence\":true}" } else { "" };
            let call = format!("[1,\"SUBSCRIBE\",[\"{name}\"{options}]]\n");
            bench.receive(*id, &mut frame(&call));
        }
        let name = name.to_owned();
        Self {
            bench,
            name,
            internal,
            members,
            guest,
        }
    }

    /// The guest's calls to come and go, so many times.
    pub fn come_and_go(&self, count: usize) -> Vec<Vec<u8>> {
        let calls = self.come_and_go_calls();
        calls.iter().cycle().take(2 * count).cloned().collect()
    }

    /// As many calls of which nothing comes.
    pub fn idle(&self, count: usize) -> Vec<Vec<u8>> {
        vec![frame("[1,\"UNSUBSCRIBE\",[]]\n"); 2 * count]
    }

    /// The guest makes such calls; behind each, what has become due.
    pub fn run(&mut self, calls: &mut [Vec<u8>]) {
        for call in calls {
            self.bench.receive(self.guest, call);
            self.bench.turn();
            self.bench.settle();
        }
    }

    /// The same, timed; a lap is two calls.
    pub fn time(&mut self, mut calls: Vec<Vec<u8>>, laps: &mut Laps) {
        self.bench.clear(self.guest);
        self.bench.clear(self.members[0]);
        let start = Instant::now();
        self.run(&mut calls);
        laps.add(start.elapsed(), calls.len() / 2);
        let answers = self.answer();
        assert_eq!(
            answers.matches("[\"OK\",[1,").count(),
            calls.len(),
            "{answers}"
        );
    }

    /// What all others together are sent when the guest comes, and when it goes.
    pub fn told(&mut self) -> (usize, usize) {
        let [come, go] = self.come_and_go_calls();
        let mut told = |call: Vec<u8>| {
            self.members.iter().for_each(|id| self.bench.clear(*id));
            self.run(&mut [call]);
            let sizes = self.members.iter().map(|id| self.bench.wrote(*id).len());
            sizes.sum()
        };
        (told(come), told(go))
    }

    /// The application publishes a text of `bytes` bytes.
    pub fn publish(&mut self, bytes: usize) {
        self.bench.clear(self.internal);
        let mut request = publish(&self.name, bytes).into_bytes();
        self.bench.receive(self.internal, &mut request);
    }

    /// The place before the last `back` publications, as options have it.
    pub fn position(&mut self, back: u64) -> String {
        let call = format!("[1,\"HISTORY\",[\"{}\",{{\"limit\":1}}]]\n", self.name);
        self.say(&call);
        let answer = self.answer();
        let after = |word: &str| answer.split_once(word).expect(&answer).1.to_owned();
        let epoch = after("\"epoch\":\"");
        let (epoch, _) = epoch.split_once('"').expect(&answer);
        let offset = after("\"offset\":");
        let (offset, _) = offset.split_once(',').expect(&answer);
        let offset = offset.parse::<u64>().expect(&answer) - back;
        format!("{{\"epoch\":\"{epoch}\",\"offset\":{offset}}}")
    }

    /// The guest calls, timed; so are its answer's bytes, copied.
    pub fn ask(&mut self, call: &str, laps: &mut Laps, floor: &mut Laps) {
        self.bench.clear(self.guest);
        let mut call = frame(call);
        let start = Instant::now();
        self.bench.receive(self.guest, &mut call);
        laps.add(start.elapsed(), 1);
        let bytes = self.bench.wrote(self.guest).to_vec();
        floor.add(self.bench.floor(&[self.internal], &bytes), 1);
    }

    /// The guest makes these calls, timed together.
    pub fn calls(&mut self, calls: &[String], laps: &mut Laps) {
        self.bench.clear(self.guest);
        let mut calls: Vec<Vec<u8>> = calls.iter().map(|call| frame(call)).collect();
        self.bench.receive_all(self.guest, &mut calls, laps);
        let answers = self.answer();
        assert_eq!(
            answers.matches("[\"OK\",").count(),
            calls.len(),
            "{answers}"
        );
    }

    /// What the guest was answered last.
    pub fn answer(&self) -> String {
        String::from_utf8_lossy(self.bench.wrote(self.guest)).into_owned()
    }

    /// The guest goes, untimed.
    pub fn leave(&mut self) {
        let [_, mut go] = self.come_and_go_calls();
        self.bench.receive(self.guest, &mut go);
    }

    fn say(&mut self, call: &str) {
        self.bench.clear(self.guest);
        self.bench.receive(self.guest, &mut frame(call));
    }

    fn come_and_go_calls(&self) -> [Vec<u8>; 2] {
        let call = |verb: &str| frame(&format!("[1,\"{verb}\",[\"{}\"]]\n", self.name));
        [call("SUBSCRIBE"), call("UNSUBSCRIBE")]
    }
}

/// A user on a WebSocket.
fn user(bench: &mut Bench, n: usize) -> ConnId {
    let id = bench.connect(Door::Public);
    bench.ask(id, &upgrade("/_/revolved/ws"));
    bench.receive(id, &mut frame(&format!("[1,\"AUTH\",[\"u{n}\"]]\n")));
    id
}
