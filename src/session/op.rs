//! What a session of OP has: what came of a frame, what its application asked for, and what it sent and is not decided.
//!
//! In: what frames agreed, recipients, what became of messages at each. Out: a message of which everything is known, once. A
//! recipient that is a user with several sessions is reached when one of them is.

use super::Session;
use crate::mem::{Charge, Ledger};
use crate::op::Reader;
use crate::time::Tick;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What a session of OP has, for as long as it lasts.
#[derive(Debug)]
pub struct Op {
    /// What has come.
    pub reader: Reader,
    /// When what is not whole began to come.
    pub begun: Tick,
    /// Whether the application is let in.
    pub connected: bool,
    /// Whether frames that say nothing of it are told to have been taken.
    pub receipts: bool,
    /// Which outcomes it asked for; before it asks for any it is told both.
    pub outcomes: Option<Outcomes>,
    /// Whether it is told who signs on, and may be asked who is welcome.
    pub hears_signon: bool,
    /// Whether what was not delivered is listed as JSON.
    pub json: bool,
    /// Whether it says nothing more, and is over when all is decided.
    pub heard_all: bool,
    /// What is not decided.
    pub sent: Undecided,
    charge: Charge,
}

/// Which outcomes of its messages an application is told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Outcomes {
    /// Who was reached.
    pub success: bool,
    /// Who was not, and why.
    pub failure: bool,
}

impl Op {
    /// Of a connection that has said nothing.
    #[must_use]
    pub fn new(now: Tick, ledger: &Ledger) -> Self {
        Self {
            reader: Reader::default(),
            begun: now,
            connected: false,
            receipts: false,
            outcomes: None,
            hears_signon: false,
            json: false,
            heard_all: false,
            sent: Undecided::default(),
            charge: ledger.charge(0),
        }
    }

    fn account(&mut self) {
        let bytes = self.reader.heap_bytes() + self.sent.bytes;
        self.charge.set(bytes);
    }
}

/// Messages of which something is not known, by the number of their first recipient's call.
#[derive(Debug, Default)]
pub struct Undecided {
    all: BTreeMap<u64, Sent>,
    ids: BTreeSet<Rc<str>>,
    /// Calls so far.
    calls: u64,
    /// What they take.
    bytes: usize,
}

/// A message to some recipients.
#[derive(Debug)]
pub struct Sent {
    /// What its sender calls it.
    pub id: Rc<str>,
    /// What counts as reached.
    pub confirm: Confirm,
    /// Its recipients, in the order they were named.
    pub recipients: Vec<Recipient>,
    left: usize,
}

/// A recipient, and what became of the message there.
#[derive(Debug)]
pub struct Recipient {
    /// As its sender wrote it.
    pub key: Box<str>,
    /// What became of it.
    pub state: State,
}

/// What became of a message at one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is on its way, to as many sessions as are told later. Next: any.
    Asked,
    /// So many sessions may still acknowledge it; why the last of the others did not. Next: `Reached`, `Failed`.
    Waiting(usize),
    /// One of its sessions has it.
    Reached,
    /// None of its sessions has it, for this reason.
    Failed(&'static str),
}

/// What counts as reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// An acknowledgement, and where a transport has none, that it was written.
    Best,
    /// An acknowledgement.
    Acked,
    /// That it was written, whatever is acknowledged.
    Written,
}

impl Undecided {
    /// Whether there is room for a message to so many recipients.
    #[must_use]
    pub fn has_room(&self, recipients: usize) -> bool {
        let used = self.bytes / size_of::<Recipient>();
        used + recipients <= UNDECIDED_MAX
    }

    /// Whether a message of this name is not decided.
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// A message is sent. Gives back the number of the call to its first recipient; those to the others follow.
    pub fn begin(&mut self, id: Rc<str>, confirm: Confirm, keys: Vec<Box<str>>) -> u64 {
        let first = self.calls;
        self.calls += keys.len() as u64;
        let state = State::Asked;
        let recipients = keys.into_iter().map(|key| Recipient { key, state });
        let recipients: Vec<_> = recipients.collect();
        let sent = Sent {
            confirm,
            left: recipients.len(),
            recipients,
            id,
        };
        self.bytes += sent.memory();
        self.ids.insert(sent.id.clone());
        self.all.insert(first, sent);
        first
    }

