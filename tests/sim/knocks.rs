//! Who shakes hands over HTTP, several times behind each other on one connection, while the application decides.
//!
//! In: numbers of wishes to come in. Out: the answer to each, in their order.

use super::chance::Chance;
use super::decided::Outcome;
use super::driver::{Driver, LinkId};
use super::response::{Piece, Responses};
use orbited::node::Door;
use serde_json::Value;
use std::collections::VecDeque;
use std::ops::Range;

/// A connection.
pub struct Knock {
    link: LinkId,
    out: Vec<u8>,
    responses: Responses,
    waits: VecDeque<usize>,
    status: u16,
    body: Vec<u8>,
    over: bool,
}

impl Knock {
    /// Asks for sessions, by CSP or Bayeux.
    pub fn open(net: &mut Driver, chance: &mut Chance, ops: Range<usize>) -> Option<Self> {
        let link = net.connect(Door::Public)?;
        let mut out = Vec::new();
        for op in ops.clone() {
            let (target, body) = match chance.one_in(2) {
                true => ("/_/revolved/csp/handshake?ct=text/plain", "{}"),
                false => (
                    "/bayeux",
                    "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\",\
                      \"supportedConnectionTypes\":[\"long-polling\"]}]",
                ),
            };
            let length = body.len();
            let kind = "Content-Type: application/json";
            let request = format!(
                "POST {target} HTTP/1.1\r\nHost: h\r\nCookie: n={op}\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            out.extend(request.into_bytes());
        }
        Some(Self {
            link,
            out,
            responses: Responses::default(),
            waits: ops.collect(),
            status: 0,
            body: Vec::new(),
            over: false,
        })
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Sends and reads; gives back what was answered: to which wish, the status and the body.
    pub fn pump(&mut self, net: &mut Driver, chance: &mut Chance) -> Vec<(usize, u16, String)> {
        // The node closes what is silent for long.
        let unsaid = !self.out.is_empty() && net.is_over(self.link);
        let now = match net.calm || !chance.one_in(3) {
            true => self.out.len(),
            false => chance.below(self.out.len() + 1),
        };
        let bytes: Vec<u8> = self.out.drain(..now).collect();
        net.send(self.link, &bytes);
        self.responses.push(&net.take(self.link, usize::MAX));
        let mut answers = Vec::new();
        while let Some(piece) = self.responses.next(false) {
            match piece {
                Piece::Head(head) => self.status = head.status,
                Piece::Body(bytes) => self.body.extend(bytes),
                Piece::End => {
                    let body = String::from_utf8(std::mem::take(&mut self.body)).unwrap();
                    let op = self.waits.pop_front().expect("one that was asked for");
                    answers.push((op, self.status, body));
                }
                Piece::Raw(_) => panic!("no upgrade was asked for"),
            }
        }
        let left = chance.one_in(400);
        if left || self.waits.is_empty() || net.is_over(self.link) {
            let up = left || unsaid || self.status == 408 || net.is_stopped();
            assert!(
                up || self.waits.is_empty(),
                "{:?} are not answered",
                self.waits
            );
            net.leave(self.link);
            self.over = true;
        }
        answers
    }
}

/// A handshake is answered as was decided.
pub fn check(op: usize, outcome: Option<Outcome>, (status, body): (u16, &str), net: &mut Driver) {
    let Some(outcome) = outcome.filter(|_| status != 408 && !net.is_stopped()) else {
        return;
    };
    let told: Option<Value> = serde_json::from_str(body).ok();
    let reply = told.as_ref().and_then(|told| told.get(0)).cloned();
    let (told, name) = match outcome {
        Outcome::Allowed(..) => (
            status == 200 && reply.is_none_or(|reply| reply["successful"] == true),
            "hands shaken",
        ),
        Outcome::Denied(why) => (
            body.to_lowercase().contains(&why)
                && (status == 403 || body.contains("\"successful\":false")),
            "hands not shaken",
        ),
        Outcome::NoAnswer => (
            status == 503 || body.contains("\"successful\":false"),
            "handshakes without answer",
        ),
    };
    assert!(
        told,
        "{op} is answered {status} {body}, and was to be {name}"
    );
    net.totals.add_to("decide", name, 1);
}
