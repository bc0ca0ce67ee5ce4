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
    /// When who has left was looked for last.
    swept: Tick,
}

/// Who waits to be welcome.
#[derive(Debug)]
struct Pending {
    number: u64,
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
            row.is_some_and(op::hears_signon)
        };
        let ids = self.feeds.iter().copied().filter(listens);
        let ids: Vec<SessionId> = ids.collect();
        if self.holds.doorstep.all.len() >= PENDING_MAX {
            self.forget_gone();
        }
        let full = self.is_full() || self.holds.doorstep.all.len() >= PENDING_MAX;
        if ids.is_empty() || full || self.stopping {
            return self.decided(who, question, Verdict::Unanswered);
        }
        if is_reserved(&question.about) {
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
            number,
            key,
            who,
            question,
            until,
            _charge: self.ledger.charge(bytes),
        });
    }

    /// The application says of all that wait by this key, or of the one of this number, whether they are welcome.
    pub(in super::super) fn welcome(&mut self, key: &str, welcome: bool) {
        let number = key.strip_prefix(NAMELESS).and_then(|n| n.parse().ok());
        let is_it = |one: &Pending| number == Some(one.number) || *one.key == *key;
        let all = &mut self.holds.doorstep.all;
        if !all.iter().any(is_it) {
            return;
        }
        let (these, others): (VecDeque<_>, _) = std::mem::take(all).into_iter().partition(is_it);
        self.holds.doorstep.all = others;
        for Pending { who, question, .. } in these {
            let verdict = match welcome {
                true => Verdict::Allowed(Changes::default()),
                false => Verdict::Denied("unwelcome".into()),
            };
            self.decided(who, question, verdict);
        }
    }

    /// Who has left waits for nothing; looked for once a second at most, and only where there is no room.
    fn forget_gone(&mut self) {
        let now = self.now();
        if now >= self.holds.doorstep.swept + SWEEP_MS {
            let mut all = std::mem::take(&mut self.holds.doorstep.all);
            all.retain(|one| self.holds.waits(one.who));
            self.holds.doorstep.all = all;
            self.holds.doorstep.swept = now;
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

/// Whether a name could not be told from another key in a frame of OP, which takes blanks off.
fn is_reserved(name: &str) -> bool {
    let keys = [NAMELESS, "channel:", "session:"];
    name.trim() != name || keys.iter().any(|key| name.starts_with(key))
}

/// In front of the number by which the application calls one who waits.
const NAMELESS: &str = "request:";
const RESERVED: &str = "a name has no blanks at its ends, and does not begin with request:, channel: or session:, \
    where the application says by OP who is welcome";
/// Milliseconds between two looks at who has left.
const SWEEP_MS: u64 = 1_000;
/// Who may wait at once.
const PENDING_MAX: usize = 10_000;
