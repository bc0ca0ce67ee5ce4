//! What only some sessions have for a moment: packets that came before their turn, an unfinished line, whose they were,
//! what they may publish.
//!
//! In: packets beyond the next id, bytes without their line end. Out: the same in order. Bounded; boxed by
//! the session only while there is something in it.

use super::link::Link;
use super::loose::Loose;
use super::op::Op;
use super::rates::Rates;
use super::stomp::{Busy, Stomp};
use crate::config::policy::Rate;
use crate::ids::PolicyId;
use crate::mem::{Charge, Ledger};
use crate::time::Tick;
use crate::token::Pass;
use std::rc::Rc;

/// The rarely used part of a session. Sessions of Bayeux and of STOMP always have one: it is as small as that makes it.
#[derive(Debug, Default)]
pub struct Extra {
    moment: Option<Box<Moment>>,
    own: Own,
    /// While its client does not keep up.
    pub loose: Option<Box<Loose>>,
}

/// What only sessions of one service have, for as long as they last: what their clients are told to hold in the hub costs
/// more than this, and it is accounted no more than that.
#[derive(Debug, Default)]
enum Own {
    #[default]
    Nothing,
    /// Of a plain reader: messages may be missing between what the client has and what it gets.
    Unmet,
    /// Of Bayeux.
    Link(Box<Link>),
    /// Of STOMP, by its port, before it has connected.
    Port,
    /// Of STOMP, once it has connected.
    Stomp(Stomp),
    /// Of OP.
    Op(Box<Op>),
    /// Of a location.
    Place(Rc<str>),
    /// Of Revolved's calls.
    Resource(Box<str>),
}

/// What a session has for a moment only.
#[derive(Debug)]
struct Moment {
    early: Vec<Early>,
    line: Vec<u8>,
    /// Of a session that was closed, and so left the hub: the user it was.
    user: Option<Box<str>>,
    rates: Rates,
    /// What its tokens let it do, if it gave any.
    pass: Option<Box<Pass>>,
    /// Of a session of STOMP.
    busy: Option<Box<Busy>>,
    /// Tokens in a row that its client gave and were refused.
    bad_tokens: u8,
    charge: Charge,
}

/// An upstream packet that came before its turn.
#[derive(Debug)]
pub struct Early {
    /// Its number.
    pub id: u32,
    /// Its bytes; `None` is the close packet.
    pub data: Option<Vec<u8>>,
}

