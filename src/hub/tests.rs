//! The hub, verb by verb.

use super::*;
use crate::config::pattern::Pattern;
use crate::config::policy::{Policies, Who};
use crate::config::rule::Rule;
use crate::mem::{Content, Ledger, Publication};
use crate::time::Tick;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

fn session(index: u32) -> SessionId {
    SessionId::new(index, NonZeroU32::MIN)
}

fn hub() -> Hub {
    Hub::new(100, 10_000, &mut Rng::new([1; 32]))
}

fn publish(hub: &mut Hub, name: &str) -> Position {
    keep(hub, name, Tick(0))
}

fn keep(hub: &mut Hub, name: &str, now: Tick) -> Position {
    take(hub, name, now).place
}

fn take(hub: &mut Hub, name: &str, now: Tick) -> Published {
    let ledger = Ledger::default();
    let publication = Publication::new(name.into(), None, Content::Text, Box::from(*b"x"), &ledger);
    publication.take(NUMBER.fetch_add(1, Ordering::Relaxed));
    hub.publish(&publication, now).unwrap()
}

static NUMBER: AtomicU64 = AtomicU64::new(1);

fn offsets(messages: &[Rc<Publication>]) -> Vec<u64> {
    let offset = |publication: &Rc<Publication>| publication.place().unwrap().offset;
    messages.iter().map(offset).collect()
}

fn reached(hub: &mut Hub) -> Vec<u32> {
    std::iter::from_fn(|| hub.next_subscriber())
        .map(|s| s.index())
        .collect()
}

#[test]
fn a_publication_reaches_every_subscriber_once() {
    let mut hub = hub();
    let mut seats: Vec<Seat> = (0..3).map(|_| Seat::default()).collect();
    for (n, seat) in seats.iter_mut().enumerate() {
        hub.subscribe(session(n as u32), seat, "a", 9).unwrap();
        hub.subscribe(session(n as u32), seat, "a", 9).unwrap();
    }
    assert_eq!(publish(&mut hub, "a").offset, 1);
    assert_eq!(reached(&mut hub), [2, 1, 0]);
    assert_eq!(publish(&mut hub, "a").offset, 2);
    assert!(hub.is_consistent());
}

#[test]
fn who_leaves_during_a_fan_out_is_passed_over_and_who_comes_is_not_reached() {
    let mut hub = hub();
    let mut seats: Vec<Seat> = (0..4).map(|_| Seat::default()).collect();
    for n in 0..3 {
        hub.subscribe(session(n), &mut seats[n as usize], "a", 9)
            .unwrap();
    }
    publish(&mut hub, "a");
    assert_eq!(hub.next_subscriber().map(|s| s.index()), Some(2));
    hub.leave_all(&mut seats[1]);
    hub.subscribe(session(3), &mut seats[3], "a", 9).unwrap();
    assert_eq!(reached(&mut hub), [0]);
}

#[test]
fn a_channel_goes_with_its_last_subscriber_and_comes_back_under_a_new_epoch() {
    let mut hub = hub();
    let mut seat = Seat::default();
    let first = hub.subscribe(session(0), &mut seat, "a", 9).unwrap();
    publish(&mut hub, "a");
    assert!(hub.unsubscribe(&mut seat, "a") && !hub.unsubscribe(&mut seat, "a"));
    assert!(hub.is_empty() && hub.subscriptions() == 0);
    let second = hub.subscribe(session(0), &mut seat, "a", 9).unwrap();
    let (first, second) = (first.position, second.position);
    assert!(first.epoch != second.epoch && second.offset == 0);
}

#[test]
fn a_users_name_is_shared_with_the_same_credentials_only() {
    let mut hub = hub();
    let mut seats: Vec<Seat> = (0..3).map(|_| Seat::default()).collect();
    hub.sign_on(session(0), &mut seats[0], "ann", b"pw")
        .unwrap();
    hub.sign_on(session(1), &mut seats[1], "ann", b"pw")
        .unwrap();
    assert_eq!(
        hub.sign_on(session(2), &mut seats[2], "ann", b""),
        Err(Refused::NameTaken)
    );
    assert!(hub.begin_user("ann"));
    assert_eq!(reached(&mut hub).len(), 2);
    hub.sign_on(session(1), &mut seats[1], "eve", b"").unwrap();
    assert_eq!(hub.user_name(&seats[1]), Some("eve"));
    hub.leave_all(&mut seats[0]);
    assert!(!hub.begin_user("ann") && hub.is_consistent());
}

