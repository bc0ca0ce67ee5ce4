//! Where memory may go: the sizes of rows, and what a whole session costs, measured.
//!
//! Rows are weighed by their types, the tables around them by what the allocator hands out, and what a session
//! needs beside its rows by driving ten thousand of them through the node's own verbs. A field more in `Conn` or
//! `Session` shows here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, its helpers too"
)]

use orbited::config::Config;
use orbited::hub::Hub;
use orbited::ids::{ConnId, ConnTag, SessionId, SessionTag};
use orbited::mem::{Seat, Sink, Slots, TimerWheel, Wrote};
use orbited::node::{Conn, Door, Node};
use orbited::rng::Rng;
use orbited::session::Session;
use orbited::time::{Clock, Tick};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::IoSlice;
use std::num::NonZeroU32;

#[test]
fn rows_are_no_larger_than_they_may_be() {
    assert!(
        size_of::<Conn>() <= CONN_MAX,
        "Conn has {} bytes",
        size_of::<Conn>()
    );
    assert!(
        size_of::<Session>() <= SESSION_MAX,
        "Session has {} bytes",
        size_of::<Session>()
    );
}

#[test]
fn a_slot_is_its_row_and_four_bytes_of_generation() {
    assert_eq!(
        size_of::<Entry<Conn>>(),
        size_of::<Conn>(),
        "a free slot must fit a niche"
    );
    assert_eq!(
        size_of::<Entry<Session>>(),
        size_of::<Session>(),
        "a free slot must fit a niche"
    );
    let conns = per_row(Slots::<ConnTag, Conn>::new);
    assert_eq!(conns, size_of::<Conn>() + GENERATION);
    let sessions = per_row(Slots::<SessionTag, Session>::new);
    assert_eq!(sessions, size_of::<Session>() + GENERATION);
}

#[test]
fn a_deadline_is_twelve_bytes() {
    assert_eq!(per_row(TimerWheel::<ConnTag>::new), TIMER_LINK);
}

#[test]
fn a_socket_slot_is_eight_bytes_in_a_release() {
    let size = size_of::<Option<Socket>>();
    // With debug assertions mio's sockets know their poll, which costs sixteen more.
    assert!(
        cfg!(debug_assertions) || size == SOCKET_SLOT,
        "a socket slot has {size} bytes"
    );
}

#[test]
fn a_subscription_is_twenty_four_bytes() {
    // A power of two, at which a vector that doubles is full.
    let count = 1 << 16;
    let mut hub = Hub::new(1, 1 << 20, &mut Rng::new([1; 32]));
    let mut seats: Vec<Seat> = (0..count).map(|_| Seat::default()).collect();
    let before = live();
    for (index, seat) in seats.iter_mut().enumerate() {
        let session = SessionId::new(index as u32, NonZeroU32::MIN);
        hub.subscribe(session, seat, "a", 1).unwrap();
    }
    let each = grown(before) / count;
    assert_eq!(each, SUBSCRIPTION, "a subscription costs {each} bytes");
}

#[test]
fn a_channel_is_its_name_and_sixty_four_bytes() {
    let count = 1 << 16;
    let name = |n: usize| format!("user/{n:011}");
    let before = live();
    let mut hub = Hub::new(count, 1 << 20, &mut Rng::new([1; 32]));
    for n in 0..count {
        let session = SessionId::new(n as u32, NonZeroU32::MIN);
        hub.subscribe(session, &mut Seat::default(), &name(n), 1)
            .unwrap();
    }
    let each = grown(before) / count;
    assert!(
        each <= CHANNEL_MAX,
        "a channel with its subscription costs {each} bytes"
    );
}

/// The promise of the project: one connection, one session, one channel, everything drained and acknowledged.
#[test]
fn a_streaming_session_costs_at_most_256_bytes() {
    let mut crowd = Crowd::new(SESSIONS);
    crowd.warm_up();
    let before = live();
    let clients: Vec<ConnId> = (0..SESSIONS).map(|_| crowd.streaming_client()).collect();
    assert_eq!(
        (crowd.node.conn_count(), crowd.node.session_count()),
        (SESSIONS, SESSIONS)
    );
    let heap = (grown(before) - clients.capacity() * size_of::<ConnId>()).div_ceil(SESSIONS);
    let tables = CONN_SLOT + SESSION_SLOT;
    println!("a streaming session: {tables} bytes of tables, {heap} of heap");
    crowd.check_drained();
    assert!(
        tables + heap <= 256,
        "a streaming session costs {tables} + {heap} bytes"
    );
    crowd.check_alive(&clients);
}

