//! Close codes: one table of those this server sends, and which of a peer's are allowed (RFC 6455 section 7.4).
//!
//! Data in: numbers. Data out: names, meanings, what a client does about each. It must not know who closes or why.

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
    /// 4404: the named session is not known here.
    pub const UNKNOWN_SESSION: Self = Self(4404);
    /// 4408: the session was given up as silent.
    pub const SESSION_TIMED_OUT: Self = Self(4408);
    /// 4409: another downstream took the session over.
    pub const SUPERSEDED: Self = Self(4409);

    /// The number as on the wire.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The code's row of [`TABLE`].
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
}

/// Every code this server sends, in order of number.
pub const TABLE: [Row; 11] = [
    row(
        CloseCode::NORMAL,
        "normal",
        "the connection has done what it was for",
        "stays closed",
    ),
    row(
        CloseCode::GOING_AWAY,
        "going_away",
        "the node is stopping, or heard no answer to its ping: a CSP session lives on",
        "reconnects after the hint it was given, or after its own back-off",
    ),
    row(
        CloseCode::PROTOCOL_ERROR,
        "protocol_error",
        "the peer broke RFC 6455",
        "does not repeat what it sent: the client is at fault",
    ),
    row(
        CloseCode::UNSUPPORTED_DATA,
        "unsupported_data",
        "the service does not take this kind of message, binary or text",
        "sends the other kind",
    ),
    row(
        CloseCode::INVALID_PAYLOAD,
        "invalid_payload",
        "a text message or a close reason was not UTF-8",
        "does not repeat what it sent: the client is at fault",
    ),
    row(
        CloseCode::POLICY,
        "policy",
        "refused: not allowed, or beyond a limit on behaviour",
        "does not reconnect before its user or its credentials have changed",
    ),
    row(
        CloseCode::TOO_BIG,
        "too_big",
        "a message was over the size limit",
        "sends smaller messages",
    ),
    row(
        CloseCode::INTERNAL_ERROR,
        "internal_error",
        "the server met a fault of its own",
        "reconnects with back-off",
    ),
    row(
        CloseCode::UNKNOWN_SESSION,
        "unknown_session",
        "no session of that key is known here",
        "shakes hands for a new session",
    ),
    row(
        CloseCode::SESSION_TIMED_OUT,
        "session_timed_out",
        "nothing was heard of the client for too long and its session has ended",
        "shakes hands for a new session",
    ),
    row(
        CloseCode::SUPERSEDED,
        "superseded",
        "another downstream of the same session took over",
        "lets this connection go: the newer one carries the session on",
    ),
];

/// Whether a peer may put `code` in a Close frame.
///
/// RFC 6455 section 7.4.1 reserves 1004, 1005, 1006 and 1015; 1012 to 1014 were registered with IANA after it. Numbers below
/// 1000, the rest up to 2999, and 5000 and up have no meaning: a protocol error. Of 3000 to 4999 any is allowed (7.4.2).
pub const fn may_be_received(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

const fn row(
    code: CloseCode,
    name: &'static str,
    meaning: &'static str,
    client: &'static str,
) -> Row {
    Row {
        code,
        name,
        meaning,
        client,
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
