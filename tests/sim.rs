//! The simulation: a node, a virtual clock, scripted clients of every kind behind pipes that take 0 to n
//! bytes, and a shadow model of what each of them must see.
//!
//! A run is a seed. One that fails is replayed, with a trace of its last lines, by `ORB_SEED=n` (and
//! `ORB_STEPS=n`, 3,000 unless said); `ORB_LONG=1` runs many more seeds, `ORB_SEEDS=n` so many, from `ORB_FROM=n` on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "sim/account.rs"]
mod account;
#[path = "sim/api.rs"]
mod api;
#[path = "sim/app.rs"]
mod app;
#[path = "sim/asker.rs"]
mod asker;
#[path = "sim/bare.rs"]
mod bare;
#[path = "sim/batches.rs"]
mod batches;
#[path = "sim/bayeux.rs"]
mod bayeux;
#[path = "sim/bayeux_loose.rs"]
mod bayeux_loose;
#[path = "sim/bayeux_talk.rs"]
mod bayeux_talk;
#[path = "sim/books.rs"]
mod books;
#[path = "sim/chance.rs"]
mod chance;
#[path = "sim/csp.rs"]
mod csp;
#[path = "sim/csp_down.rs"]
mod csp_down;
#[path = "sim/csp_over.rs"]
mod csp_over;
#[path = "sim/csp_up.rs"]
mod csp_up;
#[path = "sim/decide.rs"]
mod decide;
#[path = "sim/decided.rs"]
mod decided;
#[path = "sim/drain.rs"]
mod drain;
#[path = "sim/driver.rs"]
mod driver;
#[path = "sim/fanout.rs"]
mod fanout;
#[path = "sim/feed.rs"]
mod feed;
#[path = "sim/frames.rs"]
mod frames;
#[path = "sim/groups.rs"]
mod groups;
#[path = "sim/http.rs"]
mod http;
#[path = "sim/knocks.rs"]
mod knocks;
#[path = "sim/mind.rs"]
mod mind;
#[path = "sim/model.rs"]
mod model;
#[path = "sim/op.rs"]
mod op;
#[path = "sim/pages.rs"]
mod pages;
#[path = "sim/past.rs"]
mod past;
#[path = "sim/patterns.rs"]
mod patterns;
#[path = "sim/peer.rs"]
mod peer;
#[path = "sim/pings.rs"]
mod pings;
#[path = "sim/pipe.rs"]
mod pipe;
#[path = "sim/posts.rs"]
mod posts;
#[path = "sim/request.rs"]
mod request;
#[path = "sim/response.rs"]
mod response;
#[path = "sim/rights.rs"]
mod rights;
#[path = "sim/rooms.rs"]
mod rooms;
#[path = "sim/scene.rs"]
mod scene;
#[path = "sim/settings.rs"]
mod settings;
#[path = "sim/slow.rs"]
mod slow;
#[path = "sim/takeover.rs"]
mod takeover;
#[path = "sim/tokens.rs"]
mod tokens;
#[path = "sim/world.rs"]
mod world;

use chance::Totals;
use settings::Transport;
use std::cell::{Cell, RefCell};
use std::env;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread;
use std::time::Instant;
use world::World;

#[test]
fn no_session_loses_repeats_or_reorders_anything_whatever_happens() {
    let steps = number("ORB_STEPS").unwrap_or(STEPS) as u32;
    if let Some(seed) = number("ORB_SEED") {
        let outcome = run(seed, steps, true);
        say(&format!(
            "seed {seed}: {}",
            outcome.map_or_else(|failed| failed, |totals| totals.lines())
        ));
        assert!(run(seed, steps, false).is_ok(), "seed {seed} fails");
        return;
    }
    let usual = if env::var("ORB_LONG").is_ok() {
        LONG_SEEDS
    } else {
        SEEDS
    };
    let seeds = number("ORB_SEEDS").unwrap_or(usual);
    let begun = Instant::now();
    let (totals, failures) = run_all(seeds, steps);
    say(&format!(
        "{}{seeds} seeds: {} steps, {} messages, {} faults injected, in {:.1} s\n",
        totals.lines(),
        totals.of("", "steps"),
        totals.of("", "messages") + totals.of("", "events"),
        totals.of_group("faults"),
        begun.elapsed().as_secs_f32(),
    ));
    assert!(
        failures.is_empty(),
        "{} seeds fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    for (group, names) in MUST_HAPPEN {
        for name in names {
            assert!(totals.of(group, name) > 0, "no run has any: {group} {name}");
        }
    }
    for kind in Transport::all() {
        let many = totals.of("packets by", kind.name());
        assert!(many > 0, "no run has a packet by {kind:?}");
    }
}

