//! Plays a transcript against a node, in one way of cutting what clients send.
//!
//! In: steps. Out: nothing, or what went another way. The loop here makes the calls of `net`'s loop in the
//! same order, over pipes in memory and a clock that is set.

use super::pattern::{Names, Pattern};
use super::script::{Expected, Field, Opcode, Response, Script, Step, UNIX_S, What};
use orbited::config::callback::Address;
use orbited::http::response::{date, reason};
use orbited::ids::ConnId;
use orbited::mem::{Sink, Wrote};
use orbited::node::{Door, Flushed, Node};
use orbited::time::{Clock, Tick};
use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;

/// How a client's blocks arrive.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    /// Each in one piece.
    Whole,
    /// Each in two, the first of so many bytes.
    At(usize),
    /// Each byte by itself.
    Dribbled,
}

/// Plays `script`; gives back the length of the longest block a client sent.
pub fn play(script: &Script, cut: Cut) -> Result<usize, String> {
    let mut player = Player::new(script, cut)?;
    for step in &script.steps {
        let told = |error| format!("line {}, {cut:?}: {error}", step.line);
        player.step(step).map_err(told)?;
    }
    player.close()?;
    Ok(player.longest)
}

struct Player {
    node: Node,
    now: Tick,
    pipes: BTreeMap<String, Pipe>,
    names: Names,
    cut: Cut,
    longest: usize,
    finishing: bool,
    /// Connections that the node asked for; all of them fail when the transcript is over.
    dials: usize,
    over: bool,
}

/// A connection as its client sees it.
#[derive(Default)]
struct Pipe {
    id: Option<ConnId>,
    /// The node wants it to be made, to this address.
    dialled: Option<String>,
    /// Sent and not read by the node.
    sent: VecDeque<Vec<u8>>,
    /// The client has shut its side, and the node has not seen it.
    shut: bool,
    /// Come and not looked at, and when each part of it came.
    came: Came,
    stopped: bool,
    /// The server has shut its side or is gone.
    over: bool,
    /// The transcript has told so.
    over_told: bool,
}

#[derive(Default)]
struct Came {
    bytes: Vec<u8>,
    marks: VecDeque<(usize, Tick)>,
}

/// What a pipe's client takes in a turn.
struct Taker<'a> {
    came: &'a mut Came,
    stopped: bool,
    now: Tick,
}

impl Sink for Taker<'_> {
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
        if self.stopped {
            return Wrote::Blocked;
        }
        let before = self.came.bytes.len();
        self.came.marks.push_back((before, self.now));
        parts
            .iter()
            .for_each(|part| self.came.bytes.extend_from_slice(part));
        Wrote::Some(self.came.bytes.len() - before)
    }
}

/// What stands for something from the start.
fn names_of(script: &Script) -> Names {
    let named = |(name, token): &(String, String)| (name.clone(), token.clone().into_bytes());
    script.tokens.iter().map(named).collect()
}

impl Player {
    fn new(script: &Script, cut: Cut) -> Result<Self, String> {
        Ok(Self {
            node: Node::new(script.config.clone(), [7; 32])?,
            now: Tick(0),
            pipes: BTreeMap::new(),
            names: names_of(script),
            cut,
            longest: 0,
            finishing: false,
            dials: 0,
            over: false,
        })
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        if let What::Expect(expected) = &step.what {
            return self.expect(&step.conn, expected);
        }
        self.nothing_came()?;
        let conn = step.conn.as_str();
        match &step.what {
            What::Request { line, fields, body } => {
                let request = self.request(conn, line, fields, body)?;
                self.send(conn, request)
            }
            What::Bytes(bytes) => {
                let bytes = bytes.bytes(&self.names)?;
                self.send(conn, bytes)
            }
            What::Frame(opcode, payload) => {
                let payload = payload.bytes(&self.names)?;
                self.send(conn, masked(*opcode, &payload))
            }
            What::End { reset: false } => {
                self.pipe(conn).shut = true;
                self.settle()
            }
            What::End { reset: true } => {
                if let Some(id) = self.pipe(conn).id {
                    self.node.ended(id, true);
                }
                self.settle()?;
                self.pipe(conn).over_told = true;
                Ok(())
            }
            What::Made(made) => {
                match (self.pipe(conn).id, made) {
                    (None, _) => return Err("it is gone".into()),
                    (Some(id), true) => self.node.connected(id),
                    (Some(id), false) => {
                        self.node.ended(id, true);
                        self.pipe(conn).over_told = true;
                    }
                }
                self.settle()
            }
            What::Reads(reads) => self.reads(conn, *reads),
            What::Wait { ms } => self.wait(*ms),
            What::Stop => {
                self.node.stop();
                self.settle()
            }
            What::Expect(_) => Ok(()),
        }
    }