impl Extra {
    /// What a session of Bayeux has.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        match &self.own {
            Own::Link(link) => Some(link),
            _ => None,
        }
    }

    /// The same, to be changed; made on first use.
    pub fn link_mut(&mut self) -> &mut Link {
        if self.link().is_none() {
            self.own = Own::Link(Box::default());
        }
        match &mut self.own {
            Own::Link(link) => link,
            _ => unreachable!("it was just put there"),
        }
    }

    /// What a session of STOMP agreed.
    #[must_use]
    pub fn stomp(&self) -> Option<&Stomp> {
        match &self.own {
            Own::Stomp(stomp) => Some(stomp),
            _ => None,
        }
    }

    /// Keeps what a session of STOMP agreed.
    pub fn put_stomp(&mut self, stomp: Stomp) {
        self.own = Own::Stomp(stomp);
    }

    /// Changes what it agreed.
    pub fn change_stomp(&mut self, change: impl FnOnce(&mut Stomp)) {
        if let Own::Stomp(stomp) = &mut self.own {
            change(stomp);
        }
    }

    /// What a session of OP has.
    #[must_use]
    pub fn op(&self) -> Option<&Op> {
        match &self.own {
            Own::Op(op) => Some(op),
            _ => None,
        }
    }

    /// Takes it.
    pub fn take_op(&mut self) -> Option<Box<Op>> {
        match std::mem::take(&mut self.own) {
            Own::Op(op) => Some(op),
            other => {
                self.own = other;
                None
            }
        }
    }

    /// What a session of Revolved's calls says it is.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        match &self.own {
            Own::Resource(resource) => Some(resource),
            _ => None,
        }
    }

    /// Keeps that.
    pub fn put_resource(&mut self, resource: Box<str>) {
        self.own = Own::Resource(resource);
    }

    /// Where a session of a location is.
    #[must_use]
    pub fn place(&self) -> Option<&Rc<str>> {
        match &self.own {
            Own::Place(place) => Some(place),
            _ => None,
        }
    }

    /// Keeps that.
    pub fn put_place(&mut self, place: Rc<str>) {
        self.own = Own::Place(place);
    }

    /// Keeps it.
    pub fn put_op(&mut self, op: Box<Op>) {
        self.own = Own::Op(op);
    }

    /// Of what is kept, only what was not acknowledged; `None` where that is nothing.
    #[must_use]
    pub fn of_unacked(mut self) -> Option<Self> {
        let own = self.moment.as_mut()?;
        let busy = own.busy.as_mut()?;
        if busy.unacked.is_empty() {
            return None;
        }
        (busy.partial, busy.transactions, busy.desk) = (None, Vec::new(), None);
        (own.early, own.line, own.rates) = (Vec::new(), Vec::new(), Rates::default());
        own.bad_tokens = 0;
        (self.own, self.loose) = (Own::Nothing, None);
        self.account();
        Some(self)
    }

    /// What a session of STOMP has for a moment.
    #[must_use]
    pub fn busy(&self) -> Option<&Busy> {
        self.moment.as_ref()?.busy.as_deref()
    }

    /// The same, to be changed.
    pub fn with_busy<T>(&mut self, ledger: &Ledger, change: impl FnOnce(&mut Busy) -> T) -> T {
        let own = self.moment(ledger);
        let result = change(own.busy.get_or_insert_default());
        own.busy = own.busy.take().filter(|busy| !busy.is_empty());
        self.account();
        result
    }

    /// Takes the beginning of a line.
    pub fn take_line(&mut self) -> Vec<u8> {
        let line = self
            .moment
            .as_mut()
            .map(|own| std::mem::take(&mut own.line));
        self.account();
        line.unwrap_or_default()
    }

    /// Keeps the beginning of a line.
    pub fn put_line(&mut self, mut line: Vec<u8>, ledger: &Ledger) {
        line.shrink_to_fit();
        self.moment(ledger).line = line;
        self.account();
    }

    /// Keeps the name of the user whose session this was.
    pub fn put_user(&mut self, user: Box<str>, ledger: &Ledger) {
        self.moment(ledger).user = Some(user);
        self.account();
    }

    /// Whose session this was.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.moment.as_ref()?.user.as_deref()
    }

    /// Takes a message from what may be published under `policy`.
    ///
    /// # Errors
    /// How many milliseconds to wait.
    pub fn spend(
        &mut self,
        (policy, rate): (PolicyId, Rate),
        bytes: usize,
        now: Tick,
        ledger: &Ledger,
    ) -> Result<(), u64> {
        let spent = self.moment(ledger).rates.spend(policy, rate, bytes, now);
        self.account();
        spent
    }

    /// What the session's tokens let it do.
    #[must_use]
    pub fn pass(&self) -> Option<&Pass> {
        self.moment.as_ref()?.pass.as_deref()
    }

    /// Changes that, and gives back what `change` does.
    pub fn change_pass(&mut self, ledger: &Ledger, change: impl FnOnce(&mut Pass) -> bool) -> bool {
        let own = self.moment(ledger);
        let pass = own.pass.get_or_insert_default();
        let done = change(pass);
        if pass.ends().is_none() {
            own.pass = None;
        }
        self.account();
        done
    }

    /// Counts the tokens in a row that were refused: one more, or none any more. Gives back how many they are.
    pub fn tried_token(&mut self, refused: bool, ledger: &Ledger) -> u8 {
        let own = self.moment(ledger);
        let tried = u8::from(refused) * own.bad_tokens.saturating_add(1);
        own.bad_tokens = tried;
        self.account();
        tried
    }

    /// Keeps that the session came by the port of STOMP.
    pub fn put_port(&mut self) {
        self.own = Own::Port;
    }

    /// Whether it did, and has not connected.
    #[must_use]
    pub fn is_by_port(&self) -> bool {
        matches!(self.own, Own::Port)
    }

    /// Keeps that messages may be missing.
    pub fn put_unmet(&mut self) {
        self.own = Own::Unmet;
    }

    /// Whether messages may be missing.
    #[must_use]
    pub fn is_unmet(&self) -> bool {
        matches!(self.own, Own::Unmet)
    }

    fn moment(&mut self, ledger: &Ledger) -> &mut Moment {
        self.moment
            .get_or_insert_with(|| Box::new(Moment::new(ledger)))
    }

    fn account(&mut self) {
        self.moment = self.moment.take().filter(|own| !own.is_empty());
        if let Some(own) = &mut self.moment {
            own.charge.set(own.memory());
        }
    }

    /// Keeps `packet` until its turn; false when that is more than may be kept.
    pub fn keep_early(&mut self, packet: Early, ledger: &Ledger) -> bool {
        let early = &mut self.moment(ledger).early;
        if early.iter().any(|early| early.id == packet.id) {
            return true;
        }
        let len = |early: &Early| early.data.as_ref().map_or(0, Vec::len);
        let bytes: usize = early.iter().map(len).sum();
        let fits = early.len() < GAP_PACKETS_MAX && bytes + len(&packet) <= GAP_BYTES_MAX;
        if fits {
            early.push(packet);
        }
        self.account();
        fits
    }

    /// Takes packet `id`, if it is kept.
    pub fn take_early(&mut self, id: u32) -> Option<Early> {
        let early = &mut self.moment.as_mut()?.early;
        let at = early.iter().position(|early| early.id == id)?;
        let packet = early.swap_remove(at);
        self.account();
        Some(packet)
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let own = self.moment.as_ref().is_none_or(|own| own.is_empty());
        own && matches!(self.own, Own::Nothing) && self.loose.is_none()
    }
}

