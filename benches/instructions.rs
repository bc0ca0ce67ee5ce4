//! How many instructions the node's steps take, one case at a time, to be counted by callgrind.
//!
//! In: the name of a case. Out: `ops N`, the operations made within [`counted`]; callgrind tells the instructions.
//! `benches/guard` runs every case so, and compares with `benches/instructions.txt`. Nothing here depends on chance:
//! the node's seed, and with it its hash keys and secrets, is fixed, and no table uses the library's random state.
//! `cargo bench --bench instructions [-- --list | --smoke]` runs the cases without counting.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

mod harness;

use harness::hubs::{publication, with_patterns};
use harness::room::Room;
use harness::subscribers::{
    BARE, EVENTS, Kind, POLL, Request, SOCKET, Subscriber, frame, handshake, upgrade,
};
use harness::{Bench, Count, policies, post, publish};
use orbited::config::Config;
use orbited::http::reader::{self, Step};
use orbited::ids::{ConnId, ConnTag};
use orbited::mem::{Ledger, Publication, TimerWheel};
use orbited::node::Door;
use orbited::rng::Rng;
use orbited::time::{Clock, Tick};
use orbited::ws::decoder::{self, Event};
use std::hint::black_box;
use std::rc::Rc;

/// Sets up, does the work within [`counted`], and says how many operations it was.
type Case = fn() -> usize;

/// Every case and what one operation of it is.
const CASES: &[(&str, Case)] = &[
    // A request's head of twelve fields, as a browser sends it.
    ("http-head", http_head),
    // A text message of 100 bytes, unmasked where it lies.
    ("ws-frame", ws_frame),
    // A session begun by HTTP.
    ("csp-handshake", csp_handshake),
    // A connection taken, its upgrade answered.
    ("ws-upgrade", ws_upgrade),
    // A PUBLISH to nobody, in a packet in a request; its answer is put on the session.
    ("csp-send", csp_send),
    // The same in a message on the session's WebSocket, with the answer written.
    ("csp-send-ws", csp_send_ws),
    // A request, or a message, that acknowledges one packet; for a long-poll the request that is held.
    ("csp-ack", || crowd(&EVENTS, Part::Next)),
    ("csp-ack-ws", || crowd(&SOCKET, Part::Next)),
    ("csp-longpoll-again", || crowd(&POLL, Part::Next)),
    // A publication is taken into its channel and finds its one subscriber: nothing more; it is kept; ten thousand
    // patterns could match its name of four segments, and none does.
    ("hub-publish", || hub_publish(0, "")),
    ("hub-publish-history", || hub_publish(0, "** history=100")),
    ("hub-publish-patterns", || hub_publish(10_000, "")),
    // SUBSCRIBE and UNSUBSCRIBE on a WebSocket, with both answers; the same among a hundred users who are listed, one of
    // whom is told of both.
    ("subscribe-unsubscribe", || come_and_go("")),
    ("presence-join-leave", || come_and_go("room presence")),
    // One of a thousand subscribers is given a message of 200 bytes, without writing.
    ("publish-ws", || crowd(&BARE, Part::Publish)),
    ("publish-csp-ws", || crowd(&SOCKET, Part::Publish)),
    ("publish-csp-sse", || crowd(&EVENTS, Part::Publish)),
    ("publish-csp-longpoll", || crowd(&POLL, Part::Publish)),
    // What one of them was given is composed and written.
    ("flush-ws", || crowd(&BARE, Part::Flush)),
    ("flush-csp-ws", || crowd(&SOCKET, Part::Flush)),
    ("flush-csp-sse", || crowd(&EVENTS, Part::Flush)),
    ("flush-csp-longpoll", || crowd(&POLL, Part::Flush)),
    // A client that reads nothing is given the latest of one of a thousand channels that all wait for it.
    ("publish-latest-behind", latest_behind),
    // A session's silence is broken, and the deadline of the next silence set.
    ("heartbeat-ws", || heartbeat(&BARE)),
    ("heartbeat-csp-ws", || heartbeat(&SOCKET)),
    // A deadline is set, put off, and reached.
    ("wheel-set", || wheel(Deadline::Set)),
    ("wheel-put-off", || wheel(Deadline::PutOff)),
    ("wheel-expire", || wheel(Deadline::Expire)),
];