#[test]
fn the_bounds_refuse() {
    let mut hub = Hub::new(2, 10_000, &mut Rng::new([1; 32]));
    let mut seat = Seat::default();
    hub.subscribe(session(0), &mut seat, "a", 1).unwrap();
    assert_eq!(
        hub.subscribe(session(0), &mut seat, "b", 1),
        Err(Refused::TooManySubscriptions)
    );
    hub.subscribe(session(0), &mut seat, "b", 9).unwrap();
    assert_eq!(
        hub.subscribe(session(0), &mut seat, "c", 9),
        Err(Refused::TooManyChannels)
    );
}

#[test]
fn a_pattern_is_reached_by_what_it_matches_and_by_nothing_else() {
    let patterns = ["*", "**", "a/*", "a/**", "a/b/*", "a/b/**", "ab/*"];
    for name in ["a", "a/b", "a/b/c", "a/b/c/d", "ab/x", "\u{e9}/\u{20ac}"] {
        let mut hub = hub();
        let mut seats: Vec<Seat> = patterns.iter().map(|_| Seat::default()).collect();
        for (n, (seat, pattern)) in seats.iter_mut().zip(patterns).enumerate() {
            hub.subscribe(session(n as u32), seat, pattern, 9).unwrap();
        }
        publish(&mut hub, name);
        let mut found = reached(&mut hub);
        found.sort_unstable();
        let wanted = (0..)
            .zip(patterns)
            .filter(|(_, pattern)| Pattern::parse(pattern).unwrap().matches(name));
        assert_eq!(
            found,
            wanted.map(|(n, _)| n).collect::<Vec<u32>>(),
            "{name}"
        );
        assert!(hub.is_consistent());
        seats.iter_mut().for_each(|seat| hub.leave_all(seat));
        assert!(hub.is_empty() && hub.is_consistent());
    }
}

#[test]
fn a_session_is_reached_once_whatever_matches_and_whoever_comes_and_goes() {
    let mut hub = hub();
    let mut seats: Vec<Seat> = (0..6).map(|_| Seat::default()).collect();
    for n in 0..5 {
        for topic in ["a/b", "a/*", "**"] {
            hub.subscribe(session(n), &mut seats[n as usize], topic, 9)
                .unwrap();
        }
    }
    hub.subscribe(session(5), &mut seats[5], "**", 9).unwrap();
    publish(&mut hub, "a/b");
    let mut found = vec![hub.next_subscriber().unwrap().index()];
    // One that was reached leaves the list it was reached by, and joins it again; another joins one anew.
    let first = found[0] as usize;
    hub.unsubscribe(&mut seats[first], "a/*");
    hub.subscribe(session(first as u32), &mut seats[first], "a/*", 9)
        .unwrap();
    hub.subscribe(session(5), &mut seats[5], "a/b", 9).unwrap();
    found.extend(reached(&mut hub));
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2, 3, 4, 5]);
}

/// A hub with rules.
fn keeping(rules: &[&str]) -> Hub {
    let rules = rules.iter().map(|text| Rule::parse(text).unwrap());
    hub().with_policies(Policies::new(rules.collect()))
}

#[test]
fn what_was_missed_is_recovered_whole_or_not_at_all() {
    let mut hub = keeping(&["a history=3,1s"]);
    let at = |offset| Position { epoch: 0, offset };
    let epoch = (1..=5)
        .map(|_| keep(&mut hub, "a", Tick(0)).epoch)
        .last()
        .unwrap();
    for (offset, whole, missed) in [
        (5, true, &[][..]),
        (4, true, &[5]),
        (2, true, &[3, 4, 5]),
        (1, false, &[]),
        (0, false, &[]),
        (6, false, &[]),
    ] {
        let found = hub.recover("a", Position { epoch, offset }, (999, 1 << 20));
        assert_eq!((found.whole, &offsets(&found.missed)[..]), (whole, missed));
    }
    assert!(
        !hub.recover("a", at(5), (999, 1 << 20)).whole,
        "another past"
    );
    let too_much = hub.recover("a", Position { epoch, offset: 2 }, (999, 1));
    assert!(!too_much.whole && too_much.missed.is_empty());
    assert!(
        !hub.recover("b", Position { epoch, offset: 0 }, (999, 1 << 20))
            .whole
    );
}

