//! What a load process does with a mark that came in on one of its connections.
//!
//! In: marks, and what the connection saw before. Out: the tally of the run, and which publication is through.

use crate::flights::Flights;
use crate::payload::Mark;
use crate::tally::{Tally, Turn, Window};

/// Everything that marks change, but for the connection's own window.
#[derive(Debug, Default)]
pub struct Seen {
    /// Marks of other runs do not count.
    pub run: u16,
    /// The counts.
    pub tally: Tally,
    /// The publications of a closed loop.
    pub flights: Option<Flights>,
}

impl Seen {
    /// Takes a mark in.
    pub fn note(&mut self, window: &mut Window, mark: Mark, now_ns: u64) {
        if mark.run != self.run {
            return;
        }
        let turn = window.note(mark.seq);
        let took_ns = now_ns.saturating_sub(mark.at_ns);
        self.tally.note(turn, mark.seq, took_ns);
        if let Some(flights) = &mut self.flights
            && turn != Turn::Repeated
        {
            flights.landed(mark.seq, now_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_in_its_run_and_a_repeated_one_lands_nowhere() {
        let mut seen = Seen {
            run: 2,
            flights: Some(Flights::new(2)),
            ..Seen::default()
        };
        let mark = |run| Mark {
            run,
            seq: 0,
            at_ns: 0,
        };
        if let Some(flights) = &mut seen.flights {
            flights.depart(0);
        }
        let (mut one, mut other) = (Window::default(), Window::default());
        seen.note(&mut one, mark(1), 1);
        assert_eq!(seen.tally.arrived, 0);
        seen.note(&mut one, mark(2), 1);
        seen.note(&mut one, mark(2), 1);
        assert_eq!((seen.tally.arrived, seen.tally.repeated), (1, 1));
        assert_eq!(seen.flights.as_ref().unwrap().through, 0);
        seen.note(&mut other, mark(2), 1);
        assert_eq!(seen.flights.as_ref().unwrap().through, 1);
    }
}
