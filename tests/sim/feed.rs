//! The application, which reads what became of sessions: `GET /api/events/signoff`.
//!
//! In: what its connection brings. Out: notices, each with the turns in which it may have been given. Content is not
//! looked into here; a line that is no notice as the README has it is a panic.

use super::http::{Happened, Http, What};
use super::request::bare;
use super::scene::Scene;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orbited::node::Door;
use serde_json::{Map, Value};

/// A reader of sign-offs.
pub struct Feed {
    pub http: Http,
    text: Vec<u8>,
    /// How much of it holds no end of an event.
    searched: usize,
    /// The number of the last event, from its place.
    stands: Option<u64>,
    /// Its session has begun.
    pub open: bool,
    /// Its stream came to the end that the node gave it.
    pub ended: bool,
}

/// One session's end, as the application is told.
#[derive(Debug)]
pub struct Notice {
    pub session: String,
    pub user: Option<String>,
    pub reason: String,
    pub undelivered: Vec<Entry>,
    /// How many more there were.
    pub cut: usize,
    /// How many messages were dropped of which it did not acknowledge a notice.
    pub missed: u64,
    /// The first and the last turn in which it may have been given.
    pub turns: (u64, u64),
    /// When it was read.
    pub at: u64,
}

/// A message that its recipient never acknowledged.
#[derive(Debug)]
pub struct Entry {
    /// Its number at the node.
    pub id: u64,
    /// Its channel and place there; `None` for a message to the session's user.
    pub place: Option<(String, u64)>,
    /// Whom it was sent to, if to a user.
    pub user: Option<String>,
    pub sender: Option<String>,
    /// As JSON readers would have got it.
    pub json: String,
}

impl Feed {
    /// Asks for the feed, unless the node takes no more connections.
    pub fn open(scene: &mut Scene) -> Option<Self> {
        let mut http = Http::open(scene, Door::Internal)?;
        http.trickles = false;
        let header = "Accept: text/event-stream\r\n";
        let request = bare(&mut scene.chance, "GET", "/api/events/signoff", header);
        http.ask(scene.now(), &request, false, What::Down(0));
        Some(Self {
            http,
            text: Vec::new(),
            searched: 0,
            stands: None,
            open: false,
            ended: false,
        })
    }

    pub fn is_over(&self) -> bool {
        self.ended || self.http.is_gone()
    }

    /// Reads; what came was given in one of `turns`.
    pub fn pump(&mut self, scene: &mut Scene, turns: (u64, u64)) -> Vec<Notice> {
        let mut notices = Vec::new();
        for happened in self.http.pump(scene) {
            match happened {
                Happened::Head(_, head) => {
                    let may = matches!(head.status, 200 | 408 | 503);
                    assert!(may, "the feed is answered {}", head.status);
                    self.open = head.status == 200;
                }
                Happened::Body(_, bytes) => self.brings(scene, &bytes, turns, &mut notices),
                Happened::End(..) => self.ended = true,
                _ => {}
            }
        }
        if self.ended {
            scene.net.leave(self.http.link);
        }
        notices
    }

    /// Where the first event that is whole ends.
    fn next_end(&mut self) -> Option<usize> {
        let rest = self.text.get(self.searched..)?;
        let at = rest.windows(2).position(|two| two == b"\n\n");
        let found = at.map(|at| self.searched + at);
        self.searched = found.map_or(self.text.len().saturating_sub(1), |_| 0);
        found
    }

    fn brings(
        &mut self,
        scene: &mut Scene,
        bytes: &[u8],
        turns: (u64, u64),
        out: &mut Vec<Notice>,
    ) {
        self.text.extend_from_slice(bytes);
        while let Some(at) = self.next_end() {
            let event = String::from_utf8(self.text.drain(..at + 2).take(at).collect()).unwrap();
            if event == ":" {
                continue;
            }
            let place = event.strip_prefix("id: ").expect("a place");
            let (place, line) = match place.split_once("\n") {
                Some((place, line)) => (place, Some(line)),
                None => (place, None),
            };
            let offset = place.rsplit(':').next().and_then(|at| at.parse().ok());
            let before = self.stands.replace(offset.expect("an offset"));
            // The first says only where the reader stands: behind what came before, where the node has not seen yet that
            // the feed before it is gone.
            let Some(line) = line else {
                assert!(before.is_none(), "{event:?} behind {before:?}");
                continue;
            };
            assert!(
                before.is_some() && before < self.stands,
                "{event:?} behind {before:?}"
            );
            let line = line.strip_prefix("data: ");
            let line = line.unwrap_or_else(|| panic!("no notice: {event:?}"));
            scene.count("sign-offs: told");
            let notice = notice(line, turns, scene.now());
            scene.note(|| {
                let many = notice.undelivered.len();
                format!(
                    "told of {}: {}, {many} undelivered",
                    notice.session, notice.reason
                )
            });
            out.push(notice);
        }
    }
}

fn notice(line: &str, turns: (u64, u64), at: u64) -> Notice {
    let mut object = object(serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    assert_eq!(object.remove("event"), Some("signoff".into()));
    assert!(object.remove("time").is_some_and(|time| time.is_u64()));
    for name in ["service", "transport", "node"] {
        let word = object.remove(name);
        assert!(word.is_some_and(|word| word.is_string()), "{name}");
    }
    let list = object.remove("undelivered").expect("a list");
    let list = list.as_array().expect("a list").clone();
    let notice = Notice {
        session: text(object.remove("session")).expect("a session"),
        user: text(object.remove("user")),
        reason: text(object.remove("reason")).expect("a reason"),
        undelivered: list.into_iter().map(entry).collect(),
        cut: object
            .remove("cut")
            .map_or(0, |cut| cut.as_u64().unwrap() as usize),
        missed: object.remove("missed").map_or(0, |missed| {
            missed.as_u64().filter(|missed| *missed > 0).unwrap()
        }),
        turns,
        at,
    };
    assert!(object.is_empty(), "more in a notice: {object:?}");
    notice
}

fn entry(value: Value) -> Entry {
    let mut object = object(value);
    let id = text(object.remove("id")).expect("an id");
    let kind = text(object.remove("content_type")).expect("a type");
    let json = match (text(object.remove("body")), text(object.remove("base64"))) {
        (Some(body), None) if kind == "application/json" => body,
        (Some(body), None) => {
            assert_eq!(kind, "text/plain; charset=utf-8");
            super::peer::json(&body)
        }
        (None, Some(coded)) => {
            assert!(STANDARD.decode(&coded).is_ok(), "no base64: {coded}");
            format!(
                "{{\"base64\":\"{coded}\",\"type\":{}}}",
                super::peer::json(&kind)
            )
        }
        both => panic!("a body and base64: {both:?}"),
    };
    let offset = object
        .remove("offset")
        .map(|offset| offset.as_u64().unwrap());
    let channel = text(object.remove("channel"));
    assert_eq!(offset.is_some(), channel.is_some());
    let entry = Entry {
        id: id.parse().expect("a number"),
        place: channel.zip(offset),
        user: text(object.remove("user")),
        sender: text(object.remove("sender")),
        json,
    };
    assert!(object.is_empty(), "more in a message: {object:?}");
    assert_eq!(entry.place.is_none(), entry.user.is_some());
    entry
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("no object: {other}"),
    }
}

/// A string; `None` for null and for nothing.
fn text(value: Option<Value>) -> Option<String> {
    match value {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(other) => panic!("no string: {other}"),
    }
}
