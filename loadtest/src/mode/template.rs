//! Any other server: a request by path and fields, first messages, and marks in whatever comes back.

use super::{Cx, Mode, Peer, events, ws as bare};
use crate::proto::http::{self, Body, Event};
use crate::proto::{sse, ws};
use crate::trouble::Fault;
use serde_json::{Value, json};

/// The mode, filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    /// The request target; empty where it is the mode's own.
    pub path: String,
    /// Fields, `Name: value`.
    pub headers: Vec<String>,
    /// WebSocket messages to send first; with any of these, or `websocket`, the connection is upgraded.
    pub first: Vec<String>,
    /// Upgrade without a first message too.
    pub websocket: bool,
}

impl Template {
    /// The request target, or this.
    #[must_use]
    pub fn path_or<'a>(&'a self, own: &'a str) -> &'a str {
        match &*self.path {
            "" => own,
            path => path,
        }
    }

    fn is_websocket(&self) -> bool {
        self.websocket || !self.first.is_empty()
    }

    /// As it goes to a load process.
    pub fn to_json(&self) -> Value {
        json!({
            "path": self.path,
            "headers": self.headers,
            "first": self.first,
            "websocket": self.websocket,
        })
    }

    /// Reads it there.
    pub fn from_json(value: &Value) -> Option<Self> {
        let list = |name: &str| -> Option<Vec<String>> {
            let items = value.get(name)?.as_array()?.iter();
            items.map(|item| Some(item.as_str()?.to_owned())).collect()
        };
        Some(Self {
            path: value.get("path")?.as_str()?.to_owned(),
            headers: list("headers")?,
            first: list("first")?,
            websocket: value.get("websocket")?.as_bool()?,
        })
    }
}

impl Mode for Template {
    fn opened(&self, cx: &mut Cx<'_>, _: &mut Peer) {
        let fields: String = self.headers.iter().map(|f| format!("{f}\r\n")).collect();
        if self.is_websocket() {
            ws::upgrade(cx.out, cx.host, self.path_or("/"));
            cx.out.extend_from_slice(fields.as_bytes());
            cx.out.extend_from_slice(b"\r\n");
        } else {
            cx.get(self.path_or("/"), &fields);
        }
    }

    fn received(&self, cx: &mut Cx<'_>, peer: &mut Peer, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        while peer.body != Body::Upgraded {
            match http::next(&mut peer.body, &mut rest)? {
                Event::More => return Ok(input.len() - rest.len()),
                Event::Head(101) => {
                    for text in &self.first {
                        ws::masked(cx.out, ws::TEXT, text.as_bytes());
                    }
                    peer.ready = true;
                }
                Event::Head(200..=299) => peer.ready = true,
                Event::Head(_) | Event::End => return Err(Fault::Response),
                Event::Data(data) => events::pieces(peer, data, sse::line, |peer, line| {
                    cx.arrived(peer, line);
                    Ok(())
                })?,
            }
        }
        while let Some(frame) = ws::next(&mut rest)? {
            if let Some(data) = bare::message(cx, &frame)? {
                cx.arrived(peer, data);
            }
        }
        Ok(input.len() - rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_survives_the_way_to_a_load_process() {
        let template = Template {
            path: "/x".into(),
            headers: vec!["A: b".into()],
            first: vec!["[\"hi\"]".into()],
            websocket: true,
        };
        assert_eq!(Template::from_json(&template.to_json()), Some(template));
        assert_eq!(Template::from_json(&json!({})), None);
    }
}
