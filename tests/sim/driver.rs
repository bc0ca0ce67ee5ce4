//! The node with pipes instead of sockets and a clock that is set: it does what `net` does in a turn.
//!
//! In: bytes and ends from clients, moments. Out: what the node wrote, as far as the pipes take it. It also
//! watches what `net` and the node owe each other: no readable byte is forgotten, no turn spins, a peer that
//! takes nothing is let go, an empty write is never offered.

use super::chance::{Chance, Totals};
use super::csp_down::SLACK_MS;
use super::pipe::{Link, Nowhere, Pipe};
use orbited::cmd::Cause;
use orbited::config::Config;
use orbited::ids::ConnId;
use orbited::node::{Dial, Door, Flushed, Node};
use orbited::time::{Clock, Tick};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A client's end of a pipe.
pub type LinkId = usize;

/// The node, its pipes and its clock.
pub struct Driver {
    pub node: Node,
    pub totals: Totals,
    /// Lines of what happened, kept when a seed is replayed.
    pub trace: Option<Vec<String>>,
    /// The step of the run.
    pub step: u32,
    /// Pipes take everything and wake at once: a run that comes to its end.
    pub calm: bool,
    now: u64,
    chance: Chance,
    links: Vec<Link>,
    /// Links that are not over on both sides.
    active: Vec<LinkId>,
    by_conn: BTreeMap<u64, LinkId>,
    /// Connections that the node wants made, and what became of them that it is not told yet.
    dials: VecDeque<Dial>,
    dialled: Vec<(ConnId, Option<LinkId>)>,
    /// Connections that the node did not want any more before they were made.
    pub given_up: u64,
    /// Every name the node gave a connection.
    names: BTreeSet<u64>,
    readable: VecDeque<(ConnId, bool)>,
    /// Most bytes that any pipe holds.
    narrow: usize,
    /// When the node was stopped: the moment, and the turn.
    stopped: Option<(u64, u64)>,
    /// What is left of it ends, and some of that in the next turn.
    finishing: bool,
    in_haste: bool,
    /// Turns so far.
    pub turns: u64,
    /// Seconds by which the date is wrong.
    date_off: i64,
}

impl Driver {
    pub fn new(config: Config, seed: u64, traced: bool) -> Self {
        let mut chance = Chance::new(seed, 2);
        let node = Node::new(config, chance.seed()).unwrap();
        let mut driver = Self {
            node,
            totals: Totals::default(),
            trace: traced.then(Vec::new),
            step: 0,
            calm: false,
            now: 1_000_000,
            chance,
            links: Vec::new(),
            active: Vec::new(),
            by_conn: BTreeMap::new(),
            dials: VecDeque::new(),
            dialled: Vec::new(),
            given_up: 0,
            names: BTreeSet::new(),
            readable: VecDeque::new(),
            narrow: ROOM,
            stopped: None,
            finishing: false,
            in_haste: false,
            turns: 0,
            date_off: 0,
        };
        driver.turn();
        driver
    }

