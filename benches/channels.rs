//! What channels cost: their memory, patterns, coming and going, catching up, a publication that may come twice.
//!
//! In: the hub alone or a node without sockets. Out: a line for each figure, with a floor of the same run and how many
//! times that it is. What a floor does stands above it. `cargo bench --bench channels [-- --smoke]`

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

mod harness;

use harness::hubs::{join, publication, with_patterns};
use harness::room::Room;
use harness::usage::{Counting, Usage};
use harness::{Laps, is_smoke, policies};
use orbited::hub::Hub;
use orbited::mem::{Ledger, Seat};
use orbited::rng::Rng;
use orbited::time::Tick;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    memory(if is_smoke() { 10_000 } else { 1_000_000 });
    let rounds = if is_smoke() { 2 } else { 50 };
    patterns(rounds);
    coming(rounds);
    catching_up(rounds);
    twice(rounds);
}

fn head(what: &str, unit: &str) {
    println!("{what:60} {unit:>10} {:>10} {:>8}", "floor", "x floor");
}

fn row(what: &str, figure: f64, floor: f64) {
    let times = figure / floor;
    println!("  {what:58} {figure:10.1} {floor:10.1} {times:8.2}");
}

/// Channels with a subscriber each. The floor is the table that anybody would take: a hash map from names to numbers,
/// and the payload where one is kept.
fn memory(channels: usize) {
    head(
        &format!("{channels} channels with a subscriber each, names of 16 bytes"),
        "bytes each",
    );
    let ledger = Ledger::default();
    let name = |n: usize| format!("user/{n:011}");
    let hub = |rules: &str, kept: bool| {
        let mut hub =
            Hub::new(channels, 1 << 40, &mut Rng::new([1; 32])).with_policies(policies(rules));
        for n in 0..channels {
            join(&mut hub, n as u32, &mut Seat::default(), &name(n));
            if kept {
                let publication = publication(&name(n), BYTES, &ledger);
                hub.publish(&publication, Tick(1)).expect("there is room");
            }
        }
        assert_eq!(hub.subscriptions(), channels);
        assert_eq!(hub.kept().1, if kept { channels } else { 0 });
        hub
    };
    let each = |bytes: usize| bytes as f64 / channels as f64;
    let names = heap_of(|| {
        (0..channels)
            .map(|n| (name(n).into(), n as u64))
            .collect::<HashMap<Box<str>, u64>>()
    });
    let kept = heap_of(|| {
        let row = |n| (name(n).into(), (n as u64, [b'x'; BYTES].into()));
        (0..channels)
            .map(row)
            .collect::<HashMap<Box<str>, (u64, Box<[u8]>)>>()
    });
    row(
        "nothing kept",
        each(heap_of(|| hub("", false))),
        each(names),
    );
    row(
        "a rule with history, nothing published",
        each(heap_of(|| hub(KEEPS, false))),
        each(names),
    );
    row(
        "the same, a message of 200 bytes kept in each",
        each(heap_of(|| hub(KEEPS, true))),
        each(kept),
    );
}

/// What is in use while something is there.
fn heap_of<T>(make: impl FnOnce() -> T) -> usize {
    let before = Usage::now().heap;
    let made = make();
    let bytes = Usage::now().heap - before;
    black_box(&made);
    bytes
}

/// A publication finds its subscribers: one of the channel, and whoever's pattern matches. The floor is the same where
/// there is no pattern.
fn patterns(rounds: usize) {
    head("publish to one subscriber", "ns");
    for depth in [1, 4, 16] {
        let name = vec!["abc"; depth].join("/");
        let counts = [0, 1, 10_000];
        let mut hubs = counts.map(|count| with_patterns(&name, count, ""));
        let publication = publication(&name, BYTES, &Ledger::default());
        let mut laps = counts.map(|_| Laps::default());
        // In turn, so that what else the machine does is everybody's.
        for _ in 0..rounds {
            for (hub, laps) in hubs.iter_mut().zip(&mut laps) {
                let start = Instant::now();
                for _ in 0..PUBLICATIONS {
                    hub.publish(black_box(&publication), Tick(1))
                        .expect("there is room");
                    assert!(hub.next_subscriber().is_some() && hub.next_subscriber().is_none());
                }
                laps.add(start.elapsed(), PUBLICATIONS);
            }
        }
        for (count, laps_of) in counts.iter().zip(&laps) {
            let what = format!("a name of {depth} segments, {count} patterns in place");
            row(&what, laps_of.best_ns(), laps[0].best_ns());
        }
    }
}

