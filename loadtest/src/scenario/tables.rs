//! What the node's tables hold, by its metrics, and whether nothing is left in them.
//!
//! In: the text of `/metrics`. Out: counts of rows.

use crate::asker::{Asker, request};
use crate::report::{Figure, figure};
use crate::trouble::Trouble;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What is in each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    /// Sessions, whatever carries them.
    pub sessions: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Channels, and users with a session.
    pub channels: u64,
    /// Transport settings.
    pub profiles: u64,
    /// Connections but for the one that asks.
    pub connections: u64,
    /// Bytes that wait for clients.
    pub queue_bytes: u64,
}

impl Tables {
    /// Asks; `None` of a server that has no such metrics.
    ///
    /// # Errors
    /// Nobody listens there, or no HTTP.
    pub fn of(internal: SocketAddr) -> Result<Option<Self>, Trouble> {
        let answers = Asker::new(internal)?.ask(&[request("GET", "/metrics", "")]);
        let text = match answers {
            Err(Trouble::Server(_)) => return Ok(None),
            answers => answers?.concat(),
        };
        Ok(Self::read(&String::from_utf8_lossy(&text)))
    }

    fn read(text: &str) -> Option<Self> {
        let sum = |name: &str| {
            let samples = text.lines().filter_map(|line| line.strip_prefix(name));
            let samples = samples.filter(|rest| rest.starts_with([' ', '{']));
            let values = samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok());
            values.reduce(|sum, more| sum + more)
        };
        Some(Self {
            sessions: sum("orbited_sessions")?,
            subscriptions: sum("orbited_subscriptions")?,
            channels: sum("orbited_channels")?,
            profiles: sum("orbited_profiles")?,
            connections: sum("orbited_connections")?.saturating_sub(1),
            queue_bytes: sum("orbited_queue_bytes")?,
        })
    }

    /// Waits until nothing is left, or for `most`; what is left then. `None` of a server that does not tell.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn emptied(internal: SocketAddr, most: Duration) -> Result<Option<Self>, Trouble> {
        let start = Instant::now();
        loop {
            let tables = Self::of(internal)?;
            let empty = tables.is_none_or(|tables| tables == Self::default());
            if empty || start.elapsed() > most {
                return Ok(tables);
            }
            sleep(LOOK);
        }
    }

    /// What is left in each, and together.
    #[must_use]
    pub fn figures(&self) -> [Figure; 7] {
        let left = |name, count: u64, what| figure(name, count as f64, what);
        let rows = self.sessions + self.subscriptions + self.channels + self.profiles;
        let all = rows + self.connections + self.queue_bytes;
        [
            left("left_sessions", self.sessions, "left over"),
            left("left_subscriptions", self.subscriptions, "left over"),
            left("left_channels", self.channels, "left over, users with them"),
            left("left_profiles", self.profiles, "left over"),
            left("left_connections", self.connections, "left over"),
            left("left_queue_bytes", self.queue_bytes, "left over"),
            left("left", all, "of all of these"),
        ]
    }
}

const LOOK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_off_the_metrics_but_for_who_asks() {
        let text = "# TYPE orbited_connections gauge\norbited_connections 4\norbited_channels 2\n\
            orbited_subscriptions 5\norbited_queue_bytes 600\norbited_profiles 1\n\
            orbited_sessions{transport=\"none\"} 3\norbited_sessions{transport=\"sse\"} 4\n\
            orbited_sessions_total 99\n";
        let tables = Tables::read(text).unwrap();
        let expected = Tables {
            sessions: 7,
            subscriptions: 5,
            channels: 2,
            profiles: 1,
            connections: 3,
            queue_bytes: 600,
        };
        assert_eq!(tables, expected);
        let left = tables.figures().map(|figure| figure.value);
        assert_eq!(left, [7.0, 5.0, 2.0, 1.0, 3.0, 600.0, 618.0]);
        assert_eq!(Tables::read("up 1\n"), None);
    }
}