/// What is counted: `benches/guard` lets callgrind collect within the function of this name, and nowhere else.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    let out = work();
    // Something is left to do, so that the work is no tail call, which would look like this function's end.
    black_box(&out);
    out
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        return CASES.iter().for_each(|(name, _)| println!("{name}"));
    }
    let names: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    for (name, case) in CASES {
        if names.is_empty() {
            println!("{name}: ops {}", case());
        } else if names.contains(&&name.to_string()) {
            println!("ops {}", case());
        }
    }
}

fn http_head() -> usize {
    let limits = reader::Limits {
        line_bytes_max: 33 << 10,
        head_bytes_max: 16 << 10,
        body_bytes_max: 1 << 20,
    };
    counted(|| {
        for _ in 0..OPERATIONS {
            let mut input = black_box(BROWSER.as_bytes());
            let step = reader::next(&mut None, &mut input, &limits).map(|step| match step {
                Step::Ready(request) => black_box(request).headers.first("accept").is_some(),
                _ => false,
            });
            assert!(matches!(step, Ok(true)));
        }
    });
    OPERATIONS
}

fn ws_frame() -> usize {
    let text = "a message ".repeat(10);
    let limits = decoder::Limits {
        message_bytes_max: 1 << 20,
    };
    let mut masked = frame(&text);
    masked[2..6].copy_from_slice(&[0x37, 0xfa, 0x21, 0x3d]);
    let (_, payload) = masked.split_at_mut(6);
    let mask = [0x37, 0xfa, 0x21, 0x3d].iter().cycle();
    payload
        .iter_mut()
        .zip(mask)
        .for_each(|(at, bits)| *at ^= bits);
    let mut frames = vec![masked; OPERATIONS];
    counted(|| {
        for bytes in &mut frames {
            let mut input = &mut bytes[..];
            let event = decoder::next(&mut None, &mut input, &limits);
            assert!(matches!(event, Ok(Event::Text(found)) if found.len() == text.len()));
        }
    });
    OPERATIONS
}

fn csp_handshake() -> usize {
    let (mut bench, up) = node();
    let request = post("/_/revolved/csp/handshake", "{\"encodings\":[0,1,2]}");
    let mut requests = vec![request.into_bytes(); OPERATIONS];
    serve(&mut bench, requests.iter_mut().map(|bytes| (up, bytes)));
    assert_eq!(bench.node.session_count(), OPERATIONS);
    OPERATIONS
}

fn ws_upgrade() -> usize {
    let (mut bench, _) = node();
    let request = upgrade("/_/revolved/ws").into_bytes();
    let mut requests = vec![request; OPERATIONS];
    // The sinks are made where connections are; those are the bench's, not the node's.
    bench.counted = Some(Count::default());
    counted(|| {
        for bytes in &mut requests {
            let id = bench.node.accept(Door::Public).expect("there is room");
            bench.receive(id, bytes);
        }
    });
    assert_eq!(bench.node.session_count(), OPERATIONS);
    OPERATIONS
}

fn csp_send() -> usize {
    let (mut bench, up) = node();
    let mut requests: Vec<Vec<u8>> = (0..OPERATIONS)
        .map(|_| {
            let key = handshake(&mut bench, up, "");
            let path = format!("/_/revolved/csp/send?s={key}&a=0");
            post(&path, &call(1)).into_bytes()
        })
        .collect();
    serve(&mut bench, requests.iter_mut().map(|bytes| (up, bytes)));
    assert_eq!(bench.node.metrics().messages_in, OPERATIONS as u64);
    OPERATIONS
}

fn csp_send_ws() -> usize {
    let (mut bench, up) = node();
    let mut requests: Vec<Request> = (0..OPERATIONS)
        .map(|_| ((SOCKET.open)(&mut bench, up).conn, frame(&call(2))))
        .collect();
    serve(
        &mut bench,
        requests.iter_mut().map(|(id, bytes)| (*id, bytes)),
    );
    // Each has subscribed before.
    assert_eq!(bench.node.metrics().messages_in, 2 * OPERATIONS as u64);
    OPERATIONS
}

/// A batch of one packet, which calls PUBLISH.
fn call(packet: u32) -> String {
    format!("[[{packet},2,\"[2,\\\"PUBLISH\\\",[\\\"nobody\\\",\\\"hello\\\"]]\\n\"]]")
}