#[test]
fn a_history_is_paged_both_ways() {
    let mut hub = keeping(&["a history=3,1s"]);
    for _ in 0..5 {
        keep(&mut hub, "a", Tick(0));
    }
    let ask = |from, backwards, messages, bytes| {
        let page = hub.page(
            "a",
            Asked {
                from,
                backwards,
                messages,
                bytes,
            },
        );
        assert_eq!(page.position.offset, 5);
        (offsets(&page.messages), page.more)
    };
    assert_eq!(ask(None, false, 2, 1 << 20), (vec![3, 4], true));
    assert_eq!(ask(Some(4), false, 2, 1 << 20), (vec![5], false));
    assert_eq!(ask(Some(9), false, 2, 1 << 20), (vec![], false));
    assert_eq!(ask(None, true, 2, 1 << 20), (vec![5, 4], true));
    assert_eq!(ask(Some(4), true, 2, 1 << 20), (vec![3], false));
    assert_eq!(ask(Some(0), true, 2, 1 << 20), (vec![], false));
    assert_eq!(ask(None, true, 9, 1), (vec![5], true), "one at least");
}

#[test]
fn a_channel_without_subscribers_lives_as_long_as_what_it_has_kept() {
    let mut hub = keeping(&["a history=3,1s"]);
    let mut seat = Seat::default();
    keep(&mut hub, "a", Tick(0));
    let at = keep(&mut hub, "a", Tick(500));
    hub.subscribe(session(0), &mut seat, "a", 9).unwrap();
    hub.leave_all(&mut seat);
    assert_eq!(hub.next_due(), Some(Tick(1000)));
    assert!(!hub.expire(Tick(999)) && hub.kept().1 == 2);
    assert!(hub.expire(Tick(1000)) && hub.kept().1 == 1);
    assert!(
        hub.recover("a", Position { offset: 1, ..at }, (999, 999))
            .whole
    );
    assert!(hub.expire(Tick(1500)) && hub.kept() == (0, 0));
    assert!(hub.is_empty() && hub.next_due().is_none() && hub.is_consistent());
}

#[test]
fn all_histories_together_are_bounded_and_lose_their_oldest() {
    let mut hub = keeping(&["* history=1000,1s", "c history=3,1s"]);
    for n in 0..3000 {
        let name = ["a", "b", "c"][n % 3];
        keep(&mut hub, name, Tick(0));
        assert!(hub.kept().0 <= 10_000 && hub.is_consistent());
    }
    let lens = ["a", "b", "c"].map(|name| {
        let page = hub.page(name, ALL);
        page.messages.len()
    });
    assert!(lens[0].abs_diff(lens[1]) <= 1 && lens[2] == 3, "{lens:?}");
    while hub.expire(Tick(5000)) {}
    assert!(hub.is_empty() && hub.is_consistent());
}

#[test]
fn who_reads_by_a_pattern_is_spared_what_it_may_not_read() {
    let mut hub = keeping(&["a/secret subscribe=app", "a/users subscribe=user"]);
    let mut seat = Seat::default();
    hub.subscribe(session(0), &mut seat, "a/*", 9).unwrap();
    let mut publish = |name: &str| {
        let publication = Publication::new(
            name.into(),
            None,
            Content::Text,
            Box::from(*b"x"),
            &Ledger::default(),
        );
        let published = hub.publish(&publication, Tick(0)).unwrap();
        (reached(&mut hub).len(), published.needs)
    };
    assert_eq!(publish("a/open"), (1, Who::Anyone));
    assert_eq!(
        publish("a/users"),
        (1, Who::User),
        "whoever delivers looks whether it is one"
    );
    assert_eq!(publish("a/secret"), (0, Who::Anyone));
}

#[test]
fn a_channel_that_only_remembers_makes_way_where_the_table_is_full() {
    let rules = ["** history=9,1h"].map(|text| Rule::parse(text).unwrap());
    let mut hub =
        Hub::new(3, 1 << 20, &mut Rng::new([1; 32])).with_policies(Policies::new(rules.to_vec()));
    let mut seats: Vec<Seat> = (0..3).map(|_| Seat::default()).collect();
    hub.subscribe(session(0), &mut seats[0], "read", 9).unwrap();
    for name in ["read", "older", "newer"] {
        keep(&mut hub, name, Tick(0));
    }
    hub.subscribe(session(1), &mut seats[1], "new", 9).unwrap();
    let kept = |name| !hub.page(name, ALL).messages.is_empty();
    assert_eq!(["read", "older", "newer"].map(kept), [true, false, true]);
    hub.sign_on(session(2), &mut seats[2], "ann", b"").unwrap();
    assert_eq!(
        hub.subscribe(session(2), &mut seats[2], "one too many", 9),
        Err(Refused::TooManyChannels),
        "every row is in use"
    );
    assert!(hub.is_consistent());
}

