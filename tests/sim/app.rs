//! The application as a server of HTTP: what the node asks and tells it, answered at some time, somehow or never.
//!
//! In: connections that the node wants, its requests. Out: requests as JSON; answers in all spellings, in pieces. A request
//! that is not as the node has to send it is a panic.

use super::chance::Chance;
use super::driver::{Driver, LinkId};
use serde_json::Value;

/// The application's side of all connections that were ever made to it.
#[derive(Default)]
pub struct App {
    pub lanes: Vec<Lane>,
    /// Nobody listens: connections are refused.
    pub away: bool,
    /// Refused so far, and when the last was.
    pub refused: u64,
    pub refused_at: u64,
}

/// One connection.
pub struct Lane {
    pub link: LinkId,
    inbox: Vec<u8>,
    /// Of an answer, what is not sent yet.
    rest: Vec<u8>,
    /// Its end is the end of the connection.
    finishes: bool,
    /// A request is not answered yet.
    pub open: bool,
    /// Requests that came, and answers that were begun.
    pub asked: usize,
    answered: usize,
    /// The application ended it.
    pub ended: bool,
    /// What it sent last may be lost.
    pub unsure: bool,
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// Its connection, by its number here.
    pub lane: usize,
    /// Its number on the connection.
    pub number: usize,
    pub body: Value,
}

impl App {
    /// Takes connections, sends what is to be sent, reads what came.
    pub fn pump(&mut self, net: &mut Driver, chance: &mut Chance) -> Vec<Request> {
        while let Some(dial) = net.next_dial() {
            if self.away {
                (self.refused, self.refused_at) = (self.refused + 1, net.now());
                net.refuse_dial(&dial);
                continue;
            }
            let link = net.take_dial(&dial);
            self.lanes.push(Lane::new(link));
        }
        let mut requests = Vec::new();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if !lane.ended {
                lane.feed(net, chance);
                requests.extend(lane.read(net, at));
                if lane.hang_up(net) && lane.asked == 0 {
                    // It was not there in time.
                    (self.refused, self.refused_at) = (self.refused + 1, net.now());
                }
            }
        }
        requests
    }

    /// Answers the request that a connection waits for.
    pub fn answer(&mut self, chance: &mut Chance, lane: usize, status: u16, body: &str) {
        let spelled = match (status, chance.below(6)) {
            (204 | 304, _) => format!("HTTP/1.1 {status} X\r\n\r\n"),
            (_, 0) => format!("HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n{body}"),
            (_, 1) => format!("HTTP/1.0 {status} X\r\n\r\n{body}"),
            (_, 2) if !body.is_empty() => format!(
                "HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            ),
            (_, 3) => format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            _ => format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        };
        let finishes = !spelled.contains("Length:") && !spelled.contains("chunked");
        self.say(
            lane,
            spelled.as_bytes(),
            finishes && !matches!(status, 204 | 304),
        );
    }

    /// Sends some bytes instead of an answer, or one.
    pub fn say(&mut self, lane: usize, bytes: &[u8], finishes: bool) {
        let lane = &mut self.lanes[lane];
        assert!(lane.open);
        lane.rest = bytes.to_vec();
        (lane.finishes, lane.open) = (finishes, false);
        lane.answered += 1;
    }

    /// Ends a connection, with what was to be sent on it.
    pub fn close(&mut self, net: &mut Driver, chance: &mut Chance, lane: usize) {
        let lane = &mut self.lanes[lane];
        let sent = lane.answered > 0 && !net.is_delivered(lane.link);
        match chance.one_in(2) {
            true => {
                lane.unsure |= sent;
                net.reset(lane.link);
            }
            false => net.leave(lane.link),
        }
        lane.ended = true;
    }

    /// Whether the node has the whole answer to request `number` of a connection, and had it before it gave the
    /// connection up. `None`: nobody can tell.
    pub fn has_answer(&self, net: &Driver, lane: usize, number: usize) -> Option<bool> {
        let lane = &self.lanes[lane];
        match lane.asked > number + 1 {
            // It asked again behind that.
            true => Some(true),
            false if lane.unsure => None,
            false => Some(
                lane.answered > number
                    && lane.rest.is_empty()
                    && net.is_delivered(lane.link)
                    && (!lane.finishes || net.is_told(lane.link)),
            ),
        }
    }
}

impl Lane {
    fn new(link: LinkId) -> Self {
        Self {
            link,
            inbox: Vec::new(),
            rest: Vec::new(),
            finishes: false,
            open: false,
            asked: 0,
            answered: 0,
            ended: false,
            unsure: false,
        }
    }

    /// Whether it lies idle.
    pub fn is_idle(&self) -> bool {
        !self.open && self.rest.is_empty()
    }

    fn feed(&mut self, net: &mut Driver, chance: &mut Chance) {
        if self.rest.is_empty() {
            return;
        }
        let now = match net.calm || chance.one_in(2) {
            true => self.rest.len(),
            false => chance.below(self.rest.len() + 1),
        };
        let bytes: Vec<u8> = self.rest.drain(..now).collect();
        net.send(self.link, &bytes);
        if self.rest.is_empty() && self.finishes {
            net.finish(self.link);
        }
    }

    fn read(&mut self, net: &mut Driver, at: usize) -> Option<Request> {
        self.inbox.extend(net.take(self.link, usize::MAX));
        let end = self.inbox.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&self.inbox[..end]).unwrap();
        let length = head.split("\r\nContent-Length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
        let body = self.inbox.get(end + 4..end + 4 + length)?;
        let body = serde_json::from_slice(body).unwrap();
        self.inbox.drain(..end + 4 + length);
        assert!(self.inbox.is_empty(), "two requests at once");
        assert!(self.is_idle(), "asked before the answer to the last");
        (self.open, self.asked) = (true, self.asked + 1);
        Some(Request {
            lane: at,
            number: self.asked - 1,
            body,
        })
    }

    /// Looks whether the node ended it.
    fn hang_up(&mut self, net: &mut Driver) -> bool {
        if net.is_over(self.link) && self.rest.is_empty() {
            net.leave(self.link);
            self.ended = true;
        }
        self.ended
    }
}
