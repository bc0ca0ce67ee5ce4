//! Publications in flight: who still waits for which, and how long each took to reach the last.
//!
//! In: departures, and each subscriber's arrival. Out: how many are under way, times of those that are through.

use crate::tally::{histogram, steps_from_json, steps_to_json};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Numbered 0, 1, 2 … in the order they depart.
#[derive(Debug, Clone)]
pub struct Flights {
    subscribers: u32,
    /// The number of the front of `open`.
    oldest: u32,
    /// From the oldest that is not through; those behind it may be.
    open: VecDeque<Flight>,
    under_way: u32,
    /// Those that every subscriber has.
    pub through: u32,
    /// When the first departed and the last was through, by `sys::now_ns`.
    pub from_ns: u64,
    /// See `from_ns`.
    pub to_ns: u64,
    /// Microseconds from departure until the last subscriber had it.
    pub took_us: Histogram<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    at_ns: u64,
    /// Subscribers who have not got it.
    left: u32,
}

impl Flights {
    /// To so many subscribers each.
    #[must_use]
    pub fn new(subscribers: u32) -> Self {
        Self {
            subscribers,
            oldest: 0,
            open: VecDeque::new(),
            under_way: 0,
            through: 0,
            from_ns: 0,
            to_ns: 0,
            took_us: histogram(),
        }
    }

    /// How many have not reached everyone.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        self.under_way
    }

    /// How many departed.
    #[must_use]
    pub fn departed(&self) -> u32 {
        self.oldest + self.open.len() as u32
    }

    /// Another departs; gives back its number. `None` when one that was lost is [`OPEN_MAX`] behind.
    pub fn depart(&mut self, now_ns: u64) -> Option<u32> {
        if self.open.len() >= OPEN_MAX {
            return None;
        }
        let number = self.departed();
        if number == 0 {
            self.from_ns = now_ns;
        }
        self.under_way += 1;
        self.open.push_back(Flight {
            at_ns: now_ns,
            left: self.subscribers,
        });
        Some(number)
    }

    /// One more subscriber has number `number`, for the first time.
    pub fn landed(&mut self, number: u32, now_ns: u64) {
        let place = number.checked_sub(self.oldest);
        let flight = place.and_then(|place| self.open.get_mut(place as usize));
        let Some(flight) = flight.filter(|flight| flight.left > 0) else {
            return;
        };
        flight.left -= 1;
        if flight.left > 0 {
            return;
        }
        let took_us = now_ns.saturating_sub(flight.at_ns) / 1000;
        self.took_us.saturating_record(took_us);
        self.to_ns = now_ns;
        self.through += 1;
        self.under_way -= 1;
        while self.open.front().is_some_and(|flight| flight.left == 0) {
            self.open.pop_front();
            self.oldest += 1;
        }
    }

    /// As it goes from a load process to the one that reports.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "departed": self.departed(),
            "through": self.through,
            "from_ns": self.from_ns,
            "to_ns": self.to_ns,
            "took_us": steps_to_json(&self.took_us),
        })
    }

    /// Reads what is over there; `None` when it is not one.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name)?.as_u64();
        Some(Self {
            oldest: u32::try_from(number("departed")?).ok()?,
            through: u32::try_from(number("through")?).ok()?,
            from_ns: number("from_ns")?,
            to_ns: number("to_ns")?,
            took_us: steps_from_json(value.get("took_us")?)?,
            ..Self::new(0)
        })
    }
}

/// Most that wait behind one that was lost: then the loop has failed, and the rest would only take memory.
const OPEN_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_is_through_when_everyone_has_it() {
        let mut flights = Flights::new(3);
        assert_eq!(flights.depart(1000), Some(0));
        assert_eq!(flights.depart(2000), Some(1));
        flights.landed(0, 5000);
        flights.landed(0, 6000);
        assert_eq!((flights.under_way(), flights.through), (2, 0));
        flights.landed(0, 21_000);
        assert_eq!((flights.under_way(), flights.through), (1, 1));
        assert_eq!(flights.took_us.max(), 20);
        // Once more than there are subscribers changes nothing.
        flights.landed(0, 99_000);
        assert_eq!((flights.under_way(), flights.to_ns), (1, 21_000));
    }

    #[test]
    fn one_that_is_lost_holds_up_none_but_itself() {
        let mut flights = Flights::new(1);
        (0..4).for_each(|n| assert_eq!(flights.depart(n), Some(n as u32)));
        (1..4).for_each(|n| flights.landed(n, 10));
        assert_eq!((flights.under_way(), flights.through), (1, 3));
        assert_eq!((flights.departed(), flights.open.len()), (4, 4));
        flights.landed(0, 11);
        assert_eq!((flights.oldest, flights.open.len()), (4, 0));
        assert_eq!(flights.depart(12), Some(4));
    }

    #[test]
    fn what_waits_behind_a_lost_one_is_bounded() {
        let mut flights = Flights::new(1);
        flights.depart(0);
        for number in 1..OPEN_MAX as u32 {
            assert_eq!(flights.depart(0), Some(number));
            flights.landed(number, 1);
        }
        assert_eq!(flights.depart(0), None);
    }

    #[test]
    fn flights_survive_the_way() {
        let mut flights = Flights::new(1);
        flights.depart(1_000_000);
        flights.landed(0, 6_000_000);
        flights.depart(7_000_000);
        let back = Flights::from_json(&flights.to_json()).unwrap();
        assert_eq!((back.departed(), back.through), (2, 1));
        assert_eq!((back.from_ns, back.to_ns), (1_000_000, 6_000_000));
        assert_eq!(back.took_us.len(), 1);
        assert!(Flights::from_json(&json!({})).is_none());
    }
}
