//! The opening handshake: what makes a request an upgrade to WebSocket, and the 101 that accepts it (RFC 6455 section 4.2).
//!
//! Data in: header look-ups through [`Fields`]. Data out: an [`Accept`] that writes the response head, or a [`Refusal`] that names
//! its status. It must not know HTTP types, Origin policy (section 10.2), or which path serves what.
//!
//! Offers of extensions are left unread and none is accepted, so no bad or costly offer can do harm; a client goes on
//! without (section 9.1).

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD};

/// Header look-ups the handshake needs, so that this module knows no HTTP types. Names are given in lower case.
pub trait Fields {
    /// The value of the first field of this name, without white space around it.
    fn first(&self, name: &str) -> Option<&[u8]>;
    /// How many fields have this name.
    fn count(&self, name: &str) -> usize;
    /// Whether a list field, over all its lines, has this token in any case of letters.
    fn has_token(&self, name: &str, token: &str) -> bool;
}

/// Why a request does not open a WebSocket, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The method is not GET.
    NotGet,
    /// The version is not HTTP/1.1.
    NotHttp11,
    /// No `Upgrade: websocket`.
    NoUpgrade,
    /// No `Connection: Upgrade`.
    NoConnectionUpgrade,
    /// `Sec-WebSocket-Version` is missing, repeated or not 13.
    BadVersion,
    /// `Sec-WebSocket-Key` is missing, repeated or not 16 bytes in base64.
    BadKey,
}

impl Refusal {
    /// The HTTP status to answer with.
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// A short name, for the refusal's JSON and its counter.
    pub const fn code(self) -> &'static str {
        self.row().code
    }

    /// What is wrong.
    pub const fn reason(self) -> &'static str {
        self.row().reason
    }

    /// What the asker can do about it.
    pub const fn hint(self) -> &'static str {
        self.row().hint
    }

    /// Fields that an answer of this status must carry besides the caller's own.
    pub const fn fields(self) -> &'static [(&'static str, &'static str)] {
        self.row().fields
    }

    const fn row(self) -> Row {
        match self {
            Self::NotGet => NOT_GET,
            Self::NotHttp11 => NOT_HTTP11,
            Self::NoUpgrade => NO_UPGRADE,
            Self::NoConnectionUpgrade => NO_CONNECTION_UPGRADE,
            Self::BadVersion => BAD_VERSION,
            Self::BadKey => BAD_KEY,
        }
    }
}

/// A handshake that may be accepted: what the 101 needs of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The value of `Sec-WebSocket-Accept`.
    token: String,
}

