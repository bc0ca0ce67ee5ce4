//! The command line's side of the API: asks a running node, and prints what it says.
//!
//! In: a call, a key, standard input. Out: lines. One request a connection, and nothing beside it: this runs in place of a
//! node, not within one. It may name sockets, and knows nothing of the node but its wire.

mod http;

use crate::cli::Ask;
use crate::cli::logging::Escaped;
use crate::config::{ApiKey, Listen};
use http::{Answer, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};

/// Where a node is, and what it wants to be shown.
#[derive(Debug)]
pub struct Node<'a> {
    /// Its internal address.
    pub address: &'a Listen,
    /// The key.
    pub key: Option<&'a ApiKey>,
}

/// Why something was not done.
#[derive(Debug, PartialEq, Eq)]
pub enum Undone {
    /// Nobody reads what would be written (`| head`), which is no fault.
    Unread,
    /// In one line, with the cure.
    Because(String),
}

impl From<String> for Undone {
    fn from(text: String) -> Self {
        Self::Because(text)
    }
}

/// Asks a node, and writes what it answers to `out`. `input` is read where the message is to come from it.
///
/// # Errors
/// [`Undone`].
pub fn run(
    node: &Node<'_>,
    ask: &Ask,
    input: impl Read,
    out: &mut impl Write,
) -> Result<(), Undone> {
    match ask {
        Ask::Publish {
            channel,
            data,
            json,
            id,
        } => {
            let body = match data {
                Some(data) => data.clone().into_bytes(),
                None => all_of(input)?,
            };
            let target = format!("/api/publish/{}", escaped(channel));
            let mut request = Request::post(&target, &body);
            request.content_type = if *json {
                "application/json"
            } else {
                "text/plain"
            };
            request.id = id.as_deref();
            print(out, &done(node, &request)?)
        }
        Ask::Sessions { user } => list(node, "sessions", ("user", user), out),
        Ask::Channels { prefix } => list(node, "channels", ("prefix", prefix), out),
        Ask::KickUser(user) => {
            let target = format!("/api/kick/{}", escaped(user));
            print(out, &done(node, &Request::post(&target, b""))?)
        }
        Ask::RevokeUser(user) => {
            let target = format!("/api/revoke?user={}", escaped(user));
            print(out, &done(node, &Request::post(&target, b""))?)
        }
        Ask::RevokeToken(id, exp) => {
            let exp = exp.as_ref().map(|exp| format!("&exp={}", escaped(exp)));
            let target = format!("/api/revoke?jti={}{}", escaped(id), exp.unwrap_or_default());
            print(out, &done(node, &Request::post(&target, b""))?)
        }
        Ask::MakeToken(_) | Ask::CheckToken(_) => Ok(()),
        Ask::KickSession(key) => {
            let target = format!("/api/kick?session={}", escaped(key));
            print(out, &done(node, &Request::post(&target, b""))?)
        }
    }
}

/// Page after page, a line for each row.
fn list(
    node: &Node<'_>,
    name: &str,
    (filter, value): (&str, &Option<String>),
    out: &mut impl Write,
) -> Result<(), Undone> {
    let mut target = format!("/api/{name}?limit=1000");
    if let Some(value) = value {
        target += &format!("&{filter}={}", escaped(value));
    }
    let mut after = String::new();
    loop {
        let page = done(node, &Request::get(&format!("{target}{after}")))?;
        let page: BTreeMap<String, &RawValue> = parsed(&page)?;
        let rows = page.get(name).ok_or_else(|| NO_NODE.to_owned())?;
        for row in parsed::<Vec<&RawValue>>(rows.get())? {
            print(out, row.get())?;
        }
        match page.get("after").map(|after| parsed(after.get())) {
            Some(Ok(Value::String(slot))) => {
                let next = format!("&after={}", escaped(&slot));
                if next == std::mem::replace(&mut after, next.clone()) {
                    return Err(NO_NODE.to_owned().into());
                }
            }
            _ => return Ok(()),
        }
    }
}

fn parsed<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|_| NO_NODE.to_owned())
}

/// The body of an answer that says that it was done.
fn done(node: &Node<'_>, request: &Request<'_>) -> Result<String, String> {
    let Answer { status, body } = http::ask(node, request)?;
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let fault: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |name: &str| fault.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("code") {
        "" => Err(format!("{status}: {NO_NODE}")),
        code => {
            let said = format!("{status} {code}: {} {}", text("reason"), text("hint"));
            Err(Escaped(said).to_string())
        }
    }
}

fn print(out: &mut impl Write, line: &str) -> Result<(), Undone> {
    let wrote = writeln!(out, "{}", line.trim_end());
    wrote.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Undone::Unread,
        _ => Undone::Because(format!("cannot write: {error}")),
    })
}

fn all_of(input: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = input.take(INPUT_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot read standard input: {error}"))?;
    match bytes.len() as u64 > INPUT_MAX {
        true => Err("standard input is longer than any message may be (64MiB)".to_owned()),
        false => Ok(bytes),
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The largest `--max-message`.
const INPUT_MAX: u64 = 64 << 20;
const NO_NODE: &str = "what answers there is no orbited, or another version";
