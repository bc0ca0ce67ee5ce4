//! Who may begin, by the application's word over OP (`--op-welcome`): the same question as `--decide` puts, put to its connections.
//!
//! In: questions of who signs on, WELCOME and UNWELCOME. Out: a frame `signon` with `pending` for each question, verdicts to who
//! waits (`held`). A question has its time, and is refused where nobody is there to answer it.

use super::super::Node;
use super::held::{Asker, Holds};
use crate::ids::SessionId;
use crate::mem::Charge;
use crate::service::decide::{Changes, Question, Verdict};
use crate::service::op;
use crate::time::Tick;
use std::collections::VecDeque;
use std::rc::Rc;

/// Questions that were put, in the order of when their time is over.
#[derive(Debug, Default)]
pub struct Doorstep {
    all: VecDeque<Pending>,
    /// Questions so far.
    count: u64,
}

/// Who waits to be welcome.
#[derive(Debug)]
struct Pending {
    key: Rc<str>,
    who: Asker,
    question: Question,
    until: Tick,
    _charge: Charge,
}

impl Node {
    /// Asks every connection of OP that wants to be told who signs on; the first to answer is heard.
    pub(super) fn put_to_op(&mut self, who: Asker, question: Question) {
        let listens = |id: &SessionId| {
            let row = self.sessions.get(*id);
            row.is_some_and(|row| op::hears_signon(&self.hub, row))
        };
        let ids = self.feeds.iter().copied().filter(listens);
        let ids: Vec<SessionId> = ids.collect();
        let full = self.is_full() || self.holds.doorstep.all.len() >= PENDING_MAX;
        if ids.is_empty() || full || self.stopping {
            return self.decided(who, question, Verdict::Unanswered);
        }
        // What is said of one who has no name is not to be for who calls himself so.
        if question.about.starts_with(NAMELESS) {
            return self.decided(who, question, Verdict::Denied(RESERVED.into()));
        }
        let until = self.now() + self.config.callback_timeout_ms;
        let doorstep = &mut self.holds.doorstep;
        doorstep.count += 1;
        let key: Rc<str> = match &*question.about {
            "" => format!("{NAMELESS}{}", doorstep.count).into(),
            user => user.into(),
        };
        let number = doorstep.count;
        for id in ids {
            self.with_service(id, |_, cx, session| {
                op::ask(cx, session, (&key, number), &question.body);
            });
        }
        let bytes = size_of::<Pending>() + key.len() + question.body.capacity();
        self.holds.doorstep.all.push_back(Pending {
            key,
            who,
            question,
            until,
            _charge: self.ledger.charge(bytes),
        });
    }

    /// The application says of all that wait by this key whether they are welcome.
    pub(in super::super) fn welcome(&mut self, key: &str, welcome: bool) {
        let all = std::mem::take(&mut self.holds.doorstep.all);
        let (these, others): (VecDeque<_>, _) = all.into_iter().partition(|one| *one.key == *key);
        self.holds.doorstep.all = others;
        for Pending { who, question, .. } in these {
            let verdict = match welcome {
                true => Verdict::Allowed(Changes::default()),
                false => Verdict::Denied("unwelcome".into()),
            };
            self.decided(who, question, verdict);
        }
    }

    /// Who waited in vain is not welcome. False where it is nobody's time.
    pub(in super::super) fn expire_doorstep(&mut self, now: Tick) -> bool {
        let first = self.holds.doorstep.all.front();
        if first.is_none_or(|one| one.until > now) {
            return false;
        }
        if let Some(Pending { who, question, .. }) = self.holds.doorstep.all.pop_front() {
            self.decided(who, question, Verdict::Unanswered);
        }
        true
    }

    /// When the next one's time is over.
    pub(in super::super) fn next_doorstep(&self) -> Option<Tick> {
        self.holds.doorstep.all.front().map(|one| one.until)
    }
}

impl Holds {
    /// Who waits to be welcome.
    pub(super) fn at_the_door(&self) -> impl Iterator<Item = Asker> {
        self.doorstep.all.iter().map(|one| one.who)
    }
}

/// In front of the number by which the application calls who has no name.
const NAMELESS: &str = "request:";
const RESERVED: &str =
    "a name does not begin with request: where the application says by OP who is welcome";
/// Who may wait at once.
const PENDING_MAX: usize = 10_000;
