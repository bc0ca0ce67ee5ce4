//! The packets of a session that the client has not acknowledged.
//!
//! In: payloads at the end, acknowledgements at the front. Out: the payloads in order. Whatever a crowd of
//! subscribers is sent together is a chain that all of them share: to have the whole of it waiting, a session keeps
//! its first payload and a count, which is no allocation.

use crate::mem::{Charge, Ledger, Msg};
use std::collections::{VecDeque, vec_deque};
use std::rc::Rc;

/// A queue that is mostly empty or holds what others hold too.
#[derive(Debug, Default)]
pub enum Backlog {
    /// Everything is acknowledged.
    #[default]
    Empty,
    /// One chain: its first and how many. Not a [`Run`], whose padding could not hold which variant this is.
    One(Rc<Msg>, u16),
    /// Several, or what is left of them.
    Many(Box<Queue>),
}

/// Payloads that follow one another in their chain.
#[derive(Debug)]
pub struct Run {
    first: Rc<Msg>,
    len: u16,
}

/// Places for several runs, and their account.
#[derive(Debug)]
pub struct Queue {
    runs: VecDeque<Run>,
    len: usize,
    charge: Charge,
}

impl Run {
    fn new(first: Rc<Msg>) -> Self {
        Self { first, len: 1 }
    }

    /// Takes `msg` in as the next of the chain, or gives it back.
    #[inline]
    fn extend(&mut self, msg: Rc<Msg>) -> Result<(), Rc<Msg>> {
        let payloads = Payloads::of_chain(&self.first, self.len);
        if !payloads.last().is_some_and(|last| last.leads_to(&msg)) {
            return Err(msg);
        }
        self.len += 1;
        Ok(())
    }

    /// The first; `None` for the rest when there is none.
    fn split_first(self) -> (Rc<Msg>, Option<Self>) {
        let rest = self.first.next().filter(|_| self.len > 1).cloned();
        let len = self.len.saturating_sub(1);
        (self.first, rest.map(|first| Self { first, len }))
    }
}

impl From<Run> for Backlog {
    fn from(Run { first, len }: Run) -> Self {
        Self::One(first, len)
    }
}

impl Queue {
    fn of_two(run: Run, msg: Rc<Msg>, ledger: &Ledger) -> Self {
        let mut queue = Self {
            len: usize::from(run.len),
            // Most have no more; of itself the list would begin with four.
            runs: VecDeque::with_capacity(2),
            charge: ledger.charge(0),
        };
        queue.runs.push_back(run);
        queue.push(msg);
        queue
    }

    fn push(&mut self, msg: Rc<Msg>) {
        self.len += 1;
        let left = match self.runs.back_mut() {
            Some(run) => run.extend(msg).err(),
            None => Some(msg),
        };
        if let Some(msg) = left {
            self.runs.push_back(Run::new(msg));
            self.charge.set(self.runs.capacity() * size_of::<Run>());
        }
    }

    /// Keeps the oldest `len`, which are some; gives back the run that is left if it is the only one.
    fn truncate(&mut self, len: usize) -> Option<Run> {
        let (at, within) = self.place_of(len - 1);
        self.len = len;
        self.runs.truncate(at + 1);
        if let Some(last) = self.runs.back_mut() {
            last.len = within as u16 + 1;
        }
        match at {
            0 => self.runs.pop_back(),
            _ => None,
        }
    }

    /// The run of the `skip`th payload, and how many of it come before: looked for from the end, where what is not
    /// sent yet is.
    fn place_of(&self, skip: usize) -> (usize, usize) {
        let mut wanted = self.len.saturating_sub(skip);
        for (at, run) in self.runs.iter().enumerate().rev() {
            let len = usize::from(run.len);
            if wanted <= len {
                return (at, len - wanted);
            }
            wanted -= len;
        }
        (0, 0)
    }

    fn pop(&mut self) -> Option<Rc<Msg>> {
        let (first, rest) = self.runs.pop_front()?.split_first();
        if let Some(rest) = rest {
            self.runs.push_front(rest);
        }
        self.len -= 1;
        Some(first)
    }
}

