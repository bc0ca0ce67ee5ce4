//! What clients are there for: to read one channel, to chat in rooms, to talk in pairs.
//!
//! In: the number of a client, the number of a message. Out: what the client asks for first, who sends the message
//! to whom, and how many get it: all by arithmetic, so that every process knows it without being told.

use serde_json::{Value, json};

/// One of those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everyone subscribes to the one channel; messages come from elsewhere.
    Reads,
    /// Everyone connects, and asks for nothing.
    Idles,
    /// Everyone is in some rooms, and publishes to them in turn.
    Chats(Rooms),
    /// Clients 0 and 1 send to each other, 2 and 3, and so on. Of so many.
    Pairs(u32),
}

/// Rooms, of which each client is in some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rooms {
    /// How many.
    pub count: u32,
    /// In how many of them each client is; at most `count`.
    pub each: u32,
    /// How many clients.
    pub clients: u32,
    /// How many messages a client sends at once; at least one.
    pub burst: u32,
}

/// A message that a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The number of the call; no other of its client has it.
    pub id: u32,
    /// To whom.
    pub to: To,
    /// What.
    pub text: String,
}

/// To whom a message is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Everybody in a channel.
    Channel(String),
    /// Who has this name.
    User(String),
}

impl Part {
    /// Whether clients send messages themselves.
    #[must_use]
    pub fn speaks(self) -> bool {
        self.clients().is_some()
    }

    /// How many clients take turns in sending.
    #[must_use]
    pub fn clients(self) -> Option<u32> {
        match self {
            Self::Reads | Self::Idles => None,
            Self::Chats(rooms) => Some(rooms.clients),
            Self::Pairs(clients) => Some(clients),
        }
    }

    /// How many answers a client waits for until it is ready.
    #[must_use]
    pub fn calls(self) -> u32 {
        match self {
            Self::Idles => 0,
            Self::Reads | Self::Pairs(_) => 1,
            Self::Chats(rooms) => rooms.each,
        }
    }

    /// What a client says first: lines of Revolved, as many as [`Self::calls`].
    #[must_use]
    pub fn hello(self, channel: &str, client: u32) -> String {
        if let Self::Pairs(_) = self {
            return format!("[1,\"AUTH\",[\"{}\",null]]\n", user(client));
        }
        let subscribe = |(n, name): (usize, String)| format!("[{n},\"SUBSCRIBE\",[\"{name}\"]]\n");
        let names = self.channels(channel, client).into_iter();
        (1..).zip(names).map(subscribe).collect()
    }

    /// What a client subscribes to; in pairs a channel with its name, for protocols that have no users.
    #[must_use]
    pub fn channels(self, channel: &str, client: u32) -> Vec<String> {
        match self {
            Self::Idles => Vec::new(),
            Self::Reads => vec![channel.to_owned()],
            Self::Pairs(_) => vec![format!("{channel}/{}", user(client))],
            Self::Chats(rooms) => {
                let rooms = rooms.of(client).into_iter();
                rooms.map(|room| format!("{channel}/{room}")).collect()
            }
        }
    }

    /// Message `number` to `room`, or to its sender's partner.
    #[must_use]
    pub fn word(self, channel: &str, number: u32, room: u32, text: String) -> Word {
        let (sender, turn) = self.sender_and_turn(number);
        let to = match self {
            Self::Chats(_) => To::Channel(format!("{channel}/{room}")),
            _ => To::User(user(sender ^ 1)),
        };
        let id = self.calls() + 1 + turn;
        Word { id, to, text }
    }

    /// Who sends message `number`, and how many it sent before: clients take turns, in each of which one sends a burst.
    #[must_use]
    pub fn sender_and_turn(self, number: u32) -> (u32, u32) {
        let clients = self.clients().unwrap_or(1).max(1);
        let (burst, at) = (number / self.burst(), number % self.burst());
        (burst % clients, burst / clients * self.burst() + at)
    }

