//! Clients that leave and come all the time, in every way that real ones do.
//!
//! In: how many a second. Out: goodbyes, closed sockets, and as many wishes for others. Some say goodbye, and somebody
//! new comes. Some are cut off, and shake hands anew: what they had waits on the server until its time is over. Some
//! are cut off and come back to their sessions.

use super::Engine;
use super::conn::Role;
use crate::mode::Peer;
use crate::sys::now_ns;
use crate::tally::Window;
use serde_json::{Value, json};

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Sessions that are left a second, half of them without a word; half as many more are cut off and resumed. 0 ends
    /// it.
    pub rate: f64,
    /// From one message to the next.
    pub period_ns: u64,
}

/// What came of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Turned {
    /// Clients that said goodbye, or closed where there is no such word.
    pub goodbyes: u32,
    /// Clients that were cut off and shook hands anew.
    pub deserted: u32,
    /// Clients that were cut off and came back, by their sessions where they have some.
    pub resumed: u32,
}

/// Where it stands.
#[derive(Debug, Default, Clone, Copy)]
pub struct Turnover {
    pace: Option<Pace>,
    start_ns: u64,
    /// Since the start.
    turns: u32,
    turned: Turned,
    /// See [`Engine::leaving`].
    pub(super) leaving: u32,
}

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Goodbye,
    Deserts,
    Resumes,
}

impl Way {
    /// As many of each in any row of turns, and scrambled, so that nobody always leaves the same way.
    fn of(turn: u32) -> Self {
        match turn.wrapping_mul(0x9e37_79b1) / (u32::MAX / 3 + 1) {
            0 => Self::Goodbye,
            1 => Self::Deserts,
            _ => Self::Resumes,
        }
    }
}

impl Turnover {
    /// When the next leaves.
    pub(super) fn due(&self) -> Option<u64> {
        let pace = self.pace.filter(|pace| pace.rate > 0.0)?;
        let after = f64::from(self.turns) * 1e9 / (pace.rate * TURNS_PER_LEFT);
        Some(self.start_ns + after as u64)
    }
}

impl Engine {
    /// Clients leave and come from now on, or at the rate 0 no more.
    pub fn turn_over(&mut self, pace: Pace) {
        self.turnover = Turnover {
            pace: Some(pace),
            start_ns: now_ns(),
            turns: 0,
            ..self.turnover
        };
    }

    /// What came of it.
    #[must_use]
    pub fn turned(&self) -> Turned {
        self.turnover.turned
    }

    /// Clients that have said goodbye, and whose connections the server has not ended yet.
    #[must_use]
    pub fn leaving(&self) -> u32 {
        self.turnover.leaving
    }

    /// How many of so many messages the clients that are there have not got yet.
    #[must_use]
    pub fn behind(&self, messages: u32) -> u64 {
        let conns = self.conns.iter().map(|(_, conn)| conn);
        let held = conns.filter(|conn| conn.role == Role::Held && conn.peer.ready);
        let missing = held.map(|conn| conn.peer.window.missing_to(messages));
        missing.map(u64::from).sum()
    }

    /// Everybody leaves, every second one by a goodbye, and nobody comes.
    pub fn leave(&mut self) {
        let conns = self.conns.iter();
        let held = conns.filter(|(_, conn)| conn.role == Role::Held);
        let held: Vec<_> = held.map(|(at, conn)| (at, conn.peer.ready)).collect();
        for (n, (index, ready)) in held.into_iter().enumerate() {
            match ready && n.is_multiple_of(2) {
                true => self.say_goodbye(index),
                false => drop(self.conns.try_remove(index)),
            }
        }
        (self.counts.ready, self.counts.pending) = (0, 0);
        (self.counts.wanted, self.churn) = (0, 0);
    }

    /// Those whose time has come leave, and others come.
    pub(super) fn turn_over_due(&mut self) {
        for _ in 0..TURNS_MAX {
            let due = self.turnover.due().filter(|due| *due <= now_ns());
            let Some(index) = due.and_then(|_| self.next_to_leave()) else {
                return;
            };
            let way = Way::of(self.turnover.turns);
            self.turnover.turns += 1;
            self.part(index, way);
        }
    }

    /// The next of those that are there.
    fn next_to_leave(&mut self) -> Option<usize> {
        let places = self.conns.capacity();
        for _ in 0..places {
            self.churn_at = (self.churn_at + 1) % places;
            let conn = self.conns.get(self.churn_at);
            if conn.is_some_and(|conn| conn.peer.ready && conn.role == Role::Held) {
                return Some(self.churn_at);
            }
        }
        None
    }

    fn part(&mut self, index: usize, way: Way) {
        let Some(client) = self.conns.get(index).map(|conn| conn.peer.client) else {
            return;
        };
        self.counts.ready -= 1;
        self.counts.wanted += 1;
        self.seat(client, None);
        let turned = &mut self.turnover.turned;
        let session = match way {
            Way::Goodbye => {
                turned.goodbyes += 1;
                self.say_goodbye(index);
                None
            }
            Way::Deserts => {
                turned.deserted += 1;
                drop(self.conns.try_remove(index));
                None
            }
            Way::Resumes => {
                turned.resumed += 1;
                let (calls, resumes) = (self.setup.part.calls(), self.mode.resumes());
                let conn = self.conns.try_remove(index);
                let peer = conn.map(|conn| conn.peer.cut(calls));
                peer.filter(|peer| resumes && peer.key.is_some())
            }
        };
        self.parked.push(session.unwrap_or_else(|| Peer {
            client,
            window: Window::LATE,
            ..Peer::default()
        }));
    }

