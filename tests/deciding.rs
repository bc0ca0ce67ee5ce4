//! What the application decides, by the pure node: what happens in the turn of a verdict, and what time does to who waits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use orbited::config::rule::Rule;
use orbited::config::{Config, Decider, Names, Policies};
use orbited::ids::ConnId;
use orbited::mem::{Sink, Wrote};
use orbited::metrics::Kind;
use orbited::node::{Door, Node};
use orbited::time::{Clock, Tick};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::IoSlice;

const UPGRADE: &str = "GET /_/revolved/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A node, what it wrote on each connection, and what its peers wrote that is not read yet.
struct World {
    node: Node,
    now: Tick,
    wrote: BTreeMap<ConnId, Vec<u8>>,
    unread: BTreeMap<ConnId, Vec<u8>>,
    /// Connections to the application.
    lanes: Vec<ConnId>,
}

struct Taker<'a>(&'a mut Vec<u8>);

impl Sink for Taker<'_> {
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        Wrote::Some(parts.iter().map(|part| part.len()).sum())
    }
}

impl World {
    /// Asks about these matters, one question at a time.
    fn new(matters: &str) -> Self {
        let decider = format!("http://127.0.0.1:1/ lanes=1 events={matters}");
        let rules = [
            "room presence=list",
            "asked/** subscribe=ask publish=ask",
            "asked/slowly rate=2/s",
        ];
        let config = Config {
            policies: Policies::new(rules.map(|rule| Rule::parse(rule).unwrap()).into()),
            names: Names::Anyone,
            deciders: vec![Decider::parse(&decider).unwrap()],
            callback_timeout_ms: 10_000,
            header_timeout_ms: 5_000,
            max_connections: 64,
            ..Config::default()
        };
        Self {
            node: Node::new(config, [3; 32]).unwrap(),
            now: Tick(0),
            wrote: BTreeMap::new(),
            unread: BTreeMap::new(),
            lanes: Vec::new(),
        }
    }

    fn begin_turn(&mut self) {
        let (tick, unix_ms) = (self.now, 1_700_000_000_000 + self.now.0);
        self.node.turn(Clock { tick, unix_ms });
    }

    /// The rest of a turn, and as many more as there is something to do.
    fn settle(&mut self) {
        loop {
            self.node.run_commands();
            while self.node.tick() {}
            self.node.run_commands();
            while let Some(dial) = self.node.next_dial() {
                self.lanes.push(dial.conn);
                self.node.connected(dial.conn);
            }
            while let Some(id) = self.node.next_dirty() {
                let into = self.wrote.entry(id).or_default();
                self.node.flush(id, &mut Taker(into));
            }
            while let Some(id) = self.node.next_resumed() {
                self.node.resume(id);
                self.read(id);
            }
            while let Some(id) = self.node.next_dead() {
                self.lanes.retain(|lane| *lane != id);
                self.unread.remove(&id);
            }
            self.node.check_invariants().unwrap();
            if self.node.dirty_len() == 0 && !self.node.has_commands() {
                return;
            }
            self.begin_turn();
        }
    }

    /// Time goes by until then, and the node wakes whenever it wants to.
    fn go_to(&mut self, target: Tick) {
        while let Some(due) = self.node.next_due().filter(|due| *due <= target) {
            self.now = self.now.max(due);
            self.begin_turn();
            self.settle();
        }
        self.now = target;
        self.begin_turn();
        self.settle();
    }

    /// Bytes come, and are read if anybody would look at them.
    fn come(&mut self, id: ConnId, bytes: &[u8]) {
        self.unread.entry(id).or_default().extend_from_slice(bytes);
        self.read(id);
    }

    fn read(&mut self, id: ConnId) {
        if self.node.wants_read(id)
            && let Some(mut bytes) = self.unread.remove(&id)
        {
            self.node.receive(id, &mut bytes);
        }
    }

    fn send(&mut self, id: ConnId, bytes: &[u8]) {
        self.begin_turn();
        self.come(id, bytes);
        self.settle();
    }

