//! Publishing as fast as it goes through each door of the application, one after the other: how many messages a second one
//! connection brings in, each acknowledged, and the server's CPU of each.
//!
//! A door is a row: the bytes in front, those of a message, and the mark by which an acknowledgement is known in what comes
//! back. Nothing else of its protocol is looked at.

use super::Case;
use crate::proc::cpu_ns_of;
use crate::proto::ws;
use crate::report::{Figure, figure};
use crate::server::Server;
use crate::sys::now_ns;
use crate::trouble::Trouble;
use memchr::memmem;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

/// A way in.
struct Door {
    /// What its figures are called.
    figures: [&'static str; 2],
    at: fn(&Server) -> Option<SocketAddr>,
    /// What is said first, and what its answer ends with.
    hello: fn(&mut Vec<u8>) -> &'static [u8],
    /// A request of so many messages for the channel, by its number.
    message: fn(&mut Vec<u8>, (&str, &str), u64),
    messages: u32,
    /// What each acknowledgement has once.
    mark: &'static [u8],
}

const DOORS: [Door; 5] = [
    Door {
        figures: ["http_rate", "http_cpu"],
        at: |server| server.internals.first().copied(),
        hello: |_| b"",
        message: |out, (channel, text), _| post(out, &format!("/api/publish/{channel}"), text),
        messages: 1,
        mark: b"HTTP/1.1 20",
    },
    Door {
        figures: ["http_batch_rate", "http_batch_cpu"],
        at: |server| server.internals.first().copied(),
        hello: |_| b"",
        message: |out, (channel, text), _| {
            let one = format!("{{\"channel\":\"{channel}\",\"text\":\"{text}\"}}");
            let all = vec![one; BATCH as usize].join(",");
            post(out, "/api/publish", &format!("{{\"messages\":[{all}]}}"));
        },
        messages: BATCH,
        mark: b"HTTP/1.1 20",
    },
    Door {
        figures: ["stomp_rate", "stomp_cpu"],
        at: |server| server.stomp,
        hello: |out| {
            out.extend_from_slice(CONNECT);
            b"\0"
        },
        message: |out, (channel, text), _| out.extend_from_slice(send(channel, text).as_bytes()),
        messages: 1,
        mark: b"RECEIPT\n",
    },
    Door {
        figures: ["stomp_ws_rate", "stomp_ws_cpu"],
        at: |server| Some(server.target),
        hello: |out| {
            ws::upgrade(out, "localhost", "/_/stomp");
            out.extend_from_slice(b"\r\n");
            ws::masked(out, TEXT, CONNECT);
            b"\0"
        },
        message: |out, (channel, text), _| ws::masked(out, TEXT, send(channel, text).as_bytes()),
        messages: 1,
        mark: b"RECEIPT\n",
    },
    Door {
        figures: ["op_rate", "op_cpu"],
        at: |server| server.op,
        hello: |out| {
            let connect = "CONNECT\r\nid:0\r\nconnection_id:loadtest\r\nresponse:receipt\r\n\r\n\0";
            out.extend_from_slice(connect.as_bytes());
            b"\0"
        },
        message: |out, (channel, text), n| {
            let recipient = format!("recipient:channel:{channel}");
            let frame = format!("SEND\r\nid:{n}\r\n{recipient}\r\nresponse:none\r\n\r\n{text}\0");
            out.extend_from_slice(frame.as_bytes());
        },
        messages: 1,
        mark: b"function:success",
    },
];

/// Publishes through each for the time.
///
/// # Errors
/// A door that is shut, or does not take what is published.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let mut figures = Vec::new();
    for door in &DOORS {
        let [rate, cpu] = door.figures;
        case.eye.phase(rate);
        sleep(case.options.settle);
        let (count, took_ns, cpu_ns) = door.publish(case)?;
        let per_s = count as f64 * 1e9 / took_ns.max(1) as f64;
        figures.push(figure(rate, per_s, "messages a second, each acknowledged"));
        if !case.server.pids.is_empty() {
            let each = cpu_ns as f64 / 1e3 / count.max(1) as f64;
            figures.push(figure(cpu, each, "us of the server's CPU each"));
        }
    }
    Ok(figures)
}

impl Door {
    fn explained(&self, error: Trouble) -> Trouble {
        Trouble::Server(format!("{}: {error}", self.figures[0]))
    }

    /// Gives back how many messages were acknowledged, in how long, and the server's CPU.
    fn publish(&self, case: &Case<'_>) -> Result<(u64, u64, u64), Trouble> {
        let options = case.options;
        let shut = || Trouble::Server(format!("has no door for {}", self.figures[0]));
        let at = (self.at)(case.server).ok_or_else(shut)?;
        let text = "x".repeat(options.size);
        let said = (&*options.channel, &*text);
        let window = options.in_flight.unwrap_or(WINDOW).max(self.messages);
        let most = u64::from((window / self.messages).max(1));
        let (start, before) = (now_ns(), cpu_ns_of(&case.server.pids)?);
        let end = start + options.time.as_nanos() as u64;
        let mut acked = 0;
        while now_ns() < end {
            let line = Line::open(at, self);
            let mut line = line.map_err(|error| self.explained(error))?;
            let acks = line.run(|out, n| (self.message)(out, said, n), most, end);
            acked += acks.map_err(|error| self.explained(error))?;
        }
        let cpu = cpu_ns_of(&case.server.pids)?.saturating_sub(before);
        Ok((acked * u64::from(self.messages), now_ns() - start, cpu))
    }
}

