//! Groups against what is promised: once each, in order, to another when one is gone, within bounds.

use super::*;
use crate::rng::Rng;
use crate::session::Ack;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

const ALL: u8 = 0x7f;
const SIGNON: u8 = 1;

fn session(n: u32) -> SessionId {
    SessionId::new(n, NonZeroU32::MIN)
}

/// Groups, and the account of what they keep.
fn groups(queue_max: usize) -> (Groups, Ledger) {
    let ledger = Ledger::default();
    let config = Config {
        callback_queue: queue_max,
        ..Config::default()
    };
    (Groups::new(&config, &ledger), ledger)
}

fn tell(groups: &mut Groups, ledger: &Ledger, name: &str, about: u32, text: &str) -> u64 {
    let body = text.as_bytes().into();
    let told = Publication::new(name.into(), None, Content::Json, body, ledger);
    groups.take(&told, Some(session(about)), ledger)
}

fn member(n: u32, wants: u8) -> Member {
    Member::new((session(n), 0), wants, Ack::Individual)
}

fn text(gift: &Gift) -> (u32, String) {
    let body = gift.event.publication.bytes.to_vec();
    (gift.session.index(), String::from_utf8(body).unwrap())
}

fn gifts(groups: &mut Groups) -> Vec<(u32, String)> {
    std::iter::from_fn(|| groups.next_gift())
        .map(|gift| text(&gift))
        .collect()
}

fn given(list: &[(u32, &str)]) -> Vec<(u32, String)> {
    list.iter()
        .map(|(n, text)| (*n, (*text).to_owned()))
        .collect()
}

#[test]
fn members_take_turns_and_groups_get_everything() {
    let (mut groups, ledger) = groups(1 << 20);
    for (name, n, wants) in [("a", 1, ALL), ("a", 2, ALL), ("b", 3, SIGNON)] {
        groups.join(name, member(n, wants), Tick(0)).unwrap();
    }
    assert_eq!(groups.wants(), ALL);
    for n in 10..14 {
        tell(&mut groups, &ledger, names::SIGNON, n, &n.to_string());
    }
    tell(&mut groups, &ledger, names::SIGNOFF, 99, "off");
    let all = gifts(&mut groups);
    assert_eq!(
        all[..5],
        given(&[(1, "10"), (2, "11"), (1, "12"), (2, "13"), (1, "off")])
    );
    assert_eq!(
        all[5..],
        given(&[(3, "10"), (3, "11"), (3, "12"), (3, "13")])
    );
}

#[test]
fn events_of_a_session_stay_with_who_has_one_of_it() {
    let (mut groups, ledger) = groups(1 << 20);
    groups.join("a", member(1, ALL), Tick(0)).unwrap();
    groups.join("a", member(2, ALL), Tick(0)).unwrap();
    for (about, text) in [(7, "7.1"), (8, "8.1"), (8, "8.2"), (7, "7.2"), (7, "7.3")] {
        tell(&mut groups, &ledger, names::MESSAGE, about, text);
    }
    let all: Vec<Gift> = std::iter::from_fn(|| groups.next_gift()).collect();
    let told: Vec<_> = all.iter().map(text).collect();
    assert_eq!(
        told,
        given(&[(1, "7.1"), (2, "8.1"), (2, "8.2"), (1, "7.2"), (1, "7.3")])
    );
    for gift in &all {
        assert!(groups.settle((gift.session, gift.slot), gift.tag, true));
    }
    assert_eq!(groups.waiting(), 0);
    // Nobody has one of it any more: whoever is next.
    tell(&mut groups, &ledger, names::MESSAGE, 7, "7.4");
    assert_eq!(gifts(&mut groups), given(&[(2, "7.4")]));
}