const ALL: Asked = Asked {
    from: None,
    backwards: false,
    messages: 9999,
    bytes: 1 << 30,
};

#[test]
fn a_channel_with_a_time_stands_for_its_readers_where_it_last_went_out() {
    let rule = Rule::parse("p/** history=9,1h slow=every=1s").unwrap();
    let mut hub = hub().with_policies(Policies::new(vec![rule]));
    let mut seats: Vec<Seat> = (0..4).map(|_| Seat::default()).collect();
    let turn = |hub: &mut Hub, now| take(hub, "p/a", Tick(now)).turn;
    assert_eq!(turn(&mut hub, 0), Turn::Now);
    assert_eq!(hub.paces.next_due(), None, "nobody reads it");
    let mut join = |hub: &mut Hub, n: usize, topic| {
        let subscribed = hub.subscribe(session(n as u32), &mut seats[n], topic, 9);
        subscribed.unwrap().position
    };
    let first = join(&mut hub, 0, "p/a");
    assert_eq!(turn(&mut hub, 0), Turn::Now);
    assert_eq!(hub.paces.next_due(), Some(Tick(1000)));
    assert_eq!(turn(&mut hub, 1), Turn::Held { instead: false });
    assert_eq!(turn(&mut hub, 2), Turn::Held { instead: true });
    let seen = |hub: &Hub, position: Position| {
        let recovered = hub.recover("p/a", position, (99, 9999));
        let missed = recovered.whole.then_some(recovered.missed.len());
        (missed, hub.page("p/a", ALL).messages.len())
    };
    let at = join(&mut hub, 1, "p/a");
    assert_eq!((at.offset, seen(&hub, at)), (2, (Some(0), 2)));
    assert_eq!(seen(&hub, first), (Some(1), 2));
    join(&mut hub, 2, "p/*");
    // Who leaves and comes back within the time is given what it would have got.
    hub.leave_all(&mut seats[0]);
    let due = hub.pop_paced(Tick(1000)).unwrap();
    assert_eq!(turn(&mut hub, 1000), Turn::Held { instead: true });
    let released = hub.release(&due, Tick(1001)).unwrap();
    assert_eq!(released.taken, 3);
    assert_eq!(reached(&mut hub), [2, 1]);
    assert_eq!(seen(&hub, at), (Some(3), 5));
    // Where nobody reads any more what is held back has its turn all the same, and no time begins behind it.
    assert_eq!(turn(&mut hub, 1002), Turn::Held { instead: false });
    hub.leave_all(&mut seats[1]);
    hub.leave_all(&mut seats[2]);
    assert_eq!(turn(&mut hub, 1003), Turn::Held { instead: true });
    assert_eq!(seen(&hub, at), (Some(3), 5));
    let due = hub.pop_paced(Tick(2001)).unwrap();
    hub.release(&due, Tick(2001)).unwrap();
    assert_eq!(seen(&hub, at), (Some(5), 7));
    assert_eq!(reached(&mut hub), [0; 0]);
    assert_eq!(hub.paces.next_due(), None);
}

#[test]
fn what_a_forgotten_channel_held_back_goes_to_who_read_it_then() {
    let rule = Rule::parse("p/** slow=every=1s").unwrap();
    let mut hub = hub().with_policies(Policies::new(vec![rule]));
    let mut seats: Vec<Seat> = (0..3).map(|_| Seat::default()).collect();
    hub.subscribe(session(0), &mut seats[0], "p/*", 9).unwrap();
    hub.subscribe(session(1), &mut seats[1], "p/a", 9).unwrap();
    for now in 0..3 {
        keep(&mut hub, "p/a", Tick(now));
    }
    hub.leave_all(&mut seats[1]);
    let came = hub.subscribe(session(2), &mut seats[2], "p/a", 9).unwrap();
    assert_eq!(came.position.offset, 0);
    let due = hub.pop_paced(Tick(1000)).unwrap();
    let released = hub.release(&due, Tick(1000)).unwrap();
    assert_eq!((released.taken, released.here), (2, 2));
    let place = released.publication.place().unwrap();
    assert_eq!(
        (place.epoch, place.offset),
        (0, 3),
        "the channel does not stand there"
    );
    assert_eq!(reached(&mut hub), [0]);
}

