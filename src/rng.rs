//! The node's only source of chance: a seeded cryptographic generator.
//!
//! In: a 32-byte seed (from the operating system in `net/`, from a number in a simulation). Out: secrets
//! of sessions, epochs, jitter, the key of hash tables. It must not know where the seed came from.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng};
use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// A ChaCha20 generator (RFC 8439's block function): what it gave says nothing of what it will give.
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// Starts from `seed`; equal seeds give equal sequences.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// 128 bits that nobody can guess: a session's secret.
    pub fn secret(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A number below `bound` (0 for a bound of 0); the bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A hash state for tables whose keys a client chooses.
    pub fn keyed(&mut self) -> Keyed {
        Keyed(self.next_u64(), self.next_u64())
    }
}

impl std::fmt::Debug for Rng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rng")
    }
}

/// SipHash over a secret prefix: names chosen to collide (oCERT-2011-003) do not, and a simulation's
/// tables are the same for the same seed, which the standard library's random state cannot offer.
#[derive(Debug, Clone, Copy)]
pub struct Keyed(u64, u64);

impl BuildHasher for Keyed {
    type Hasher = DefaultHasher;
    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher.write_u64(self.1);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_secrets_and_different_seeds_do_not() {
        let secret = |n: u8| Rng::new([n; 32]).secret();
        assert_eq!(secret(1), secret(1));
        assert_ne!(secret(1), secret(2));
    }

    #[test]
    fn below_stays_below() {
        let mut rng = Rng::new([3; 32]);
        assert!((0..1000).all(|_| rng.below(7) < 7));
        assert_eq!(rng.below(0), 0);
    }
}
