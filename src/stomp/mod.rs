//! STOMP 1.0, 1.1 and 1.2 as a codec: bytes to frames, and frames to bytes.
//!
//! In: bytes in whatever pieces, the version that was agreed. Out: frames whose headers are unescaped, or why the bytes are
//! none; and the other way round. What a frame asks for is the service's business.

pub mod frames;
pub mod spell;

pub use frames::{Fault, Frame, Limits, Partial, next};

/// A version of the protocol, as it was agreed by CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// No escapes, no heart-beats, subscriptions may go without an id.
    V10,
    /// Escapes of LF, colon and backslash.
    V11,
    /// The escape of CR too, and CR LF line ends.
    V12,
}

impl Version {
    /// Every version, the best first.
    pub const ALL: [Version; 3] = [Self::V12, Self::V11, Self::V10];

    /// Its name on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::V10 => "1.0",
            Self::V11 => "1.1",
            Self::V12 => "1.2",
        }
    }

    /// The best of what a client offers: a list between commas, in any order. None where nothing of it is known.
    #[must_use]
    pub fn best_of(offered: &str) -> Option<Self> {
        let offers = |version: &Version| offered.split(',').any(|one| one.trim() == version.word());
        Self::ALL.into_iter().find(offers)
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// To be let in: `CONNECT`, or `STOMP`, which newer clients say in all versions.
    Connect,
    /// To publish.
    Send,
    /// To be sent what comes to a destination.
    Subscribe,
    /// The end of that.
    Unsubscribe,
    /// It has a message.
    Ack,
    /// It has a message and will not have it.
    Nack,
    /// A transaction begins.
    Begin,
    /// A transaction is to happen.
    Commit,
    /// A transaction is not to happen.
    Abort,
    /// The end.
    Disconnect,
}

impl Command {
    /// The command called `name`.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        let row = COMMANDS.iter().find(|(word, _)| word.as_bytes() == name);
        row.map(|(_, command)| *command)
    }

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        let row = COMMANDS.iter().find(|(_, command)| *command == self);
        row.map_or("", |(word, _)| word)
    }
}

const COMMANDS: [(&str, Command); 11] = [
    ("CONNECT", Command::Connect),
    ("STOMP", Command::Connect),
    ("SEND", Command::Send),
    ("SUBSCRIBE", Command::Subscribe),
    ("UNSUBSCRIBE", Command::Unsubscribe),
    ("ACK", Command::Ack),
    ("NACK", Command::Nack),
    ("BEGIN", Command::Begin),
    ("COMMIT", Command::Commit),
    ("ABORT", Command::Abort),
    ("DISCONNECT", Command::Disconnect),
];

/// What the first bytes of a connection say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// STOMP: nothing of HTTP begins so, since a blank stands behind its method.
    Stomp,
    /// Not known before more bytes come.
    Unsure,
    /// Anything else.
    Other,
}

/// What a connection speaks that begins with `bytes`: line ends, then `CONNECT` or `STOMP` alone in a line.
#[must_use]
pub fn opening(bytes: &[u8]) -> Opening {
    let blank = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let begin = bytes.iter().take_while(|byte| blank(byte)).count();
    let rest = bytes.get(begin..).unwrap_or_default();
    let begins = |line: &&[u8]| rest.starts_with(line) || line.starts_with(rest);
    match OPENINGS.into_iter().find(begins) {
        _ if begin > OPENING_BLANKS_MAX => Opening::Other,
        Some(line) if rest.len() >= line.len() => Opening::Stomp,
        Some(_) => Opening::Unsure,
        None => Opening::Other,
    }
}

const OPENINGS: [&[u8]; 4] = [b"CONNECT\n", b"CONNECT\r\n", b"STOMP\n", b"STOMP\r\n"];
/// Line ends that may come before the first command where the port is shared.
const OPENING_BLANKS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_version_that_both_know_is_chosen() {
        assert_eq!(Version::best_of("1.0,1.1,1.2"), Some(Version::V12));
        assert_eq!(Version::best_of("1.1, 1.0"), Some(Version::V11));
        assert_eq!(Version::best_of("1.0"), Some(Version::V10));
        assert_eq!(Version::best_of("2.0,1.10"), None);
        assert_eq!(Version::best_of(""), None);
    }

    #[test]
    fn the_first_bytes_tell_stomp_from_http() {
        for stomp in ["CONNECT\nlogin:x", "\n\r\nSTOMP\r\n", "CONNECT\r\n"] {
            assert_eq!(opening(stomp.as_bytes()), Opening::Stomp, "{stomp:?}");
        }
        for unsure in ["", "\n", "C", "CONNECT", "CONNECT\r", "STOM"] {
            assert_eq!(opening(unsure.as_bytes()), Opening::Unsure, "{unsure:?}");
        }
        let many = "\n".repeat(9);
        for other in ["GET / ", "CONNECT h:1 HTTP/1.1", "STOMP /", "SEND\n", &many] {
            assert_eq!(opening(other.as_bytes()), Opening::Other, "{other:?}");
        }
    }

    #[test]
    fn every_command_has_its_name() {
        for (word, command) in COMMANDS {
            assert_eq!(Command::parse(word.as_bytes()), Some(command));
        }
        assert_eq!(Command::parse(b"send"), None);
        assert_eq!(Command::Connect.word(), "CONNECT");
    }
}