    /// What became of the message of `call` is `state` at one session of its recipient, or at all. Gives the message back when
    /// that was the last that was not known of it.
    pub fn note(
        &mut self,
        call: u64,
        change: impl FnOnce(Confirm, State) -> State,
    ) -> Option<Sent> {
        let (first, sent) = self.all.range_mut(..=call).next_back()?;
        let first = *first;
        let at = usize::try_from(call - first).ok()?;
        let recipient = sent.recipients.get_mut(at)?;
        if recipient.state.is_decided() {
            return None;
        }
        recipient.state = change(sent.confirm, recipient.state);
        sent.left -= usize::from(recipient.state.is_decided());
        if sent.left > 0 {
            return None;
        }
        let sent = self.all.remove(&first)?;
        self.bytes -= sent.memory();
        self.ids.remove(&sent.id);
        Some(sent)
    }

    /// Whether all is decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Sent {
    fn memory(&self) -> usize {
        let keys: usize = self.recipients.iter().map(|one| one.key.len()).sum();
        size_of::<Self>() + self.id.len() + keys + size_of_val(&*self.recipients)
    }
}

impl Recipient {
    /// Why it was not reached, if it was not.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self.state {
            State::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

impl State {
    fn is_decided(self) -> bool {
        matches!(self, Self::Reached | Self::Failed(_))
    }

    /// One session fewer may have it, for this reason.
    #[must_use]
    pub fn without(self, reason: &'static str) -> Self {
        match self {
            Self::Waiting(sessions) if sessions > 1 => Self::Waiting(sessions - 1),
            Self::Waiting(_) => Self::Failed(reason),
            decided => decided,
        }
    }
}

/// Recipients without names whose outcome may be unknown, of one connection: some 10 MiB of them, or of fewer with names.
const UNDECIDED_MAX: usize = 256 * 1024;

impl Session {
    /// What a session of OP has; `None` of others, and while it is [taken](Session::take_op).
    #[must_use]
    pub fn op(&self) -> Option<&Op> {
        self.extra.as_ref()?.op()
    }

    /// Takes it, to put it back.
    pub fn take_op(&mut self) -> Option<Box<Op>> {
        self.extra.as_mut()?.take_op()
    }

    /// Puts it there, unless the session is closed.
    pub fn put_op(&mut self, mut op: Box<Op>) {
        if self.is_open() {
            op.account();
            self.extra().put_op(op);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(keys: &[&str]) -> (Undecided, u64) {
        let mut all = Undecided::default();
        all.begin("0".into(), Confirm::Best, vec!["x".into()]);
        let keys = keys.iter().map(|key| Box::from(*key)).collect();
        let first = all.begin("1".into(), Confirm::Best, keys);
        (all, first)
    }

    #[test]
    fn a_message_is_decided_once_with_its_last_recipient() {
        let (mut all, first) = sent(&["a", "b"]);
        assert!(all.knows("1"));
        assert!(all.note(first, |_, _| State::Waiting(2)).is_none());
        assert!(all.note(first + 1, |_, _| State::Failed("no")).is_none());
        assert!(
            all.note(first, |_, state| state.without("closed"))
                .is_none()
        );
        let done = all
            .note(first, |_, state| state.without("timeout"))
            .unwrap();
        let states: Vec<_> = done.recipients.iter().map(|one| one.state).collect();
        assert_eq!(states, [State::Failed("timeout"), State::Failed("no")]);
        assert!(!all.knows("1") && all.knows("0"));
        assert!(all.note(first, |_, _| State::Reached).is_none());
        assert!(all.note(0, |_, _| State::Reached).is_some());
        assert!(all.is_empty() && all.bytes == 0 && all.ids.is_empty());
    }

    #[test]
    fn a_user_is_reached_by_the_first_of_its_sessions() {
        let (mut all, first) = sent(&["a"]);
        assert!(all.note(first, |_, _| State::Waiting(2)).is_none());
        let done = all.note(first, |_, _| State::Reached).unwrap();
        assert_eq!(done.recipients[0].state, State::Reached);
        assert!(
            all.note(first, |_, state| state.without("closed"))
                .is_none()
        );
    }
}