#[test]
fn what_is_refused_or_left_is_given_to_another_in_its_place() {
    let (mut groups, ledger) = groups(1 << 20);
    groups.join("a", member(1, ALL), Tick(0)).unwrap();
    for n in 0..3 {
        tell(&mut groups, &ledger, names::SIGNON, n, &n.to_string());
    }
    let all: Vec<Gift> = std::iter::from_fn(|| groups.next_gift()).collect();
    assert_eq!(
        all.iter().map(|gift| gift.seq).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    // There is nobody else.
    groups.settle((session(1), 0), all[1].tag, false);
    let again = groups.next_gift().unwrap();
    assert!(again.session == session(1) && again.seq == 2 && again.event.again);
    groups.join("a", member(2, ALL), Tick(0)).unwrap();
    groups.settle((session(1), 0), again.tag, false);
    assert_eq!(gifts(&mut groups), given(&[(2, "1")]));
    tell(&mut groups, &ledger, names::SIGNON, 3, "3");
    groups.leave(session(1), None, Tick(5));
    assert_eq!(gifts(&mut groups), given(&[(2, "0"), (2, "2"), (2, "3")]));
}

#[test]
fn an_acknowledgement_is_one_of_all_before_it_where_that_is_agreed() {
    let (mut groups, ledger) = groups(1 << 20);
    let client = Member::new((session(1), 3), ALL, Ack::Client);
    groups.join("a", client, Tick(0)).unwrap();
    for n in 0..5 {
        tell(&mut groups, &ledger, names::SIGNON, n, &n.to_string());
    }
    let all: Vec<Gift> = std::iter::from_fn(|| groups.next_gift()).collect();
    groups.settle((session(1), 3), all[2].tag, true);
    assert_eq!(groups.waiting(), 2);
    groups.settle((session(1), 3), all[4].tag, false);
    assert_eq!(gifts(&mut groups), given(&[(1, "3"), (1, "4")]));
    assert!(!groups.settle((session(1), 4), all[4].tag, true));
}

#[test]
fn a_window_is_on_its_way_and_the_oldest_of_what_waits_goes() {
    let (mut groups, ledger) = groups(64 * 1024);
    groups.join("a", member(1, ALL), Tick(0)).unwrap();
    let mut gone = 0;
    for n in 0..5_000 {
        gone += tell(&mut groups, &ledger, names::SIGNON, n, "x");
        if n == 2_000 {
            assert_eq!(gifts(&mut groups).len(), (64 * 1024) / 97);
        }
    }
    let window: Vec<Gift> = std::iter::from_fn(|| groups.next_gift()).collect();
    assert_eq!(window.len() + 64 * 1024 / 97, 1_000);
    assert!(window[0].missed > 0 && window[1].missed == 0 && gone > 3_000);
    assert!(ledger.used() < 2 * 1024 * 1024, "{}", ledger.used());
    // Only its size is told of what is too large to wait beside others.
    groups.leave(session(1), None, Tick(0));
    groups.join("b", member(2, ALL), Tick(0)).unwrap();
    tell(&mut groups, &ledger, names::SIGNOFF, 1, &"x".repeat(40_000));
    let told: Vec<_> = gifts(&mut groups);
    assert_eq!(
        told,
        given(&[(2, r#"{"event":"signoff","too_big":40000}"#)])
    );
}

#[test]
fn a_group_is_kept_for_a_while_and_then_nothing_is_left_of_it() {
    let (mut groups, ledger) = groups(1 << 20);
    for n in 0..64 {
        let name = n.to_string();
        groups.join(&name, member(n, SIGNON), Tick(0)).unwrap();
    }
    assert_eq!(
        groups.join("one more", member(99, ALL), Tick(0)),
        Err(Crowded)
    );
    (0..64).for_each(|n| groups.leave(session(n), None, Tick(1_000)));
    tell(&mut groups, &ledger, names::SIGNON, 1, "kept");
    let due = Tick(1_000) + KEEP_MS;
    assert_eq!(groups.next_due(), Some(due));
    assert!(!groups.expire(Tick(due.0 - 1)) && groups.waiting() == 64);
    groups.join("7", member(7, SIGNON), Tick(2_000)).unwrap();
    assert_eq!(gifts(&mut groups), given(&[(7, "kept")]));
    assert!(groups.expire(due) && groups.waiting() == 1 && groups.wants() == SIGNON);
    groups.leave(session(7), None, due);
    assert!(groups.expire(due + KEEP_MS) && groups.next_due().is_none());
    assert_eq!((groups.wants(), groups.waiting(), ledger.used()), (0, 0, 0));
}

/// Members come, take, acknowledge, refuse and vanish as they like: whatever is told comes to each group until it is
/// acknowledged, once, and while nobody vanishes or refuses one member has all that is open of a session.
#[test]
fn nothing_is_lost_and_nothing_is_acknowledged_twice() {
    for seed in 0..200 {
        let mut rng = Rng::new([seed as u8; 32]);
        let (mut groups, ledger) = groups(1 << 20);
        let calm = seed % 2 == 0;
        let mut open: Vec<Gift> = Vec::new();
        let (mut told, mut done) = (0_u64, BTreeSet::new());
        let mut here: BTreeSet<u32> = BTreeSet::new();
        for _ in 0..600 {
            let n = rng.below(4) as u32;
            match rng.below(8) {
                0 if !here.contains(&n) => {
                    here.insert(n);
                    groups.join("a", member(n, ALL), Tick(0)).unwrap();
                }
                1 if !calm && rng.below(4) == 0 => {
                    here.remove(&n);
                    groups.leave(session(n), None, Tick(0));
                    open.retain(|gift| gift.session != session(n));
                }
                2 | 3 if !here.is_empty() => {
                    told += 1;
                    tell(
                        &mut groups,
                        &ledger,
                        names::MESSAGE,
                        (told % 5) as u32,
                        &told.to_string(),
                    );
                }
                4 | 5 => open.extend(groups.next_gift()),
                _ if !open.is_empty() => {
                    let gift = open.remove(rng.below(open.len() as u64) as usize);
                    let taken = calm || rng.below(3) > 0;
                    assert!(groups.settle((gift.session, 0), gift.tag, taken));
                    if taken {
                        assert!(done.insert(gift.seq), "seed {seed}: twice");
                    }
                }
                _ => {}
            }
            // Whoever has one of a session has all of it that was given and is not acknowledged.
            let mut holders: BTreeMap<u64, SessionId> = BTreeMap::new();
            for gift in open.iter().filter(|_| calm) {
                let holder = *holders.entry(gift.seq % 5).or_insert(gift.session);
                assert_eq!(holder, gift.session, "seed {seed}");
            }
        }
        if here.is_empty() {
            groups.join("a", member(0, ALL), Tick(0)).unwrap();
        }
        for gift in open.drain(..) {
            groups.settle((gift.session, 0), gift.tag, true);
            done.insert(gift.seq);
        }
        while let Some(gift) = groups.next_gift() {
            groups.settle((gift.session, 0), gift.tag, true);
            assert!(done.insert(gift.seq), "seed {seed}: twice");
        }
        assert_eq!(done.len() as u64, told, "seed {seed}");
        assert_eq!(
            (groups.waiting(), groups.has_unacked()),
            (0, false),
            "seed {seed}"
        );
    }
}

#[test]
fn who_ends_one_of_its_subscriptions_has_come_all_the_same() {
    let mut groups = Groups::new(&Config::default(), &Ledger::default());
    for slot in [0, 1] {
        let member = Member::new((session(1), slot), ALL, Ack::Auto);
        groups.join("a", member, Tick(0)).unwrap();
    }
    groups.leave(session(1), Some(0), Tick(0));
    assert!(groups.begin().contains(&session(1)));
}
