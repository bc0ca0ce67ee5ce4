//! Where a run stands, as the one line that is written over on a terminal.
//!
//! In: phases and counts. Out: text. It writes nothing itself.

use std::fmt;
use std::time::Duration;

/// Where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Which run: `hold ws`.
    pub label: String,
    /// What is being done.
    pub phase: &'static str,
    /// Connections that hold what they should.
    pub ready: u64,
    /// How many should.
    pub wanted: u64,
    /// Messages that arrived.
    pub arrived: u64,
    /// How many should.
    pub expected: u64,
    /// Since the run began.
    pub elapsed: Duration,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.phase)?;
        write!(f, ", {}/{} ready", self.ready, self.wanted)?;
        if self.expected > 0 {
            write!(f, ", {}/{} arrived", self.arrived, self.expected)?;
        }
        write!(f, ", {} s", self.elapsed.as_secs())
    }
}

/// Writes `text` over the line before it. A narrow terminal cuts it off instead of going on in the next line, which
/// could not be written over.
#[must_use]
pub fn over(text: &str) -> String {
    format!("\r\x1b[?7l{text}\x1b[K\x1b[?7h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_phase_counts_and_seconds() {
        let mut progress = Progress {
            label: "fanout ws".into(),
            phase: "opening",
            ready: 12,
            wanted: 50,
            elapsed: Duration::from_millis(2900),
            ..Progress::default()
        };
        assert_eq!(progress.to_string(), "fanout ws: opening, 12/50 ready, 2 s");
        (progress.arrived, progress.expected) = (3, 500);
        assert_eq!(
            progress.to_string(),
            "fanout ws: opening, 12/50 ready, 3/500 arrived, 2 s"
        );
    }

    #[test]
    fn a_line_is_written_over_the_one_before() {
        assert_eq!(over("ab"), "\r\x1b[?7lab\x1b[K\x1b[?7h");
    }
}
