//! Clients that send messages themselves, each when its turn is: an open loop over all of them.
//!
//! In: when it begins, how fast, how many. Out: messages through the mode, on the connection of whose turn it is.
//! The processes agree without speaking: message n is client n's, modulo how many there are, and due n / rate later.

use super::Engine;
use crate::payload::Mark;
use crate::sys::now_ns;
use serde_json::{Value, json};

/// What is to be said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Talk {
    /// When message 0 is due, by `sys::now_ns`.
    pub start_ns: u64,
    /// Messages a second, of all processes together.
    pub rate: f64,
    /// How many, of all together.
    pub messages: u32,
    /// Bytes of each.
    pub size: usize,
}

/// What this process has said of it.
#[derive(Debug)]
pub struct Talking {
    talk: Talk,
    /// The next of ours.
    next: u32,
    /// Clients that take turns, and the first and how many of them are ours.
    clients: u32,
    first: u32,
    ours: u32,
    /// Messages sent.
    pub said: u32,
    /// Messages whose client was not there.
    pub mute: u32,
    /// Longest that one was sent behind its time, microseconds.
    pub late_us_max: u64,
}

impl Talking {
    /// For `ours` of `clients` clients, from number `first` on.
    fn new(talk: Talk, clients: u32, first: u32, ours: u32) -> Self {
        Self {
            talk,
            next: if ours > 0 { first } else { talk.messages },
            clients,
            first,
            ours,
            said: 0,
            mute: 0,
            late_us_max: 0,
        }
    }

    /// When the next is due; `None` when all are sent.
    pub(super) fn due(&self) -> Option<u64> {
        let after = f64::from(self.next) * 1e9 / self.talk.rate;
        (self.next < self.talk.messages).then_some(self.talk.start_ns + after as u64)
    }

    /// Goes on to the next of ours: the next client, or the first in the next round.
    fn advance(&mut self) {
        let place = self.next % self.clients - self.first;
        self.next += match place + 1 < self.ours {
            true => 1,
            false => self.clients - place,
        };
    }
}

impl Engine {
    /// Begins to talk, under the marks of the run that has begun.
    pub fn talk(&mut self, talk: Talk) {
        let (first, clients) = (self.setup.first, self.setup.part.clients());
        let ours = self.seats.len() as u32;
        self.talking = clients.map(|clients| Talking::new(talk, clients, first, ours));
    }

    /// What was said.
    #[must_use]
    pub fn talking(&self) -> Option<&Talking> {
        self.talking.as_ref()
    }

    /// Says what is due, at most [`SAID_PER_TURN`], for there is reading to do between.
    pub(super) fn say_due(&mut self) {
        for _ in 0..SAID_PER_TURN {
            let Some(talking) = &mut self.talking else {
                return;
            };
            let now = now_ns();
            let Some(at_ns) = talking.due().filter(|due| *due <= now) else {
                return;
            };
            let (number, size) = (talking.next, talking.talk.size);
            talking.late_us_max = talking.late_us_max.max((now - at_ns) / 1000);
            let place = number % talking.clients - talking.first;
            talking.advance();
            let seat = self.seats.get(place as usize).copied().flatten();
            match (seat, &mut self.talking) {
                (Some(_), Some(talking)) => talking.said += 1,
                (None, Some(talking)) => talking.mute += 1,
                _ => {}
            }
            if let Some(index) = seat {
                self.say(index as usize, number, at_ns, size);
            }
        }
    }

    fn say(&mut self, index: usize, number: u32, at_ns: u64, size: usize) {
        let mark = Mark {
            run: self.marks.run,
            seq: number,
            at_ns,
        };
        let message = mark.message(size);
        let message = std::str::from_utf8(&message).unwrap_or_default();
        let (part, room) = (self.setup.part, self.marks.room(number));
        let line = part.line(&self.setup.channel, number, room, message);
        self.act(index, |mode, cx, conn| {
            mode.say(cx, &mut conn.peer, &line);
            Ok(())
        });
    }
}

impl Talk {
    /// As it goes to a load process.
    #[must_use]
    pub fn to_json(self) -> Value {
        json!({
            "do": "talk",
            "start_ns": self.start_ns,
            "rate": self.rate,
            "messages": self.messages,
            "size": self.size,
        })
    }

    /// Reads it there; `None` when it is not one.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name)?.as_u64();
        Some(Self {
            start_ns: number("start_ns")?,
            rate: value.get("rate")?.as_f64()?,
            messages: u32::try_from(number("messages")?).ok()?,
            size: usize::try_from(number("size")?).ok()?,
        })
    }
}

const SAID_PER_TURN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const TALK: Talk = Talk {
        start_ns: 1000,
        rate: 1e9,
        messages: 100,
        size: 50,
    };

    fn all(clients: u32, first: u32, ours: u32) -> Vec<u32> {
        let mut talking = Talking::new(TALK, clients, first, ours);
        let mut said = Vec::new();
        while let Some(due) = talking.due() {
            assert_eq!(due, 1000 + u64::from(talking.next));
            said.push(talking.next);
            talking.advance();
        }
        said
    }

    #[test]
    fn the_processes_together_say_everything_once() {
        let mut said = [all(10, 0, 4), all(10, 4, 3), all(10, 7, 3), all(10, 10, 0)].concat();
        assert_eq!(&said[..5], [0, 1, 2, 3, 10]);
        said.sort_unstable();
        assert!(said.into_iter().eq(0..100));
        assert!(all(1, 0, 1).into_iter().eq(0..100));
    }

    #[test]
    fn a_talk_survives_the_way_to_a_load_process() {
        assert_eq!(Talk::from_json(&TALK.to_json()), Some(TALK));
        assert_eq!(Talk::from_json(&json!({})), None);
    }
}
