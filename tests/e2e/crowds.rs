//! Many clients at once: what each of them gets, and what the idle ones cost.

use crate::node::{Node, metric, until};
use crate::sessions::{Session, published, subscriber};
use std::sync::Barrier;
use std::thread::{self, Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

#[test]
fn fifty_idle_long_polls_do_not_wake_the_node() {
    let node = Node::start(&[]);
    let mut polls: Vec<Session> = (0..50).map(|_| Session::open(&node, "revolved")).collect();
    polls
        .iter_mut()
        .for_each(|session| session.subscribe("room"));
    polls.iter_mut().for_each(Session::poll);
    let mut internal = node.internal();
    let held = "orbited_sessions{transport=\"longpoll\"}";
    until("all are held", || metric(&mut internal, held) == 50);
    let before = metric(&mut internal, TURNS);
    // Not a wait for something: the time over which nothing should be done.
    thread::sleep(Duration::from_secs(2));
    let turns = metric(&mut internal, TURNS) - before;
    assert!(turns <= 8, "{turns} turns in which nothing was to be done");
    assert_eq!(internal.publish("room", b"now"), 50);
    for session in &mut polls {
        session.take_answer();
        assert_eq!(session.next(), published("room", "now", 1));
    }
    node.stop();
}

const TURNS: &str = "orbited_loop_turns_total";

#[test]
fn an_event_stream_survives_a_storm_on_another_channel() {
    let node = Node::start(&[]);
    let mut events = node.connect();
    events.ask("GET", "/_/events?channel=quiet", "", b"");
    let head = events.response_head();
    assert_eq!(
        (head.status, head.field("content-type")),
        (200, Some("text/event-stream"))
    );
    let place = String::from_utf8(events.chunk().unwrap()).unwrap();
    let place = place.strip_suffix(":0\n\n").unwrap().to_owned();
    let mut loud: Vec<_> = (0..5).map(|_| subscriber(&node, "loud")).collect();
    let mut internal = node.internal();
    thread::scope(|scope| {
        for socket in &mut loud {
            scope.spawn(|| {
                for n in 1..=STORM {
                    assert_eq!(socket.next_text(), published("loud", &n.to_string(), n));
                }
            });
        }
        for n in 1..=STORM {
            assert_eq!(internal.publish("loud", n.to_string().as_bytes()), 5);
        }
    });
    assert_eq!(internal.publish("quiet", b"a\r\nb\rc"), 1);
    let event = events.chunk().unwrap();
    assert_eq!(
        event.escape_ascii().to_string(),
        place + r":1\ndata: a\ndata: b\ndata: c\n\n"
    );
    node.stop();
}

const STORM: u64 = 2000;

#[test]
fn five_hundred_clients_get_each_of_twenty_messages_once_and_in_order() {
    let node = Node::start(&[]);
    let ready = Barrier::new(CLIENTS + 1);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..CLIENTS)
            .map(|n| match n % 2 {
                0 => light(scope, || reads_by_websocket(&node, &ready)),
                _ => light(scope, || reads_by_long_poll(&node, &ready)),
            })
            .collect();
        ready.wait();
        let mut internal = node.internal();
        for n in 1..=MESSAGES {
            assert_eq!(
                internal.publish("room", n.to_string().as_bytes()),
                CLIENTS as u64
            );
        }
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
    assert_eq!(
        node.metric("orbited_refused_total{reason=\"session-not-found\"}"),
        0
    );
    assert_eq!(
        node.metric("orbited_signoffs_total{reason=\"overflow\"}"),
        0
    );
    node.stop();
}

const CLIENTS: usize = 500;
const MESSAGES: u64 = 20;

/// A thread with a small stack: there are hundreds of them.
fn light<'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() + Send + 'scope,
) -> ScopedJoinHandle<'scope, ()> {
    let builder = Builder::new().stack_size(256 * 1024);
    builder.spawn_scoped(scope, work).unwrap()
}

fn reads_by_websocket(node: &Node, ready: &Barrier) {
    let mut socket = subscriber(node, "room");
    ready.wait();
    for n in 1..=MESSAGES {
        assert_eq!(socket.next_text(), published("room", &n.to_string(), n));
    }
    socket.ping(b"nothing else");
    assert_eq!(
        socket.next(),
        crate::websocket::Message::Pong(b"nothing else".to_vec())
    );
}

fn reads_by_long_poll(node: &Node, ready: &Barrier) {
    let mut session = Session::open(node, "revolved");
    session.subscribe("room");
    ready.wait();
    for n in 1..=MESSAGES {
        assert_eq!(session.next(), published("room", &n.to_string(), n));
    }
    assert_eq!(session.acked, MESSAGES + 1, "the answer and the messages");
}