impl Accept {
    /// Appends the 101 response, from its status line to the empty line.
    ///
    /// `protocol` is one of [`protocols`] that the server speaks; one that is not a token is left out. `date` is the value of the
    /// `Date` field, which is left out when empty.
    pub fn write_head(&self, out: &mut Vec<u8>, protocol: Option<&str>, date: &[u8]) {
        debug_assert!(protocol.is_none_or(|name| is_token(name.as_bytes())));
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        field(out, "Sec-WebSocket-Accept", self.token.as_bytes());
        // Checked here too, since a name may have come from a request: nothing may split the head.
        if let Some(name) = protocol.filter(|name| is_token(name.as_bytes())) {
            field(out, "Sec-WebSocket-Protocol", name.as_bytes());
        }
        if !date.is_empty() {
            field(out, "Date", date);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Checks a request by RFC 6455 section 4.2.1, but for Host (the HTTP layer's) and Origin (the policy's).
pub fn accept(is_get: bool, is_http11: bool, fields: &impl Fields) -> Result<Accept, Refusal> {
    let checks = [
        (is_get, Refusal::NotGet),
        (is_http11, Refusal::NotHttp11),
        (is_upgrade(fields), Refusal::NoUpgrade),
        (
            fields.has_token("connection", "upgrade"),
            Refusal::NoConnectionUpgrade,
        ),
        (sole(fields, VERSION) == Some(b"13"), Refusal::BadVersion),
    ];
    if let Some((_, refusal)) = checks.into_iter().find(|(holds, _)| !holds) {
        return Err(refusal);
    }
    let key = sole(fields, KEY)
        .filter(|key| is_key(key))
        .ok_or(Refusal::BadKey)?;
    Ok(Accept {
        token: accept_token(key),
    })
}

/// Whether the request asks for WebSocket at all, rightly or not: `Upgrade: websocket` is present.
pub fn is_upgrade(fields: &impl Fields) -> bool {
    fields.has_token("upgrade", "websocket")
}

/// The subprotocols that the client offers, best first (section 11.3.4): of the first field line, the first [`PROTOCOLS_MAX`]
/// entries; those that are not tokens are passed over.
pub fn protocols(fields: &impl Fields) -> impl Iterator<Item = &str> {
    let list = fields.first("sec-websocket-protocol").unwrap_or_default();
    list.split(|byte| *byte == b',')
        .take(PROTOCOLS_MAX)
        .map(<[u8]>::trim_ascii)
        .filter(|name| is_token(name))
        .filter_map(|name| std::str::from_utf8(name).ok())
}

/// Entries of `Sec-WebSocket-Protocol` that are looked at: clients of STOMP and Bayeux offer three or four.
pub const PROTOCOLS_MAX: usize = 16;

/// The value of a field that must not be repeated (sections 11.3.1 and 11.3.5).
fn sole<'a>(fields: &'a impl Fields, name: &str) -> Option<&'a [u8]> {
    fields.first(name).filter(|_| fields.count(name) == 1)
}

/// Sixteen bytes of any kind: only their encoding is checked (section 4.2.1, item 5).
fn is_key(key: &[u8]) -> bool {
    // The decoder wants room for its estimate of the length, which is rounded up to whole groups.
    let mut nonce = [0; 18];
    key.len() == 24 && BASE64.decode_slice(key, &mut nonce) == Ok(16)
}

/// Section 4.2.2, item 5.4.
fn accept_token(key: &[u8]) -> String {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(GUID);
    BASE64.encode(hash.digest().bytes())
}

/// RFC 9110 section 5.6.2.
fn is_token(name: &[u8]) -> bool {
    let is_char = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_char)
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

struct Row {
    status: u16,
    code: &'static str,
    reason: &'static str,
    hint: &'static str,
    fields: &'static [(&'static str, &'static str)],
}

/// RFC 9110 section 15.5.22 wants Upgrade in every 426, and section 7.8 wants Connection to name it.
const UPGRADE: [(&str, &str); 2] = [("Upgrade", "websocket"), ("Connection", "Upgrade")];
const NOT_GET: Row = Row {
    status: 405,
    code: "ws_not_get",
    reason: "a WebSocket is opened with GET",
    hint: "use GET, without a body",
    fields: &[("Allow", "GET")],
};
const NOT_HTTP11: Row = Row {
    status: 400,
    code: "ws_not_http11",
    reason: "a WebSocket is opened over HTTP/1.1",
    hint: "have proxies in between speak HTTP/1.1 to this server, as with proxy_http_version 1.1",
    fields: &[],
};
const NO_UPGRADE: Row = Row {
    status: 426,
    code: "ws_no_upgrade",
    reason: "this address serves WebSocket, and the request has no Upgrade: websocket",
    hint: "open it with a WebSocket client; have proxies in between pass Upgrade on",
    fields: &UPGRADE,
};
const NO_CONNECTION_UPGRADE: Row = Row {
    status: 400,
    code: "ws_no_connection_upgrade",
    reason: "the request has no Connection: Upgrade",
    hint: "have proxies in between pass Connection: Upgrade on",
    fields: &[],
};
const BAD_VERSION: Row = Row {
    status: 426,
    code: "ws_bad_version",
    reason: "Sec-WebSocket-Version is not 13",
    hint: "use a client of RFC 6455, or another transport",
    // Section 4.4: the answer names the versions there are.
    fields: &[("Sec-WebSocket-Version", "13"), UPGRADE[0], UPGRADE[1]],
};
const BAD_KEY: Row = Row {
    status: 400,
    code: "ws_bad_key",
    reason: "Sec-WebSocket-Key is not 16 bytes in base64, given once",
    hint: "send 16 random bytes in base64",
    fields: &[],
};
/// Padding is demanded; bits of the last digit that carry nothing may be set, as node's ws allows, since clients exist that make
/// up their key digit by digit.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    PAD.with_decode_allow_trailing_bits(true),
);
const VERSION: &str = "sec-websocket-version";
const KEY: &str = "sec-websocket-key";
/// Section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Listed(Vec<(&'static str, &'static str)>);

    impl Listed {
        fn values(&self, name: &str) -> impl Iterator<Item = &'static str> {
            self.0
                .iter()
                .filter(move |(n, _)| *n == name)
                .map(|(_, value)| *value)
        }

        fn with(mut self, name: &'static str, value: &'static str) -> Self {
            self.0.push((name, value));
            self
        }

        fn without(mut self, name: &str) -> Self {
            self.0.retain(|(n, _)| *n != name);
            self
        }
    }

    impl Fields for Listed {
        fn first(&self, name: &str) -> Option<&[u8]> {
            self.values(name).next().map(str::as_bytes)
        }

        fn count(&self, name: &str) -> usize {
            self.values(name).count()
        }

        fn has_token(&self, name: &str, token: &str) -> bool {
            self.values(name)
                .flat_map(|value| value.split(','))
                .any(|entry| entry.trim().eq_ignore_ascii_case(token))
        }
    }

    fn good() -> Listed {
        Listed(vec![
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
            ("sec-websocket-extensions", "permessage-deflate; ;;=\"\\"),
        ])
    }

    #[test]
    fn the_sample_of_the_rfc_is_accepted_with_the_token_of_the_rfc() {
        let mut out = Vec::new();
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
        accept(true, true, &good())
            .unwrap()
            .write_head(&mut out, Some("v12.stomp"), date);
        let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v12.stomp\r\n\
            Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn another_implementation_derives_the_same_token() {
        for key in [
            "AAAAAAAAAAAAAAAAAAAAAA==",
            "x3JJHMbDL1EzLkh9GBhXDw==",
            "abcdefghijklmnopqrstuv==",
        ] {
            let fields = good().without(KEY).with(KEY, key);
            let ours = accept(true, true, &fields).unwrap().token;
            assert_eq!(
                ours,
                tungstenite::handshake::derive_accept_key(key.as_bytes())
            );
        }
    }

    #[test]
    fn each_thing_missing_is_refused_by_its_name() {
        let refused = |fields: Listed| accept(true, true, &fields).err();
        assert_eq!(accept(false, true, &good()).err(), Some(Refusal::NotGet));
        assert_eq!(accept(true, false, &good()).err(), Some(Refusal::NotHttp11));
        assert_eq!(refused(good().without("upgrade")), Some(Refusal::NoUpgrade));
        assert_eq!(
            refused(good().without("connection")),
            Some(Refusal::NoConnectionUpgrade)
        );
        assert_eq!(refused(good().without(VERSION)), Some(Refusal::BadVersion));
        assert_eq!(
            refused(good().with(VERSION, "13")),
            Some(Refusal::BadVersion)
        );
        assert_eq!(
            refused(good().without(VERSION).with(VERSION, "8")),
            Some(Refusal::BadVersion)
        );
        assert_eq!(refused(good().without(KEY)), Some(Refusal::BadKey));
        assert_eq!(
            refused(good().with(KEY, "dGhlIHNhbXBsZSBub25jZQ==")),
            Some(Refusal::BadKey)
        );
    }

    #[test]
    fn a_key_that_is_not_sixteen_bytes_in_base64_is_refused() {
        let bad = [
            "",
            "====",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ==A",
            "dGhlIHNhbXBsZSBub25jZWE=",
            "dGhlIHNhbXBsZSBub25jZWFh",
            "dGhlIHNhbXBsZSBub25j!Q==",
            "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
        ];
        for key in bad {
            let fields = good().without(KEY).with(KEY, key);
            assert_eq!(
                accept(true, true, &fields).err(),
                Some(Refusal::BadKey),
                "{key}"
            );
        }
    }

    #[test]
    fn a_refused_version_is_answered_426_with_the_version_there_is() {
        assert_eq!(Refusal::BadVersion.status(), 426);
        assert!(
            Refusal::BadVersion
                .fields()
                .contains(&("Sec-WebSocket-Version", "13"))
        );
        assert_eq!(Refusal::NotGet.fields(), [("Allow", "GET")]);
    }

    #[test]
    fn subprotocols_come_in_the_order_of_the_client_and_odd_ones_are_passed_over() {
        let fields = good().with(
            "sec-websocket-protocol",
            " v12.stomp ,,a b,b\u{e9},x:y,\tv11.stomp",
        );
        assert!(protocols(&fields).eq(["v12.stomp", "v11.stomp"]));
        assert_eq!(protocols(&good()).count(), 0);
        let many = Listed(vec![(
            "sec-websocket-protocol",
            "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a",
        )]);
        assert_eq!(protocols(&many).count(), PROTOCOLS_MAX);
    }
}
