//! Sessions that live by tokens: they end with them unless another was given, and at once where the application says so.
//!
//! In: a seed. Out: what happened how often, or a panic. Nobody reads what its token does not name, nobody is given anything behind
//! the answer to a revocation, and nobody ends before its time.

use super::asker::Asker;
use super::chance::{Chance, Totals};
use super::driver::Driver;
use orbited::config::rule::Rule;
use orbited::config::{Config, Policies, TokenKey};
use orbited::node::Door;
use orbited::token::{Signer, Wanted};
use serde_json::Value;

struct Person {
    asker: Asker,
    user: usize,
    /// Until when it may be there, and whether its token names the channel.
    until_ms: u64,
    may_read: bool,
    /// What its next token says, which it showed: its end, whether it names the channel.
    shown: Option<(u64, u64, bool)>,
    reads: bool,
    /// Where it stands in the channel, and the first that may not come any more.
    next: u64,
    revoked_from: Option<u64>,
    calls: u64,
}

struct World {
    net: Driver,
    chance: Chance,
    signer: Signer,
    people: Vec<Person>,
    published: u64,
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
        let key = TokenKey::parse("HS256:the-secret-that-simulations-sign-with").unwrap();
        let rule = Rule::parse("room subscribe=token").unwrap();
        let config = Config {
            policies: Policies::new(vec![rule]),
            token_keys: vec![key.clone()],
            heartbeat_ms: 3_600_000,
            ..Config::default()
        };
        Self {
            net: Driver::new(config, seed, std::env::var("ORB_SEED").is_ok()),
            chance: Chance::new(seed, 7),
            signer: Signer::new(&key).unwrap(),
            people: Vec::new(),
            published: 0,
        }
    }

    fn count(&mut self, name: &'static str) {
        self.net.totals.add_to("tokens", name, 1);
    }

    fn step(&mut self) {
        match self.chance.weighted(&[4, 4, 4, 10, 1, 6, 1]) {
            0 if self.people.len() < 8 => self.come(),
            1 => self.show_another(),
            2 => self.subscribe(),
            3 => {
                self.published += 1;
                let body = self.published.to_string();
                self.ask("publish/room", &body);
            }
            4 => self.revoke(),
            5 => {
                let ms = self.chance.between(1, 6_000) as u64;
                self.net.sleep(ms);
            }
            6 if !self.people.is_empty() => {
                let at = self.chance.below(self.people.len());
                self.people.swap_remove(at).asker.vanish(&mut self.net);
            }
            _ => {}
        }
        self.pump();
    }

    /// A request of the application, and its answer.
    fn ask(&mut self, call: &str, body: &str) -> String {
        let link = self.net.connect(Door::Internal).unwrap();
        self.net.spare(link);
        let length = body.len();
        let request = format!(
            "POST /api/{call} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        self.net.send(link, request.as_bytes());
        self.net.settle();
        let answer = String::from_utf8(self.net.take(link, usize::MAX)).unwrap();
        self.net.leave(link);
        assert!(answer.starts_with("HTTP/1.1 20"), "{call}: {answer}");
        answer
    }

    /// A token of a user: its text, its end with what clocks may differ, whether it names the channel.
    fn token(&mut self, user: usize) -> (String, u64, bool) {
        let (life_s, may_read) = (self.chance.between(5, 120) as u64, !self.chance.one_in(3));
        let wanted = Wanted {
            user: Some(format!("u{user}")),
            subscribe: Vec::from_iter(may_read.then(|| "room".to_owned())),
            ..Wanted::default()
        };
        let now_s = UNIX_S + self.net.now() / 1000;
        let text = self.signer.make(&wanted, now_s, life_s).unwrap();
        let leeway_ms = self.net.node.config().token_leeway_ms;
        (text, (now_s - UNIX_S + life_s) * 1000 + leeway_ms, may_read)
    }

    fn come(&mut self) {
        let user = self.chance.below(3);
        let (token, until_ms, may_read) = self.token(user);
        let target = format!("/_/revolved/ws?token={token}");
        let asker = Asker::open(&mut self.net, &target, "").unwrap();
        self.net.let_go(asker.link);
        self.people.push(Person {
            asker,
            user,
            until_ms,
            may_read,
            shown: None,
            reads: false,
            next: 0,
            revoked_from: None,
            calls: 0,
        });
        self.pump();
    }

    fn somebody(&mut self) -> Option<usize> {
        let at = self.chance.below(self.people.len().max(1));
        let person = self.people.get(at)?;
        let free = person.shown.is_none() && person.revoked_from.is_none();
        (person.asker.is_in() && free).then_some(at)
    }

    fn show_another(&mut self) {
        let Some(at) = self.somebody() else { return };
        let (token, until_ms, may_read) = self.token(self.people[at].user);
        let person = &mut self.people[at];
        person.calls += 1;
        let call = person.calls;
        person.shown = Some((call, until_ms, may_read));
        let line = format!("[{call},\"AUTH\",[null,\"{token}\"]]\n");
        person.asker.say(&mut self.chance, &line);
    }

    fn subscribe(&mut self) {
        let Some(at) = self.somebody() else { return };
        let person = &mut self.people[at];
        person.calls += 1;
        let line = format!("[{},\"SUBSCRIBE\",[\"room\"]]\n", person.calls);
        person.asker.say(&mut self.chance, &line);
        // What it may is what it may then.
        self.net.calm = true;
        self.pump();
        self.net.calm = false;
    }

    /// The tokens of a user up to now are taken no more.
    fn revoke(&mut self) {
        // Whoever shows a token now may do so before or behind.
        if self
            .people
            .iter()
            .any(|one| one.shown.is_some() || one.asker.status.is_none())
        {
            return;
        }
        let user = self.chance.below(3);
        self.ask(&format!("revoke?user=u{user}"), "");
        let from = self.published + 1;
        let its = self.people.iter_mut().filter(|one| one.user == user);
        its.for_each(|one| one.revoked_from = Some(from));
        self.count("revocations");
        self.ask("publish/room", &from.to_string());
        self.published = from;
        self.net.sleep(2_000);
    }

    fn pump(&mut self) {
        self.net.settle();
        for at in 0..self.people.len() {
            let lines = self.people[at].asker.pump(&mut self.net, &mut self.chance);
            for line in lines {
                self.net.note(|| format!("{at} hears {line}"));
                self.hears(at, &line);
            }
            self.net.settle();
            self.check(at);
        }
        self.people.retain(|one| !one.asker.over);
        self.net.check();
    }

    fn hears(&mut self, at: usize, line: &Value) {
        let person = &mut self.people[at];
        match line[0].as_str().unwrap() {
            "OK" => match person.shown.take_if(|shown| line[1][0] == shown.0) {
                Some((_, until_ms, may_read)) => {
                    assert!(may_read || !person.reads, "{at} reads on");
                    (person.until_ms, person.may_read) = (until_ms, may_read);
                    self.count("other tokens");
                }
                None => {
                    assert!(person.may_read, "{at} reads and may not");
                    if !person.reads {
                        person.next = line[1][1]["offset"].as_u64().unwrap() + 1;
                    }
                    person.reads = true;
                    self.count("readers");
                }
            },
            "ERR" => {
                assert!(
                    line[1][2] == "forbidden" && !person.may_read,
                    "{at}: {line}"
                );
                self.count("kept out");
            }
            "UNSUBSCRIBED" => {
                let loses = person.shown.is_some_and(|(.., may_read)| !may_read);
                assert!(std::mem::take(&mut person.reads) && loses, "{at}: {line}");
                self.count("rights lost");
            }
            "PUBLISH" => {
                let number = line[1][2].as_u64().unwrap();
                let stands = line[1][3]["offset"] == person.next;
                assert!(person.reads && stands, "{at}: {line}");
                person.next += 1;
                let over = person.revoked_from.is_some_and(|from| number >= from);
                assert!(!over, "{at} is given {number} behind its revocation");
                self.count("messages");
            }
            "BYE" => assert_eq!(line[1][0], 4401, "{line}"),
            other => panic!("{other}"),
        }
    }

    /// It is there exactly as long as it may be.
    fn check(&mut self, at: usize) {
        let (now, person) = (self.net.now(), &self.people[at]);
        let revoked = person.revoked_from.is_some();
        // Another may have been taken of which it has not heard yet.
        let ends = [Some(person.until_ms), person.shown.map(|shown| shown.1)];
        let (first, last) = (ends.iter().flatten().min(), ends.iter().flatten().max());
        match person.asker.code {
            Some(code) => {
                assert_eq!(code, 4401, "{at}");
                let early = !revoked && now + 1_000 < *first.unwrap();
                assert!(!early, "{at} ends at {now}, and had until {first:?}");
                self.count(if revoked { "revoked" } else { "expired" });
            }
            None => {
                let up = self.net.is_up(person.asker.link);
                let late = revoked || now > last.unwrap() + 2_000;
                assert!(!up || !late, "{at} is there at {now}, until {last:?}");
            }
        }
    }

    fn end(&mut self) {
        self.net.open_wide();
        for _ in 0..200 {
            self.pump();
            self.net.sleep(1_000);
        }
        assert!(self.people.is_empty(), "some stay behind their tokens");
        self.net.leap(3 * 3_600_000);
        let node = &self.net.node;
        assert_eq!(node.session_count(), 0, "sessions are left");
        assert_eq!(node.conn_count(), 0, "connections are left");
        assert_eq!(node.queued_bytes(), 0, "bytes are left");
    }
}

/// What the driver's clock says at its zero.
const UNIX_S: u64 = 1_700_000_000;
const STEPS: u32 = 600;
/// What must happen over some seeds.
pub const MUST_HAPPEN: &[&str] = &[
    "expired",
    "kept out",
    "messages",
    "other tokens",
    "readers",
    "revocations",
    "revoked",
    "rights lost",
];
