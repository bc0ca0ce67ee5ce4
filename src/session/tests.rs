//! The transitions of a session, one by one.

use super::*;
use crate::ids::{ConnTag, Id};
use crate::mem::{Content, View};
use crate::rng::Rng;
use crate::transport::Profile;
use std::borrow::Cow;
use std::num::NonZeroU32;

fn conn(index: u32) -> Id<ConnTag> {
    Id::new(index, NonZeroU32::MIN)
}

fn session(ledger: &Ledger) -> (Session, Profiles) {
    let mut profiles = Profiles::new(Rng::new([0; 32]).keyed(), ledger);
    let session = Session::new(Opening {
        secret: [0; 16],
        service: ServiceKind::Echo,
        carriage: Carriage::Csp,
        kind: Kind::None,
        encoding: Encoding::Plain,
        profile: profiles.intern(Profile::default()),
        now: Tick(0),
    });
    (session, profiles)
}

fn push(session: &mut Session, ledger: &Ledger, count: u8) {
    for n in 0..count {
        session
            .push(Msg::new(vec![b'a' + n], ledger), 10_000, ledger)
            .unwrap();
    }
}

fn pending(session: &Session) -> Vec<u64> {
    session.pending().map(|packet| packet.id).collect()
}

#[test]
fn a_new_downstream_gets_everything_that_is_not_acknowledged() {
    let ledger = Ledger::default();
    let (mut session, _profiles) = session(&ledger);
    push(&mut session, &ledger, 4);
    assert_eq!(session.attach(conn(1), Kind::Stream, Tick(0)), None);
    assert_eq!(session.wrote(3, Tick(0)), 0);
    assert_eq!(pending(&session), [4]);
    session.ack(1);
    assert_eq!(
        session.attach(conn(2), Kind::LongPoll, Tick(0)),
        Some(conn(1))
    );
    assert_eq!(pending(&session), [2, 3, 4]);
    assert_eq!(
        session.wrote(4, Tick(0)),
        2,
        "two of them were written before"
    );
}

#[test]
fn an_acknowledgement_beyond_what_was_written_counts_as_that() {
    let ledger = Ledger::default();
    let (mut session, _profiles) = session(&ledger);
    push(&mut session, &ledger, 3);
    session.ack(99);
    assert_eq!(session.acked(), 0, "nothing was written yet");
    session.attach(conn(1), Kind::LongPoll, Tick(0));
    session.wrote(2, Tick(0));
    session.ack(99);
    assert_eq!(session.acked(), 2);
    session.ack(1);
    assert_eq!((session.acked(), pending(&session)), (2, vec![3]));
}

#[test]
fn an_acknowledgement_for_an_older_downstream_counts() {
    let ledger = Ledger::default();
    let (mut session, _profiles) = session(&ledger);
    push(&mut session, &ledger, 3);
    session.attach(conn(1), Kind::Stream, Tick(0));
    session.wrote(3, Tick(0));
    session.attach(conn(2), Kind::Stream, Tick(0));
    session.ack(2);
    assert_eq!(pending(&session), [3]);
}

#[test]
fn the_close_packet_comes_behind_all_data_and_its_acknowledgement_ends_the_session() {
    let ledger = Ledger::default();
    let (mut session, _profiles) = session(&ledger);
    push(&mut session, &ledger, 1);
    assert!(session.close(Tick(0), Cause::Closed) && !session.close(Tick(0), Cause::Clean));
    push(&mut session, &ledger, 1);
    session.attach(conn(1), Kind::LongPoll, Tick(0));
    let last: Vec<bool> = session
        .pending()
        .map(|packet| packet.body.is_none())
        .collect();
    assert_eq!((pending(&session), last), (vec![1, 2], vec![false, true]));
    session.wrote(2, Tick(0));
    session.ack(1);
    assert!(!session.is_over());
    session.ack(2);
    assert!(session.is_over() && !session.has_pending());
    assert_eq!(session.end_cause(), Cause::Closed, "who closed first");
}

