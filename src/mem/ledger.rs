//! What all queues hold together, in bytes, counted once however many queues share a payload.
//!
//! In: charges taken by payloads, inboxes and blocked outputs. Out: one sum, against which the node refuses
//! new work before memory runs out. It knows no limits.

use std::cell::Cell;
use std::rc::Rc;

/// The sum of all living charges; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Rc<Cell<u64>>);

impl Ledger {
    /// Bytes charged now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.get()
    }

    /// Charges `bytes` until the result is dropped.
    #[must_use]
    pub fn charge(&self, bytes: usize) -> Charge {
        let mut charge = Charge {
            ledger: self.clone(),
            bytes: 0,
        };
        charge.set(bytes);
        charge
    }

    /// A part of the sum that somebody else keeps changes.
    pub fn change(&self, from: usize, to: usize) {
        self.0.set(
            self.0
                .get()
                .wrapping_add(to as u64)
                .wrapping_sub(from as u64),
        );
    }
}

/// One holder's part of the sum; given back on drop.
#[derive(Debug)]
pub struct Charge {
    ledger: Ledger,
    bytes: usize,
}

impl Charge {
    /// Adds `bytes` to this part.
    pub fn grow(&mut self, bytes: usize) {
        self.set(self.bytes + bytes);
    }

    /// Changes this part to `bytes`.
    pub fn set(&mut self, bytes: usize) {
        self.ledger.change(self.bytes, bytes);
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_returns_to_zero_when_the_charges_are_gone() {
        let ledger = Ledger::default();
        let mut a = ledger.charge(10);
        let b = ledger.charge(5);
        a.set(3);
        assert_eq!(ledger.used(), 8);
        drop((a, b));
        assert_eq!(ledger.used(), 0);
    }
}
