//! What a client of STOMP is sent.
//!
//! In: publications, what was asked. Out: frames. A MESSAGE is in two parts: a few headers that are its reader's own, and the
//! rest with the body, which all readers of a version share.

use crate::mem::{Publication, View};
use crate::service::{events, since};
use crate::session::{Ack, Sub};
use crate::stomp::{Limits, Version, frames, spell};
use std::borrow::Cow;

/// The name that a server gives itself.
pub const SERVER: &str = concat!("orbited/", env!("CARGO_PKG_VERSION"));

/// What of a MESSAGE is its reader's own.
#[must_use]
pub fn head(version: Version, sub: &Sub<'_>, publication: &Publication) -> Vec<u8> {
    let id = message_id(publication.number(), sub.slot);
    let mut out = b"MESSAGE\n".to_vec();
    let version_of = Some(version);
    if !sub.id.is_empty() {
        spell::header(&mut out, version_of, "subscription", sub.id);
    }
    spell::header(&mut out, version_of, "message-id", &id);
    let destination = super::destinations::of(sub, publication);
    spell::header(&mut out, version_of, "destination", &destination);
    if version == Version::V12 && sub.ack != Ack::Auto {
        spell::header(&mut out, version_of, "ack", &id);
    }
    out
}

/// The name of a message for its reader: unique on a connection, and what an acknowledgement is looked up by.
#[must_use]
pub fn message_id(number: u64, slot: u16) -> String {
    format!("{number}-{slot}")
}

/// Reads such a name: the number and the slot.
#[must_use]
pub fn parse_id(text: &str) -> Option<(u64, u16)> {
    let (number, slot) = text.split_once('-')?;
    let number = since::number(number.as_bytes(), 10)?;
    let slot = since::number(slot.as_bytes(), 10)?;
    Some((number, slot.try_into().ok()?))
}

/// How a version has the rest.
#[must_use]
pub fn rest(version: Version) -> (View, fn(&Publication) -> Vec<u8>) {
    match version {
        Version::V12 => (View::Stomp12, |publication| body(Version::V12, publication)),
        Version::V11 => (View::Stomp11, |publication| body(Version::V11, publication)),
        Version::V10 => (View::Stomp10, |publication| body(Version::V10, publication)),
    }
}

fn body(version: Version, publication: &Publication) -> Vec<u8> {
    let bytes = &publication.bytes;
    let mut out = Vec::with_capacity(bytes.len() + 128);
    let mut header = |name: &str, value: &str| spell::header(&mut out, Some(version), name, value);
    header("content-type", publication.content.media_type());
    header("content-length", &bytes.len().to_string());
    if let Some(place) = publication.place().filter(|place| place.epoch > 0) {
        let mut position = Vec::new();
        since::spell(&mut position, std::iter::once(place));
        header("orbit-position", &String::from_utf8_lossy(&position));
    }
    if let Some(sender) = &publication.sender {
        header("orbit-sender", sender);
    }
    for (name, value) in kept(publication).into_iter().flatten() {
        header(&name, &value);
    }
    out.push(b'\n');
    out.extend_from_slice(bytes);
    out.push(0);
    out
}

/// Headers of a publisher, as they were meant.
fn kept(publication: &Publication) -> Option<Vec<(String, String)>> {
    let text = format!("SEND\n{}\n\0", publication.headers()?);
    let (mut partial, mut input) = (None, text.as_bytes());
    let frame = frames::next(&mut partial, &mut input, Some(Version::V12), &UNBOUNDED);
    let headers = frame.ok()??.headers;
    let own = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
    Some(headers.into_iter().map(own).collect())
}

/// What was bounded when it came.
const UNBOUNDED: Limits = Limits {
    line_bytes_max: usize::MAX / 2,
    head_bytes_max: usize::MAX / 2,
    lines_max: usize::MAX / 2,
    body_bytes_max: 0,
};

/// A MESSAGE that tells how many of a channel were dropped: nobody's, so that it has no subscription.
#[must_use]
pub fn gap(channel: &str, missed: u64) -> Vec<u8> {
    notice(None, channel, &events::missed(channel, missed))
}

/// A MESSAGE of the server's own that messages of a channel are missing, told as JSON.
#[must_use]
pub fn notice(of: Option<(Version, &str)>, channel: &str, json: &[u8]) -> Vec<u8> {
    // Without a version it is spelled for all of them: names have no line ends, and colons may stand as they are.
    let version = of.map(|(version, _)| version);
    let mut out = b"MESSAGE\n".to_vec();
    let mut header = |name: &str, value: &str| spell::header(&mut out, version, name, value);
    if let Some((_, id)) = of.filter(|(_, id)| !id.is_empty()) {
        header("subscription", id);
    }
    header("message-id", "gap");
    let destination = super::destinations::topic(channel);
    header("destination", &destination);
    header("orbit-event", "gap");
    header("content-type", "application/json");
    header("content-length", &json.len().to_string());
    out.push(b'\n');
    out.extend_from_slice(json);
    out.push(0);
    out
}