impl Moment {
    fn new(ledger: &Ledger) -> Self {
        Self {
            early: Vec::new(),
            line: Vec::new(),
            user: None,
            rates: Rates::default(),
            pass: None,
            busy: None,
            bad_tokens: 0,
            charge: ledger.charge(0),
        }
    }

    fn is_empty(&self) -> bool {
        let up = self.early.is_empty() && self.line.is_empty();
        let own = self.pass.is_none() && self.busy.is_none();
        up && self.user.is_none() && self.rates.is_empty() && own && self.bad_tokens == 0
    }

    fn memory(&self) -> usize {
        let bytes =
            |early: &Early| size_of::<Early>() + early.data.as_ref().map_or(0, Vec::capacity);
        let early: usize = self.early.iter().map(bytes).sum();
        let user = self.user.as_ref().map_or(0, |user| user.len());
        let pass = self.pass.as_ref().map_or(0, |pass| pass.memory());
        let busy = self.busy.as_ref().map_or(0, |busy| busy.memory());
        early + self.line.capacity() + user + self.rates.memory() + pass + busy
    }
}

/// Packets kept before their turn: js.io never makes a gap, so a larger one is a fault (1.7).
pub const GAP_PACKETS_MAX: usize = 16;
/// Bytes kept before their turn.
pub const GAP_BYTES_MAX: usize = 64 * 1024;
/// How far ahead of the next a packet's number may be: as many missing as may wait, several times over.
pub const GAP_IDS_MAX: u64 = 64;

#[cfg(test)]
mod tests {
    use super::Extra;

    /// With what the allocator adds it is one piece of 48 bytes.
    #[test]
    fn what_sessions_of_some_services_always_have_is_little() {
        assert!(size_of::<Extra>() <= 40, "{}", size_of::<Extra>());
    }
}
