//! The closed loop: so many publications are always on their way, and one that everyone has makes room for the next.
//!
//! In: what to publish and for how long. Out: publications, on one connection of the engine's own, so that none
//! waits for another process to look. It counts nothing: arrivals are the flights' business.

use super::Engine;
use super::conn::Role;
use crate::flights::Flights;
use crate::payload::Mark;
use crate::pipeline::Pipeline;
use crate::sys::now_ns;
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// What a closed loop is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// Where messages are published.
    pub to: SocketAddr,
    /// The path to POST to.
    pub path: String,
    /// Publications on their way at once.
    pub in_flight: u32,
    /// Bytes of each.
    pub size: usize,
    /// For how long new ones depart.
    pub time: Duration,
}

/// One that runs.
#[derive(Debug)]
pub struct Closed {
    wish: Loop,
    until_ns: u64,
    pipeline: Pipeline,
    /// The connection to publish on; none when the last one brought nothing.
    conn: Option<usize>,
}

impl Engine {
    /// Begins one to all that are ready, under the marks of the run that has begun.
    ///
    /// # Errors
    /// A socket that cannot be made or registered.
    pub fn begin_loop(&mut self, wish: Loop) -> io::Result<()> {
        let conn = self.open(wish.to, Role::Publisher)?;
        self.marks.flights = Some(Flights::new(self.counts.ready));
        self.closed = Some(Closed {
            until_ns: now_ns() + wish.time.as_nanos() as u64,
            pipeline: Pipeline::new(wish.to, &wish.path),
            conn: Some(conn),
            wish,
        });
        Ok(())
    }

    /// Whether a loop is not yet over: more may depart, or some are under way.
    #[must_use]
    pub fn loops(&self) -> bool {
        let flying = self.marks.flights.as_ref();
        let open = |closed: &Closed| closed.conn.is_some() && now_ns() < closed.until_ns;
        flying.is_some_and(|flights| flights.under_way() > 0)
            || self.closed.as_ref().is_some_and(open)
    }

    /// Publications of a loop that the server did not take.
    #[must_use]
    pub fn loop_refused(&self) -> u32 {
        self.closed.as_ref().map_or(0, |one| one.pipeline.refused)
    }

    /// Publishes as many as there is room for, in one write.
    pub(super) fn depart(&mut self) {
        let (Some(closed), Some(flights)) = (&mut self.closed, &mut self.marks.flights) else {
            return;
        };
        let now = now_ns();
        let Some(index) = closed.conn.filter(|_| now < closed.until_ns) else {
            return;
        };
        while flights.under_way() < closed.wish.in_flight
            && let Some(seq) = flights.depart(now)
        {
            let mark = Mark {
                run: self.marks.run,
                seq,
                at_ns: now,
            };
            let message = mark.message(closed.wish.size);
            closed.pipeline.publish(&message, &mut self.out);
        }
        self.write_out(index);
    }

    /// Takes answers to publications.
    pub(super) fn answers(&mut self, index: usize, bytes: &[u8]) {
        let closed = self.closed.as_mut();
        if closed.is_some_and(|closed| closed.pipeline.answers(bytes).is_err()) {
            self.drop_conn(index);
        }
    }

    /// The publishing connection ended; a server may do that after so many requests.
    pub(super) fn publish_again(&mut self) {
        let Some(closed) = &mut self.closed else {
            return;
        };
        closed.conn = None;
        let (to, again) = (closed.wish.to, closed.pipeline.again());
        let Some(again) = again else { return };
        let conn = self.open(to, Role::Publisher).ok();
        if let Some(closed) = &mut self.closed {
            closed.conn = conn;
        }
        if let Some(index) = conn {
            self.out.extend_from_slice(&again);
            self.write_out(index);
        }
    }

    fn write_out(&mut self, index: usize) {
        if self.out.is_empty() {
            return;
        }
        let sent = self.conns.get_mut(index).map(|conn| conn.write(&self.out));
        self.out.clear();
        if !matches!(sent, Some(Ok(()))) {
            self.drop_conn(index);
        }
    }
}

impl Loop {
    /// As it goes to a load process.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "do": "loop",
            "to": self.to.to_string(),
            "path": self.path,
            "in_flight": self.in_flight,
            "size": self.size,
            "time_ms": self.time.as_millis() as u64,
        })
    }

    /// Reads it there; `None` when it is not one.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name)?.as_u64();
        Some(Self {
            to: value.get("to")?.as_str()?.parse().ok()?,
            path: value.get("path")?.as_str()?.to_owned(),
            in_flight: u32::try_from(number("in_flight")?).ok()?,
            size: usize::try_from(number("size")?).ok()?,
            time: Duration::from_millis(number("time_ms")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_survives_the_way_to_a_load_process() {
        let wish = Loop {
            to: SocketAddr::from(([127, 0, 0, 1], 80)),
            path: "/publish".into(),
            in_flight: 16,
            size: 200,
            time: Duration::from_millis(1500),
        };
        assert_eq!(Loop::from_json(&wish.to_json()), Some(wish));
        assert_eq!(Loop::from_json(&json!({"do": "loop"})), None);
    }
}
