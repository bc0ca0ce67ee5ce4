//! An application by OP, whose users come and go: each recipient of each message is told once, and truly.
//!
//! In: nothing. Out: nothing, or a panic. Users are clients of STOMP, of which some acknowledge, sooner or later.

use super::chance::Chance;
use super::driver::{Driver, LinkId};
use orbited::config::Config;
use orbited::node::Door;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A session of a user.
struct Reader {
    user: usize,
    link: LinkId,
    acknowledges: bool,
    rest: Vec<u8>,
    /// Messages that it got, in order.
    got: Vec<usize>,
    /// What it has to acknowledge.
    owed: Vec<String>,
}

struct Scene {
    net: Driver,
    chance: Chance,
    app: LinkId,
    readers: Vec<Reader>,
    gone: Vec<Reader>,
    /// Of each message its recipients, and what counts as reached.
    sent: Vec<(Vec<usize>, &'static str)>,
    /// What the application was told of message and recipient.
    told: BTreeMap<(usize, usize), String>,
    rest: Vec<u8>,
}

/// Runs, which come to every outcome between them.
pub fn run(seeds: Range<u64>) {
    let told: BTreeSet<String> = seeds.flat_map(run_one).collect();
    let all = [
        "closed",
        "expired",
        "not acknowledged",
        "not connected",
        "reached",
    ];
    assert!(told.iter().eq(all), "{told:?}");
}

fn run_one(seed: u64) -> BTreeSet<String> {
    let mut scene = Scene::new(seed);
    for _ in 0..STEPS {
        scene.step();
    }
    // What was to be acknowledged is not any more, and who was waited for does not come.
    while let Some(reader) = scene.readers.pop() {
        scene.net.reset(reader.link);
        scene.gone.push(reader);
    }
    scene.net.sleep(TTL_S_MAX as u64 * 1000);
    scene.net.settle();
    scene.hear();
    scene.check();
    scene.told.into_values().collect()
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut net = Driver::new(Config::default(), seed, false);
        net.open_wide();
        let app = net.connect(Door::Op).unwrap();
        net.send(app, b"CONNECT\nid:c\nconnection_id:a\n\n\0");
        net.settle();
        Self {
            net,
            chance: Chance::new(seed, 3),
            app,
            readers: Vec::new(),
            gone: Vec::new(),
            sent: Vec::new(),
            told: BTreeMap::new(),
            rest: Vec::new(),
        }
    }

    fn step(&mut self) {
        match self.chance.weighted(&[6, 2, 2, 3, 2]) {
            0 => self.send(),
            1 => self.come(),
            2 if !self.readers.is_empty() => {
                let at = self.chance.below(self.readers.len());
                let reader = self.readers.swap_remove(at);
                self.net.reset(reader.link);
                self.gone.push(reader);
            }
            3 => self.acknowledge(),
            _ => {
                let ms = self.chance.between(1, 4_000) as u64;
                self.net.sleep(ms);
            }
        }
        // Sometimes several things happen in one turn.
        if !self.chance.one_in(3) {
            self.net.settle();
            self.hear();
        }
    }

    fn send(&mut self) {
        let id = self.sent.len();
        let many = self.chance.between(1, 3);
        let mut to: Vec<usize> = (0..many).map(|_| self.chance.below(USERS)).collect();
        to.sort_unstable();
        to.dedup();
        let mut frame = format!("SEND\nid:{id}\n");
        if self.chance.one_in(2) {
            frame += &format!("ttl:{}\n", self.chance.between(1, TTL_S_MAX));
        }
        let confirm = ["", "acked", "written"][self.chance.below(3)];
        if !confirm.is_empty() {
            frame += &format!("confirm:{confirm}\n");
        }
        for user in &to {
            frame += &format!("recipient:u{user}\n");
        }
        frame += &format!("\n{id}\0");
        self.sent.push((to, confirm));
        self.net.send(self.app, frame.as_bytes());
    }