#[test]
fn what_comes_after_closing_is_thrown_away_gap_or_not() {
    let ledger = Ledger::default();
    let (mut session, _profiles) = session(&ledger);
    let up = |id| Up {
        id,
        data: Some(b"x"[..].into()),
    };
    assert_eq!(session.receive(up(2), &ledger), Received::Nothing);
    assert!(session.close(Tick(0), Cause::Clean));
    assert_eq!(session.receive(up(99), &ledger), Received::Nothing);
    assert_eq!(session.receive(up(1), &ledger), Received::Nothing);
    assert_eq!(session.next_early(), None);
}

#[test]
fn upstream_packets_are_taken_once_and_in_order() {
    let ledger = Ledger::default();
    let (mut session, _profiles) = session(&ledger);
    let up = |id: u64| Up {
        id,
        data: Some(Cow::Owned(vec![id as u8])),
    };
    let bytes = |id: u8| Received::Bytes(Cow::Owned(vec![id]));
    assert_eq!(session.receive(up(3), &ledger), Received::Nothing);
    assert_eq!(session.receive(up(1), &ledger), bytes(1));
    assert_eq!(session.next_early(), None);
    assert_eq!(session.receive(up(1), &ledger), Received::Nothing);
    assert_eq!(session.receive(up(2), &ledger), bytes(2));
    assert_eq!(session.next_early(), Some(bytes(3)));
    assert_eq!(session.receive(up(99), &ledger), Received::TooFarAhead);
    assert_eq!(
        session.receive(up((1 << 32) + 4), &ledger),
        Received::TooFarAhead
    );
}

#[test]
fn a_backlog_that_runs_over_takes_no_more_and_knows_what_was_too_much() {
    let ledger = Ledger::default();
    let (mut session, _profiles) = session(&ledger);
    let [first, second, third] = [1, 2, 3].map(|_| publication(100, &ledger));
    assert_eq!(session.push(view(&first, &ledger), 200, &ledger), Ok(()));
    let more = session.push(view(&second, &ledger), 200, &ledger);
    assert_eq!(more, Err(Overflow));
    assert_eq!(
        session.push(view(&third, &ledger), 200, &ledger),
        Ok(()),
        "what follows is let go, and told once"
    );
    let both = [Rc::as_ptr(&first), Rc::as_ptr(&second)];
    assert!(session.unwritten().map(Rc::as_ptr).eq(both));
}

#[test]
fn what_was_not_acknowledged_is_undelivered_once_and_replies_are_not() {
    let ledger = Ledger::default();
    let (mut session, profiles) = session(&ledger);
    let (small, large) = (
        publication(10, &ledger),
        publication(3 * PACKET_BYTES_MAX, &ledger),
    );
    let reply = Msg::new(&b"OK"[..], &ledger);
    for msg in [view(&small, &ledger), reply, view(&large, &ledger)] {
        assert_eq!(session.push(msg, 1 << 20, &ledger), Ok(()));
    }
    assert_eq!(session.unwritten().count(), 2);
    session.wrote(5, Tick(0));
    session.ack(3);
    let left: Vec<_> = session.unwritten().map(Rc::as_ptr).collect();
    assert_eq!(left, [Rc::as_ptr(&large)], "of its pieces, one came");
    session.ack(5);
    assert_eq!(session.unwritten().count(), 0);
    drop((session, profiles, small, large));
    assert_eq!(ledger.used(), 0);
}

fn publication(len: usize, ledger: &Ledger) -> Rc<Publication> {
    let bytes = vec![b'x'; len].into();
    Publication::new("c".into(), None, Content::Text, bytes, ledger)
}

fn view(publication: &Rc<Publication>, ledger: &Ledger) -> Rc<Msg> {
    publication.view(View::Event, ledger, |publication| {
        publication.bytes.to_vec()
    })
}