    /// It counts as ready no more.
    fn say_goodbye(&mut self, index: usize) {
        // One that the kernel refuses to write to is dropped like any that leaves.
        self.turnover.leaving += 1;
        let mut said = false;
        self.act(index, |mode, cx, conn| {
            conn.role = Role::Leaving;
            said = mode.goodbye(cx, &mut conn.peer);
            Ok(())
        });
        if !said {
            self.drop_conn(index);
        }
    }

    /// Somebody has become ready. Who came while clients come and go misses nothing from now on; what was published a
    /// moment ago may have been before or after.
    pub(super) fn welcome(&mut self, index: usize, now: u64) {
        let Some(pace) = self.turnover.pace else {
            return;
        };
        let upcoming = self.marks.upcoming(now, pace.period_ns);
        let peer = self.conns.get_mut(index).map(|conn| &mut conn.peer);
        if let (Some(peer), Some(upcoming)) = (peer, upcoming)
            && peer.window == Window::LATE
        {
            peer.window = Window::from(upcoming);
        }
    }
}

impl Pace {
    /// As it goes to a load process.
    #[must_use]
    pub fn to_json(self) -> Value {
        json!({"do": "turn over", "rate": self.rate, "period_ns": self.period_ns})
    }

    /// Reads it there; `None` when it is not one.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            rate: value.get("rate")?.as_f64()?,
            period_ns: value.get("period_ns")?.as_u64()?,
        })
    }
}

/// Two of three turns end a session.
const TURNS_PER_LEFT: f64 = 1.5;
/// In a turn of the loop, for there is reading to do between.
const TURNS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::dial::tests::ready;
    use super::*;
    use crate::payload::Mark;

    #[test]
    fn who_is_cut_off_comes_back_and_who_leaves_is_replaced() {
        let (mut engine, _listener) = ready();
        engine.part(0, Way::Resumes);
        engine.part(1, Way::Deserts);
        assert_eq!((engine.counts.ready, engine.counts.wanted), (0, 2));
        assert_eq!((engine.conns.len(), engine.counts.lost), (0, 0));
        let [back, new] = &engine.parked[..] else {
            panic!("{:?}", engine.parked);
        };
        assert!(back.key.is_some() && back.client == 4 && back.window == Window::default());
        assert!(new.key.is_none() && new.client == 5 && new.window == Window::LATE);
    }

    #[test]
    fn who_says_goodbye_is_held_until_the_server_has_heard_it_but_counts_no_more() {
        let (mut engine, _listener) = ready();
        engine.part(0, Way::Goodbye);
        assert_eq!((engine.counts.ready, engine.leaving()), (1, 1));
        let unsent = engine.conns[0].unsent.take();
        assert!(!unsent.is_empty() && engine.conns[0].peer.leaving);
        assert_eq!(engine.next_to_leave(), Some(1));
        engine.drop_conn(0);
        assert_eq!((engine.leaving(), engine.counts.lost), (0, 0));
        engine.leave();
        assert_eq!((engine.counts.ready, engine.counts.wanted), (0, 0));
        assert_eq!(engine.leaving(), 1);
    }

    #[test]
    fn who_takes_the_place_of_another_does_not_acknowledge_before_it_is_connected() {
        let (mut engine, _listener) = ready();
        engine.conns[0].peer.got = 40;
        engine.queue_ack(0, 0);
        assert!(engine.conns[0].peer.ack_now && engine.conns[0].connecting);
        engine.acknowledge_due();
        assert!(engine.conns[0].unsent.is_empty());
    }

    #[test]
    fn who_came_late_is_behind_by_what_was_published_since() {
        let (mut engine, _listener) = ready();
        engine.turn_over(Pace {
            rate: 0.0,
            period_ns: 100,
        });
        // Client 4 hears of its partner.
        let mark = Mark {
            run: 0,
            seq: 13,
            at_ns: 1000,
        };
        engine.marks.note(&mut engine.conns[0].peer, mark, 1010);
        engine.conns[0].peer.window = Window::from(14);
        engine.conns[1].peer.window = Window::LATE;
        assert_eq!(engine.behind(20), 6);
        engine.welcome(0, 1210);
        engine.welcome(1, 1210);
        assert_eq!(engine.behind(20), 6 + 4);
    }

    #[test]
    fn clients_leave_in_every_way_alike_and_each_in_all_of_them() {
        let count = |way, turns: &[u32]| {
            let same = turns.iter().filter(|turn| Way::of(**turn) == way);
            same.count()
        };
        let ways = [Way::Goodbye, Way::Deserts, Way::Resumes];
        let first: Vec<u32> = (0..300).collect();
        for way in ways {
            assert!((98..=102).contains(&count(way, &first)), "{way:?}");
        }
        // The turns of one client of so many.
        for clients in [1, 2, 3, 50, 2000, 3000] {
            let turns: Vec<u32> = (0..60).map(|lap| lap * clients).collect();
            assert!(ways.iter().all(|way| count(*way, &turns) > 3), "{clients}");
        }
    }

    #[test]
    fn turns_are_spread_evenly_and_end() {
        let pace = |rate| Pace {
            rate,
            period_ns: 100,
        };
        let turnover = |rate, turns| Turnover {
            pace: Some(pace(rate)),
            start_ns: 1000,
            turns,
            ..Turnover::default()
        };
        let due = [0, 1, 300].map(|turns| turnover(200.0, turns).due());
        let (first, second, after) = (1000, 1000 + 3_333_333, 1000 + 1_000_000_000);
        assert_eq!(due, [Some(first), Some(second), Some(after)]);
        assert_eq!(turnover(0.0, 1).due(), None);
        let back = Pace::from_json(&pace(1.5).to_json());
        assert_eq!(back, Some(pace(1.5)));
    }
}