    fn request(
        &mut self,
        conn: &str,
        line: &Pattern,
        fields: &[Pattern],
        body: &Pattern,
    ) -> Result<Vec<u8>, String> {
        let body = body.bytes(&self.names)?;
        let mut out = line.bytes(&self.names)?;
        let has = |name| fields.iter().any(|field| field.starts_with(name));
        if !has("Host:") {
            let host = match door(conn) {
                Door::Public => "orbited.test",
                Door::Internal | Door::Application | Door::Stomp | Door::Op => "127.0.0.1:8001",
            };
            out.extend_from_slice(format!("\r\nHost: {host}").as_bytes());
        }
        for field in fields {
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(&field.bytes(&self.names)?);
        }
        let told = has("Content-Length:") || has("Transfer-Encoding:");
        if !told && (out.starts_with(b"POST") || !body.is_empty()) {
            out.extend_from_slice(format!("\r\nContent-Length: {}", body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&body);
        Ok(out)
    }

    fn send(&mut self, conn: &str, block: Vec<u8>) -> Result<(), String> {
        self.pipe(conn);
        self.longest = self.longest.max(block.len());
        for piece in pieces(&block, self.cut) {
            self.pipe(conn).sent.push_back(piece.to_vec());
            self.settle()?;
        }
        Ok(())
    }

    fn reads(&mut self, conn: &str, reads: bool) -> Result<(), String> {
        let pipe = self.pipe(conn);
        pipe.stopped = !reads;
        if let Some(id) = pipe.id.filter(|_| reads) {
            self.node.writable(id);
        }
        self.settle()
    }

    /// The connection of this name; it is opened when it is first named.
    fn pipe(&mut self, conn: &str) -> &mut Pipe {
        if !self.pipes.contains_key(conn) {
            let id = self.node.accept(door(conn));
            let over = id.is_none();
            let pipe = Pipe {
                id,
                over,
                ..Pipe::default()
            };
            self.pipes.insert(conn.to_owned(), pipe);
        }
        self.pipes.entry(conn.to_owned()).or_default()
    }

    /// Lets time go by, and the node wake whenever it asked to.
    fn wait(&mut self, ms: u64) -> Result<(), String> {
        let target = self.now + ms;
        for _ in 0..WAKES_MAX {
            match self.node.next_due().filter(|due| *due <= target) {
                Some(due) => self.now = self.now.max(due),
                None => {
                    self.now = target;
                    return self.settle();
                }
            }
            self.settle()?;
        }
        Err("the node wakes for ever".into())
    }

    /// Turns until there is nothing to do.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..TURNS_MAX {
            let more = self.turn();
            self.node.check_invariants()?;
            if !more {
                return Ok(());
            }
        }
        Err("the node turns for ever".into())
    }

    fn turn(&mut self) -> bool {
        let (node, now) = (&mut self.node, self.now);
        node.turn(Clock {
            tick: now,
            unix_ms: UNIX_S * 1000 + now.0,
        });
        self.pipes.values_mut().for_each(|pipe| pipe.read(node));
        node.run_commands();
        let mut more = node.tick();
        node.run_commands();
        while let Some(dial) = node.next_dial() {
            if self.over {
                node.ended(dial.conn, true);
                continue;
            }
            self.dials += 1;
            let pipe = Pipe {
                id: Some(dial.conn),
                dialled: Some(address(&dial.to)),
                ..Pipe::default()
            };
            self.pipes.insert(format!("call{}", self.dials), pipe);
        }
        for _ in 0..node.dirty_len() {
            let Some(id) = node.next_dirty() else { break };
            let pipe = self.pipes.values_mut().find(|pipe| pipe.id == Some(id));
            let Some(pipe) = pipe else { continue };
            let mut sink = Taker {
                came: &mut pipe.came,
                stopped: pipe.stopped,
                now,
            };
            pipe.over |= node.flush(id, &mut sink) == Flushed::Shut;
        }
        while let Some(id) = node.next_resumed() {
            node.resume(id);
            more = true;
        }
        while let Some(id) = node.next_dead() {
            for pipe in self.pipes.values_mut().filter(|pipe| pipe.id == Some(id)) {
                (pipe.id, pipe.over) = (None, true);
            }
        }
        self.finishing |= node.is_drained();
        more |= self.finishing && node.finish(false);
        more || node.dirty_len() > 0 || node.has_commands()
    }