impl Backlog {
    /// Appends a payload; the place it takes is accounted to `ledger`.
    #[inline]
    pub fn push(&mut self, msg: Rc<Msg>, ledger: &Ledger) {
        match self {
            // Almost all of a crowd have nothing waiting: no more is done for them.
            Backlog::Empty => *self = Run::new(msg).into(),
            _ => self.push_behind(msg, ledger),
        }
    }

    fn push_behind(&mut self, msg: Rc<Msg>, ledger: &Ledger) {
        *self = match std::mem::take(self) {
            Backlog::Empty => Run::new(msg).into(),
            Backlog::One(first, len) => {
                let mut run = Run { first, len };
                match run.extend(msg) {
                    Ok(()) => run.into(),
                    Err(msg) => Backlog::Many(Box::new(Queue::of_two(run, msg, ledger))),
                }
            }
            Backlog::Many(mut queue) => {
                queue.push(msg);
                Backlog::Many(queue)
            }
        };
    }

    /// Keeps the oldest `len`.
    pub fn truncate(&mut self, len: usize) {
        let run = match self {
            _ if len >= self.len() => return,
            _ if len == 0 => return *self = Backlog::Empty,
            Backlog::Empty => return,
            Backlog::One(_, run) => return *run = len as u16,
            Backlog::Many(queue) => queue.truncate(len),
        };
        if let Some(run) = run {
            *self = run.into();
        }
    }

    /// Takes the oldest payload.
    #[inline]
    pub fn pop(&mut self) -> Option<Rc<Msg>> {
        match std::mem::take(self) {
            Backlog::Empty => None,
            Backlog::One(only, 1) => Some(only),
            Backlog::One(first, len) => {
                let (first, rest) = Run { first, len }.split_first();
                *self = rest.map_or(Backlog::Empty, Run::into);
                Some(first)
            }
            Backlog::Many(mut queue) => {
                let msg = queue.pop();
                *self = match queue.runs.len() {
                    0 => Backlog::Empty,
                    1 => queue.runs.pop_front().map_or(Backlog::Empty, Run::into),
                    _ => Backlog::Many(queue),
                };
                msg
            }
        }
    }

    /// The oldest payload.
    #[must_use]
    pub fn first(&self) -> Option<&Rc<Msg>> {
        match self {
            Backlog::Empty => None,
            Backlog::One(first, _) => Some(first),
            Backlog::Many(queue) => queue.runs.front().map(|run| &run.first),
        }
    }

    /// How many payloads wait.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Backlog::Empty => 0,
            Backlog::One(_, len) => usize::from(*len),
            Backlog::Many(queue) => queue.len,
        }
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payloads from the `skip`th on, oldest first.
    pub fn iter_from(&self, skip: usize) -> impl Iterator<Item = &Rc<Msg>> {
        let (payloads, skip) = match self {
            Backlog::Empty => (Payloads::default(), 0),
            Backlog::One(first, len) => (Payloads::of_chain(first, *len), skip),
            Backlog::Many(queue) => {
                let (at, skip) = queue.place_of(skip);
                let runs = queue.runs.range(at..);
                (
                    Payloads {
                        runs,
                        ..Payloads::default()
                    },
                    skip,
                )
            }
        };
        payloads.skip(skip)
    }
}

/// A walk over chains: what is left of one, then whole runs.
#[derive(Debug, Default)]
struct Payloads<'a> {
    next: Option<&'a Rc<Msg>>,
    left: u16,
    runs: vec_deque::Iter<'a, Run>,
}

impl<'a> Payloads<'a> {
    fn of_chain(first: &'a Rc<Msg>, len: u16) -> Self {
        Self {
            next: Some(first),
            left: len,
            runs: vec_deque::Iter::default(),
        }
    }
}

impl<'a> Iterator for Payloads<'a> {
    type Item = &'a Rc<Msg>;

