//! The open loop: messages leave when they are meant to, whatever became of those before.
//!
//! In: a rate, a size, a time. Out: how many were sent, how late, how many were refused. Requests are not
//! waited for: they are pipelined on one connection, so that messages keep their order.

use crate::payload::Mark;
use crate::proto::http::{self, Body, Event};
use crate::sys::now_ns;
use crate::trouble::Trouble;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

/// What is to be published.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The path to POST to.
    pub path: String,
    /// Messages a second.
    pub rate: f64,
    /// Bytes of each.
    pub size: usize,
    /// For how long.
    pub time: Duration,
    /// The mark's run.
    pub run: u16,
}

impl Plan {
    /// How many messages that is.
    #[must_use]
    pub fn total(&self) -> u32 {
        (self.rate * self.time.as_secs_f64()).round().max(1.0) as u32
    }
}

/// What was.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Messages.
    pub messages: u32,
    /// Messages that the server did not take.
    pub refused: u32,
    /// The longest that a message was sent behind its time, microseconds: lateness of the load, not the server's.
    pub late_us_max: u64,
}

/// Publishes to its end; `between` is called while there is time.
///
/// # Errors
/// A server that does not take the connection, or ends it and does not take another.
pub fn run(to: SocketAddr, plan: &Plan, mut between: impl FnMut()) -> Result<Sent, Trouble> {
    let start = now_ns() + LEAD_NS;
    let mut wire = Wire::open(to)?;
    let mut sent = Sent::default();
    for seq in 0..plan.total() {
        let at_ns = start + (f64::from(seq) * 1e9 / plan.rate) as u64;
        let mark = Mark {
            run: plan.run,
            seq,
            at_ns,
        };
        let request = request(to, &plan.path, &mark.message(plan.size));
        wire.read_answers();
        between();
        sleep(Duration::from_nanos(at_ns.saturating_sub(now_ns())));
        sent.late_us_max = sent.late_us_max.max(now_ns().saturating_sub(at_ns) / 1000);
        wire.send(to, &request)?;
        sent.messages += 1;
    }
    wire.finish();
    sent.refused = wire.refused;
    Ok(sent)
}

fn request(to: SocketAddr, path: &str, message: &[u8]) -> Vec<u8> {
    let length = message.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nContent-Type: text/plain\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), message].concat()
}

#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    body: Body,
    unread: Vec<u8>,
    unanswered: u32,
    refused: u32,
    ended: bool,
}

impl Wire {
    fn open(to: SocketAddr) -> Result<Self, Trouble> {
        let stream = TcpStream::connect_timeout(&to, ANSWER_MAX);
        let stream = stream.map_err(Trouble::io("connecting to publish"))?;
        let ready = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_write_timeout(Some(ANSWER_MAX)));
        ready.map_err(Trouble::io("connecting to publish"))?;
        Ok(Self {
            stream,
            body: Body::Head,
            unread: Vec::new(),
            unanswered: 0,
            refused: 0,
            ended: false,
        })
    }

    /// A server may end a connection after so many requests: the next goes on another.
    fn send(&mut self, to: SocketAddr, request: &[u8]) -> Result<(), Trouble> {
        if self.ended {
            let refused = self.refused;
            *self = Self::open(to)?;
            self.refused = refused;
        }
        let set = self.stream.set_nonblocking(false);
        set.and_then(|()| self.stream.write_all(request))
            .map_err(Trouble::io("publishing"))?;
        self.unanswered += 1;
        Ok(())
    }

    /// Reads what answers there are, without waiting.
    fn read_answers(&mut self) {
        let mut buffer = [0; 16 * 1024];
        let _ = self.stream.set_nonblocking(true);
        while !self.ended {
            match self.stream.read(&mut buffer) {
                Ok(n @ 1..) => self.take(buffer.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => self.ended = true,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        let mut rest = &self.unread[..];
        loop {
            match http::next(&mut self.body, &mut rest) {
                Ok(Event::More) => break,
                Ok(Event::Head(200..=299) | Event::Data(_)) => {}
                Ok(Event::Head(_)) => self.refused += 1,
                Ok(Event::End) => self.unanswered = self.unanswered.saturating_sub(1),
                Err(_) => {
                    self.ended = true;
                    break;
                }
            }
        }
        self.unread = rest.to_vec();
    }

    /// Waits for the last answers.
    fn finish(&mut self) {
        for _ in 0..ANSWER_MAX.as_millis() {
            self.read_answers();
            if self.unanswered == 0 || self.ended {
                return;
            }
            sleep(Duration::from_millis(1));
        }
    }
}

/// From the plan to the first message.
const LEAD_NS: u64 = 20_000_000;
const ANSWER_MAX: Duration = Duration::from_secs(5);
