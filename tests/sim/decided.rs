//! What the application decided, and what that has to come to.
//!
//! In: questions as they come, what is said to them. Out: of each thing that somebody wanted, the one outcome it may have. What
//! counts is whether the node has the whole answer in time: then it is that, otherwise it is as the operator says of no answer.

use super::app::App;
use super::driver::Driver;
use serde_json::Value;

/// What the application says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Allow {
        user: Option<String>,
        payload: Option<Value>,
        subscribe: Vec<usize>,
    },
    Deny(String),
    /// Nothing that can be understood.
    Rubbish,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// To come in.
    Come,
    /// To have a name.
    Auth(String),
    Subscribe(usize),
    Publish(usize),
    Call,
    Leave,
}

/// Something that somebody wanted, by its number.
#[derive(Debug)]
pub struct Op {
    /// Who, of all that ever came.
    pub by: usize,
    pub want: Want,
    pub at: u64,
    /// The last question about it: the connection, its number there, what was said to it.
    pub asked: Option<(usize, usize)>,
    pub said: Option<Said>,
    /// It was answered.
    pub done: bool,
    /// It is decided by the application at all.
    pub decided: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Allowed(Option<String>, Option<Value>, Vec<usize>),
    Denied(String),
    NoAnswer,
}

impl Op {
    /// What must come of it, once something has. `None` where nobody can tell.
    pub fn outcome(&self, app: &App, net: &Driver, fails_open: bool) -> Option<Outcome> {
        let plain = || Outcome::Allowed(None, None, Vec::new());
        if !self.decided {
            return Some(plain());
        }
        let had = match self.asked {
            Some((lane, number)) => app.has_answer(net, lane, number)?,
            None => false,
        };
        Some(match self.said.as_ref().filter(|_| had) {
            Some(Said::Allow {
                user,
                payload,
                subscribe,
            }) => Outcome::Allowed(user.clone(), payload.clone(), subscribe.clone()),
            Some(Said::Deny(why)) => Outcome::Denied(why.clone()),
            _ if fails_open && self.want != Want::Call => plain(),
            _ => Outcome::NoAnswer,
        })
    }

    /// Whether a question about it had no answer, or has none yet.
    pub fn was_asked_in_vain(&self, app: &App, net: &Driver, timeout_ms: u64) -> bool {
        let had = |(lane, number)| app.has_answer(net, lane, number) == Some(true);
        let told = |asked| had(asked) && self.said != Some(Said::Rubbish);
        // Of a question that was written too slowly nobody knows.
        let late = self.decided && net.now() >= self.at + timeout_ms;
        self.asked.map_or(late, |asked| !told(asked))
    }

    /// There was no answer: for a reason. `vain` is how many questions were asked in vain.
    pub fn check_unanswered(&self, app: &App, now: u64, vain: u64, timeout_ms: u64) {
        let broke = self.asked.is_some_and(|(lane, number)| {
            let lane = &app.lanes[lane];
            lane.ended || lane.asked > number + 1 || self.said == Some(Said::Rubbish)
        });
        let broke = broke || (app.refused > 0 && app.refused_at >= self.at);
        let late = now >= self.at + timeout_ms;
        assert!(
            broke || late || vain >= BREAKER,
            "no answer to {self:?} at {now}, {vain} in vain"
        );
    }
}

/// Questions in vain behind which only one is tried now and then.
const BREAKER: u64 = 5;
