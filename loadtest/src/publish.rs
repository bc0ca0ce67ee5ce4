//! The open loop: messages leave when they are meant to, whatever became of those before.
//!
//! In: a rate, a size, a time. Out: how many were sent, how late, how many were refused. Requests are not
//! waited for: they are pipelined on one connection, so that messages keep their order.

use crate::payload::Mark;
use crate::pipeline::Pipeline;
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

/// Publishes to its end, every message to each of `to`, or until `between` says no more, which is called while there is
/// time.
///
/// # Errors
/// A server that does not take the connection, or ends it and does not take another.
pub fn run(
    to: &[SocketAddr],
    plan: &Plan,
    mut between: impl FnMut() -> bool,
) -> Result<Sent, Trouble> {
    let start = now_ns() + LEAD_NS;
    let wires = to.iter().map(|to| Wire::open(*to, &plan.path));
    let mut wires = wires.collect::<Result<Vec<_>, _>>()?;
    let mut sent = Sent::default();
    for seq in 0..plan.total() {
        let at_ns = start + (f64::from(seq) * 1e9 / plan.rate) as u64;
        let mark = Mark {
            run: plan.run,
            seq,
            at_ns,
        };
        let message = mark.message(plan.size);
        wires.iter_mut().for_each(Wire::read_answers);
        if !between() {
            break;
        }
        sleep(Duration::from_nanos(at_ns.saturating_sub(now_ns())));
        for wire in &mut wires {
            sent.late_us_max = sent.late_us_max.max(now_ns().saturating_sub(at_ns) / 1000);
            wire.send(&message)?;
        }
        sent.messages += 1;
    }
    wires.iter_mut().try_for_each(Wire::finish)?;
    sent.refused = wires.iter().map(|wire| wire.pipeline.refused).sum();
    Ok(sent)
}

#[derive(Debug)]
struct Wire {
    to: SocketAddr,
    stream: TcpStream,
    pipeline: Pipeline,
    ended: bool,
}

impl Wire {
    fn open(to: SocketAddr, path: &str) -> Result<Self, Trouble> {
        Ok(Self {
            to,
            stream: connect(to)?,
            pipeline: Pipeline::new(to, path),
            ended: false,
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<(), Trouble> {
        self.mend()?;
        let mut out = Vec::new();
        self.pipeline.publish(message, &mut out);
        self.write(&out)
    }

    /// A server may end a connection after so many requests: what it did not answer goes on another.
    fn mend(&mut self) -> Result<(), Trouble> {
        if !self.ended {
            return Ok(());
        }
        let again = self.pipeline.again();
        let again = again.ok_or_else(|| Trouble::Server("takes no publications".into()))?;
        self.stream = connect(self.to)?;
        self.ended = false;
        self.write(&again)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let set = self.stream.set_nonblocking(false);
        match set.and_then(|()| self.stream.write_all(bytes)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(Trouble::Io("publishing", error))
            }
            Err(_) => {
                self.read_answers();
                self.ended = true;
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Reads what answers there are, without waiting.
    fn read_answers(&mut self) {
        let mut buffer = [0; 16 * 1024];
        let _ = self.stream.set_nonblocking(true);
        while !self.ended {
            match self.stream.read(&mut buffer) {
                Ok(n @ 1..) => {
                    let answers = buffer.get(..n).unwrap_or_default();
                    self.ended = self.pipeline.answers(answers).is_err();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => self.ended = true,
            }
        }
    }

    /// Waits for the last answers.
    fn finish(&mut self) -> Result<(), Trouble> {
        for _ in 0..ANSWER_MAX.as_millis() {
            self.read_answers();
            if self.pipeline.is_answered() {
                break;
            }
            self.mend()?;
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

fn connect(to: SocketAddr) -> Result<TcpStream, Trouble> {
    let stream = TcpStream::connect_timeout(&to, ANSWER_MAX).and_then(|stream| {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        Ok(stream)
    });
    stream.map_err(Trouble::io("connecting to publish"))
}

/// From the plan to the first message.
const LEAD_NS: u64 = 20_000_000;
const ANSWER_MAX: Duration = Duration::from_secs(5);
