//! Close codes: one table of those this server sends, and which of a peer's are allowed (RFC 6455 section 7.4).
//!
//! In: numbers. Out: names, meanings, what a client does about each. Causes of ends name a row, the README prints the
//! table, and CSP.js has the rows that end a session; `tests/documents.rs` holds all three together.

/// A close code that this server sends. A code that was received stays a `u16`, since a peer may choose its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: this node is stopping.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke RFC 6455.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of message that the service does not take.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: refused by policy.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message over the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: a fault of this server.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 4401: the token that the session began with is over.
    pub const TOKEN_OVER: Self = Self(4401);
    /// 4403: the application ended the session.
    pub const KICKED: Self = Self(4403);
    /// 4404: the named session is not known here.
    pub const UNKNOWN_SESSION: Self = Self(4404);
    /// 4408: the session was given up as silent.
    pub const SESSION_TIMED_OUT: Self = Self(4408);
    /// 4409: another downstream took the session over.
    pub const SUPERSEDED: Self = Self(4409);
    /// 4413: more waited for the client than may.
    pub const OVERFLOW: Self = Self(4413);

    /// The number as on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The code's row of [`TABLE`].
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.code == self)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

/// One code as the documentation shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The code.
    pub code: CloseCode,
    /// A short name, fit for a metric's label.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// What a client does about it.
    pub client: &'static str,
    /// The reason that CSP.js gives for the session's end; none where the session goes on.
    pub ends: Option<&'static str>,
}

/// Every code this server sends, in order of number.
pub const TABLE: [Row; 14] = [
    row(
        CloseCode::NORMAL,
        "normal",
        "the session is closed, or the connection has done what it was for",
        "stays closed",
        None,
    ),
    row(
        CloseCode::GOING_AWAY,
        "going_away",
        "the node is stopping, or heard no answer to its ping for 10 s (for `--session-timeout`, where that is less): a CSP session lives on",
        "reconnects after the hint it was given, or after its own back-off",
        None,
    ),
    row(
        CloseCode::PROTOCOL_ERROR,
        "protocol_error",
        "the peer broke RFC 6455",
        "does not repeat what it sent: the client is at fault",
        None,
    ),
    row(
        CloseCode::UNSUPPORTED_DATA,
        "unsupported_data",
        "the service does not take this kind of message, binary or text",
        "sends the other kind",
        None,
    ),
    row(
        CloseCode::INVALID_PAYLOAD,
        "invalid_payload",
        "a text message or a close reason was not UTF-8",
        "does not repeat what it sent: the client is at fault",
        None,
    ),
    row(
        CloseCode::POLICY,
        "policy",
        "refused: not allowed, or a batch that is none",
        "does not reconnect before its user or its credentials have changed",
        Some("refused"),
    ),
    row(
        CloseCode::TOO_BIG,
        "too_big",
        "a message was over `--max-message` or `--max-body`",
        "sends smaller messages, in a new session",
        Some("too-big"),
    ),
    row(
        CloseCode::INTERNAL_ERROR,
        "internal_error",
        "the server met a fault of its own",
        "reconnects with back-off",
        None,
    ),
    row(
        CloseCode::TOKEN_OVER,
        "token_over",
        "the session's token has expired or was revoked",
        "comes back with a new token",
        Some("token"),
    ),
    row(
        CloseCode::KICKED,
        "kicked",
        "the application ended the session",
        "stays away",
        Some("kicked"),
    ),
    row(
        CloseCode::UNKNOWN_SESSION,
        "unknown_session",
        "no session of that key is known here",
        "shakes hands for a new session",
        Some("expired"),
    ),
    row(
        CloseCode::SESSION_TIMED_OUT,
        "session_timed_out",
        "nothing was heard of the client for too long and its session has ended; a bare WebSocket's, by a ping without answer",
        "shakes hands for a new session",
        Some("timeout"),
    ),
    row(
        CloseCode::SUPERSEDED,
        "superseded",
        "another downstream of the same session took over",
        "lets this connection go: the newer one carries the session on",
        None,
    ),
    row(
        CloseCode::OVERFLOW,
        "overflow",
        "more waited for the client than `--max-queue`, and its session has ended",
        "shakes hands for a new session, and asks for what it missed",
        Some("overflow"),
    ),
];

/// The table as the README has it.
#[must_use]
pub fn markdown() -> String {
    let line = |row: &Row| {
        let (code, ends) = (row.code.number(), row.ends.unwrap_or("goes on"));
        format!(
            "| {code} `{}` | {} | {} | {ends} |\n",
            row.name, row.meaning, row.client
        )
    };
    let head = "| code | meaning | what a client does | CSP.js |\n|---|---|---|---|\n";
    TABLE
        .iter()
        .map(line)
        .fold(head.to_owned(), |text, line| text + &line)
}

/// Whether a peer may put `code` in a Close frame.
///
/// RFC 6455 section 7.4.1 reserves 1004, 1005, 1006 and 1015; 1012 to 1014 were registered with IANA after it. Numbers below
/// 1000, the rest up to 2999, and 5000 and up have no meaning: a protocol error. Of 3000 to 4999 any is allowed (7.4.2).
#[must_use]
pub const fn may_be_received(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

const fn row(
    code: CloseCode,
    name: &'static str,
    meaning: &'static str,
    client: &'static str,
    ends: Option<&'static str>,
) -> Row {
    Row {
        code,
        name,
        meaning,
        client,
        ends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_without_doubles_and_every_code_in_it_may_be_sent() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
        for row in &TABLE {
            assert!(may_be_received(row.code.number()), "{}", row.name);
            assert_eq!(row.code.row(), Some(row));
        }
    }

    #[test]
    fn only_codes_with_a_meaning_may_be_received() {
        let good = [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
            4000, 4999,
        ];
        let bad = [
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ];
        assert!(good.into_iter().all(may_be_received));
        assert!(!bad.into_iter().any(may_be_received));
    }
}