    /// How many messages a client sends at once.
    #[must_use]
    pub fn burst(self) -> u32 {
        match self {
            Self::Chats(rooms) => rooms.burst.max(1),
            _ => 1,
        }
    }

    /// As it goes to a load process.
    #[must_use]
    pub fn to_json(self) -> Value {
        match self {
            Self::Reads => json!({"part": "reads"}),
            Self::Idles => json!({"part": "idles"}),
            Self::Chats(rooms) => json!({
                "part": "chats",
                "count": rooms.count,
                "each": rooms.each,
                "clients": rooms.clients,
                "burst": rooms.burst,
            }),
            Self::Pairs(clients) => json!({"part": "pairs", "clients": clients}),
        }
    }

    /// Reads it there; `None` when it is none.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| u32::try_from(value.get(name)?.as_u64()?).ok();
        match value.get("part")?.as_str()? {
            "reads" => Some(Self::Reads),
            "idles" => Some(Self::Idles),
            "pairs" => Some(Self::Pairs(number("clients")?)),
            "chats" => Some(Self::Chats(Rooms {
                count: number("count")?,
                each: number("each")?,
                clients: number("clients")?,
                burst: number("burst")?,
            })),
            _ => None,
        }
    }
}

impl Word {
    /// As a line of Revolved.
    fn line(&self) -> String {
        let Self { id, to, text } = self;
        match to {
            To::Channel(name) => format!("[{id},\"PUBLISH\",[\"{name}\",\"{text}\"]]\n"),
            To::User(name) => format!("[{id},\"SEND\",[\"{name}\",\"{text}\"]]\n"),
        }
    }
}

/// As lines of Revolved.
#[must_use]
pub fn lines(words: &[Word]) -> String {
    words.iter().map(Word::line).collect()
}

fn user(client: u32) -> String {
    format!("user{client}")
}

impl Rooms {
    /// The rooms a client is in, all different; the same in every run.
    #[must_use]
    pub fn of(self, client: u32) -> Vec<u32> {
        let mut state = u64::from(client);
        let mut rooms = Vec::with_capacity(self.each as usize);
        // Floyd's sample: each set of rooms is as likely, and there is nothing to shuffle.
        for last in self.count.saturating_sub(self.each)..self.count {
            let room = (random(&mut state) % (u64::from(last) + 1)) as u32;
            rooms.push(if rooms.contains(&room) { last } else { room });
        }
        rooms
    }
}

/// Who is in which room, worked out once.
#[derive(Debug, Clone)]
pub struct Seating {
    rooms: Rooms,
    /// The rooms of client 0, of client 1 …
    of: Box<[u32]>,
}

impl Seating {
    /// Of everybody.
    #[must_use]
    pub fn new(rooms: Rooms) -> Self {
        let of = (0..rooms.clients).flat_map(|client| rooms.of(client));
        Self {
            rooms,
            of: of.collect(),
        }
    }

    fn of(&self, client: u32) -> &[u32] {
        let each = self.rooms.each as usize;
        let from = client as usize * each;
        self.of.get(from..from + each).unwrap_or_default()
    }

    /// The room that message `number` goes to: its sender's rooms in turn.
    #[must_use]
    pub fn target(&self, number: u32) -> u32 {
        let (sender, turn) = Part::Chats(self.rooms).sender_and_turn(number);
        let rooms = self.of(sender);
        let place = turn as usize % rooms.len().max(1);
        rooms.get(place).copied().unwrap_or_default()
    }

    /// Whether `client` is to get message `number`: everybody in its room, the sender too.
    #[must_use]
    pub fn reaches(&self, number: u32, client: u32) -> bool {
        self.of(client).contains(&self.target(number))
    }