#[test]
fn what_a_forgotten_channel_held_back_is_not_missed_by_who_came_later() {
    let rule = Rule::parse("p/** slow=every=1s").unwrap();
    let mut hub = hub().with_policies(Policies::new(vec![rule]));
    let mut seats: Vec<Seat> = (0..3).map(|_| Seat::default()).collect();
    for (n, topic) in [(0, "p/**"), (1, "p/a")] {
        hub.subscribe(session(n as u32), &mut seats[n], topic, 9)
            .unwrap();
    }
    for now in 0..4 {
        keep(&mut hub, "p/a", Tick(now));
    }
    hub.leave_all(&mut seats[1]);
    keep(&mut hub, "p/a", Tick(4));
    hub.subscribe(session(2), &mut seats[2], "p/a", 9).unwrap();
    for now in 5..7 {
        keep(&mut hub, "p/a", Tick(now));
    }
    let due = hub.pop_paced(Tick(1000)).unwrap();
    let released = hub.release(&due, Tick(1000)).unwrap();
    assert_eq!((released.taken, released.here), (6, 2));
    assert_eq!(released.publication.place().unwrap().offset, 2);
    let widely = |seat| hub.reads_widely(seat, "p/a");
    assert_eq!([&seats[0], &seats[2]].map(widely), [true, false]);
}

#[test]
fn rows_are_listed_by_slots_and_users_by_their_sessions() {
    let mut hub = hub();
    let mut seats: Vec<Seat> = (0..3).map(|_| Seat::default()).collect();
    for (n, seat) in (0..).zip(seats.iter_mut()) {
        hub.sign_on(session(n), seat, "ann", b"").unwrap();
        hub.subscribe(session(n), seat, "a", 9).unwrap();
        hub.subscribe(session(n), seat, "b/*", 9).unwrap();
    }
    let names: Vec<&str> = (0..hub.end())
        .filter_map(|slot| Some(hub.listed(slot)?.name))
        .collect();
    assert_eq!(names, ["a", "b/*"], "a user is no channel");
    assert_eq!(hub.sessions_of("ann", 3).map(|all| all.len()), Some(3));
    assert_eq!(hub.sessions_of("ann", 2), None);
    assert_eq!(hub.sessions_of("a", 2), Some(Vec::new()));
    assert_eq!(hub.subscribed_to(&seats[0]), 2);
}

#[test]
fn a_promised_publication_has_its_place_whatever_comes_before_it() {
    let rules = vec![Rule::parse("kept/** history=9").unwrap()];
    let mut hub = Hub::new(2, 10_000, &mut Rng::new([1; 32])).with_policies(Policies::new(rules));
    assert_eq!(hub.promise("kept/a"), Ok(()));
    assert_eq!(hub.promise("kept/a"), Ok(()));
    assert_eq!(hub.promise("free"), Ok(()));
    assert_eq!((hub.promised(), hub.len()), (2, 1));
    let mut seat = Seat::default();
    hub.subscribe(session(1), &mut seat, "b", 9).unwrap();
    assert_eq!(hub.promise("kept/b"), Err(Refused::TooManyChannels));
    hub.subscribe(session(1), &mut seat, "kept/a", 9).unwrap();
    assert!(hub.unsubscribe(&mut seat, "kept/a") && hub.is_consistent());
    for offset in 1..=2 {
        assert_eq!(publish(&mut hub, "kept/a").offset, offset);
        hub.redeem("kept/a");
    }
    assert!(hub.promised() == 0 && hub.is_consistent());
    // From now on it makes way like any that only remembers.
    assert_eq!(hub.promise("kept/b"), Ok(()));
    assert!(hub.channel("kept/a").is_none());
    hub.redeem("kept/b");
    assert!(hub.len() == 1 && hub.is_consistent());
}

/// A row for each of a million channels: what promises need is in what alignment leaves.
#[test]
fn the_row_of_a_channel_is_48_bytes() {
    assert_eq!(size_of::<Channel>(), 48);
}