/// SUBSCRIBE and UNSUBSCRIBE on a WebSocket, answered, and whoever watches is told. The floor is two calls that are
/// answered and do nothing.
fn coming(rounds: usize) {
    head("SUBSCRIBE and UNSUBSCRIBE", "ns");
    let mut plain = Room::new("plain", "", 10);
    let mut rooms = [
        ("a channel of 10", Room::new("plain", "", 10)),
        ("of 1,000", Room::new("plain", "", 1000)),
        (
            "of 1,000, presence=count",
            Room::new("room", "room presence=count", 1000),
        ),
        (
            "of 10, presence=list, one watches",
            Room::new("room", "room presence", 10),
        ),
        (
            "of 1,000, presence=list, one watches",
            Room::new("room", "room presence", 1000),
        ),
    ];
    let mut floor = Laps::default();
    let mut laps = rooms.each_ref().map(|_| Laps::default());
    for _ in 0..rounds {
        plain.time(plain.idle(100), &mut floor);
        for ((_, room), laps) in rooms.iter_mut().zip(&mut laps) {
            room.time(room.come_and_go(100), laps);
        }
    }
    for ((what, _), laps) in rooms.iter().zip(&laps) {
        row(what, laps.best_ns(), floor.best_ns());
    }
    println!(
        "{:60} {:>10} {:>10}",
        "bytes that others are sent", "who joins", "who leaves"
    );
    for (what, room) in &mut rooms {
        let (joined, left) = room.told();
        println!("  {what:58} {joined:10} {left:10}");
    }
}

/// Answers that bring what a channel has kept. The floor is their bytes, copied.
fn catching_up(rounds: usize) {
    head("100 messages of 200 bytes, of 1,000 that are kept", "ns");
    let mut room = Room::new("room", "room history=1000", 1);
    (0..1000).for_each(|_| room.publish(BYTES));
    let since = room.position(100);
    let calls = [
        (
            "SUBSCRIBE since",
            format!("[1,\"SUBSCRIBE\",[\"room\",{{\"since\":{since}}}]]\n"),
        ),
        (
            "HISTORY since",
            format!("[1,\"HISTORY\",[\"room\",{{\"since\":{since}}}]]\n"),
        ),
        (
            "HISTORY backwards",
            "[1,\"HISTORY\",[\"room\",{\"limit\":100,\"reverse\":true}]]\n".into(),
        ),
    ];
    for (what, call) in calls {
        let (mut laps, mut floor) = (Laps::default(), Laps::default());
        for _ in 0..10 * rounds {
            room.ask(&call, &mut laps, &mut floor);
            assert_eq!(
                room.answer().matches("\"payload\":").count(),
                100,
                "{}",
                room.answer()
            );
            room.leave();
        }
        row(what, laps.best_ns(), floor.best_ns());
    }
}

/// PUBLISH to nobody, on a WebSocket, answered. The floor is one without an id.
fn twice(rounds: usize) {
    head("PUBLISH with an id", "ns");
    let mut room = Room::new("room", "", 1);
    let call = |id: &str| format!("[1,\"PUBLISH\",[\"nobody\",\"hello\"{id}]]\n");
    let [mut floor, mut fresh, mut again] = [(); 3].map(|()| Laps::default());
    let mut number = 0;
    let before = Usage::now().heap;
    for _ in 0..rounds {
        room.calls(&vec![call(""); CALLS], &mut floor);
        let ids: Vec<String> = (number..number + CALLS)
            .map(|n| call(&format!(",{{\"id\":\"{n}\"}}")))
            .collect();
        number += CALLS;
        room.calls(&ids, &mut fresh);
        room.calls(&ids, &mut again);
    }
    row("one that is new", fresh.best_ns(), floor.best_ns());
    row("one that was before", again.best_ns(), floor.best_ns());
    let bytes = (Usage::now().heap - before) as f64 / number as f64;
    println!("  {number} ids are remembered in {bytes:.1} bytes each");
}

/// Bytes of a message.
const BYTES: usize = 200;
const PUBLICATIONS: usize = 1000;
const CALLS: usize = 1000;
const KEEPS: &str = "** history=1";
