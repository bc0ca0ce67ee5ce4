//! The writer of channels for clients without a library: messages where CSP has packets.
//!
//! In: settings ([`super::PLAIN`]), messages as their service spells them, and what the request said of the connection. Out:
//! response bytes in an output queue. Nothing is numbered, acknowledged or sent again here.

use super::http::{Exchange, SANDBOX, UNBUFFERED, chunk};
use super::profile::{ContentType, Profile};
use crate::http::request::Version;
use crate::http::response::{Cache, Head, Length};
use crate::mem::{Form, Msg, OutQueue, script};
use std::rc::Rc;

/// What an answer tells beside its messages.
#[derive(Debug, Default)]
pub struct Standing {
    /// Where the client stands with this answer; empty where that is what it was before.
    pub since: String,
    /// Whether nothing is missing between what the client said it had and this answer.
    pub recovered: bool,
}

/// The head and front of a response over many messages. Gives back whether it is chunked.
pub fn open(out: &mut OutQueue, exchange: Exchange, profile: &Profile) -> bool {
    let chunked = exchange.version == Version::Http11 && profile.endless.is_none();
    let length = if chunked {
        Length::Chunked
    } else {
        Length::UntilClose
    };
    // Messages in a page without a script of ours are nothing but text.
    let text = profile.content_type == ContentType::TextHtml && profile.preamble.is_empty();
    let extra: &[(&str, &str)] = match text {
        true => &[SANDBOX, UNBUFFERED],
        false => &[UNBUFFERED],
    };
    if profile.endless.is_none_or(|endless| endless.head) {
        head(out, exchange, profile, length, extra);
    }
    if !profile.preamble.is_empty() {
        chunk(out, chunked, profile.preamble.len(), |out| {
            out.tail().extend_from_slice(&profile.preamble);
        });
    }
    chunked
}

/// One message of an open response.
pub fn message(out: &mut OutQueue, profile: &Profile, msg: &Rc<Msg>) {
    out.tail().extend_from_slice(&profile.batch_prefix);
    let spelled = profile.endless.map(|endless| endless.spelling);
    if !spelled.is_some_and(|spelling| spelling.spell(out, msg)) {
        out.push_shared(msg, Form::Raw);
    }
    out.tail().extend_from_slice(&profile.batch_suffix);
}

/// What breaks the silence of an open response: a comment, an empty line, a part without a message.
pub fn heartbeat(out: &mut OutQueue, profile: &Profile) {
    if let Some(endless) = profile.endless {
        return out.tail().extend_from_slice(endless.ping.as_bytes());
    }
    let nothing: &[u8] = match profile.content_type {
        ContentType::EventStream => b":\n\n",
        ContentType::Multipart => b"{}",
        _ => b"",
    };
    out.tail().extend_from_slice(&profile.batch_prefix);
    out.tail().extend_from_slice(nothing);
    out.tail().extend_from_slice(&profile.batch_suffix);
}

/// A whole response: one JSON object, in a call where the client named a callback.
pub fn answer(
    out: &mut OutQueue,
    scratch: &mut OutQueue,
    exchange: Exchange,
    profile: &Profile,
    standing: &Standing,
    messages: impl Iterator<Item = Rc<Msg>>,
) {
    scratch.clear();
    let in_script = profile.content_type.is_script();
    if in_script {
        // The comment is there since what begins a script is not the caller's to choose (Rosetta Flash).
        let call = [b"/**/", &*profile.batch_prefix, b"("].concat();
        scratch.tail().extend_from_slice(&call);
    }
    object(scratch, standing, messages, in_script);
    if in_script {
        scratch.tail().push(b')');
        scratch.tail().extend_from_slice(&profile.batch_suffix);
    }
    let fields = [
        ("Last-Event-ID", &*standing.since),
        ("Access-Control-Expose-Headers", "Last-Event-ID"),
    ];
    let fields: &[(&str, &str)] = match standing.since.is_empty() {
        true => &[],
        false => &fields,
    };
    let length = Length::Known(scratch.len() as u64);
    head(out, exchange, profile, length, fields);
    out.append(scratch);
}

/// `{"messages":[...],"since":"...","recovered":true}`.
fn object(
    out: &mut OutQueue,
    standing: &Standing,
    messages: impl Iterator<Item = Rc<Msg>>,
    in_script: bool,
) {
    out.tail().extend_from_slice(b"{\"messages\":[");
    for (n, msg) in messages.enumerate() {
        if n > 0 {
            out.tail().push(b',');
        }
        let escaped = in_script.then(|| script::escaped(msg.bytes())).flatten();
        match escaped {
            Some(json) => out.tail().extend_from_slice(&json),
            None => out.push_shared(&msg, Form::Raw),
        }
    }
    out.tail().push(b']');
    if !standing.since.is_empty() {
        let (since, recovered) = (&standing.since, standing.recovered);
        let rest = format!(",\"since\":\"{since}\",\"recovered\":{recovered}");
        out.tail().extend_from_slice(rest.as_bytes());
    }
    out.tail().push(b'}');
}

fn head(
    out: &mut OutQueue,
    exchange: Exchange,
    profile: &Profile,
    length: Length,
    extra: &[(&str, &str)],
) {
    let head = Head {
        status: 200,
        content_type: profile.content_type.name(),
        length,
        keep_alive: exchange.keep_alive && length != Length::UntilClose,
        version: exchange.version,
        cache: Cache::PassOn,
        cors: true,
        date: &exchange.date,
        extra,
    };
    head.write(out.tail());
}