    /// What was written on a connection since it was looked at last.
    fn told(&mut self, id: ConnId) -> String {
        let bytes = self.wrote.remove(&id).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn socket(&mut self) -> ConnId {
        let id = self.node.accept(Door::Public).unwrap();
        self.send(id, UPGRADE.as_bytes());
        assert!(self.told(id).starts_with("HTTP/1.1 101"));
        id
    }

    /// The question that is under way.
    fn question(&mut self) -> Value {
        let lane = self.lanes[0];
        let text = self.told(lane);
        let (_, body) = text.split_once("\r\n\r\n").expect("a question");
        serde_json::from_str(body).expect("one question at a time")
    }

    fn answer(&mut self, verdict: &str) {
        self.begin_turn();
        self.come(self.lanes[0], &answer(verdict));
        self.settle();
    }

    /// The question that is under way, which is answered.
    fn decide(&mut self, verdict: &str) -> Value {
        let question = self.question();
        self.answer(verdict);
        question
    }
}

fn answer(verdict: &str) -> Vec<u8> {
    let length = verdict.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{verdict}").into_bytes()
}

/// A frame of text, masked with zeros.
fn text(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(short @ ..126) => frame.push(0x80 | short),
        _ => {
            let length = u16::try_from(text.len()).unwrap();
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn what_comes_in_the_turn_of_a_verdict_is_behind_what_waited() {
    let mut world = World::new("publish,subscribe");
    let socket = world.socket();
    let first = text("[1,\"PUBLISH\",[\"asked/a\",1]]\n");
    let behind = text("[2,\"PUBLISH\",[\"free\",2]]\n");
    world.send(socket, &[first, behind].concat());
    world.question();
    // The loop reads the verdict, and in the same turn more of the client.
    world.begin_turn();
    world.come(world.lanes[0], &answer(""));
    world.come(socket, &text("[3,\"PUBLISH\",[\"free\",3]]\n"));
    world.settle();
    let told = world.told(socket);
    let at = |n: u32| {
        told.find(&format!("[\"OK\",[{n},"))
            .expect("each is answered")
    };
    assert!(at(1) < at(2) && at(2) < at(3), "{told}");
}

#[test]
fn a_question_that_got_no_answer_says_again_what_its_own_session_said() {
    let mut world = World::new("publish,subscribe,call");
    let [x, a, b] = [(); 3].map(|()| world.socket());
    world.send(x, &text("[1,\"PUBLISH\",[\"asked/x\",1]]\n"));
    world.send(b, &text("[2,\"PUBLISH\",[\"asked/b\",2]]\n"));
    // Both have no time left, and nobody has looked at the clock before more is said.
    world.now = Tick(10_000);
    world.begin_turn();
    world.come(
        a,
        &text("[3,\"CALL\",[\"add\"]]\n[4,\"PUBLISH\",[\"asked/a\",4]]\n"),
    );
    world.settle();
    assert!(world.told(x).contains("[\"ERR\",[1,"));
    let told = world.told(b);
    assert!(
        told.contains("[\"ERR\",[2,") && told.contains("no-answer"),
        "{told}"
    );
    assert_eq!(world.decide("{\"result\":7}")["event"], "call");
    assert_eq!(world.decide("")["channel"], "asked/a");
    let told = world.told(a);
    assert!(
        told.contains("[\"OK\",[3,7]]") && told.contains("[\"OK\",[4,"),
        "{told}"
    );
    assert_eq!(world.told(b), "");
}

#[test]
fn calls_are_put_in_the_order_in_which_they_were_made() {
    let mut world = World::new("call");
    let socket = world.socket();
    let lines: String = (1..=40)
        .map(|n| format!("[{n},\"CALL\",[\"add\",{n}]]\n"))
        .collect();
    world.send(socket, &text(&lines));
    for n in 1..=32 {
        assert_eq!(world.decide("")["payload"], n);
    }
    let told = world.told(socket);
    assert_eq!(count(&told, "\"OK\""), 32, "{told}");
    assert_eq!(count(&told, "\"too-many\"]]"), 8, "{told}");
}

#[test]
fn who_waits_for_a_verdict_is_not_silent() {
    let mut world = World::new("publish,subscribe");
    let stomp = world.node.accept(Door::Stomp).unwrap();
    world.send(
        stomp,
        b"CONNECT\naccept-version:1.2\nheart-beat:1000,0\n\n\0",
    );
    assert!(world.told(stomp).starts_with("CONNECTED"));
    world.send(
        stomp,
        b"SEND\ndestination:/topic/asked/a\nreceipt:r\n\nhi\0",
    );
    for second in 1..=9 {
        world.go_to(Tick(second * 1_000));
        world.send(stomp, b"\n");
    }
    world.decide("");
    let told = world.told(stomp);
    assert!(
        told.starts_with("RECEIPT") && !told.contains("ERROR"),
        "{told}"
    );
    // From now on it is to be heard again.
    world.go_to(Tick(20_000));
    assert!(world.told(stomp).starts_with("ERROR"));
}

#[test]
fn who_was_let_in_has_said_in_time_who_it_is() {
    let mut world = World::new("signon");
    let stomp = world.node.accept(Door::Stomp).unwrap();
    world.send(stomp, b"CONNECT\naccept-version:1.2\nlogin:ann\n\n\0SUBSCRIBE\nid:0\ndestination:/topic/free\n\n\0");
    world.go_to(Tick(9_000));
    assert_eq!(world.decide("{}")["user"], "ann");
    world.go_to(Tick(60_000));
    let told = world.told(stomp);
    assert!(
        told.starts_with("CONNECTED") && !told.contains("ERROR"),
        "{told}"
    );
}

#[test]
fn who_has_no_name_is_asked_about_without_http_too() {
    let mut world = World::new("signon");
    let stomp = world.node.accept(Door::Stomp).unwrap();
    world.send(stomp, b"CONNECT\naccept-version:1.2\npasscode:secret\n\n\0");
    let question = world.decide("{\"allow\":false,\"reason\":\"no guests\"}");
    assert_eq!(question["user"], Value::Null);
    assert_eq!(question["credentials"], "secret");
    let told = world.told(stomp);
    assert!(told.starts_with("ERROR\nmessage:no guests\n"), "{told}");
}

#[test]
fn channels_of_one_message_are_read_once_all_are_allowed() {
    let mut world = World::new("publish,subscribe");
    let watcher = world.socket();
    world.send(
        watcher,
        &text("[1,\"SUBSCRIBE\",[\"room\",{\"presence\":true}]]\n"),
    );
    world.told(watcher);
    let client = world.node.accept(Door::Public).unwrap();
    let post = |body: &str| {
        let length = body.len();
        format!("POST /cometd HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let shake = "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\",\"supportedConnectionTypes\":[\"long-polling\"],\"ext\":{\"authentication\":{\"user\":\"ann\"}}}]";
    world.send(client, post(shake).as_bytes());
    let told = world.told(client);
    let (_, behind) = told.split_once("\"clientId\":\"").expect(&told);
    let (key, _) = behind.split_once('"').unwrap();
    let ask = |rest: &str| {
        format!(
            "[{{\"channel\":\"/meta/subscribe\",\"clientId\":\"{key}\",\"subscription\":[\"/room\",\"/asked/a\",\"/asked/b\"{rest}]}}]"
        )
    };
    world.send(client, post(&ask("")).as_bytes());
    assert_eq!(world.decide("")["channel"], "asked/a");
    assert_eq!(world.told(watcher), "", "nothing is so yet");
    assert_eq!(world.decide("{\"allow\":false}")["channel"], "asked/b");
    assert!(world.told(client).contains("\"successful\":false"));
    assert_eq!(world.told(watcher), "", "nor was it ever");
    world.send(client, post(&ask("")).as_bytes());
    world.decide("");
    world.decide("");
    assert!(world.told(client).contains("\"successful\":true"));
    let told = world.told(watcher);
    assert_eq!(count(&told, "\"ann\""), 1, "{told}");
}

#[test]
fn nothing_is_begun_for_a_reader_that_has_left_meanwhile() {
    let mut world = World::new("subscribe,publish");
    let reader = world.node.accept(Door::Public).unwrap();
    let get = b"GET /_/events?channel=asked/a HTTP/1.1\r\nHost: h\r\n\r\n";
    world.send(reader, get);
    world.begin_turn();
    world.node.ended(reader, false);
    world.settle();
    world.decide("");
    assert_eq!(world.node.session_count(), 0);
    assert_eq!(world.node.conn_count(), 1, "the lane's");
}

#[test]
fn a_request_that_waits_is_the_same_however_it_came() {
    let body = "{\"user\":\"ann\"}";
    let length = body.len();
    let known = format!("Content-Length: {length}\r\n\r\n{body}");
    let chunked = format!(
        "Transfer-Encoding: chunked\r\n\r\n3\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &body[..3],
        length - 3,
        &body[3..]
    );
    for rest in [known, chunked] {
        for size in [1, 7, 1_000] {
            let mut world = World::new("signon");
            let client = world.node.accept(Door::Public).unwrap();
            let head = "POST /_/revolved/csp/handshake HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\n";
            let behind = "GET /_/CSP.js HTTP/1.1\r\nHost: h\r\n\r\n";
            let bytes = format!("\r\n{head}{rest}{behind}");
            for piece in bytes.as_bytes().chunks(size) {
                world.send(client, piece);
            }
            assert_eq!(world.told(client), "");
            let question = world.decide("");
            assert_eq!(
                (&question["user"], &question["cookie"]),
                (&"ann".into(), &"a=b".into())
            );
            let told = world.told(client);
            assert_eq!(count(&told, "HTTP/1.1 200"), 2, "{told}");
            assert!(told.contains("\"session\""), "{told}");
        }
    }
}

#[test]
fn calls_of_orbited_0_3_wait_for_the_word_and_for_nobody_that_is_gone() {
    let mut world = World::new("signon,subscribe,publish");
    let page = world.node.accept(Door::Public).unwrap();
    let ask = |world: &mut World, call: &str| {
        let head = format!("GET /_/revolved/{call} HTTP/1.1\r\nHost: h\r\n\r\n");
        world.send(page, head.as_bytes());
    };
    ask(&mut world, "connect?resource=a");
    let question = world.decide("{\"user\":\"ann\",\"subscribe\":[\"room\"]}");
    assert_eq!(question["service"], "revolved");
    let told = world.told(page);
    let (_, rest) = told.split_once("[\"success\", \"").expect("a session");
    let (key, user) = rest.split_once("\", ").unwrap();
    assert_eq!(user, "\"ann\"]");
    ask(
        &mut world,
        &format!("subscribe?session={key}&channel=asked/a"),
    );
    assert_eq!(world.told(page), "");
    let question = world.decide("");
    assert_eq!(
        (&question["session"], &question["channel"]),
        (&key.into(), &"asked/a".into())
    );
    assert!(world.told(page).ends_with("\r\nsuccess"));
    let publish = format!("publish?session={key}&channel=asked/a&payload=1");
    ask(&mut world, &publish);
    world.decide("{\"payload\":[2]}");
    assert!(world.told(page).ends_with("\r\nsuccess"));
    ask(&mut world, &publish);
    world.decide("{\"allow\":false,\"reason\":\"late\"}");
    assert!(world.told(page).ends_with("\r\nlate"));
    ask(
        &mut world,
        &format!("authenticate?session={key}&userid=bob"),
    );
    let question = world.decide("{\"allow\":false,\"reason\":\"who?\"}");
    assert_eq!(question["session"], key);
    assert!(world.told(page).ends_with("\r\n[\"failure\", \"who?\"]"));
    let stream = world.node.accept(Door::Public).unwrap();
    let event =
        format!("GET /_/revolved/event?session={key}&transport=raw HTTP/1.1\r\nHost: h\r\n\r\n");
    world.send(stream, event.as_bytes());
    assert_eq!(
        world.told(stream),
        "[\"publish\", \"asked/a\", [\"ann\", \"a\"], \"[2]\"]"
    );
    // The session ends while the application is thinking.
    ask(&mut world, &publish);
    world.begin_turn();
    world.node.ended(stream, true);
    world.settle();
    world.go_to(world.now + 6_000);
    assert_eq!(world.node.session_count(), 0);
    world.decide("");
    assert!(world.told(page).ends_with("\r\nConnection not found"));
}

#[test]
fn what_waited_is_gone_with_who_said_it() {
    let mut world = World::new("signon,subscribe,publish,call");
    let empty = world.node.queued_bytes();
    let mut all = Vec::new();
    for n in 0..4 {
        let shake = world.node.accept(Door::Public).unwrap();
        world.send(shake, UPGRADE.as_bytes());
        world.decide("");
        let lines = "[1,\"CALL\",[\"add\"]]\n[2,\"PUBLISH\",[\"asked/a\",2]]\n";
        let behind = "[3,\"PUBLISH\",[\"asked/a\",3]]\n";
        world.send(shake, &[text(lines), text(behind)].concat());
        let waits = world.node.accept(Door::Public).unwrap();
        world.send(waits, UPGRADE.as_bytes());
        all.extend([shake, waits]);
        if n % 2 == 1 {
            // The answers come to nobody, or find the next.
            for id in all.drain(..) {
                world.begin_turn();
                world.node.ended(id, true);
                world.settle();
            }
        }
        while world.wrote.contains_key(&world.lanes[0]) {
            world.decide("");
        }
    }
    assert_eq!(world.node.session_count(), 0);
    assert_eq!(world.node.queued_bytes(), empty);
}

#[test]
fn whom_the_application_knows_by_a_cookie_has_the_name_on_stomp_too() {
    let mut world = World::new("signon");
    let stomp = world.node.accept(Door::Public).unwrap();
    let upgrade = UPGRADE.replace("/_/revolved/ws", "/_/stomp");
    world.send(stomp, upgrade.as_bytes());
    world.decide("{\"user\":\"bob\"}");
    world.told(stomp);
    world.send(stomp, &text("CONNECT\naccept-version:1.2\n\n\0"));
    assert!(world.told(stomp).contains("CONNECTED"));
    let list = world.node.accept(Door::Internal).unwrap();
    world.send(
        list,
        b"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    let told = world.told(list);
    assert!(told.contains("\"bob\""), "{told}");
}

#[test]
fn what_is_no_upgrade_is_nothing_to_ask_about() {
    let mut world = World::new("signon,subscribe,publish");
    let client = world.node.accept(Door::Public).unwrap();
    for path in [
        "/_/revolved/ws",
        "/_/events?channel=asked/a&transport=websocket",
    ] {
        world.send(
            client,
            format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes(),
        );
        let told = world.told(client);
        assert!(told.starts_with("HTTP/1.1 426"), "{told}");
    }
    assert_eq!(world.lanes.len(), 0);
}

#[test]
fn the_application_is_asked_however_many_are_connected() {
    let mut world = World::new("signon");
    let id = world.node.accept(Door::Public).unwrap();
    while world.node.accept(Door::Public).is_some() {}
    assert_eq!(world.node.conn_count(), 64);
    world.send(
        id,
        b"POST /_/echo/csp/handshake HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
    );
    assert_eq!(world.question()["event"], "signon");
    world.answer("{}");
    world.settle();
    assert!(world.told(id).contains("\"session\""));
}

#[test]
fn each_question_has_its_connection_though_the_last_closed_with_its_answer() {
    let mut world = World::new("publish");
    let sockets = [(); 3].map(|()| world.socket());
    while world.node.accept(Door::Public).is_some() {}
    for (n, socket) in sockets.into_iter().enumerate() {
        world.send(
            socket,
            &text(&format!("[{n},\"PUBLISH\",[\"asked/a\",1]]\n")),
        );
    }
    for (n, socket) in sockets.into_iter().enumerate() {
        world.question();
        world.send(
            world.lanes[0],
            b"HTTP/1.1 204 X\r\nConnection: close\r\n\r\n",
        );
        assert!(world.told(socket).contains(&format!("[\"OK\",[{n},")));
    }
}

#[test]
fn whose_client_left_meanwhile_takes_nobodys_stream() {
    let mut world = World::new("signon");
    let page = b"GET /_/orbit/chat?user=ann&transport=raw HTTP/1.1\r\nHost: h\r\n\r\n";
    let [stays, left] = [(); 2].map(|()| world.node.accept(Door::Public).unwrap());
    world.send(stays, page);
    world.decide("");
    world.send(left, page);
    world.begin_turn();
    world.node.ended(left, false);
    world.settle();
    world.decide("");
    let streams = world.node.metrics().sessions[Kind::Stream as usize];
    assert_eq!(streams, 1, "the one that stays");
}

#[test]
fn who_has_left_is_not_asked_about() {
    let mut world = World::new("signon");
    let [_, left, _] = ["ann", "bob", "cyd"].map(|user| {
        let id = world.node.accept(Door::Public).unwrap();
        let body = format!("{{\"user\":\"{user}\"}}");
        let length = body.len();
        let head = "POST /_/echo/csp/handshake HTTP/1.1\r\nHost: h\r\nContent-Length:";
        world.send(id, format!("{head} {length}\r\n\r\n{body}").as_bytes());
        id
    });
    world.begin_turn();
    world.node.ended(left, true);
    world.settle();
    assert_eq!(world.decide("{}")["user"], "ann");
    assert_eq!(world.decide("{}")["user"], "cyd");
}

#[test]
fn a_reason_is_told_as_it_was_given() {
    let mut world = World::new("signon");
    let client = world.node.accept(Door::Public).unwrap();
    world.send(client, UPGRADE.as_bytes());
    world.decide("{\"allow\":false,\"reason\":\"see a..b.\"}");
    let told = world.told(client);
    assert!(told.contains("\"See a..b.\""), "{told}");
}

#[test]
fn a_node_that_stops_lets_through_what_it_would_without_an_answer() {
    for (fail, what) in [("closed", "ERR"), ("open", "OK")] {
        let mut world = World::new(&format!("publish,subscribe fail={fail}"));
        let socket = world.socket();
        let line = |n| format!("[{n},\"PUBLISH\",[\"asked/a\",{n}]]\n");
        world.send(socket, &text(&[line(1), line(2)].concat()));
        world.begin_turn();
        world.node.stop();
        world.settle();
        let told = world.told(socket);
        assert_eq!(count(&told, &format!("[\"{what}\",[")), 2, "{told}");
    }
}

#[test]
fn a_question_whose_kept_connection_was_closed_is_put_again_with_its_id_and_only_once() {
    let mut world = World::new("publish,subscribe");
    let socket = world.socket();
    let line = |n| text(&format!("[{n},\"PUBLISH\",[\"asked/a\",{n}]]\n"));
    let end = |world: &mut World, lane| {
        world.begin_turn();
        world.node.ended(lane, false);
        world.settle();
    };
    world.send(socket, &line(1));
    let first = world.decide("")["id"].clone();
    let kept = world.lanes[0];
    world.send(socket, &line(2));
    let second = world.question();
    assert_ne!(second["id"], first);
    end(&mut world, kept);
    assert_ne!(world.lanes, [kept]);
    assert_eq!(world.question(), second);
    // The one it goes by is new, so the application may have read it.
    let fresh = world.lanes[0];
    end(&mut world, fresh);
    let told = world.told(socket);
    assert!(
        told.contains("[\"ERR\",[2,") && told.contains("no-answer"),
        "{told}"
    );
    assert!(world.lanes.is_empty());
}

#[test]
fn a_question_is_not_put_again_when_its_answer_has_begun() {
    for begun in ["H", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let mut world = World::new("publish,subscribe");
        let socket = world.socket();
        world.send(socket, &text("[1,\"PUBLISH\",[\"asked/a\",1]]\n"));
        world.decide("");
        world.send(socket, &text("[2,\"PUBLISH\",[\"asked/a\",2]]\n"));
        world.question();
        world.begin_turn();
        world.come(world.lanes[0], begun.as_bytes());
        world.node.ended(world.lanes[0], true);
        world.settle();
        let told = world.told(socket);
        assert!(told.contains("[\"ERR\",[2,"), "{told}");
        assert!(world.lanes.is_empty());
    }
}

#[test]
fn what_a_session_says_too_fast_is_asked_about_no_more_and_what_is_asked_costs_once() {
    let mut world = World::new("publish,subscribe");
    let socket = world.socket();
    let line = |n: u32| format!("[{n},\"PUBLISH\",[\"asked/slowly\",{n}]]\n");
    world.send(socket, &text(&(1..=4).map(line).collect::<String>()));
    for n in 1..=2 {
        assert_eq!(world.decide("")["body"], n.to_string());
    }
    let lane = world.lanes[0];
    assert_eq!(world.told(lane), "");
    let told = world.told(socket);
    for (n, what) in [(1, "OK"), (2, "OK"), (3, "ERR"), (4, "ERR")] {
        assert!(told.contains(&format!("[\"{what}\",[{n},")), "{told}");
    }
    assert_eq!(count(&told, "wait 500 ms"), 2, "{told}");
    // What the application does not allow was asked about all the same.
    world.go_to(Tick(500));
    world.send(socket, &text(&[line(5), line(6)].concat()));
    world.decide("{\"allow\":false}");
    let told = world.told(socket);
    assert!(
        told.contains("\"denied\"") && told.contains("\"rate\""),
        "{told}"
    );
    assert_eq!(count(&told, "[\"ERR\","), 2, "{told}");
}