    #[inline]
    fn next(&mut self) -> Option<&'a Rc<Msg>> {
        if self.left == 0 {
            let run = self.runs.next()?;
            (self.next, self.left) = (Some(&run.first), run.len);
        }
        let msg = self.next?;
        self.left -= 1;
        self.next = msg.next();
        Some(msg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn payloads_leave_in_the_order_they_came() {
        let ledger = Ledger::default();
        let mut backlog = Backlog::default();
        for n in 0..5_u8 {
            backlog.push(Msg::new(vec![n], &ledger), &ledger);
            assert_eq!(backlog.len(), usize::from(n) + 1);
        }
        let rest: Vec<u8> = backlog.iter_from(3).map(|m| m.bytes()[0]).collect();
        assert_eq!(rest, [3, 4]);
        let all: Vec<u8> = std::iter::from_fn(|| backlog.pop())
            .map(|m| m.bytes()[0])
            .collect();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        assert!(backlog.is_empty() && matches!(backlog, Backlog::Empty));
    }

    #[test]
    fn what_a_crowd_is_sent_together_takes_no_place_of_its_own() {
        let ledger = Ledger::default();
        let mut crowd: Vec<Backlog> = (0..100).map(|_| Backlog::default()).collect();
        for _ in 0..9 {
            let msg = Msg::new(&b"to all"[..], &ledger);
            crowd.iter_mut().for_each(|b| b.push(msg.clone(), &ledger));
        }
        assert!(crowd.iter().all(|b| matches!(b, Backlog::One(_, 9))));
        drop(crowd);
        assert_eq!(ledger.used(), 0);
    }

    /// One that reads a quiet channel beside another that reads a loud one too: what was loud is not kept by the first.
    #[test]
    fn who_keeps_a_little_keeps_little_of_others() {
        let ledger = Ledger::default();
        let (mut silent, mut other) = (Backlog::default(), Backlog::default());
        for _ in 0..100 {
            let small = Msg::new(&b"x"[..], &ledger);
            silent.push(small.clone(), &ledger);
            other.push(small, &ledger);
            for _ in 0..15 {
                other.push(Msg::new(vec![b'y'; 30_000], &ledger), &ledger);
            }
        }
        drop(other);
        assert!(ledger.used() < 200_000, "{} bytes", ledger.used());
    }

    /// Sessions that are sent some of the same, some of their own, the same twice, in whatever order, and
    /// acknowledge when they like: each agrees with a plain queue, and nothing is kept by a ring of links.
    #[test]
    fn backlogs_agree_with_plain_queues_whatever_they_share() {
        for seed in 0..60 {
            let (ledger, mut rng) = (Ledger::default(), Rng::new([seed; 32]));
            let mut crowd: Vec<(Backlog, VecDeque<Rc<Msg>>)> =
                (0..6).map(|_| Default::default()).collect();
            let mut known: Vec<Rc<Msg>> = Vec::new();
            for step in 0..400_u32 {
                let fresh = Msg::new(step.to_be_bytes(), &ledger);
                known.push(fresh.clone());
                if known.len() > 5 {
                    known.remove(rng.below(5) as usize);
                }
                for (backlog, twin) in &mut crowd {
                    let msg = match rng.below(10) {
                        0..=5 => fresh.clone(),
                        6 => Msg::new(&b"own"[..], &ledger),
                        7 => known[rng.below(known.len() as u64) as usize].clone(),
                        _ => {
                            for _ in 0..rng.below(30) {
                                let same = match (backlog.pop(), twin.pop_front()) {
                                    (Some(a), Some(b)) => Rc::ptr_eq(&a, &b),
                                    (a, b) => a.is_none() && b.is_none(),
                                };
                                assert!(same, "seed {seed}, step {step}");
                            }
                            continue;
                        }
                    };
                    backlog.push(msg.clone(), &ledger);
                    twin.push_back(msg);
                    if rng.below(20) == 0 {
                        let len = rng.below(twin.len() as u64 + 3) as usize;
                        backlog.truncate(len);
                        twin.truncate(len);
                    }
                    let skip = rng.below(twin.len() as u64 + 2) as usize;
                    assert_eq!(backlog.len(), twin.len());
                    assert!(
                        backlog
                            .iter_from(skip)
                            .map(Rc::as_ptr)
                            .eq(twin.iter().skip(skip).map(Rc::as_ptr)),
                        "seed {seed}, step {step}, from {skip}"
                    );
                }
            }
            drop((crowd, known));
            assert_eq!(ledger.used(), 0, "seed {seed}: something is kept");
        }
    }
}
