//! What one subscriber costs when a message is published: from the application's request to the last byte written.
//!
//! Ten thousand subscribers of each kind, over sinks in memory, against the least that the same bytes could cost in the
//! same run. `cargo bench --bench fanout [-- --smoke] [KIND]`

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

mod harness;

use harness::subscribers::{BARE, EVENTS, Kind, POLL, Request, SOCKET, STREAM, Subscriber};
use harness::{Bench, Laps, is_smoke, publish};
use orbited::config::Config;
use orbited::ids::ConnId;
use orbited::node::Door;
use std::time::{Duration, Instant};

fn main() {
    let (count, rounds) = if is_smoke() { (100, 3) } else { (10_000, 51) };
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    println!("{count} subscribers, a message of 200 bytes, medians of {rounds} rounds");
    println!(
        "{:16}  bytes each  floor ns  publish ns  write ns  together  (best)    x floor  again ns",
        ""
    );
    for kind in [BARE, SOCKET, EVENTS, STREAM, POLL] {
        if wanted.is_empty() || wanted.iter().any(|name| name == kind.name) {
            run(&kind, count, rounds);
        }
    }
}

/// What the rounds took.
#[derive(Default)]
struct Rounds {
    floor: Laps,
    publish: Laps,
    write: Laps,
    together: Laps,
    again: Laps,
}

fn run(kind: &Kind, count: usize, rounds: usize) {
    let mut bench = Bench::new(Config {
        max_sessions: count,
        max_connections: count + 8,
        max_requests: 0,
        ..Config::default()
    });
    let up = bench.connect(Door::Public);
    let internal = bench.connect(Door::Internal);
    let mut subscribers: Vec<Subscriber> =
        (0..count).map(|_| (kind.open)(&mut bench, up)).collect();
    let ids: Vec<ConnId> = subscribers
        .iter()
        .map(|subscriber| subscriber.conn)
        .collect();
    again(kind, &mut bench, up, &subscribers);
    let message = publish("room", 200);
    let mut bytes = Vec::new();
    let mut taken = Rounds::default();
    // The first round finds everything cold, the sinks without room and nothing to compare with.
    for n in 0..=rounds {
        let floor = bench.floor(&ids, &bytes);
        let (publish, write) = round(&mut bench, &ids, internal, &message, &mut bytes);
        subscribers
            .iter_mut()
            .for_each(|subscriber| subscriber.got += 1);
        let again = again(kind, &mut bench, up, &subscribers);
        if n == 0 {
            continue;
        }
        taken.floor.add(floor, count);
        taken.publish.add(publish, count);
        taken.write.add(write, count);
        taken.together.add(publish + write, count);
        taken.again.add(again, count);
    }
    print(kind, &mut taken, bytes.len());
}

/// Everybody sends what is to be sent before the next round.
fn again(kind: &Kind, bench: &mut Bench, up: ConnId, subscribers: &[Subscriber]) -> Duration {
    let requests = subscribers
        .iter()
        .filter_map(|subscriber| (kind.next)(subscriber, up));
    let mut requests: Vec<Request> = requests.collect();
    bench.clear(up);
    let start = Instant::now();
    for (id, request) in &mut requests {
        bench.receive(*id, request);
    }
    start.elapsed()
}

/// Publishes once, and sees that everybody got it.
fn round(
    bench: &mut Bench,
    ids: &[ConnId],
    internal: ConnId,
    message: &str,
    bytes: &mut Vec<u8>,
) -> (Duration, Duration) {
    bench.clear(internal);
    let mut request = message.as_bytes().to_vec();
    let took = bench.fan_out(internal, &mut request);
    let answer = String::from_utf8_lossy(bench.wrote(internal));
    let reached = format!("{{\"subscribers\":{},", ids.len());
    assert!(answer.contains(&reached), "{answer}");
    *bytes = bench.wrote(ids[0]).to_vec();
    for id in ids {
        let wrote = bench.wrote(*id);
        assert_eq!(wrote.len(), bytes.len(), "{}", wrote.escape_ascii());
        assert!(
            wrote
                .windows(200)
                .any(|window| window.iter().all(|byte| *byte == b'x'))
        );
    }
    took
}

fn print(kind: &Kind, rounds: &mut Rounds, bytes: usize) {
    let floor = rounds.floor.median_ns();
    let together = rounds.together.median_ns();
    println!(
        "{:16}  {bytes:10}  {floor:8.1}  {:10.1}  {:8.1}  {together:8.1}  {:8.1}  {:7.1}  {:8.1}",
        kind.name,
        rounds.publish.median_ns(),
        rounds.write.median_ns(),
        rounds.together.best_ns(),
        together / floor,
        rounds.again.median_ns(),
    );
}