/// Bytes for connections, counted.
fn serve<'a>(bench: &mut Bench, requests: impl Iterator<Item = (ConnId, &'a mut Vec<u8>)>) {
    bench.counted = Some(Count::default());
    counted(|| requests.for_each(|(id, bytes)| bench.receive(id, bytes)));
}

fn node() -> (Bench, ConnId) {
    let mut bench = Bench::new(Config {
        max_sessions: 4096,
        max_connections: 4096,
        max_requests: 0,
        ..Config::default()
    });
    let up = bench.connect(Door::Public);
    (bench, up)
}

fn hub_publish(patterns: usize, rules: &str) -> usize {
    let name = "news/sport/tennis/results";
    let mut hub = with_patterns(name, patterns, rules);
    let ledger = Ledger::default();
    let publications = || (0..OPERATIONS).map(|_| publication(name, 200, &ledger));
    let mut number = 0;
    let mut run = |publications: Vec<Rc<Publication>>| {
        for publication in publications {
            // As the node does; a history tells by it what it has let go.
            number += 1;
            publication.take(number);
            hub.publish(&publication, Tick(1)).expect("there is room");
            assert!(hub.next_subscriber().is_some() && hub.next_subscriber().is_none());
        }
    };
    // What is kept is as much as may be, from here on.
    run(publications().collect());
    let publications = publications().collect();
    counted(|| run(publications));
    OPERATIONS
}

fn come_and_go(rules: &str) -> usize {
    let mut room = Room::new("room", rules, 100);
    let before = room.bench.node.metrics().messages_out;
    room.bench.counted = Some(Count::default());
    let mut calls = room.come_and_go(OPERATIONS);
    counted(|| room.run(&mut calls));
    let told = if rules.is_empty() { 0 } else { 2 };
    let sent = room.bench.node.metrics().messages_out - before;
    assert_eq!(sent, (2 + told) * OPERATIONS as u64);
    OPERATIONS
}

/// What is counted of a round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Publish,
    Flush,
    Next,
}

impl Part {
    fn run(self, part: Part, work: impl FnOnce()) {
        match self == part {
            true => counted(work),
            false => work(),
        }
    }
}

/// Publishes to a thousand subscribers, who then send what they have to; the first round finds everything cold.
fn crowd(kind: &Kind, part: Part) -> usize {
    let (mut bench, up) = node();
    let internal = bench.connect(Door::Internal);
    let mut subscribers: Vec<Subscriber> = (0..OPERATIONS)
        .map(|_| (kind.open)(&mut bench, up))
        .collect();
    bench.counted = Some(Count::default());
    next(&mut bench, (kind, up), &subscribers, |work| work());
    for round in 0..=ROUNDS {
        // Not of this round: nothing is counted.
        let run = |which, work: &mut dyn FnMut()| match round {
            0 => work(),
            _ => part.run(which, work),
        };
        let mut request = publish("room", 200).into_bytes();
        run(Part::Publish, &mut || {
            bench.node.receive(internal, &mut request);
            while bench.node.run_commands() {}
        });
        bench.counted = Some(Count::default());
        run(Part::Flush, &mut || bench.flush());
        let wrote = bench.counted.as_ref().map_or(0, |count| count.bytes);
        assert!(wrote > OPERATIONS * 200, "{}: {wrote} bytes", kind.name);
        subscribers.iter_mut().for_each(|one| one.got += 1);
        next(&mut bench, (kind, up), &subscribers, |work| {
            run(Part::Next, work)
        });
    }
    OPERATIONS * ROUNDS
}

/// Everybody sends what is to be sent before the next message.
fn next(
    bench: &mut Bench,
    (kind, up): (&Kind, ConnId),
    subscribers: &[Subscriber],
    run: impl FnOnce(&mut dyn FnMut()),
) {
    let requests = subscribers.iter().filter_map(|one| (kind.next)(one, up));
    let mut requests: Vec<Request> = requests.collect();
    run(&mut || {
        for (id, bytes) in &mut requests {
            bench.receive(*id, bytes);
        }
    });
}

