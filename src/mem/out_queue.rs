//! What is to be written to one connection: private bytes interleaved with shared payloads.
//!
//! In: heads, prefixes, payload references. Out: gathered writes into a [`Sink`]. It exists only while
//! there is something to write; it knows neither sockets nor protocols.

use super::ledger::{Charge, Ledger};
use super::msg::{Form, Msg};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

/// Where bytes go: a socket, a TLS pump, a simulated pipe.
pub trait Sink {
    /// Offers `parts` in order; takes some front of them, or none.
    fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote;
}

/// What a [`Sink`] did with an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// It took this many bytes, at least one.
    Some(usize),
    /// It takes nothing now and will say when it does.
    Blocked,
    /// It will never take anything again.
    Broken,
}

/// Bytes on their way out.
#[derive(Debug)]
pub struct OutQueue {
    chunks: VecDeque<Chunk>,
    /// How much of the first chunk is written.
    written: usize,
    charge: Charge,
}

#[derive(Debug)]
enum Chunk {
    Private(Vec<u8>),
    Shared(Rc<Msg>, Form),
}

impl OutQueue {
    /// An empty queue that accounts its private bytes to `ledger`.
    #[must_use]
    pub fn new(ledger: &Ledger) -> Self {
        Self {
            chunks: VecDeque::new(),
            written: 0,
            charge: ledger.charge(0),
        }
    }

    /// The private bytes at the end, to append to.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if !matches!(self.chunks.back(), Some(Chunk::Private(_))) {
            self.chunks.push_back(Chunk::Private(Vec::new()));
        }
        match self.chunks.back_mut() {
            Some(Chunk::Private(bytes)) => bytes,
            _ => unreachable!("a private chunk was just put there"),
        }
    }

    /// Appends the spelling `form` of `msg`, which must have been made. Small ones are copied: one
    /// contiguous write is cheaper than a gathered one.
    pub fn push_shared(&mut self, msg: &Rc<Msg>, form: Form) {
        let bytes = msg.made(form);
        if bytes.len() <= COPY_MAX {
            self.tail().extend_from_slice(bytes);
        } else {
            self.chunks.push_back(Chunk::Shared(msg.clone(), form));
        }
    }

    /// Moves everything `other` holds to the end of this queue.
    pub fn append(&mut self, other: &mut OutQueue) {
        debug_assert_eq!(other.written, 0);
        for chunk in &other.chunks {
            match chunk {
                Chunk::Private(bytes) => self.tail().extend_from_slice(bytes),
                Chunk::Shared(msg, form) => {
                    self.chunks.push_back(Chunk::Shared(msg.clone(), *form));
                }
            }
        }
        // Cleared, it keeps its room for the next batch.
        other.clear();
    }

    /// Bytes still to be written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks
            .iter()
            .map(|chunk| chunk.bytes().len())
            .sum::<usize>()
            - self.written
    }

    /// Whether nothing is left to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.iter().all(|chunk| chunk.bytes().is_empty())
    }

    /// Writes until all is gone (`Some(bytes written)`), or the sink is blocked or broken.
    pub fn write_to(&mut self, sink: &mut dyn Sink) -> Wrote {
        let mut total = 0;
        while !self.is_empty() {
            match self.offer(sink) {
                Wrote::Some(taken) => total += taken,
                stopped => {
                    self.charge.set(self.private_len());
                    return stopped;
                }
            }
        }
        self.clear();
        Wrote::Some(total)
    }

    /// Drops everything; room for a few hundred bytes is kept for the next user.
    pub fn clear(&mut self) {
        self.written = 0;
        self.charge.set(0);
        let kept = self.chunks.pop_front();
        self.chunks.clear();
        if let Some(Chunk::Private(mut bytes)) = kept
            && bytes.capacity() <= KEEP_MAX
        {
            bytes.clear();
            self.chunks.push_back(Chunk::Private(bytes));
        }
        self.chunks.shrink_to(CHUNKS_KEPT);
    }

    fn offer(&mut self, sink: &mut dyn Sink) -> Wrote {
        if let (Some(Chunk::Private(only)), 1) = (self.chunks.front(), self.chunks.len()) {
            let rest = only.get(self.written..).unwrap_or(&[]);
            let wrote = sink.write(&[IoSlice::new(rest)]);
            return self.offered(wrote);
        }
        let mut parts = [IoSlice::new(&[]); PARTS_MAX];
        let mut skip = self.written;
        let mut count = 0;
        for (part, chunk) in parts.iter_mut().zip(&self.chunks) {
            *part = IoSlice::new(chunk.bytes().get(skip..).unwrap_or(&[]));
            skip = 0;
            count += 1;
        }
        let wrote = sink.write(parts.get(..count).unwrap_or(&[]));
        self.offered(wrote)
    }

    fn offered(&mut self, wrote: Wrote) -> Wrote {
        if let Wrote::Some(taken) = wrote {
            self.advance(taken);
        }
        wrote
    }

    fn advance(&mut self, taken: usize) {
        self.written += taken;
        while let Some(first) = self.chunks.front() {
            let len = first.bytes().len();
            if self.written < len || (self.chunks.len() == 1 && self.written == len) {
                break;
            }
            self.written -= len;
            self.chunks.pop_front();
        }
        if self.chunks.len() == 1
            && self
                .chunks
                .front()
                .is_some_and(|c| c.bytes().len() == self.written)
        {
            self.clear();
        }
    }

    fn private_len(&self) -> usize {
        let private = |chunk: &Chunk| match chunk {
            Chunk::Private(bytes) => bytes.capacity(),
            Chunk::Shared(..) => 0,
        };
        self.chunks.iter().map(private).sum()
    }
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Private(bytes) => bytes,
            Chunk::Shared(msg, form) => msg.made(*form),
        }
    }
}

/// Payloads up to this size are copied behind their prefix.
const COPY_MAX: usize = 2048;
/// Parts of one gathered write; the kernel takes up to 1,024, more than 64 gain nothing.
const PARTS_MAX: usize = 64;
/// A cleared queue keeps at most this much room for its next user.
const KEEP_MAX: usize = 4096;
const CHUNKS_KEPT: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    struct Dribble(Vec<u8>, Rng);

    impl Sink for Dribble {
        fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
            let all: Vec<u8> = parts.iter().flat_map(|p| p.to_vec()).collect();
            match self.1.below(1 + all.len().min(3000) as u64) as usize {
                0 => Wrote::Blocked,
                n => {
                    self.0.extend_from_slice(&all[..n]);
                    Wrote::Some(n)
                }
            }
        }
    }

    #[test]
    fn what_goes_in_comes_out_in_order_whatever_the_sink_takes() {
        let ledger = Ledger::default();
        let mut queue = OutQueue::new(&ledger);
        let mut sink = Dribble(Vec::new(), Rng::new([1; 32]));
        let mut want = Vec::new();
        for n in 0..400_usize {
            let body = vec![n as u8; (n * 37) % 5000];
            queue.tail().extend_from_slice(format!("<{n}>").as_bytes());
            want.extend_from_slice(format!("<{n}>").as_bytes());
            queue.push_shared(&Msg::new(body.clone(), &ledger), Form::Raw);
            want.extend_from_slice(&body);
            if n % 7 == 0 {
                queue.write_to(&mut sink);
            }
        }
        while queue.write_to(&mut sink) == Wrote::Blocked {}
        assert!(sink.0 == want);
        assert!(queue.is_empty());
        drop(queue);
        assert_eq!(ledger.used(), 0);
    }
}
