//! What a load process does with a mark that came in on one of its connections.
//!
//! In: marks, and what the connection saw before. Out: the tally of the run, and which publication is through.

use crate::beats::Beats;
use crate::crossing::Crossing;
use crate::flights::Flights;
use crate::mode::{Peer, millis};
use crate::part::{Part, Seating};
use crate::payload::Mark;
use crate::tally::{Tally, Turn};

/// Everything that marks change, but for the connection's own window.
#[derive(Debug)]
pub struct Marks {
    /// Marks of other runs do not count.
    pub run: u16,
    /// The counts.
    pub tally: Tally,
    /// The highest that anybody here has seen.
    latest: Option<Mark>,
    /// The publications of a closed loop.
    pub flights: Option<Flights>,
    /// The heartbeats, where they are listened for.
    pub beats: Option<Beats>,
    part: Part,
    chat: Option<Chat>,
}

/// What is known of a chat.
#[derive(Debug)]
pub struct Chat {
    /// Who is in which room.
    pub seating: Seating,
    /// The first client of this process.
    first: u32,
    /// What each of them has seen.
    crossings: Vec<Crossing>,
}

impl Marks {
    /// Nothing, of `clients` clients from number `first` on.
    #[must_use]
    pub fn new(run: u16, part: Part, first: u32, clients: u32) -> Self {
        let chat = match part {
            Part::Chats(rooms) => Some(Chat {
                seating: Seating::new(rooms),
                first,
                crossings: vec![Crossing::new(rooms.clients, rooms.burst); clients as usize],
            }),
            Part::Reads | Part::Idles | Part::Pairs(_) => None,
        };
        Self {
            run,
            tally: Tally::default(),
            latest: None,
            flights: None,
            beats: None,
            part,
            chat,
        }
    }

    /// Something came on a connection.
    pub fn heard(&mut self, peer: &mut Peer, now_ns: u64) {
        let silence_ms = peer.silence_ms(now_ns);
        peer.heard_ms = millis(now_ns);
        if let Some(beats) = self.beats.as_mut().filter(|_| peer.ready) {
            beats.note(silence_ms);
        }
    }

    /// Takes a mark in.
    pub fn note(&mut self, peer: &mut Peer, mark: Mark, now_ns: u64) {
        if mark.run != self.run {
            return;
        }
        let Some(turn) = self.turn(peer, mark.seq) else {
            self.tally.astray += 1;
            return;
        };
        if self.latest.is_none_or(|latest| latest.seq < mark.seq) {
            self.latest = Some(mark);
        }
        let took_ns = now_ns.saturating_sub(mark.at_ns);
        self.tally.note(turn, mark.seq, took_ns);
        if let Some(flights) = &mut self.flights
            && turn != Turn::Repeated
        {
            flights.landed(mark.seq, now_ns);
        }
    }

    /// How a number stands to those before it on its connection. `None` when it was meant for others.
    fn turn(&mut self, peer: &mut Peer, number: u32) -> Option<Turn> {
        match (self.part, &mut self.chat) {
            (Part::Chats(_), Some(chat)) => {
                let place = peer.client.checked_sub(chat.first)? as usize;
                let crossing = chat.crossings.get_mut(place)?;
                let mine = chat.seating.reaches(number, peer.client);
                mine.then(|| crossing.note(number))
            }
            (Part::Pairs(_), _) => {
                let (sender, turn) = self.part.sender_and_turn(number);
                (sender == peer.client ^ 1).then(|| peer.window.note(turn))
            }
            _ => {
                let missing = peer.window.missing_to(number);
                let turn = peer.window.note(number);
                self.tally.skip(turn, missing);
                Some(turn)
            }
        }
    }

    /// The first message that is not sent before `now_ns`, of those that are sent so far apart: none is sent before its
    /// time. `None` before any has come.
    #[must_use]
    pub fn upcoming(&self, now_ns: u64, period_ns: u64) -> Option<u32> {
        let latest = self.latest?;
        let after = now_ns.saturating_sub(latest.at_ns);
        let more = after.div_ceil(period_ns.max(1)).max(1);
        Some(latest.seq.saturating_add(more as u32))
    }

    /// The room that a message goes to.
    #[must_use]
    pub fn room(&self, number: u32) -> u32 {
        let chat = self.chat.as_ref();
        chat.map_or(0, |chat| chat.seating.target(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Rooms;

    fn mark(run: u16, seq: u32) -> Mark {
        Mark { run, seq, at_ns: 0 }
    }

    fn peer(client: u32) -> Peer {
        Peer {
            client,
            ..Peer::default()
        }
    }

    #[test]
    fn a_mark_counts_in_its_run_and_a_repeated_one_lands_nowhere() {
        let mut marks = Marks::new(2, Part::Reads, 0, 2);
        let mut flights = Flights::new(2);
        flights.depart(0);
        marks.flights = Some(flights);
        let (mut one, mut other) = (peer(0), peer(1));
        marks.note(&mut one, mark(1, 0), 1);
        assert_eq!(marks.tally.arrived, 0);
        marks.note(&mut one, mark(2, 0), 1);
        marks.note(&mut one, mark(2, 0), 1);
        assert_eq!((marks.tally.arrived, marks.tally.repeated), (1, 1));
        assert_eq!(marks.flights.as_ref().unwrap().through, 0);
        marks.note(&mut other, mark(2, 0), 1);
        assert_eq!(marks.flights.as_ref().unwrap().through, 1);
    }

    #[test]
    fn the_next_message_is_known_by_the_last_and_the_time() {
        let mut marks = Marks::new(1, Part::Reads, 0, 1);
        assert_eq!(marks.upcoming(5, 100), None);
        let at = |seq, at_ns| Mark { run: 1, seq, at_ns };
        marks.note(&mut peer(0), at(7, 1000), 1010);
        marks.note(&mut peer(0), at(6, 900), 1020);
        for (now, next) in [(1010, 8), (1100, 8), (1101, 9), (1650, 14), (990, 8)] {
            assert_eq!(marks.upcoming(now, 100), Some(next), "{now}");
        }
    }

    #[test]
    fn what_was_meant_for_others_is_astray() {
        let mut marks = Marks::new(1, Part::Pairs(4), 0, 4);
        let mut two = peer(2);
        for seq in [3, 7, 11] {
            marks.note(&mut two, mark(1, seq), 1);
        }
        assert_eq!((marks.tally.arrived, marks.tally.astray), (3, 0));
        marks.note(&mut two, mark(1, 13), 1);
        assert_eq!((marks.tally.arrived, marks.tally.astray), (3, 1));
    }

    #[test]
    fn a_client_of_a_chat_hears_its_own_rooms() {
        let rooms = Rooms {
            count: 10,
            each: 2,
            clients: 20,
            burst: 1,
        };
        let mut marks = Marks::new(1, Part::Chats(rooms), 10, 10);
        let mut one = peer(15);
        (0..1000).for_each(|seq| marks.note(&mut one, mark(1, seq), 1));
        let seating = Seating::new(rooms);
        let mine = (0..1000).filter(|n| seating.reaches(*n, 15)).count();
        assert_eq!(marks.tally.arrived, mine as u64);
        assert_eq!(marks.tally.astray, 1000 - mine as u64);
        assert_eq!((marks.tally.repeated, marks.tally.reordered), (0, 0));
    }
}