    /// Milliseconds since the beginning.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Keeps a line for whoever replays the seed.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>5} {:>9} {}", self.step, self.now, line()));
        }
    }

    /// Stops the node in the middle of a turn, behind what was read. Nobody can connect any more.
    pub fn stop(&mut self) {
        self.begin_turn();
        self.read();
        self.node.stop();
        self.stopped = Some((self.now, self.turns));
        self.end_turn();
    }

    /// Whether the node was stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// In which turn the node was stopped.
    pub fn stopped_turn(&self) -> Option<u64> {
        self.stopped.map(|(_, turn)| turn)
    }

    /// A new connection, unless the node takes no more.
    pub fn connect(&mut self, door: Door) -> Option<LinkId> {
        if self.is_stopped() {
            return None;
        }
        self.connect_late(door)
    }

    /// A new connection, although the node stops.
    pub fn connect_late(&mut self, door: Door) -> Option<LinkId> {
        let Some(conn) = self.node.accept(door) else {
            self.totals.count("connections refused");
            return None;
        };
        self.totals.count("connections");
        Some(self.link(conn))
    }

    /// The next connection that the node wants made.
    pub fn next_dial(&mut self) -> Option<Dial> {
        self.dials.pop_front()
    }

    /// It is made.
    pub fn take_dial(&mut self, dial: &Dial) -> LinkId {
        let link = self.link(dial.conn);
        self.dialled.push((dial.conn, Some(link)));
        link
    }

    /// Nobody is there.
    pub fn refuse_dial(&mut self, dial: &Dial) {
        self.dialled.push((dial.conn, None));
    }

    fn link(&mut self, conn: ConnId) -> LinkId {
        assert!(
            self.names.insert(conn.pack()),
            "conn {conn} is named like one before"
        );
        let room = match self.chance.below(6) {
            _ if self.calm => ROOM,
            0 => self.chance.between(1, 300),
            1 => self.chance.between(300, 6_000),
            _ => ROOM,
        };
        let link = self.links.len();
        self.links.push(Link {
            conn,
            up: Vec::new(),
            down: Vec::new(),
            room,
            narrow: self.narrow,
            finished: false,
            reset: false,
            shut: false,
            closed: false,
            left: false,
            ended: None,
            spared: false,
            late: false,
            told: false,
            edge_read: false,
            blocked: None,
            ever_blocked: false,
            wasted: false,
            waits: false,
            cut: false,
            written_at: self.now,
            pings: None,
        });
        self.active.push(link);
        self.by_conn.insert(conn.pack(), link);
        link
    }

    /// Bytes arrive at the node's side.
    pub fn send(&mut self, id: LinkId, bytes: &[u8]) {
        let link = &mut self.links[id];
        if bytes.is_empty() || link.finished || link.reset {
            return;
        }
        if link.closed {
            link.late = true;
            return;
        }
        link.up.extend_from_slice(bytes);
        link.edge_read = true;
    }

    /// The client shuts its sending side.
    pub fn finish(&mut self, id: LinkId) {
        let link = &mut self.links[id];
        link.edge_read |= !link.finished && !link.closed;
        link.finished = true;
    }

    /// The connection breaks; what is on its way may be lost, both ways.
    pub fn reset(&mut self, id: LinkId) {
        let lost = self.chance.one_in(2);
        let link = &mut self.links[id];
        link.edge_read |= !link.closed;
        (link.reset, link.left, link.told) = (true, true, false);
        if lost {
            link.up.clear();
        }
        link.waste();
    }

    /// The client closes and reads no more.
    pub fn leave(&mut self, id: LinkId) {
        self.finish(id);
        self.links[id].left = true;
        self.links[id].waste();
    }

    /// Takes at most `max` of what the node wrote.
    pub fn take(&mut self, id: LinkId, max: usize) -> Vec<u8> {
        let down = &mut self.links[id].down;
        if down.len() <= max {
            return std::mem::take(down);
        }
        down.drain(..max).collect()
    }

    /// Bytes to take.
    pub fn unread(&self, id: LinkId) -> usize {
        self.links[id].down.len()
    }

    /// Whether the client sees the end: everything is taken, and nothing more comes.
    pub fn is_over(&self, id: LinkId) -> bool {
        let link = &self.links[id];
        link.left || (link.down.is_empty() && (link.shut || link.closed))
    }

    /// Whether the node still serves the connection: it has neither shut nor closed nor lost it.
    pub fn is_up(&self, id: LinkId) -> bool {
        let link = &self.links[id];
        !(link.shut || link.closed || link.left || link.reset || link.finished)
    }

    /// From now on the pipe takes everything at once.
    pub fn spare(&mut self, id: LinkId) {
        self.links[id].spared = true;
    }

    /// In which turn the node closed the connection.
    pub fn closed_turn(&self, id: LinkId) -> Option<u64> {
        self.links[id].ended.map(|(turn, _)| turn)
    }

    /// Whether the client had ended the connection when the node closed it.
    pub fn was_ended_by_client(&self, id: LinkId) -> bool {
        self.links[id].ended.is_some_and(|(_, own)| own)
    }

    /// Whether the node is done with the connection.
    pub fn is_closed(&self, id: LinkId) -> bool {
        self.links[id].closed
    }

    /// Whether the client itself ended the connection, in either way.
    pub fn is_ended_by_client(&self, id: LinkId) -> bool {
        let link = &self.links[id];
        link.left || link.reset || link.finished
    }

    /// Whether the client left or reset the connection.
    pub fn is_broken(&self, id: LinkId) -> bool {
        let link = &self.links[id];
        link.left || link.reset
    }

    /// Whether the node saw the connection break before it was done with it.
    pub fn was_seen_to_break(&self, id: LinkId) -> bool {
        let link = &self.links[id];
        link.closed && link.reset && link.told && !link.finished
    }

    /// Whether the pipe took something that its client never reads.
    pub fn is_wasted(&self, id: LinkId) -> bool {
        let link = &self.links[id];
        link.wasted || !link.down.is_empty()
    }

    /// Whether the node has read everything that was sent.
    pub fn is_delivered(&self, id: LinkId) -> bool {
        self.links[id].up.is_empty() && !self.links[id].late
    }

    /// Whether the node was told that nothing more comes.
    pub fn is_told(&self, id: LinkId) -> bool {
        self.links[id].told
    }

    /// Whether the node was ever made to wait for room.
    pub fn was_blocked(&self, id: LinkId) -> bool {
        self.links[id].ever_blocked
    }

    /// Whether the node waits for room.
    pub fn is_blocked(&self, id: LinkId) -> bool {
        self.links[id].blocked.is_some()
    }

    /// Whether the node waits for room inside of what it writes.
    pub fn is_cut(&self, id: LinkId) -> bool {
        self.is_blocked(id) && self.links[id].cut
    }

    /// The pipe takes so many bytes more.
    pub fn cut_after(&mut self, id: LinkId, bytes: usize) {
        self.set_room(id, self.links[id].down.len() + bytes);
    }

    /// An upgrade is asked for: pings are watched from now on.
    pub fn watch_pings(&mut self, id: LinkId) {
        self.links[id].pings.get_or_insert_default();
    }

    /// Whether a ping was unanswered, when the node closed the WebSocket, for as long as it waits for a pong.
    pub fn was_unheard(&self, id: LinkId) -> bool {
        let pings = self.links[id].pings.as_ref();
        pings.is_some_and(|pings| pings.closed_after_ms() >= PONG_MS)
    }

    /// When the node last wrote.
    pub fn written_at(&self, id: LinkId) -> u64 {
        self.links[id].written_at
    }

    /// How much the pipe holds before the node has to wait.
    pub fn set_room(&mut self, id: LinkId, room: usize) {
        let link = &mut self.links[id];
        link.room = room;
        link.ever_blocked |= link.blocked.is_some();
    }

    /// Room for everything.
    pub fn open_wide(&mut self) {
        self.calm = true;
        self.links.iter_mut().for_each(|link| link.room = ROOM);
        self.narrow(ROOM);
    }

    /// No pipe holds more than this.
    pub fn narrow(&mut self, room: usize) {
        self.narrow = room;
        for link in &mut self.links {
            link.narrow = room;
            // Who was only made to wait may have to now.
            link.ever_blocked |= link.blocked.is_some();
        }
    }

    /// The pipe holds everything again.
    pub fn let_go(&mut self, id: LinkId) {
        self.set_room(id, ROOM);
    }

    /// Sets the date, which nothing but answers' heads tell.
    pub fn set_date(&mut self, off_s: i64) {
        self.date_off = off_s;
    }

    /// Sets the clock on and turns, as a machine does that was asleep; what is due waits for the end of the
    /// wheel's granule.
    pub fn leap(&mut self, ms: u64) {
        if ms > NAP_MS {
            // A loop that stands still between serving a request and writing its answer is not simulated.
            self.settle();
        }
        for id in &self.active {
            let link = &mut self.links[*id];
            link.ever_blocked |= link.blocked.is_some();
            // Whoever slept has not waited.
            link.blocked = link.blocked.map(|since| since + ms);
        }
        self.now += ms;
        self.turn();
        self.now += GRANULE_MS;
        self.turn();
    }

    /// Lets time pass as the loop does: it wakes whenever the node asks to.
    pub fn sleep(&mut self, ms: u64) {
        let end = self.now + ms;
        let mut turns = 0;
        while let Some(due) = self.due().filter(|due| *due <= end) {
            turns = if due > self.now { 0 } else { turns + 1 };
            assert!(turns < SPIN, "the loop spins at {}", self.now);
            self.now = self.now.max(due);
            self.turn();
        }
        self.now = end;
        self.turn();
    }

    /// Turns until nothing is left to do but wait.
    pub fn settle(&mut self) {
        for _ in 0..SPIN {
            if !self.has_work() {
                let due = self.node.next_due();
                assert!(
                    due.is_none_or(|due| due > Tick(self.now)),
                    "a deadline is due and stays due"
                );
                return;
            }
            self.turn();
        }
        let edges: Vec<_> = self
            .active
            .iter()
            .map(|id| &self.links[*id])
            .filter(|link| link.has_edge())
            .collect();
        let conns: Vec<_> = edges
            .iter()
            .map(|link| (link.conn, link.edge_read, link.down.len(), link.room))
            .collect();
        panic!(
            "the loop spins: {} dirty, to read {:?}, edges {conns:?}",
            self.node.dirty_len(),
            self.readable
        );
    }

    fn due(&self) -> Option<u64> {
        if self.has_work() {
            return Some(self.now);
        }
        let stop = self.stopped.filter(|_| !self.finishing);
        let stop = stop.map(|(since, _)| since + STOP_MS);
        self.node
            .next_due()
            .map(|due| due.0)
            .into_iter()
            .chain(stop)
            .min()
    }

    fn has_work(&self) -> bool {
        self.in_haste
            || self.node.has_commands()
            || self.node.dirty_len() > 0
            || !self.readable.is_empty()
            || !self.dialled.is_empty()
            || self.active.iter().any(|id| self.links[*id].has_edge())
    }

    /// Adds what the node counted to what the run counts.
    pub fn count_outcomes(&mut self) {
        let metrics = self.node.metrics();
        for cause in Cause::ALL {
            let word = cause.word();
            self.totals
                .add_to("sessions ended", word, metrics.signoffs[cause as usize]);
        }
        for (code, many) in &metrics.refused {
            self.totals.add_to("refused", code, *many);
        }
        self.totals.add("packets written again", metrics.resent);
        self.totals
            .add("messages undelivered", metrics.undelivered_in_all());
        self.totals
            .add("downstreams: taken over at the node", metrics.switches);
    }

    /// One turn of the loop, in `net`'s order.
    pub fn turn(&mut self) {
        self.begin_turn();
        self.read();
        self.end_turn();
    }

    fn begin_turn(&mut self) {
        self.totals.count("turns");
        self.turns += 1;
        let unix_s = (1_700_000_000 + self.now / 1000).saturating_add_signed(self.date_off);
        self.node.turn(Clock {
            tick: Tick(self.now),
            unix_ms: unix_s.saturating_mul(1000),
        });
        self.tell_dials();
        self.see_edges();
    }

    /// What became of connections that the node wanted; of those that it gave up nobody tells it.
    fn tell_dials(&mut self) {
        for (conn, link) in std::mem::take(&mut self.dialled) {
            match link {
                Some(link) if !self.links[link].closed => self.node.connected(conn),
                Some(_) => {}
                None => self.node.ended(conn, true),
            }
        }
    }

    fn end_turn(&mut self) {
        self.serve();
        self.node.tick();
        self.serve();
        while let Some(dial) = self.node.next_dial() {
            self.dials.push_back(dial);
        }
        self.flush();
        self.resume();
        self.sweep();
        self.finish_node();
    }

    /// When everybody was told that the node stops, or their time for that is over, the sessions end.
    fn finish_node(&mut self) {
        let Some((since, _)) = self.stopped else {
            return;
        };
        let drained = self.node.is_drained();
        if !self.finishing && (drained || self.now >= since + STOP_MS) {
            self.finishing = true;
            self.totals.count(match drained {
                true => "stops: drained",
                false => "stops: late",
            });
        }
        self.in_haste = self.finishing && self.node.finish(false);
    }

    fn serve(&mut self) {
        for _ in 0..SERVES_PER_TURN {
            if self.node.run_commands() || !self.resume() {
                return;
            }
        }
    }

    fn resume(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.node.next_resumed() {
            any = true;
            self.node.resume(id);
            self.readable.push_back((id, true));
        }
        any
    }

    /// What must hold between two turns.
    pub fn check(&mut self) {
        if let Err(broken) = self.node.check_invariants() {
            panic!("invariant: {broken}");
        }
        // Who waits for the application is not listened to, and may answer its pings later.
        let pauses = !self.node.config().deciders.is_empty();
        for link in self.active.iter().map(|id| &self.links[*id]) {
            let ended = (link.finished || link.reset) && !link.told;
            let more = !link.up.is_empty() || ended;
            let known = link.edge_read || self.readable.iter().any(|(id, _)| *id == link.conn);
            assert!(
                link.closed || !more || known || !self.node.wants_read(link.conn),
                "conn {} has bytes or an end to be read, wants them, and nobody will read",
                link.conn
            );
            assert!(
                link.blocked.is_none_or(|since| link.closed
                    || link.has_room()
                    || self.now - since <= DEAF_MS),
                "conn {} takes nothing since {} ms and is held for ever",
                link.conn,
                self.now - link.blocked.unwrap_or_default()
            );
            let ms = link
                .pings
                .as_ref()
                .map_or(0, |pings| pings.unanswered_ms(self.now));
            assert!(
                pauses || ms <= PONG_MS + SLACK_MS || link.told || link.blocked.is_some(),
                "conn {} answers no ping for {ms} ms and is held",
                link.conn
            );
        }
    }

    /// Edges, in any order.
    fn see_edges(&mut self) {
        let mut order: Vec<LinkId> = self.active.clone();
        for at in (1..order.len()).rev() {
            order.swap(at, self.chance.below(at + 1));
        }
        for id in order {
            let wake = self.calm || self.chance.one_in(2);
            let link = &mut self.links[id];
            if link.closed {
                continue;
            }
            let (conn, broken) = (link.conn, link.reset);
            let writable = (link.blocked.is_some() && link.has_room() && wake)
                || (link.blocked.is_none() && self.chance.one_in(50));
            if std::mem::take(&mut link.edge_read) {
                let ended = broken || link.finished;
                if broken && !self.node.wants_read(conn) {
                    link.told = true;
                    self.node.ended(conn, true);
                } else {
                    self.readable.push_back((conn, ended));
                }
            }
            if writable {
                if let Some(pings) = link.pings.as_mut().filter(|_| link.blocked.is_some()) {
                    pings.woke(self.now);
                }
                link.waits = false;
                self.node.writable(conn);
            }
        }
    }

    fn read(&mut self) {
        for _ in 0..self.readable.len() {
            let Some((conn, ended)) = self.readable.pop_front() else {
                return;
            };
            self.read_one(conn, ended);
        }
    }

    fn read_one(&mut self, conn: ConnId, ended: bool) {
        let Some(id) = self.by_conn.get(&conn.pack()).copied() else {
            return;
        };
        for _ in 0..READS_PER_TURN {
            if !self.node.wants_read(conn) {
                return;
            }
            let link = &mut self.links[id];
            if link.up.is_empty() {
                link.told |= link.reset || link.finished;
                match (link.reset, link.finished) {
                    (true, _) => self.node.ended(conn, true),
                    (false, true) => self.node.ended(conn, false),
                    (false, false) => {}
                }
                return;
            }
            let count = link.up.len().min(READ_BYTES);
            let mut bytes: Vec<u8> = link.up.drain(..count).collect();
            self.note(|| format!("conn {conn} reads {}", show(&bytes)));
            self.node.receive(conn, &mut bytes);
            let link = &mut self.links[id];
            let blocked = link.blocked.is_some();
            if let Some(pings) = &mut link.pings {
                pings.heard(self.now, blocked);
            }
            if count < READ_BYTES && !ended {
                return;
            }
        }
        self.readable.push_back((conn, ended));
    }

    fn flush(&mut self) {
        for _ in 0..self.node.dirty_len() {
            let Some(conn) = self.node.next_dirty() else {
                return;
            };
            let Some(id) = self.by_conn.get(&conn.pack()).copied() else {
                assert_eq!(self.node.flush(conn, &mut Nowhere), Flushed::Idle);
                continue;
            };
            let before = self.links[id].down.len();
            let mut pipe = Pipe {
                link: &mut self.links[id],
                chance: &mut self.chance,
                totals: &mut self.totals,
                calm: self.calm,
                now: self.now,
            };
            let flushed = self.node.flush(conn, &mut pipe);
            if self.trace.is_some() {
                let wrote = show(self.links[id].down.get(before..).unwrap_or_default());
                self.note(|| format!("conn {conn} writes {wrote}, {flushed:?}"));
            }
            let link = &mut self.links[id];
            link.cut = flushed == Flushed::Later && (link.cut || link.down.len() > before);
            if let Some(pings) = link.pings.as_mut().filter(|_| flushed == Flushed::Idle) {
                pings.idle();
            }
            if flushed == Flushed::Shut {
                assert!(!link.shut, "conn {conn} is shut twice");
                link.shut = true;
            }
        }
    }

    fn sweep(&mut self) {
        while let Some(conn) = self.node.next_dead() {
            let dials = self.dials.len();
            self.dials.retain(|dial| dial.conn != conn);
            self.given_up += (dials - self.dials.len()) as u64;
            let Some(id) = self.by_conn.remove(&conn.pack()) else {
                continue;
            };
            self.note(|| format!("conn {conn} is closed"));
            let link = &mut self.links[id];
            // Closing with unread input resets the connection, which may overtake the answer.
            if !link.up.is_empty() && self.chance.one_in(2) {
                link.waste();
                link.ever_blocked = true;
            }
            link.ended = Some((self.turns, link.left || link.reset || link.finished));
            link.closed = true;
            link.blocked = None;
        }
        let links = &self.links;
        self.active.retain(|id| !links[*id].closed);
    }
}

