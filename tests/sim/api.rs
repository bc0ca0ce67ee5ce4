//! The application, which publishes through the internal port, and strangers, who send what is no request.
//!
//! In: chance. Out: requests, and what their answers say to the shadow model.

use super::books::Kick;
use super::http::{Happened, Http, What};
use super::model::{CHANNELS, USERS, mark};
use super::peer::{json, payload};
use super::request::{bare, post};
use super::scene::Scene;
use super::slow::draw_key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orbited::node::Door;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

/// A connection of the application.
pub struct Api {
    pub name: u32,
    pub http: Http,
}

impl Api {
    pub fn open(scene: &mut Scene, name: u32) -> Option<Self> {
        let http = Http::open(scene, Door::Internal)?;
        Some(Self { name, http })
    }

    pub fn is_over(&self) -> bool {
        self.http.is_gone()
    }

    pub fn pump(&mut self, scene: &mut Scene) {
        for happened in self.http.pump(scene) {
            match happened {
                Happened::End(What::Publish(number), status, body) => {
                    published(scene, number, status, &body, false)
                }
                Happened::End(What::PublishAgain(number), status, body) => {
                    published(scene, number, status, &body, true)
                }
                Happened::End(What::Kick(number), status, body) => {
                    scene.kicked(number, status, &body);
                }
                Happened::End(What::Plain(allowed, wanted), status, body) => {
                    super::csp::plain(allowed, wanted, status, &body)
                }
                _ => {}
            }
        }
    }

    /// Publishes, perhaps before the last publication is answered.
    pub fn advance(&mut self, scene: &mut Scene) {
        let pipelines = !scene.net.calm && scene.chance.one_in(4);
        if !(self.http.is_free() || (pipelines && self.http.is_open())) {
            return;
        }
        if scene.chance.one_in(12) {
            return self.ask_for_no(scene);
        }
        if scene.chance.one_in(12) {
            let target = scene.chance.pick(&LOOKS);
            let request = bare(&mut scene.chance, "GET", target, "");
            return self
                .http
                .ask(scene.now(), &request, false, What::Plain(&[200, 404], None));
        }
        if scene.chance.one_in(8) {
            return self.publish_again(scene);
        }
        self.publish(scene);
    }

    /// Ends the sessions of some user.
    pub fn kick(&mut self, scene: &mut Scene) {
        if !self.http.is_free() {
            return;
        }
        let user = scene.chance.below(USERS.len());
        let turns = (scene.net.turns, None);
        scene.books.kicks.push(Kick {
            user: USERS[user],
            turns,
            ended: 0,
        });
        let number = scene.books.kicks.len() - 1;
        scene.count("closes: by the application");
        let name = percent_encode(USERS[user].as_bytes(), NON_ALPHANUMERIC);
        let request = post(&mut scene.chance, &format!("/api/kick/{name}"), "", b"");
        self.http
            .ask(scene.now(), &request, false, What::Kick(number));
    }

    /// Asks for what is refused.
    fn ask_for_no(&mut self, scene: &mut Scene) {
        let (target, header, statuses): (_, _, &'static [u16]) = scene.chance.pick(&[
            ("/api/publish/a//b", "", &[400]),
            (
                "/api/publish/a",
                "Content-Type: application/json\r\n",
                &[400],
            ),
            ("/api/publish/a", "Origin: http://page.test\r\n", &[403]),
            ("/nothing", "", &[404]),
            ("/api/publish", "", &[400]),
            ("/api/send/nobody", "", &[404]),
            ("/api/subscribe?user=nobody&channel=a", "", &[404]),
            ("/api/kick?session=none", "", &[400]),
        ]);
        let request = post(&mut scene.chance, target, header, b"{nonsense");
        let what = What::Plain(statuses, None);
        self.http.ask(scene.now(), &request, false, what);
        if scene.chance.one_in(2) {
            let request = bare(&mut scene.chance, "GET", "/api/publish/a", "");
            let what = What::Plain(&[405], None);
            self.http.ask(scene.now(), &request, false, what);
        }
    }

    fn publish(&mut self, scene: &mut Scene) {
        let channel = scene.chance.below(CHANNELS.len());
        let (kind, body, json, event) = content(scene);
        let ended = scene.ended_sessions();
        let number = scene
            .model
            .publish(self.name, channel, &json, &event, vec![None], ended);
        scene.count("publications: api");
        let name = percent_encode(CHANNELS[channel].as_bytes(), NON_ALPHANUMERIC).to_string();
        let target = format!("/api/publish/{}", name.replace("%2F", "/"));
        let mut header = format!("Content-Type: {kind}\r\n");
        if scene.is_never_refused() && scene.chance.one_in(4) {
            header.push_str(&format!("Idempotency-Key: n{number}\r\n"));
            let head = format!("{target} {header}");
            scene.named.push((number, head, body.clone()));
        } else if let Some(key) = draw_key(scene) {
            scene.model.keyed(key);
            header.push_str(&format!("Orbited-Key: {key}\r\n"));
        }
        let request = post(&mut scene.chance, &target, &header, &body);
        self.http
            .ask(scene.now(), &request, false, What::Publish(number));
    }

    /// Publishes again what the application published under a name, on whatever connection.
    fn publish_again(&mut self, scene: &mut Scene) {
        if scene.named.is_empty() {
            return;
        }
        let (number, head, body) = scene.chance.pick_of(&scene.named).clone();
        scene.count("publications: again by the application");
        scene.model.may_come_late(number, false);
        let (target, header) = head.split_once(' ').unwrap();
        let request = post(&mut scene.chance, target, header, &body);
        let what = What::PublishAgain(number);
        self.http.ask(scene.now(), &request, false, what);
    }
}