/// A connection that is written and read in turns, so that neither waits for the other.
struct Line {
    stream: TcpStream,
    out: Vec<u8>,
    /// The end of what came, in which a mark may begin.
    tail: Vec<u8>,
    mark: &'static [u8],
}

impl Line {
    fn open(at: SocketAddr, door: &Door) -> Result<Self, Trouble> {
        let io = || Trouble::io("publishing");
        let stream = TcpStream::connect_timeout(&at, SILENCE_MAX).map_err(io())?;
        stream.set_nodelay(true).map_err(io())?;
        stream.set_nonblocking(true).map_err(io())?;
        let mut line = Self {
            stream,
            out: Vec::new(),
            tail: Vec::new(),
            mark: door.mark,
        };
        let answered = (door.hello)(&mut line.out);
        let mut came = Vec::new();
        while !answered.is_empty() && !came.ends_with(answered) {
            line.turn(&mut came)?;
        }
        Ok(line)
    }

    /// Keeps so many requests under way until the time is over, and waits for the last ones.
    fn run(
        &mut self,
        request: impl Fn(&mut Vec<u8>, u64),
        most: u64,
        end_ns: u64,
    ) -> Result<u64, Trouble> {
        let (mut sent, mut acked, mut came) = (0, 0, Vec::new());
        loop {
            let goes_on = sent < REQUESTS_MAX && now_ns() < end_ns;
            while goes_on && sent < acked + most && self.out.len() < OUT_BYTES {
                sent += 1;
                request(&mut self.out, sent);
            }
            if !goes_on && acked >= sent {
                return Ok(acked);
            }
            self.turn(&mut came)?;
            acked += self.count(&came);
            came.clear();
        }
    }

    /// Writes what may be, reads what is there; rests where neither goes.
    fn turn(&mut self, came: &mut Vec<u8>) -> Result<(), Trouble> {
        let mut waited = Duration::ZERO;
        loop {
            let wrote = would_block(self.stream.write(&self.out))?;
            self.out.drain(..wrote.unwrap_or(0));
            let mut buffer = [0; 64 * 1024];
            let read = would_block(self.stream.read(&mut buffer))?;
            came.extend_from_slice(buffer.get(..read.unwrap_or(0)).unwrap_or_default());
            match read {
                Some(0) => return Err(Trouble::Server("ends the publisher's connection".into())),
                Some(_) => return Ok(()),
                None if wrote.is_some_and(|wrote| wrote > 0) => return Ok(()),
                None if waited > SILENCE_MAX => {
                    return Err(Trouble::Server("does not acknowledge".into()));
                }
                None => sleep(REST),
            }
            waited += REST;
        }
    }

    fn count(&mut self, came: &[u8]) -> u64 {
        self.tail.extend_from_slice(came);
        let count = memmem::find_iter(&self.tail, self.mark).count();
        // A mark that ended here is not to be found again, and one that began is.
        let done = memmem::rfind(&self.tail, self.mark).map_or(0, |at| at + self.mark.len());
        let keep = self
            .tail
            .len()
            .saturating_sub(self.mark.len() - 1)
            .max(done);
        self.tail.drain(..keep);
        count as u64
    }
}

fn would_block(done: std::io::Result<usize>) -> Result<Option<usize>, Trouble> {
    match done {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(Trouble::Io("publishing", error)),
    }
}

fn post(out: &mut Vec<u8>, path: &str, body: &str) {
    let length = body.len();
    let kind = if body.starts_with('{') {
        "application/json"
    } else {
        "text/plain"
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body.as_bytes());
}

fn send(channel: &str, text: &str) -> String {
    format!("SEND\ndestination:/topic/{channel}\ncontent-type:text/plain\nreceipt:1\n\n{text}\0")
}

const CONNECT: &[u8] = b"CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0";
const TEXT: u8 = 1;
/// Messages of a batch.
const BATCH: u32 = 100;
/// Messages under way.
const WINDOW: u32 = 1_000;
/// Requests on one connection: fewer than the server ends one after.
const REQUESTS_MAX: u64 = 9_000;
/// Bytes that are queued here at most.
const OUT_BYTES: usize = 256 * 1024;
const REST: Duration = Duration::from_micros(20);
const SILENCE_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_mark_is_counted_once_however_it_is_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = b"xRECEIPT\n1\0RECEIPT\n2\0RECEIPT\nRECEIPT\n";
        for at in 0..text.len() {
            let mut line = Line {
                stream: TcpStream::connect(listener.local_addr().unwrap()).unwrap(),
                out: Vec::new(),
                tail: Vec::new(),
                mark: b"RECEIPT\n",
            };
            let (head, rest) = text.split_at(at);
            assert_eq!(line.count(head) + line.count(rest), 4, "{at}");
        }
    }
}