/// A run that fails while it is replayed shows how it came to that.
impl Drop for Driver {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace = self.trace.take().unwrap_or_default();
            let lines = std::env::var("ORB_LINES").map_or(60, |lines| lines.parse().unwrap());
            let from = trace.len().saturating_sub(lines);
            eprintln!("{}", trace[from..].join("\n"));
        }
    }
}

/// Bytes as a line of a trace, without their middle.
fn show(bytes: &[u8]) -> String {
    match bytes.len() {
        0..=160 => bytes.escape_ascii().to_string(),
        len => format!(
            "{} .. {} ({len} bytes)",
            bytes[..80].escape_ascii(),
            bytes[len - 60..].escape_ascii()
        ),
    }
}

/// Milliseconds that `net` gives to goodbyes.
pub const STOP_MS: u64 = 3_000;
/// Milliseconds in which the node wants a ping answered.
const PONG_MS: u64 = 10_000;
/// One read of the loop.
const READ_BYTES: usize = 16 * 1024;
const READS_PER_TURN: usize = 4;
const SERVES_PER_TURN: usize = 64;
/// Milliseconds below which no connection is given up.
const NAP_MS: u64 = 1_000;
const GRANULE_MS: u64 = 8;
const ROOM: usize = 1 << 30;
/// Turns at one moment after which the loop is taken to spin.
const SPIN: usize = 400;
/// Milliseconds after which a peer that takes nothing must be gone: the longest hold, the time to write and
/// the time between two requests, with some to spare.
const DEAF_MS: u64 = 120_000;
