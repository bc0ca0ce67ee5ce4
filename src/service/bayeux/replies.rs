//! The messages of Bayeux that the server says: replies, and deliveries.
//!
//! In: what is to be said. Out: JSON objects. A delivery is the same for everybody and so is made once; it has neither
//! id nor clientId nor `successful`, by which clients tell it from a reply (bayeux.md section 2).

use super::messages::Message;
use crate::mem::Publication;
use crate::service::json;
use std::io::Write as _;

/// A reply under way.
#[derive(Debug)]
pub struct Reply(Vec<u8>);

impl Reply {
    /// The reply to `message`.
    #[must_use]
    pub fn to(message: &Message<'_>) -> Self {
        Self::on(&message.channel, message.id)
    }

    /// A reply on `channel`, to what had this id.
    #[must_use]
    pub fn on(channel: &str, id: &str) -> Self {
        let mut out = b"{\"channel\":".to_vec();
        json::string(&mut out, channel);
        if !id.is_empty() {
            out.extend_from_slice(b",\"id\":");
            out.extend_from_slice(id.as_bytes());
        }
        Self(out)
    }

    /// With a field whose value is JSON.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        // A vector cannot fail.
        let _ = write!(self.0, ",\"{name}\":{value}");
        self
    }

    /// With extensions, if there are any: names and JSON.
    #[must_use]
    pub fn extended(self, extensions: &[(&str, Option<String>)]) -> Self {
        let given = extensions.iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some(format!("\"{name}\":{value}"))
        });
        let given: Vec<String> = given.collect();
        match given.is_empty() {
            true => self,
            false => self.with("ext", &format!("{{{}}}", given.join(","))),
        }
    }

    /// It was done.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.with("successful", "true").end()
    }

    /// It was not, for this reason.
    #[must_use]
    pub fn failed(self, error: &str) -> Vec<u8> {
        let error = json::text(error);
        self.with("successful", "false").with("error", &error).end()
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// What every subscriber is sent of a publication.
#[must_use]
pub fn delivery(publication: &Publication) -> Vec<u8> {
    let mut data = Vec::new();
    json::payload(&mut data, &publication.content, &publication.bytes);
    spell(publication, &data, "")
}

/// A delivery of this data, with what stands beside it.
#[must_use]
pub fn spell(publication: &Publication, data: &[u8], beside: &str) -> Vec<u8> {
    let mut out = b"{\"channel\":".to_vec();
    json::string(&mut out, &format!("/{}", publication.target));
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data);
    out.extend_from_slice(beside.as_bytes());
    if let Some(ext) = publication.ext() {
        out.extend_from_slice(b",\"ext\":");
        out.extend_from_slice(ext.as_bytes());
    }
    out.push(b'}');
    out
}

/// How a client gets what was sent to its user.
#[must_use]
pub fn sent(publication: &Publication) -> Vec<u8> {
    let mut out = format!("{{\"channel\":\"{SENT}\",\"data\":{{\"sender\":").into_bytes();
    json::string_or_null(&mut out, publication.sender.as_deref());
    out.extend_from_slice(b",\"payload\":");
    json::payload(&mut out, &publication.content, &publication.bytes);
    out.extend_from_slice(b"}}");
    out
}

/// How a client is told that it missed so many messages of a channel: on a channel of its own, so that whoever listens to
/// the channel itself is not given what nobody published.
#[must_use]
pub fn gap(channel: &str, missed: u64) -> Vec<u8> {
    let mut out = format!("{{\"channel\":\"{GAP}\",\"data\":{{\"channel\":").into_bytes();
    json::string(&mut out, &format!("/{channel}"));
    // A vector cannot fail.
    let _ = write!(out, ",\"missed\":{missed}}}}}");
    out
}

/// How a client is told that it reads a channel or pattern no more, though it did not ask for that.
#[must_use]
pub fn unsubscribed(topic: &str) -> Vec<u8> {
    let subscription = json::text(&format!("/{topic}"));
    let reply = Reply::on("/meta/unsubscribe", "");
    reply.with("subscription", &subscription).done()
}

/// Where a client gets what was sent to its user: a channel on which clients publish to nobody.
const SENT: &str = "/service/send";
/// Where a client is told what it missed.
const GAP: &str = "/service/gap";
/// What a client that has no session here is to do.
pub const HANDSHAKE: &str = "{\"reconnect\":\"handshake\",\"interval\":0}";
/// What a client that is not wanted is to do.
pub const NONE: &str = "{\"reconnect\":\"none\"}";

/// What a client is to do that shares its browser with as many others as may wait at once: ask now and then.
#[must_use]
pub fn multiple(interval_ms: u64) -> String {
    format!("{{\"reconnect\":\"retry\",\"interval\":{interval_ms},\"multiple-clients\":true}}")
}

/// What a client is to do in a while: `reconnect`.
#[must_use]
pub fn later(reconnect: &str, interval_ms: u64) -> String {
    format!("{{\"reconnect\":\"{reconnect}\",\"interval\":{interval_ms}}}")
}

/// What a client is to do that is answered at once and brings nothing by waiting.
pub const POLL: &str = "{\"reconnect\":\"retry\",\"interval\":2000,\"timeout\":0}";

/// What a client is to do whose connects only show that it lives.
#[must_use]
pub fn again(interval_ms: u32) -> String {
    format!("{{\"reconnect\":\"retry\",\"interval\":{interval_ms},\"timeout\":0}}")
}

/// What a client is to do in the ordinary case.
#[must_use]
pub fn retry(timeout_ms: u32) -> String {
    format!("{{\"reconnect\":\"retry\",\"interval\":0,\"timeout\":{timeout_ms}}}")
}

/// The session is not known, or not the asker's.
pub const UNKNOWN: &str = "402::session_unknown";