#[test]
fn a_publication_over_many_turns_reaches_everybody_once_and_no_newcomer() {
    (0..3).for_each(fanout::run);
}

#[test]
fn a_long_poll_answered_within_a_publication_does_not_say_it_has_it() {
    (0..3).for_each(fanout::run_poll);
}

#[test]
fn an_application_by_op_is_told_of_each_recipient_once_and_truly() {
    op::run(0..100);
}

#[test]
fn a_page_of_orbited_0_3_has_all_that_was_sent_on_a_stream_or_at_its_end() {
    (0..40).for_each(pages::run);
}

#[test]
fn what_the_application_decides_is_what_happens() {
    happens("decide", decide::MUST_HAPPEN, decide::run);
}

#[test]
fn events_are_posted_in_order_until_they_are_taken() {
    happens("posts", posts::MUST_HAPPEN, posts::run);
}

#[test]
fn groups_of_the_application_share_all_that_happens() {
    happens("groups", groups::MUST_HAPPEN, groups::run);
}

#[test]
fn a_session_ends_with_its_token_and_is_given_nothing_behind_that() {
    happens("tokens", tokens::MUST_HAPPEN, tokens::run);
}

#[test]
fn a_downstream_is_taken_over_at_every_byte_and_nothing_is_lost() {
    let kinds = Transport::all();
    let firsts = if env::var("ORB_LONG").is_ok() {
        0..kinds.len()
    } else {
        0..1
    };
    let cuts = |kind: &Transport| {
        firsts
            .clone()
            .map(|first| takeover::run(*kind, first))
            .sum()
    };
    let cuts: Vec<u64> = kinds.iter().map(cuts).collect();
    say(&format!(
        "{} takeovers at a byte each",
        cuts.iter().sum::<u64>()
    ));
    assert!(cuts.iter().all(|cuts| *cuts > 400), "{cuts:?}");
}

#[test]
fn more_than_a_turn_writes_comes_whole_by_every_transport() {
    Transport::all().into_iter().for_each(takeover::flood);
}

#[test]
fn equal_seeds_run_alike() {
    let lines = |_| run(7, 400, false).map(|totals| totals.lines());
    let [one, two] = [0, 1].map(lines);
    assert_eq!(one, two);
}

/// Runs one of the smaller worlds over some seeds; each of `names` must happen in one of them.
fn happens(group: &'static str, names: &[&str], run: fn(u64) -> Totals) {
    if let Some(seed) = number("ORB_SEED") {
        return say(&run(seed).lines());
    }
    let from = number("ORB_FROM").unwrap_or_default();
    let seeds = from..from + number("ORB_SEEDS").unwrap_or(SMALL_SEEDS);
    let mut totals = Totals::default();
    for seed in seeds {
        let one = catch_unwind(|| run(seed));
        let one = one.unwrap_or_else(|_| panic!("{group}: ORB_SEED={seed} fails"));
        totals.merge(&one);
    }
    say(&totals.lines());
    for name in names {
        assert!(totals.of(group, name) > 0, "no run has any: {group} {name}");
    }
}

/// Runs seeds until all are done, or some have failed.
fn run_all(seeds: u64, steps: u32) -> (Totals, Vec<String>) {
    let next = AtomicU64::new(number("ORB_FROM").unwrap_or_default());
    let end = next.load(Ordering::Relaxed) + seeds;
    let result = Mutex::new((Totals::default(), Vec::new()));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end || result.lock().unwrap().1.len() >= FAILURES_SHOWN {
            return;
        }
        let outcome = run(seed, steps, false);
        let mut result = result.lock().unwrap();
        match outcome {
            Ok(totals) => result.0.merge(&totals),
            Err(failed) => result.1.push(failed),
        }
    };
    thread::scope(|scope| {
        (0..thread::available_parallelism().map_or(2, usize::from)).for_each(|_| {
            scope.spawn(work);
        });
    });
    result.into_inner().unwrap()
}

/// One run; of one that fails, what was wrong and how to see it again.
fn run(seed: u64, steps: u32, traced: bool) -> Result<Totals, String> {
    quiet_panics();
    let mut world = World::new(seed, traced);
    RUNS.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run(steps)));
    RUNS.set(false);
    if outcome.is_ok() {
        let mut totals = Totals::default();
        totals.merge(world.totals());
        return Ok(totals);
    }
    let trace = world.scene.net.trace.take().unwrap_or_default();
    let from = trace
        .len()
        .saturating_sub(number("ORB_LINES").unwrap_or(LINES) as usize);
    let what = PANIC.with_borrow_mut(std::mem::take);
    // Whatever is broken in there is not dropped: its destructors may panic.
    std::mem::forget(world);
    Err(format!(
        "{}\nORB_SEED={seed} ORB_STEPS={steps} cargo test --test sim: {what}",
        trace[from..].join("\n")
    ))
}

