//! CSP sessions without a connection: what each costs, and each further subscription.
//!
//! They are made over a single connection which takes turns for all of them: handshake, SUBSCRIBE, a poll that brings
//! its answer, a request that acknowledges it.

use super::Case;
use crate::asker::{Asker, request};
use crate::flags::Options;
use crate::payload::Mark;
use crate::proc::Usage;
use crate::proto::csp::session_key;
use crate::report::{Figure, figure};
use crate::server::Server;
use crate::sys::now_ns;
use crate::trouble::Trouble;
use serde_json::Value;
use std::thread::sleep;

/// Makes the sessions, subscribes them further, publishes once to all.
///
/// # Errors
/// A server that has no sessions, or lets them go.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let (options, server) = (case.options, case.server);
    let mut crowd = Sessions::new(case)?;
    sleep(options.settle);
    let (before, start) = (Usage::of(&server.pids)?, now_ns());
    case.eye.phase("making");
    let handshakes_ns = crowd.make()?;
    let made_ns = now_ns() - start;
    let made = crowd.rest()?;
    let further = options.subscriptions - 1;
    if further > 0 {
        case.eye.phase("subscribing");
        crowd.subscribe(further)?;
    }
    let subscribed = crowd.rest()?;
    let reached = crowd.publish()?;
    let waiting = crowd.rest()?;
    let n = f64::from(options.connections);
    let rate = |ns: u64| n / (ns.max(1) as f64 / 1e9);
    let mut figures = vec![
        figure("handshake_rate", rate(handshakes_ns), "a second"),
        figure("session_rate", rate(made_ns), "a second, subscribed"),
    ];
    if let Some(reached) = reached {
        let missing = n - reached as f64;
        figures.push(figure("missing", missing, "of those subscribed"));
    }
    if server.pids.is_empty() {
        return Ok(figures);
    }
    let each = |to: Usage, from: Usage| (to.pss as f64 - from.pss as f64) / n;
    let cpu = made.cpu_ns.saturating_sub(before.cpu_ns) as f64;
    figures.extend([
        figure("cpu_per_session", cpu / n / 1e3, "us"),
        figure("bytes_per_session", each(made, before), "of PSS"),
    ]);
    if further > 0 {
        let bytes = each(subscribed, made) / f64::from(further);
        figures.push(figure(
            "bytes_per_subscription",
            bytes,
            "of PSS, each further",
        ));
    }
    let bytes = each(waiting, subscribed);
    figures.push(figure(
        "bytes_per_waiting",
        bytes,
        "of PSS, a message not yet taken",
    ));
    Ok(figures)
}

/// The sessions, by their keys.
struct Sessions<'a> {
    options: &'a Options,
    server: &'a Server,
    /// Where messages are posted.
    path: String,
    asker: Asker,
    keys: Vec<Box<str>>,
}

impl<'a> Sessions<'a> {
    fn new(case: &Case<'a>) -> Result<Self, Trouble> {
        let (options, server) = (case.options, case.server);
        Ok(Self {
            options,
            server,
            path: case.publish_path(),
            asker: Asker::new(server.target)?,
            keys: Vec::new(),
        })
    }

    /// Makes all, each with its first subscription; the time that handshakes took.
    fn make(&mut self) -> Result<u64, Trouble> {
        let total = self.options.connections as usize;
        let mut handshakes_ns = 0;
        while self.keys.len() < total {
            let (first, start) = (self.keys.len(), now_ns());
            let count = BATCH.min(total - first);
            let target = format!("{BASE}/handshake");
            let hello = request("POST", &target, "{\"encodings\":[0,1,2]}");
            for answer in self.asker.ask(&vec![hello; count])? {
                let key = session_key(&answer);
                let key = key.ok_or_else(|| Trouble::Server("gives no session".into()))?;
                self.keys.push(key);
            }
            handshakes_ns += now_ns() - start;
            self.call(first, count, (1, 1), &self.lines(0, 1))?;
        }
        Ok(handshakes_ns)
    }

    /// Subscribes every session to so many more channels, the same for all.
    fn subscribe(&mut self, further: u32) -> Result<(), Trouble> {
        let lines = self.lines(1, further);
        for first in (0..self.keys.len()).step_by(BATCH) {
            let count = BATCH.min(self.keys.len() - first);
            self.call(first, count, (2, u64::from(further)), &lines)?;
        }
        Ok(())
    }

    /// SUBSCRIBE, `count` times from channel `first` on.
    fn lines(&self, first: u32, count: u32) -> String {
        let line = |n: u32| {
            let (call, channel) = (n + 1, &self.options.channel);
            let number = if n == 0 {
                String::new()
            } else {
                format!("-{n}")
            };
            format!("[{call},\"SUBSCRIBE\",[\"{channel}{number}\"]]\n")
        };
        (first..first + count).map(line).collect()
    }

    /// Sends these lines as packet `packet` of each of the sessions from `first` on, and takes and acknowledges
    /// the answers, of which there are `answers`.
    fn call(
        &mut self,
        first: usize,
        count: usize,
        (packet, answers): (u64, u64),
        lines: &str,
    ) -> Result<(), Trouble> {
        let batch = format!("[[{packet},0,{}]]", Value::from(lines));
        let keys = self.keys.get(first..first + count).unwrap_or_default();
        let to_all = |endpoint: &str, got: u64, body: &str| -> Vec<String> {
            let method = if body.is_empty() { "GET" } else { "POST" };
            let one = |key: &str| {
                let target = format!("{BASE}/{endpoint}?s={key}&a={got}");
                request(method, &target, body)
            };
            keys.iter().map(|key| one(key)).collect()
        };
        let before = packet - 1;
        self.asker.ask(&to_all("send", before, &batch))?;
        for answer in self.asker.ask(&to_all("comet", before, ""))? {
            let said = String::from_utf8_lossy(&answer);
            let found = said.matches("[\\\"OK\\\"").count() as u64;
            if found != answers {
                let text = format!("answers SUBSCRIBE with {said}");
                return Err(Trouble::Server(text));
            }
        }
        self.asker.ask(&to_all("send", before + answers, "[]"))?;
        Ok(())
    }

    /// Publishes to all; how many were subscribed, where there is somewhere to publish to.
    fn publish(&self) -> Result<Option<u64>, Trouble> {
        let Some(internal) = self.server.internals.first() else {
            return Ok(None);
        };
        let mark = Mark {
            run: 1,
            seq: 0,
            at_ns: now_ns(),
        };
        let message = mark.message(self.options.size);
        let message = String::from_utf8_lossy(&message);
        let request = request("POST", &self.path, &message);
        let answers = Asker::new(*internal)?.ask(&[request])?;
        let answer = answers.first().map(Vec::as_slice).unwrap_or_default();
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        Ok(answer.get("subscribers").and_then(Value::as_u64))
    }

    /// What the server holds when it has come to rest.
    fn rest(&self) -> Result<Usage, Trouble> {
        sleep(self.options.settle);
        Usage::of(&self.server.pids)
    }
}

const BASE: &str = "/_/revolved/csp";
/// Requests sent before their answers are read: what socket buffers hold of both.
const BATCH: usize = 64;
