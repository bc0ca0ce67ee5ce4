//! The writer of every HTTP transport: it interprets a [`Profile`], and knows no transport by name.
//!
//! In: settings, packets, and what the request said of the connection. Out: response bytes in an output
//! queue, by CSP 1.5. When to write, and what becomes of the connection after, is decided elsewhere.

use super::profile::{ContentType, Profile};
use super::{Packet, array};
use crate::http::request::Version;
use crate::http::response::{Cache, Date, Head, LAST_CHUNK, Length, chunk_head};
use crate::mem::OutQueue;
use std::io::Write as _;

/// What a response needs to know of its request and connection.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// The request's version: 1.0 knows no chunks.
    pub version: Version,
    /// Whether the connection lives on after the response.
    pub keep_alive: bool,
    /// Whether only the head is wanted (HEAD).
    pub head_only: bool,
    /// The `Date` header.
    pub date: Date,
    /// `--legacy-html`: text chosen by clients may go out as HTML.
    pub legacy_html: bool,
}

/// The answer to handshake, send and close: `rp(JSON)rs`.
pub fn result(out: &mut OutQueue, exchange: Exchange, profile: &Profile, json: &[u8]) {
    let kind = profile.result_type(exchange.legacy_html);
    let prefix = guard(kind, &profile.request_prefix);
    let parts: [&[u8]; 6] = [
        prefix,
        &profile.request_prefix,
        b"(",
        json,
        b")",
        &profile.request_suffix,
    ];
    let length = parts.iter().map(|part| part.len() as u64).sum();
    head(out, exchange, kind, false, Length::Known(length));
    if !exchange.head_only {
        parts
            .iter()
            .for_each(|part| out.tail().extend_from_slice(part));
    }
}

/// A whole comet response with one batch. Gives back the id of the last packet in it.
pub fn poll<'a>(
    out: &mut OutQueue,
    scratch: &mut OutQueue,
    exchange: Exchange,
    profile: &Profile,
    packets: impl Iterator<Item = Packet<'a>>,
) -> Option<u64> {
    scratch.clear();
    let kind = profile.comet_type(exchange.legacy_html);
    front(scratch, profile);
    let last = batch(scratch, kind, profile, packets);
    head(
        out,
        exchange,
        kind,
        profile.own,
        Length::Known(scratch.len() as u64),
    );
    out.append(scratch);
    last
}

/// The head and front of a response over many batches. Gives back whether it is chunked.
pub fn open(out: &mut OutQueue, exchange: Exchange, profile: &Profile) -> bool {
    let chunked = exchange.version == Version::Http11;
    let length = if chunked {
        Length::Chunked
    } else {
        Length::UntilClose
    };
    head(
        out,
        exchange,
        profile.comet_type(exchange.legacy_html),
        profile.own,
        length,
    );
    let size = profile.prebuffer as usize + profile.preamble.len();
    if size > 0 && !exchange.head_only {
        chunk(out, chunked, size, |out| front(out, profile));
    }
    chunked
}

/// One batch of an open response. Gives back the id of the last packet in it.
pub fn stream<'a>(
    out: &mut OutQueue,
    scratch: &mut OutQueue,
    chunked: bool,
    profile: &Profile,
    packets: impl Iterator<Item = Packet<'a>>,
) -> Option<u64> {
    scratch.clear();
    let last = batch(scratch, profile.content_type, profile, packets);
    chunk(out, chunked, scratch.len(), |out| out.append(scratch));
    last
}

/// Bytes as they are, in an open response: events of a service that spells them itself.
pub fn raw(out: &mut OutQueue, scratch: &mut OutQueue, chunked: bool) {
    chunk(out, chunked, scratch.len(), |out| out.append(scratch));
}

/// A batch of one number, as `streamtest` sends two of.
pub fn test_batch(profile: &Profile, number: u8) -> Vec<u8> {
    let guard = guard(profile.content_type, &profile.batch_prefix);
    let mut text = [guard, &profile.batch_prefix].concat();
    // Writing to a vector cannot fail.
    let _ = write!(text, "([{number}])");
    text.extend_from_slice(&profile.batch_suffix);
    text
}

/// The end of an open response.
pub fn end(out: &mut OutQueue, chunked: bool) {
    if chunked {
        out.tail().extend_from_slice(LAST_CHUNK);
    }
}

pub(super) fn chunk(
    out: &mut OutQueue,
    chunked: bool,
    size: usize,
    fill: impl FnOnce(&mut OutQueue),
) {
    if !chunked {
        return fill(out);
    }
    chunk_head(out.tail(), size);
    fill(out);
    out.tail().extend_from_slice(b"\r\n");
}

fn front(out: &mut OutQueue, profile: &Profile) {
    let blanks = out.tail().len() + profile.prebuffer as usize;
    out.tail().resize(blanks, b' ');
    out.tail().extend_from_slice(&profile.preamble);
}

fn batch<'a>(
    out: &mut OutQueue,
    kind: ContentType,
    profile: &Profile,
    packets: impl Iterator<Item = Packet<'a>>,
) -> Option<u64> {
    out.tail()
        .extend_from_slice(guard(kind, &profile.batch_prefix));
    out.tail().extend_from_slice(&profile.batch_prefix);
    out.tail().push(b'(');
    let last = array(out, packets);
    out.tail().push(b')');
    out.tail().extend_from_slice(&profile.batch_suffix);
    match last {
        // The draft has one line end here; without the second no browser dispatches the event (1.5).
        Some(id) if profile.sse => {
            let _ = write!(out.tail(), "id: {id}\r\n\r\n");
        }
        None if profile.sse => out.tail().extend_from_slice(b"\r\n"),
        _ => {}
    }
    last
}

/// An empty comment before a callback: what begins a script is not the caller's to choose (Rosetta Flash).
fn guard(kind: ContentType, prefix: &[u8]) -> &'static [u8] {
    if kind.is_script() && !prefix.is_empty() {
        b"/**/"
    } else {
        b""
    }
}

fn head(out: &mut OutQueue, exchange: Exchange, kind: ContentType, own: bool, length: Length) {
    let sandboxed = kind == ContentType::TextHtml && !own;
    let streamed = !matches!(length, Length::Known(_));
    // Proxies which buffer an answer until it is whole are told not to (nginx's name for it).
    let extra: &[(&str, &str)] = match (sandboxed, streamed) {
        (true, true) => &[SANDBOX, UNBUFFERED],
        (true, false) => &[SANDBOX],
        (false, true) => &[UNBUFFERED],
        (false, false) => &[],
    };
    let keep_alive = exchange.keep_alive && !matches!(length, Length::UntilClose);
    Head {
        status: 200,
        content_type: kind.name(),
        length,
        keep_alive,
        version: exchange.version,
        cache: Cache::NoCache,
        cors: true,
        date: &exchange.date,
        extra,
    }
    .write(out.tail());
}

/// What an answer of type text/html is sent with: a page that may do nothing.
pub const SANDBOX: (&str, &str) = ("Content-Security-Policy", "sandbox; default-src 'none'");
pub(super) const UNBUFFERED: (&str, &str) = ("X-Accel-Buffering", "no");