    fn nothing_came(&self) -> Result<(), String> {
        for (name, pipe) in &self.pipes {
            if !pipe.came.bytes.is_empty() {
                return Err(format!(
                    "before this, {name} got more:\n{}",
                    shown(&pipe.came.bytes)
                ));
            }
            if let Some(address) = &pipe.dialled {
                return Err(format!("before this, {address} was dialled as {name}"));
            }
            if pipe.over && !pipe.over_told {
                return Err(format!("before this, {name} was closed"));
            }
        }
        Ok(())
    }

    fn expect(&mut self, conn: &str, expected: &Expected) -> Result<(), String> {
        let pipe = self.pipes.get_mut(conn).ok_or("no such connection")?;
        if let Expected::Dial(wanted) = expected {
            let dialled = pipe.dialled.take();
            let same = dialled.as_ref() == Some(wanted);
            return same.then_some(()).ok_or(format!("{dialled:?} was dialled"));
        }
        if matches!(expected, Expected::Eof) {
            let told = std::mem::replace(&mut pipe.over_told, pipe.over);
            let rest = shown(&pipe.came.bytes);
            let at_end = pipe.over && !told && rest.is_empty();
            return at_end
                .then_some(())
                .ok_or(format!("it was not closed here; it got:\n{rest}"));
        }
        let when = pipe.came.when();
        let date = date(UNIX_S + when.0 / 1000).to_vec();
        self.names.insert("date".into(), date);
        let bytes = &pipe.came.bytes;
        let used = used(expected, bytes, &mut self.names).ok_or_else(|| {
            let open = if pipe.over { "closed" } else { "open" };
            format!("{conn} ({open}) got at {} ms:\n{}", when.0, shown(bytes))
        })?;
        pipe.came.drop_front(used);
        Ok(())
    }

    /// Ends every connection, lets every session die, and looks whether anything is left.
    fn close(&mut self) -> Result<(), String> {
        self.nothing_came()
            .map_err(|error| format!("at the end: {error}"))?;
        let ids: Vec<_> = self.pipes.values().filter_map(|pipe| pipe.id).collect();
        ids.into_iter().for_each(|id| self.node.ended(id, true));
        self.over = true;
        if !self.node.config().callbacks.is_empty() {
            // What is called lasts as long as the node.
            self.node.stop();
        }
        self.settle()?;
        self.wait(60 * 60 * 1000)?;
        let left = (
            self.node.conn_count(),
            self.node.session_count(),
            self.node.queued_bytes(),
        );
        if left != (0, 0, 0) {
            return Err(format!(
                "at the end, connections, sessions and queued bytes are left: {left:?}"
            ));
        }
        Ok(())
    }
}

impl Pipe {
    /// Gives the node what it wants to read; the end when there is nothing before it.
    fn read(&mut self, node: &mut Node) {
        let Some(id) = self.id else { return };
        while node.wants_read(id) {
            if let Some(mut piece) = self.sent.pop_front() {
                node.receive(id, &mut piece);
            } else if std::mem::take(&mut self.shut) {
                return node.ended(id, false);
            } else {
                return;
            }
        }
    }
}

impl Came {
    /// When the first byte came.
    fn when(&self) -> Tick {
        let before = self.marks.iter().take_while(|(at, _)| *at == 0);
        before.last().map_or(Tick(0), |(_, when)| *when)
    }

    fn drop_front(&mut self, count: usize) {
        self.bytes.drain(..count);
        for (at, _) in &mut self.marks {
            *at = at.saturating_sub(count);
        }
        if self.bytes.is_empty() {
            self.marks.clear();
        }
    }
}