    /// How many deliveries messages 0 to `messages` are.
    #[must_use]
    pub fn deliveries(&self, messages: u32) -> u64 {
        let mut members = vec![0_u64; self.rooms.count as usize];
        for room in &self.of {
            if let Some(members) = members.get_mut(*room as usize) {
                *members += 1;
            }
        }
        let reached = |number| members.get(self.target(number) as usize).copied();
        (0..messages).filter_map(reached).sum()
    }
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMS: Rooms = Rooms {
        count: 100,
        each: 10,
        clients: 50,
        burst: 1,
    };

    #[test]
    fn every_client_is_in_as_many_rooms_and_they_are_spread() {
        let mut members = [0; 100];
        for client in 0..1000 {
            let mut rooms = ROOMS.of(client);
            assert_eq!(rooms, ROOMS.of(client));
            rooms.sort_unstable();
            rooms.dedup();
            assert_eq!(rooms.len(), 10);
            rooms.iter().for_each(|room| members[*room as usize] += 1);
        }
        assert!(members.iter().all(|n| (50..150).contains(n)), "{members:?}");
        let all = Rooms {
            count: 3,
            each: 3,
            clients: 1,
            burst: 1,
        };
        let mut rooms = all.of(7);
        rooms.sort_unstable();
        assert_eq!(rooms, [0, 1, 2]);
    }

    #[test]
    fn deliveries_are_counted_as_a_hub_would() {
        let seating = Seating::new(ROOMS);
        let members = |room: u32| (0..50).filter(move |c| ROOMS.of(*c).contains(&room));
        let slow: usize = (0..777).map(|n| members(seating.target(n)).count()).sum();
        assert_eq!(seating.deliveries(777), slow as u64);
        let reached = (0..50).filter(|client| seating.reaches(99, *client));
        assert!(reached.eq(members(seating.target(99))));
        assert!(seating.reaches(99, 49), "the sender gets its own");
    }

    #[test]
    fn a_sender_goes_round_its_own_rooms() {
        let (rooms, part, seating) = (ROOMS.of(3), Part::Chats(ROOMS), Seating::new(ROOMS));
        for turn in 0..25 {
            let number = 3 + turn * 50;
            assert_eq!(part.sender_and_turn(number), (3, turn));
            assert_eq!(seating.target(number), rooms[turn as usize % 10]);
        }
        let line = part.word("x", 53, 7, "hi".into()).line();
        assert_eq!(line, "[12,\"PUBLISH\",[\"x/7\",\"hi\"]]\n");
    }

    #[test]
    fn a_burst_is_one_senders_and_goes_round_its_rooms() {
        let rooms = Rooms { burst: 4, ..ROOMS };
        let (part, seating) = (Part::Chats(rooms), Seating::new(rooms));
        for number in 0..1000 {
            let (sender, turn) = part.sender_and_turn(number);
            assert_eq!((sender, turn % 4), (number / 4 % 50, number % 4));
            assert_eq!(turn / 4, number / 200);
            let room = rooms.of(sender)[turn as usize % 10];
            assert_eq!(seating.target(number), room);
        }
    }

    #[test]
    fn partners_send_to_each_other() {
        let part = Part::Pairs(4);
        let words = [0, 7].map(|number| part.word("x", number, 0, "m".into()));
        assert_eq!(
            lines(&words),
            "[2,\"SEND\",[\"user1\",\"m\"]]\n[3,\"SEND\",[\"user2\",\"m\"]]\n"
        );
        assert_eq!(part.channels("x", 2), ["x/user2"]);
        assert_eq!(part.hello("x", 2), "[1,\"AUTH\",[\"user2\",null]]\n");
    }

    #[test]
    fn a_hello_has_as_many_lines_as_answers_are_waited_for() {
        for part in [Part::Reads, Part::Idles, Part::Chats(ROOMS), Part::Pairs(2)] {
            let lines = part.hello("x", 1).lines().count();
            assert_eq!(lines, part.calls() as usize);
            assert_eq!(Part::from_json(&part.to_json()), Some(part));
        }
        assert_eq!(Part::from_json(&json!({"part": "sings"})), None);
    }
}