/// One WebSocket, one session whose connect waits, one channel.
#[test]
fn a_bayeux_session_on_a_websocket_costs_at_most_500_bytes() {
    weigh_bayeux(500, "WebSocket", |crowd, key| {
        let conn = crowd.connect(Door::Public);
        let upgrade =
            b"GET /bayeux HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        assert!(crowd.say(conn, upgrade).starts_with(b"HTTP/1.1 101 "));
        let connect =
            format!("[{{\"channel\":\"/meta/connect\",\"clientId\":\"{key}\",\"id\":\"99\"}}]");
        assert!(crowd.say(conn, &frame(connect.as_bytes())).is_empty());
    });
}

/// The same whose connect is a held request.
#[test]
fn a_parked_bayeux_session_costs_at_most_550_bytes() {
    weigh_bayeux(550, "long-polling", |crowd, key| {
        let conn = crowd.connect(Door::Public);
        let connect =
            format!("[{{\"channel\":\"/meta/connect\",\"clientId\":\"{key}\",\"id\":\"99\"}}]");
        assert!(crowd.say(conn, &post("/bayeux", &connect)).is_empty());
    });
}

/// One TCP connection without HTTP, one session with one subscription.
#[test]
fn a_stomp_session_on_tcp_costs_at_most_350_bytes() {
    let mut crowd = Crowd::new(SESSIONS);
    crowd.warm_up();
    let before = live();
    for _ in 0..SESSIONS {
        let conn = crowd.connect(Door::Stomp);
        let hello = b"CONNECT\naccept-version:1.2\nheart-beat:10000,10000\n\n\0\
                      SUBSCRIBE\nid:sub-0\ndestination:/topic/a\n\n\0";
        assert!(crowd.say(conn, hello).starts_with(b"CONNECTED\n"));
    }
    assert_eq!(crowd.node.session_count(), SESSIONS);
    let heap = grown(before).div_ceil(SESSIONS);
    let tables = CONN_SLOT + SESSION_SLOT;
    println!("a session of STOMP: {tables} bytes of tables, {heap} of heap");
    crowd.check_drained();
    assert!(
        tables + heap <= 350,
        "a session of STOMP costs {tables} + {heap} bytes"
    );
    let publisher = crowd.connect(Door::Internal);
    let wrote = String::from_utf8_lossy(crowd.say(publisher, PUBLISH)).into_owned();
    assert_eq!(
        wrote.matches("MESSAGE\nsubscription:sub-0\n").count(),
        SESSIONS
    );
}

/// Ten thousand sessions of Bayeux that wait as `wait` makes them.
fn weigh_bayeux(bytes_max: usize, name: &str, wait: impl Fn(&mut Crowd, &str)) {
    let mut crowd = Crowd::new(SESSIONS);
    crowd.warm_up();
    let before = live();
    for _ in 0..SESSIONS {
        let key = crowd.bayeux_client();
        wait(&mut crowd, &key);
    }
    assert_eq!(
        (crowd.node.conn_count(), crowd.node.session_count()),
        (SESSIONS, SESSIONS)
    );
    let heap = grown(before).div_ceil(SESSIONS);
    let tables = CONN_SLOT + SESSION_SLOT;
    println!("a session of Bayeux by {name}: {tables} bytes of tables, {heap} of heap");
    crowd.check_drained();
    assert!(
        tables + heap <= bytes_max,
        "a session of Bayeux by {name} costs {tables} + {heap} bytes"
    );
    let publisher = crowd.connect(Door::Internal);
    let wrote = crowd.say(publisher, PUBLISH);
    let text = String::from_utf8_lossy(wrote);
    let delivery = "[{\"channel\":\"/a\",\"data\":42}";
    assert_eq!(text.matches(delivery).count(), SESSIONS);
}