/// Keeps the message of a panic for the report instead of printing it.
fn quiet_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |panic| {
            if RUNS.get() {
                PANIC.set(panic.to_string());
            } else {
                loud(panic);
            }
        }));
    });
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
    /// Whether this thread is inside a run.
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// To the terminal, past the capture of passing tests.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().expect(name))
}

const SEEDS: u64 = 256;
const SMALL_SEEDS: u64 = 64;
const LONG_SEEDS: u64 = 20_000;
const STEPS: u64 = 3_000;
/// Lines of the trace that a replayed failure shows.
const LINES: u64 = 60;
const FAILURES_SHOWN: usize = 5;
/// A simulation in which these do not happen proves little: every action, every transport, every refusal that a
/// client can come by without the operator's doing, every end of a session.
const MUST_HAPPEN: [(&str, &[&str]); 16] = [
    (
        "",
        &[
            "acknowledgements over websocket",
            "batches over http",
            "batches over websocket",
            "calls answered",
            "calls refused",
            "connections refused",
            "events",
            "heartbeats of event streams",
            "messages",
            "packets again",
            "messages undelivered",
            "peer messages",
            "pongs",
            "sessions found gone",
            "settings changed by a batch",
        ],
    ),
    (
        "bayeux",
        &[
            "calls refused",
            "connects answered",
            "cuts",
            "gaps",
            "messages",
            "sessions found gone",
            "answers that broke and came again",
            "messages again",
            "sessions that may have lost something",
            "sessions with acks",
            "sessions without acks, whole",
            "texts",
            "texts of messages",
            "websockets",
            "websockets left for requests",
        ],
    ),
    (
        "closes",
        &[
            "asked of the server",
            "by a call",
            "by the application",
            "by the client",
        ],
    ),
    (
        "downstreams",
        &[
            "taken over at the node",
            "takeovers",
            "takeovers behind the batch",
            "takeovers inside a batch",
        ],
    ),
    (
        "faults",
        &[
            "acknowledgements of the future",
            "bare connections broken",
            "batches late",
            "batches out of order",
            "batches sent twice",
            "broken websockets",
            "clock jumps",
            "clock stands still",
            "connections left",
            "date set",
            "downstreams asked for twice",
            "endless lines",
            "feeds disturbed",
            "half closes",
            "half closes behind a request",
            "junk requests",
            "limits moved",
            "nonsense batches",
            "pings not answered",
            "pipes shrunk",
            "reading stopped or started",
            "resets",
            "stops in the middle",
            "writes blocked",
        ],
    ),
    (
        "refused",
        &[
            "bad-batch",
            "bad-channel",
            "bad-handshake",
            "bare-lf",
            "channels-full",
            "chunk-size-bad",
            "content-length-with-transfer-encoding",
            "foreign-page",
            "gap-too-large",
            "header-folded",
            "host-missing",
            "message-too-big",
            "method-not-allowed",
            "method-unknown",
            "name-taken",
            "no-channel",
            "not-a-callback",
            "not-found",
            "not-json",
            "not-offered",
            "origin-not-allowed",
            "queues-full",
            "reflect-off",
            "request-line-bad",
            "request-timeout",
            "session-not-found",
            "sessions-full",
            "stopping",
            "target-too-long",
            "too-many-subscriptions",
            "unknown-transport",
            "variable-too-long",
            "version-unsupported",
            "websocket-fault",
            "ws_no_upgrade",
            "ws_not_http11",
        ],
    ),
    (
        "past",
        &[
            "messages recovered",
            "not recovered",
            "pages",
            "pages that join",
            "recovered",
        ],
    ),
    (
        "patterns",
        &[
            "left",
            "messages",
            "messages that have no place",
            "subscribed",
        ],
    ),
    (
        "publications",
        &[
            "again",
            "again by the application",
            "api",
            "bayeux",
            "revolved",
        ],
    ),
    (
        "rights",
        &["forbidden", "refused by a rate", "taken in spite of a rate"],
    ),
    (
        "rooms",
        &["compared", "joins", "leaves", "reports", "reports complete"],
    ),
    (
        "sessions",
        &["bare websockets", "bayeux", "csp", "event sources"],
    ),
    (
        "sign-offs",
        &["fit exactly", "messages listed and never seen", "told"],
    ),
    ("slow", &["gaps of event streams", "messages missed"]),
    ("stops", &["drained", "late"]),
    (
        "sessions ended",
        &[
            "clean", "closed", "gone", "kicked", "overflow", "protocol", "shutdown", "timeout",
            "too-big",
        ],
    ),
];