fn latest_behind() -> usize {
    let mut bench = Bench::new(Config {
        policies: policies("price/** slow=latest"),
        ..Config::default()
    });
    let (up, internal) = (bench.connect(Door::Public), bench.connect(Door::Internal));
    let key = handshake(&mut bench, up, "");
    let call = "[[1,2,\"[2,\\\"SUBSCRIBE\\\",[\\\"price/**\\\"]]\\n\"]]";
    bench.ask(
        up,
        &post(&format!("/_/revolved/csp/send?s={key}&a=0"), call),
    );
    bench.counted = Some(Count::default());
    let requests = || (0..OPERATIONS).map(|n| publish(&format!("price/{n}"), 100).into_bytes());
    let mut run = |requests: Vec<Vec<u8>>| {
        for mut request in requests {
            bench.node.receive(internal, &mut request);
            while bench.node.run_commands() {}
            bench.flush();
        }
    };
    // The first fill the queue.
    run(requests().collect());
    let again = requests().collect();
    counted(|| run(again));
    assert_eq!(bench.node.metrics().messages_out, 2 * OPERATIONS as u64 + 1);
    OPERATIONS
}

/// A thousand WebSockets are silent for the time after which each is sent a ping, which each answers.
fn heartbeat(kind: &Kind) -> usize {
    let (mut bench, up) = node();
    let subscribers: Vec<Subscriber> = (0..OPERATIONS)
        .map(|_| (kind.open)(&mut bench, up))
        .collect();
    bench.counted = Some(Count::default());
    next(&mut bench, (kind, up), &subscribers, |work| work());
    let ms = bench.node.config().heartbeat_ms;
    for round in 1..=ROUNDS as u64 {
        bench.counted = Some(Count::default());
        counted(|| {
            bench.node.turn(Clock {
                tick: Tick(round * (ms + 100)),
                unix_ms: 1_800_000_000_000,
            });
            while bench.node.tick() {}
            bench.flush();
        });
        let writes = bench.counted.as_ref().map(|count| count.writes);
        assert_eq!(writes, Some(OPERATIONS), "{}", kind.name);
        for subscriber in &subscribers {
            bench.node.receive(subscriber.conn, &mut PONG.to_vec());
        }
    }
    OPERATIONS * ROUNDS
}

/// What is counted of the wheel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deadline {
    Set,
    PutOff,
    Expire,
}

impl Deadline {
    fn run(self, step: Deadline, work: impl FnOnce()) {
        match self == step {
            true => counted(work),
            false => work(),
        }
    }
}

/// Deadlines within a minute, each put off by a heartbeat's time, all reached; a loop that turns a hundred times a second.
fn wheel(step: Deadline) -> usize {
    let mut wheel = TimerWheel::<ConnTag>::new(OPERATIONS);
    let mut rng = Rng::new([5; 32]);
    let dues: Vec<u64> = (0..OPERATIONS).map(|_| rng.below(60_000)).collect();
    // Room is made on first use; that is the table's growth, not the wheel's work.
    (0..OPERATIONS as u32).for_each(|index| wheel.set(index, Tick(0)));
    (0..OPERATIONS as u32).for_each(|index| wheel.clear(index));
    let each = |wheel: &mut TimerWheel<ConnTag>, later: u64| {
        for (index, due) in dues.iter().enumerate() {
            wheel.set(index as u32, Tick(due + later));
        }
    };
    step.run(Deadline::Set, || each(&mut wheel, 0));
    step.run(Deadline::PutOff, || each(&mut wheel, 25_000));
    let mut reached = 0;
    step.run(Deadline::Expire, || {
        for now in (0..90_000).step_by(10) {
            while wheel.pop_due(Tick(now)).is_some() {
                reached += 1;
            }
        }
    });
    assert_eq!(reached, OPERATIONS);
    OPERATIONS
}

/// Operations of a case, or of a round of it.
const OPERATIONS: usize = 1000;
const ROUNDS: usize = 3;
/// A pong without a payload; the mask is nought.
const PONG: [u8; 6] = [0x8A, 0x80, 0, 0, 0, 0];

const BROWSER: &str = "GET /_/revolved/csp/comet?s=0123456789abcdef0123456789abcdef&a=17 HTTP/1.1\r\n\
    Host: push.example.org\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n\
    Accept: text/event-stream\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cache-Control: no-cache\r\n\
    Origin: https://www.example.org\r\n\
    Referer: https://www.example.org/room/17\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Site: same-site\r\n\
    Cookie: theme=dark; id=0123456789abcdef0123456789abcdef\r\n\r\n";
