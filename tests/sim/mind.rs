//! What the application is asked, and what it makes of it.
//!
//! In: questions as they came. Out: answers, some of them wrong in form, some to another question first, some never. It asserts
//! of each question that it is about what somebody wants now, once, and says who that is.

use super::app::Request;
use super::decide::{CHANNELS, NOBODY, World};
use super::decided::{Said, Want};
use serde_json::{Value, json};

impl World {
    /// Reads the questions that came.
    pub(super) fn hear_questions(&mut self) {
        for request in self.app.pump(&mut self.net, &mut self.chance) {
            self.net.note(|| format!("asked {request:?}"));
            let op = self.about(&request);
            let wanted = &self.ops[op];
            assert!(wanted.decided && !wanted.done, "asked about {wanted:?}");
            if let Some((lane, _)) = wanted.asked {
                let before = &self.app.lanes[lane];
                assert!(before.ended, "{op} is asked on two connections");
                self.net.totals.add_to("decide", "asked again", 1);
            }
            let wanted = &mut self.ops[op];
            wanted.asked = Some((request.lane, request.number));
            wanted.said = None;
            self.check_facts(op, &request.body);
            self.pending.push((request.lane, op));
        }
        let lanes = &self.app.lanes;
        self.pending.retain(|(lane, _)| !lanes[*lane].ended);
        while self.kind && !self.pending.is_empty() {
            let (lane, op) = self.pending.swap_remove(0);
            let said = self.allow(op, false);
            self.speak(lane, op, said);
        }
    }

    /// Which of all that is wanted a question is about.
    fn about(&mut self, request: &Request) -> usize {
        let body = &request.body;
        let number = |text: &Value| text.as_u64().unwrap() as usize;
        let key = body["session"].as_str();
        let op = match (body["event"].as_str().unwrap(), key) {
            ("signon", None) => {
                let cookie = body["cookie"].as_str().unwrap().strip_prefix("n=");
                cookie.unwrap().parse().unwrap()
            }
            ("signon", _) => number(&body["credentials"]),
            ("publish", _) => {
                let said: Value = serde_json::from_str(body["body"].as_str().unwrap()).unwrap();
                number(&said["m"])
            }
            ("call", _) => number(&body["payload"]),
            ("subscribe", Some(key)) => {
                let of = |person: &&super::decide::Person| person.key.as_deref() == Some(key);
                let person = self.people.iter().find(of).expect("one that called before");
                let is_it = |op: &&usize| {
                    let op = &self.ops[**op];
                    let channel = match op.want {
                        Want::Subscribe(channel) => CHANNELS[channel],
                        _ => return false,
                    };
                    !op.done && body["channel"] == channel && !self.was_decided(op)
                };
                *person.ops.iter().find(is_it).expect("one that is wanted")
            }
            other => panic!("{other:?}"),
        };
        if let (Some(key), Some(person)) = (key, self.people.get_mut(self.ops[op].by)) {
            let known = person.key.get_or_insert_with(|| key.to_owned());
            assert_eq!(known, key, "a session has two names");
        }
        op
    }

    /// Whether there was a verdict, which its client has not read yet.
    fn was_decided(&self, op: &super::decided::Op) -> bool {
        let had = |(lane, number)| self.app.has_answer(&self.net, lane, number) != Some(false);
        let gone = |(lane, _): (usize, usize)| self.app.lanes[lane].ended && op.said.is_some();
        op.asked.is_some_and(|asked| had(asked) || gone(asked))
    }

    fn check_facts(&self, op: usize, body: &Value) {
        let wanted = &self.ops[op];
        let word = match wanted.want {
            Want::Come | Want::Auth(_) => "signon",
            Want::Subscribe(_) => "subscribe",
            Want::Publish(_) => "publish",
            Want::Call | Want::Leave => "call",
        };
        assert_eq!(body["event"], word);
        let user = match &wanted.want {
            Want::Come => Some(None),
            Want::Auth(user) => Some(Some(user.clone())),
            _ if wanted.by == NOBODY => None,
            _ => self.user_before(op),
        };
        if let Some(user) = user {
            assert_eq!(body["user"], Value::from(user), "{body}");
        }
    }

    /// Answers one of the questions, in whatever order.
    pub(super) fn say_something(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let at = self.chance.below(self.pending.len());
        let (lane, op) = self.pending.swap_remove(at);
        if at > 0 {
            self.net.totals.add_to("decide", "answered out of order", 1);
        }
        let odd = self.chance.weighted(&[10, 4, 1, 1, 1]);
        let said = match odd {
            0 => self.allow(op, true),
            1 => Said::Deny(format!("no {op}")),
            2 => Said::Rubbish,
            3 => {
                // Not at all, which is seen at once or when its time is over.
                self.net.totals.add_to("decide", "closed", 1);
                return self.app.close(&mut self.net, &mut self.chance, lane);
            }
            _ => {
                // It lies there until its time is over.
                self.net.totals.add_to("decide", "never answered", 1);
                return;
            }
        };
        self.speak(lane, op, said);
    }

    fn allow(&mut self, op: usize, freely: bool) -> Said {
        let chance = &mut self.chance;
        let comes = matches!(self.ops[op].want, Want::Come | Want::Auth(_));
        let changes = freely && chance.one_in(2);
        let user = (comes && changes).then(|| format!("x{}", chance.below(4)));
        let payload = match self.ops[op].want {
            Want::Publish(_) if changes => Some(json!({ "c": op })),
            Want::Call if freely => Some(json!([op, "r"])),
            _ => None,
        };
        let subscribe = match comes && freely && self.ops[op].by != NOBODY && chance.one_in(3) {
            true => vec![chance.below(CHANNELS.len())],
            false => Vec::new(),
        };
        Said::Allow {
            user,
            payload,
            subscribe,
        }
    }

    fn speak(&mut self, lane: usize, op: usize, said: Said) {
        let chance = &mut self.chance;
        let (status, body) = match &said {
            Said::Allow {
                user,
                payload,
                subscribe,
            } => {
                let mut body = json!({});
                if let Some(user) = user {
                    body["user"] = json!(user);
                }
                if let Some(payload) = payload {
                    let call = self.ops[op].want == Want::Call;
                    body[if call { "result" } else { "payload" }] = payload.clone();
                }
                if !subscribe.is_empty() {
                    let names: Vec<_> = subscribe.iter().map(|one| CHANNELS[*one]).collect();
                    body["subscribe"] = json!(names);
                }
                match body == json!({}) && chance.one_in(2) {
                    true => (204, String::new()),
                    false => (200, body.to_string()),
                }
            }
            Said::Deny(why) if chance.one_in(2) => (403, json!({ "reason": why }).to_string()),
            Said::Deny(why) => (200, json!({ "allow": false, "reason": why }).to_string()),
            Said::Rubbish => {
                self.net.totals.add_to("decide", "rubbish", 1);
                let odd = [(200, "<p>"), (500, "{}"), (302, ""), (200, "{\"allow\":1}")];
                let (status, body) = chance.pick(&odd);
                (status, body.to_owned())
            }
        };
        let malformed = said == Said::Rubbish && chance.one_in(3);
        self.ops[op].said = Some(said);
        match malformed {
            true => self.app.say(lane, b"HTTP/1.1 two hundred\r\n\r\n", false),
            false => self.app.answer(&mut self.chance, lane, status, &body),
        }
    }
}