    fn come(&mut self) {
        let user = self.chance.below(USERS);
        let acknowledges = self.chance.one_in(2);
        let link = self.net.connect(Door::Stomp).unwrap();
        let ack = if acknowledges {
            "client-individual"
        } else {
            "auto"
        };
        let frames = format!(
            "CONNECT\naccept-version:1.1\nlogin:u{user}\n\n\0SUBSCRIBE\nid:s\ndestination:/user/self\nack:{ack}\n\n\0"
        );
        self.net.send(link, frames.as_bytes());
        self.readers.push(Reader {
            user,
            link,
            acknowledges,
            rest: Vec::new(),
            got: Vec::new(),
            owed: Vec::new(),
        });
    }

    fn acknowledge(&mut self) {
        for reader in &mut self.readers {
            for id in reader.owed.drain(..) {
                let frame = format!("ACK\nsubscription:s\nmessage-id:{id}\n\n\0");
                self.net.send(reader.link, frame.as_bytes());
            }
        }
    }

    /// Reads what came to everybody.
    fn hear(&mut self) {
        for reader in &mut self.readers {
            for frame in frames(&mut self.net, reader.link, &mut reader.rest) {
                let (head, body) = frame.split_once("\n\n").unwrap();
                if !head.starts_with("MESSAGE") {
                    continue;
                }
                reader.got.push(body.parse().unwrap());
                let id = head
                    .lines()
                    .find_map(|line| line.strip_prefix("message-id:"));
                if reader.acknowledges {
                    reader.owed.push(id.unwrap().to_owned());
                }
            }
        }
        for frame in frames(&mut self.net, self.app, &mut self.rest) {
            let values = |name: &'static str| {
                let lines = frame.lines();
                lines.filter_map(move |line| line.strip_prefix(name)?.strip_prefix(':'))
            };
            let id = values("id").next().unwrap().parse().unwrap();
            let reason = values("reason").next().unwrap_or("reached").to_owned();
            for user in values("recipient") {
                let user = user.strip_prefix('u').unwrap().parse().unwrap();
                let before = self.told.insert((id, user), reason.clone());
                assert_eq!(before, None, "{id} to u{user} has one outcome");
            }
        }
    }

    fn check(&mut self) {
        for (id, (to, confirm)) in self.sent.iter().enumerate() {
            for user in to {
                let told = self.told.get(&(id, *user));
                let told = told.unwrap_or_else(|| panic!("{id} to u{user} is undecided"));
                let of_user = self.gone.iter().filter(|reader| reader.user == *user);
                let mut got = of_user.filter(|reader| reader.got.contains(&id));
                let what = format!("{id} to u{user} confirm={confirm}: {told}");
                match (told.as_str(), *confirm) {
                    ("not connected" | "expired", _) => assert!(got.next().is_none(), "{what}"),
                    // What somebody read was written; who acknowledges tells it so.
                    ("closed", "written") => assert!(got.all(|it| it.acknowledges), "{what}"),
                    ("reached", "acked") => assert!(got.any(|it| it.acknowledges), "{what}"),
                    ("reached" | "closed", _) | ("not acknowledged", "acked") => {}
                    _ => panic!("{what}"),
                }
            }
        }
        assert_eq!(
            self.told.len(),
            self.sent.iter().map(|(to, _)| to.len()).sum::<usize>()
        );
        for reader in &self.gone {
            let rising = reader.got.windows(2).all(|two| two[0] < two[1]);
            assert!(rising, "u{} got {:?}", reader.user, reader.got);
            let its = |id: &usize| self.sent[*id].0.contains(&reader.user);
            assert!(reader.got.iter().all(its));
        }
        self.net.check();
    }
}

/// The whole frames that came on a link.
pub fn frames(net: &mut Driver, link: LinkId, rest: &mut Vec<u8>) -> Vec<String> {
    rest.extend(net.take(link, usize::MAX));
    let Some(end) = rest.iter().rposition(|byte| *byte == 0) else {
        return Vec::new();
    };
    let behind = rest.split_off(end + 1);
    let whole = String::from_utf8(std::mem::replace(rest, behind)).unwrap();
    let whole = whole.split('\0').filter(|frame| !frame.trim().is_empty());
    whole.map(str::to_owned).collect()
}

const USERS: usize = 5;
const STEPS: usize = 1_000;
const TTL_S_MAX: usize = 30;