/// A body of some type, and how readers of JSON and of events get it.
fn content(scene: &mut Scene) -> (&'static str, Vec<u8>, String, String) {
    let number = scene.model.next();
    match scene.chance.below(4) {
        0 => {
            let text = format!("line\r\n{} \u{e9}\rx\n", mark(number));
            (
                "text/plain; charset=utf-8",
                text.clone().into_bytes(),
                json(&text),
                text,
            )
        }
        1 => {
            let bytes = [&[0xff, 0x00], mark(number).as_bytes()].concat();
            let text = format!(
                "{{\"base64\":\"{}\",\"type\":\"image/x-y\"}}",
                STANDARD.encode(&bytes)
            );
            ("image/x-y", bytes, text.clone(), text)
        }
        2 => {
            let text = format!("[\r\n\"{}\",\n1 ]", mark(number));
            (
                "application/json",
                text.clone().into_bytes(),
                text.clone(),
                text,
            )
        }
        _ => {
            let text = payload(scene, number);
            (
                "application/json",
                text.clone().into_bytes(),
                text.clone(),
                text,
            )
        }
    }
}

fn published(scene: &mut Scene, number: usize, status: u16, body: &[u8], again: bool) {
    match status {
        201 | 202 => {
            let facts: std::collections::BTreeMap<String, u64> =
                serde_json::from_slice(body).unwrap();
            assert_eq!(status == 201, facts["subscribers"] > 0);
            let (offset, readers) = (facts["offset"], Some(facts["subscribers"] as usize));
            match again {
                true => scene.model.taken_again(number, offset, readers),
                false => scene.model.taken(number, offset, readers),
            }
        }
        // The request never came whole.
        408 | 503 if again => {}
        413 => {
            assert!(scene.model.publication(number).len() > scene.net.node.config().max_message);
            scene.model.refused(number);
        }
        503 => {
            let bounded = scene.net.node.config().max_channels < 100;
            assert!(scene.may_be_full() || bounded);
            scene.model.refused(number);
        }
        // The request never came whole.
        408 if scene.named.iter().any(|(named, ..)| *named == number) => {}
        408 => scene.model.refused(number),
        _ => panic!(
            "a publication is answered {status}: {}",
            String::from_utf8_lossy(body)
        ),
    }
}

/// Somebody who sends what is no request, or half of one and waits.
pub struct Stranger {
    pub http: Http,
}

impl Stranger {
    pub fn open(scene: &mut Scene) -> Option<Self> {
        let door = if scene.chance.one_in(3) {
            Door::Internal
        } else {
            Door::Public
        };
        let mut http = Http::open(scene, door)?;
        let bytes = junk(scene);
        scene.count("faults: junk requests");
        http.ask(scene.now(), &bytes, false, What::Junk);
        Some(Self { http })
    }

    pub fn is_over(&self) -> bool {
        self.http.is_gone()
    }

    pub fn pump(&mut self, scene: &mut Scene) {
        for happened in self.http.pump(scene) {
            if let Happened::End(_, status, _) = happened {
                assert!(status >= 400, "junk is answered {status}");
            }
        }
    }
}

fn junk(scene: &mut Scene) -> Vec<u8> {
    let chance = &mut scene.chance;
    let lines: [&[u8]; 10] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /_/revolved/csp/send HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /_/revolved/csp/send HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf of it",
        b"GET /_/revolved/csp/comet?s=",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n",
    ];
    match chance.below(12) {
        10 => (0..chance.below(300))
            .map(|_| chance.below(256) as u8)
            .collect(),
        11 => format!("GET /{} HTTP/1.1\r\n", "y".repeat(40_000)).into_bytes(),
        at => lines[at].to_vec(),
    }
}

/// What may be looked at at any time, whatever it finds.
const LOOKS: [&str; 11] = [
    "/metrics",
    "/healthz",
    "/",
    "/api/publish/",
    "/livez",
    "/api/sessions?limit=3",
    "/api/sessions?user=ann",
    "/api/channels",
    "/api/channels?prefix=a&after=1",
    "/api/presence/a?limit=1",
    "/api/history/a?backwards&limit=2",
];