/// How many bytes of `came` are what is expected, if they are.
fn used(expected: &Expected, came: &[u8], names: &mut Names) -> Option<usize> {
    match expected {
        Expected::Response(response) => {
            let status = response.status;
            let line = format!("HTTP/1.1 {status} {}\r\n", reason(status));
            used_by(&line, response, came, names)
        }
        Expected::Post(target, request) => {
            used_by(&format!("POST {target} HTTP/1.1\r\n"), request, came, names)
        }
        Expected::Bytes(bytes) => bytes.begins(came, names),
        Expected::All(bytes) => bytes.is(came, names).then_some(came.len()),
        Expected::Chunk(data) => {
            let line = came.iter().position(|byte| *byte == b'\r')?;
            let size = usize::from_str_radix(str::from_utf8(&came[..line]).ok()?, 16).ok()?;
            let head = format!("{size:x}\r\n");
            let end = head.len() + size;
            let body = came.get(head.len()..end)?;
            let framed = came.starts_with(head.as_bytes()) && came[end..].starts_with(b"\r\n");
            (framed && data.is(body, names)).then_some(end + 2)
        }
        Expected::Frame(opcode, payload) => {
            let (head, len) = frame_head(*opcode, came)?;
            let body = came.get(head..head + len)?;
            payload.is(body, names).then_some(head + len)
        }
        Expected::Stomp(frame) => {
            let len = stomp_len(came)?;
            let ends = came.get(len) == Some(&0);
            (ends && frame.is(&came[..len], names)).then_some(len + 1)
        }
        Expected::Eof | Expected::Dial(_) => None,
    }
}

/// Bytes of the frame of STOMP that `came` begins with, without its NUL.
fn stomp_len(came: &[u8]) -> Option<usize> {
    let head = came.windows(2).position(|two| two == b"\n\n")? + 2;
    let text = str::from_utf8(&came[..head]).ok()?;
    let said = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    match said {
        Some(said) => Some(head + said.parse::<usize>().ok()?),
        None => came.iter().position(|byte| *byte == 0),
    }
}

/// An address as `< dial` has it.
fn address(to: &Address) -> String {
    match to {
        Address::Ip(ip) => ip.to_string(),
        Address::Name(name, port) => format!("{name}:{port}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn used_by(line: &str, response: &Response, came: &[u8], names: &mut Names) -> Option<usize> {
    let mut rest = came.strip_prefix(line.as_bytes())?;
    let mut length = 0;
    for field in &response.fields {
        let end = memchr::memchr(b'\r', rest)?;
        let (text, after) = rest.split_at(end);
        rest = after.strip_prefix(b"\r\n")?;
        match field {
            Field::Line(line) => line.is(text, names).then_some(())?,
            Field::Length => {
                length = str::from_utf8(text.strip_prefix(b"Content-Length: ")?)
                    .ok()?
                    .parse()
                    .ok()?;
            }
        }
    }
    rest = rest.strip_prefix(b"\r\n")?;
    let body = rest.get(..length)?;
    let head = came.len() - rest.len();
    response.body.is(body, names).then_some(head + length)
}

/// The lengths of a frame's head and payload: from a server, final, unmasked, its length in its shortest form.
fn frame_head(opcode: Opcode, came: &[u8]) -> Option<(usize, usize)> {
    if *came.first()? != 0x80 | opcode as u8 {
        return None;
    }
    match *came.get(1)? {
        len @ 0..=125 => Some((2, len.into())),
        126 => {
            let len = u16::from_be_bytes(came.get(2..4)?.try_into().ok()?);
            (len > 125).then_some((4, len.into()))
        }
        127 => {
            let len = u64::from_be_bytes(came.get(2..10)?.try_into().ok()?);
            (len > 0xffff).then_some((10, len as usize))
        }
        _ => None,
    }
}

/// A client's frame.
fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | opcode as u8];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(a, b)| a ^ b));
    out
}

fn pieces(block: &[u8], cut: Cut) -> Vec<&[u8]> {
    match cut {
        Cut::At(at) if at < block.len() => vec![&block[..at], &block[at..]],
        Cut::Dribbled => {
            let (dribbled, rest) = block.split_at(block.len().min(DRIBBLED_MAX));
            dribbled.chunks(1).chain(rest.chunks(997)).collect()
        }
        _ => vec![block],
    }
}

/// Connections whose names begin with `app` come in by the internal port, with `stomp` by that of STOMP, with `op` by that of OP.
fn door(conn: &str) -> Door {
    match conn {
        _ if conn.starts_with("app") => Door::Internal,
        _ if conn.starts_with("stomp") => Door::Stomp,
        _ if conn.starts_with("op") => Door::Op,
        _ => Door::Public,
    }
}

/// Bytes for people: a line for each line.
fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    let cut = text
        .char_indices()
        .nth(6000)
        .map_or(text.len(), |(at, _)| at);
    text[..cut]
        .replace("\\'", "'")
        .replace("\\\"", "\"")
        .replace("\\n", "\\n\n")
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// More than any transcript needs.
const TURNS_MAX: usize = 10_000;
const WAKES_MAX: usize = 10_000;
/// Of a longer block only so much is dribbled, for the time it takes.
const DRIBBLED_MAX: usize = 4096;
