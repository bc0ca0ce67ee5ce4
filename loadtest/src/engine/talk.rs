//! Clients that send messages themselves, each when its turn is: an open loop over all of them.
//!
//! In: when it begins, how fast, how many. Out: messages through the mode, on the connection of whose turn it is.
//! The processes agree without speaking: burst n is client n's, modulo how many there are, and due when the first
//! of its messages is: message n is due n / rate later.

use super::Engine;
use crate::payload::Mark;
use crate::sys::now_ns;
use serde_json::{Value, json};
use std::ops::Range;

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
    /// Messages that are sent at once.
    burst: u32,
    /// The next of ours, counted in bursts.
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
    fn new(talk: Talk, burst: u32, clients: u32, first: u32, ours: u32) -> Self {
        Self {
            talk,
            burst,
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
        let numbers = self.numbers();
        let after = f64::from(numbers.start) * 1e9 / self.talk.rate;
        (!numbers.is_empty()).then_some(self.talk.start_ns + after as u64)
    }

    /// The messages of the next.
    fn numbers(&self) -> Range<u32> {
        let first = self.next.saturating_mul(self.burst);
        first..first.saturating_add(self.burst).min(self.talk.messages)
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
        let (first, part) = (self.setup.first, self.setup.part);
        let ours = self.seats.len() as u32;
        let talking = |clients| Talking::new(talk, part.burst(), clients, first, ours);
        self.talking = part.clients().map(talking);
    }

    /// What was said.
    #[must_use]
    pub fn talking(&self) -> Option<&Talking> {
        self.talking.as_ref()
    }

    /// Says what is due, at most [`BURSTS_PER_TURN`], for there is reading to do between.
    pub(super) fn say_due(&mut self) {
        for _ in 0..BURSTS_PER_TURN {
            let Some(talking) = &mut self.talking else {
                return;
            };
            let now = now_ns();
            let Some(at_ns) = talking.due().filter(|due| *due <= now) else {
                return;
            };
            let (numbers, size) = (talking.numbers(), talking.talk.size);
            talking.late_us_max = talking.late_us_max.max((now - at_ns) / 1000);
            let place = talking.next % talking.clients - talking.first;
            talking.advance();
            let count = numbers.len() as u32;
            match self.seats.get(place as usize).copied().flatten() {
                Some(index) => {
                    talking.said += count;
                    self.say(index as usize, numbers, at_ns, size);
                }
                None => talking.mute += count,
            }
        }
    }

    fn say(&mut self, index: usize, numbers: Range<u32>, at_ns: u64, size: usize) {
        let (run, part, channel) = (self.marks.run, self.setup.part, &self.setup.channel);
        let word = |seq| {
            let message = Mark { run, seq, at_ns }.message(size);
            let text = String::from_utf8(message).unwrap_or_default();
            part.word(channel, seq, self.marks.room(seq), text)
        };
        let words: Vec<_> = numbers.map(word).collect();
        self.act(index, |mode, cx, conn| {
            mode.say(cx, &mut conn.peer, &words);
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

const BURSTS_PER_TURN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const TALK: Talk = Talk {
        start_ns: 1000,
        rate: 1e9,
        messages: 100,
        size: 50,
    };

    fn all(burst: u32, clients: u32, first: u32, ours: u32) -> Vec<u32> {
        let mut talking = Talking::new(TALK, burst, clients, first, ours);
        let mut said = Vec::new();
        while let Some(due) = talking.due() {
            assert_eq!(due, 1000 + u64::from(talking.numbers().start));
            said.extend(talking.numbers());
            talking.advance();
        }
        said
    }

    #[test]
    fn the_processes_together_say_everything_once() {
        for burst in [1, 3, 200] {
            let all = |first, ours| all(burst, 10, first, ours);
            let mut said = [all(0, 4), all(4, 3), all(7, 3), all(10, 0)].concat();
            said.sort_unstable();
            assert!(said.into_iter().eq(0..100), "{burst}");
        }
        assert_eq!(all(1, 10, 0, 4)[..5], [0, 1, 2, 3, 10]);
        assert_eq!(all(2, 10, 0, 2)[..5], [0, 1, 2, 3, 20]);
        assert!(all(1, 1, 0, 1).into_iter().eq(0..100));
    }

    #[test]
    fn a_talk_survives_the_way_to_a_load_process() {
        assert_eq!(Talk::from_json(&TALK.to_json()), Some(TALK));
        assert_eq!(Talk::from_json(&json!({})), None);
    }
}
