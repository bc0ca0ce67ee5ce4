//! The verbs of the API as the application calls them by STOMP: the same calls, with a JSON object in place of a query.
//!
//! In: a verb and its body. Out: what the call answers over HTTP, as a status and JSON.

use super::fields::{Fields, Object};
use super::query::bad;
use super::{Node, QUEUES_FULL};
use crate::admin;
use crate::cmd::{Caller, Control};
use crate::http::fault::Fault;
use crate::http::request::{Headers, Method, Request, Version};
use crate::ids::SessionId;
use crate::service::stomp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

impl Node {
    /// Does what the application calls by `call`: the answer comes now, or when a command was run.
    pub(in crate::node) fn control(&mut self, id: SessionId, call: u64, control: &Control) {
        match self.run_control(Caller::Stomp(id, call), control) {
            Ok(None) => {}
            Ok(Some(body)) => self.reply(id, call, 200, body.as_bytes()),
            Err(fault) => {
                self.refused(fault.code);
                self.reply(id, call, fault.status, fault.body_json().as_bytes());
            }
        }
    }

    fn run_control(&mut self, caller: Caller, control: &Control) -> Result<Option<String>, Fault> {
        let verb = &*control.verb;
        // What ends sessions is let in even so.
        if self.cmds.is_full() && verb != "kick" {
            return Err(QUEUES_FULL);
        }
        if verb == "publish-many" {
            let request = request("", &control.body);
            return self.publish_many(caller, &request).map(|()| None);
        }
        let mut fields = object(&control.body)?;
        let mut path = |name| {
            fields
                .remove(name)
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
        };
        let path: Option<String> = match verb {
            "kick" => path("user"),
            "presence" => path("channel"),
            _ => None,
        };
        let query = query(&fields)?;
        let request = request(&query, b"");
        match (verb, path) {
            ("kick", Some(user)) => self.kick_user(caller, &request, &user).map(|()| None),
            ("kick", None) => self.kick_one(caller, &request).map(|()| None),
            ("presence", Some(channel)) => self.presence(&request, &channel).map(Some),
            ("presence", None) => Err(bad("channel", "is missing")),
            ("subscribe", _) => self.seat_user(caller, &request, true).map(|()| None),
            ("unsubscribe", _) => self.seat_user(caller, &request, false).map(|()| None),
            ("stats", _) => self.stats(&request).map(Some),
            _ => Err(NO_VERB),
        }
    }

    fn stats(&self, request: &Request<'_>) -> Result<String, Fault> {
        super::query::Query::of(request, &[])?;
        Ok(admin::stats(&self.facts(), &self.metrics))
    }

    /// The answer to a call by STOMP, if its session is still there.
    pub(super) fn reply(&mut self, id: SessionId, call: u64, status: u16, body: &[u8]) {
        self.with_service(id, |_, cx, row| {
            stomp::replied(cx, row, call, (status, body))
        });
    }
}

fn object(body: &[u8]) -> Result<Object<'_>, Fault> {
    let body = match body.trim_ascii() {
        b"" => b"{}",
        body => body,
    };
    let fields: Fields<'_> = serde_json::from_slice(body).map_err(|_| NO_OBJECT)?;
    fields
        .once()
        .map_err(|error| NO_OBJECT.with_reason(format!("{error}.")))
}

/// The fields as the query of a request: texts, numbers, true and false; one that is null is none.
fn query(fields: &Object<'_>) -> Result<String, Fault> {
    let mut pairs = Vec::new();
    for (name, raw) in fields {
        let value = match serde_json::from_str(raw.get()) {
            Ok(serde_json::Value::Null) => continue,
            Ok(serde_json::Value::String(text)) => text,
            Ok(serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => raw.get().to_owned(),
            _ => return Err(bad(name, "is no text and no number")),
        };
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        pairs.push(format!("{}={}", encoded(name), encoded(&value)));
    }
    Ok(pairs.join("&"))
}

fn request<'a>(query: &'a str, body: &'a [u8]) -> Request<'a> {
    Request {
        method: Method::Post,
        version: Version::Http11,
        path: "/",
        query: query.as_bytes(),
        host: "",
        keep_alive: true,
        headers: Headers::EMPTY,
        body,
    }
}

const NO_VERB: Fault = Fault::new(
    404,
    "not-found",
    "There is no such verb.",
    "There are kick, presence, subscribe, unsubscribe, publish-many and stats.",
);
const NO_OBJECT: Fault = Fault::new(
    400,
    "bad-query",
    "The body is no JSON object.",
    "The body has what the query and the path have over HTTP, as in {\"user\":\"ann\"}.",
);