#[test]
fn an_idle_connection_costs_at_most_128_bytes() {
    let mut crowd = Crowd::new(SESSIONS);
    crowd.warm_up();
    let before = live();
    for _ in 0..SESSIONS {
        let conn = crowd.connect(Door::Public);
        let wrote = crowd.say(conn, b"GET /_/CSP.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        assert!(wrote.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(crowd.node.conn_count(), SESSIONS);
    let heap = grown(before).div_ceil(SESSIONS);
    println!("an idle connection: {CONN_SLOT} bytes of tables, {heap} of heap");
    crowd.check_drained();
    assert!(
        CONN_SLOT + heap <= 128,
        "an idle connection costs {CONN_SLOT} + {heap} bytes"
    );
}

/// A node and the connections to it, without sockets.
struct Crowd {
    node: Node,
    /// What the node wrote last.
    sink: Memory,
}

#[derive(Default)]
struct Memory(Vec<u8>);

impl Sink for Memory {
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        Wrote::Some(parts.iter().map(|part| part.len()).sum())
    }
}

impl Crowd {
    fn new(sessions: usize) -> Self {
        let config = Config {
            max_connections: sessions + SPARE,
            max_sessions: sessions + SPARE,
            ..Config::default()
        };
        let mut node = Node::new(config, [7; 32]).unwrap();
        node.turn(Clock {
            tick: Tick(1_000),
            unix_ms: 1_700_000_000_000,
        });
        Self {
            node,
            sink: Memory(Vec::with_capacity(1 << 20)),
        }
    }

    /// Lets every buffer that is kept for the next user grow to its size.
    fn warm_up(&mut self) {
        for _ in 0..SPARE / 2 {
            let client = self.streaming_client();
            self.node.ended(client, true);
            let idle = self.connect(Door::Public);
            self.say(idle, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            self.node.ended(idle, true);
        }
        // The sessions are given up, and their rows are free for those that are weighed.
        self.node.turn(Clock {
            tick: Tick(200_000),
            unix_ms: 1_700_000_200_000,
        });
        while self.node.tick() {}
        self.settle();
        assert_eq!((self.node.conn_count(), self.node.session_count()), (0, 0));
        let publisher = self.connect(Door::Internal);
        self.say(publisher, PUBLISH);
        self.node.ended(publisher, true);
        self.settle();
    }

    fn connect(&mut self, door: Door) -> ConnId {
        self.node.accept(door).unwrap()
    }

    /// Bytes arrive; gives back what the node writes, to whomever.
    fn say(&mut self, conn: ConnId, bytes: &[u8]) -> &[u8] {
        self.sink.0.clear();
        self.node.receive(conn, &mut bytes.to_vec());
        self.settle();
        &self.sink.0
    }

    fn settle(&mut self) {
        while self.node.run_commands() {}
        while let Some(conn) = self.node.next_dirty() {
            self.node.flush(conn, &mut self.sink);
        }
        while let Some(conn) = self.node.next_resumed() {
            self.node.resume(conn);
        }
        while self.node.next_dead().is_some() {}
        assert_eq!(self.node.dirty_len(), 0);
    }

    /// A CSP session over WebSocket, subscribed to the channel, its answer acknowledged. Its handshake goes over
    /// a connection that closes behind it.
    fn streaming_client(&mut self) -> ConnId {
        let shaking = self.connect(Door::Public);
        let request = b"POST /_/revolved/csp/handshake HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let answer = String::from_utf8(self.say(shaking, request).to_vec()).unwrap();
        let key = answer
            .split("\"session\":\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        self.node.ended(shaking, false);
        let conn = self.connect(Door::Public);
        let upgrade = format!(
            "GET /_/revolved/csp/websocket?s={key}&a=0 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        assert!(
            self.say(conn, upgrade.as_bytes())
                .starts_with(b"HTTP/1.1 101 ")
        );
        let answer = self.say(
            conn,
            &frame(b"[[1,0,\"[1,\\\"SUBSCRIBE\\\",[\\\"a\\\"]]\\n\"]]"),
        );
        assert!(
            String::from_utf8_lossy(answer).contains("[[1,"),
            "no answer to SUBSCRIBE"
        );
        self.say(conn, &frame(b"{\"a\":1}"));
        conn
    }

    /// A session of Bayeux with a browser's cookie, subscribed to the channel, its first connect answered; over a
    /// connection that is gone.
    fn bayeux_client(&mut self) -> String {
        let conn = self.connect(Door::Public);
        let shake =
            "[{\"channel\":\"/meta/handshake\",\"supportedConnectionTypes\":[\"long-polling\"]}]";
        let answer = String::from_utf8(self.say(conn, &post("/bayeux", shake)).to_vec()).unwrap();
        let key = answer.split("\"clientId\":\"").nth(1).unwrap();
        let key = key.split('"').next().unwrap().to_owned();
        let rest = format!(
            "[{{\"channel\":\"/meta/connect\",\"clientId\":\"{key}\"}},\
             {{\"channel\":\"/meta/subscribe\",\"subscription\":\"/a\",\"clientId\":\"{key}\"}}]"
        );
        let answer = self.say(conn, &post("/bayeux", &rest));
        assert!(
            String::from_utf8_lossy(answer).contains("\"subscription\":\"/a\",\"successful\":true")
        );
        self.node.ended(conn, false);
        self.settle();
        key
    }

    /// Nothing waits for anybody: what is accounted is settings that all share.
    fn check_drained(&self) {
        let bytes = self.node.queued_bytes();
        assert!(bytes < 1_024, "{bytes} bytes wait");
    }

    /// Every session still gets what is published.
    fn check_alive(&mut self, clients: &[ConnId]) {
        let publisher = self.connect(Door::Internal);
        let wrote = self.say(publisher, PUBLISH);
        let text = String::from_utf8_lossy(wrote);
        assert_eq!(text.matches("[[2,").count(), clients.len());
        assert!(text.contains(&format!("{{\"subscribers\":{},", clients.len())));
    }
}

fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A short text message, masked with zeros.
fn frame(text: &[u8]) -> Vec<u8> {
    assert!(text.len() < 126);
    let mut out = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    out.extend_from_slice(text);
    out
}

/// What a table grows by, per row.
fn per_row<T>(make: impl Fn(usize) -> T) -> usize {
    let weigh = |limit| {
        let before = live();
        let table = make(limit);
        let bytes = grown(before);
        drop(table);
        bytes
    };
    (weigh(2_000) - weigh(1_000)) / 1_000
}

/// The slab's entry, as its source has it.
#[allow(dead_code)]
enum Entry<T> {
    Vacant(usize),
    Occupied(T),
}

/// A socket of the loop, as `net` has it.
#[allow(dead_code)]
enum Socket {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

thread_local! {
    /// Bytes that this thread has from the allocator now; tests run side by side, each on a thread of its own.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn live() -> isize {
    LIVE.get()
}

/// Bytes more than before; 0 when there are fewer.
fn grown(before: isize) -> usize {
    usize::try_from(live() - before).unwrap_or(0)
}

/// The system's allocator, with a count.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: usize, sign: isize) {
    // A thread that ends frees without its thread-local.
    let _ = LIVE.try_with(|live| live.set(live.get() + sign * bytes as isize));
}

// SAFETY: every call is passed on to the system's allocator as it came; counting neither allocates nor panics.
#[allow(unsafe_code, reason = "an allocator cannot be counted otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, 1);
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

const CONN_MAX: usize = 64;
const SESSION_MAX: usize = 96;
const GENERATION: usize = 4;
const TIMER_LINK: usize = 12;
const SOCKET_SLOT: usize = 8;
const SUBSCRIPTION: usize = 24;
/// Its row, its place in the index; its name of 16 bytes; one subscription.
const CHANNEL_MAX: usize = 64 + 16 + SUBSCRIPTION;
/// What a connection takes in the tables, which are reserved before the first one comes.
const CONN_SLOT: usize = SOCKET_SLOT + size_of::<Conn>() + GENERATION + TIMER_LINK;
/// The same of a session.
const SESSION_SLOT: usize = size_of::<Session>() + GENERATION + TIMER_LINK;
const SESSIONS: usize = 10_000;
const SPARE: usize = 256;
const PUBLISH: &[u8] = b"POST /api/publish/a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n42";
