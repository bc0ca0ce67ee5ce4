//! How much a session still may publish: a token bucket for each policy that bounds it.
//!
//! In: moments, messages, bounds. Out: go on, or how long to wait. A bucket that is full again says nothing and is
//! forgotten, so that a session keeps none but for channels it published to within moments.

use super::Session;
use crate::config::policy::Rate;
use crate::ids::PolicyId;
use crate::mem::Ledger;
use crate::time::Tick;

/// The buckets of one session.
#[derive(Debug, Default)]
pub struct Rates(Vec<Bucket>);

/// What is left of a second's worth. In thousandths, since a bound of so many a second gives back that many of them each
/// millisecond.
#[derive(Debug)]
struct Bucket {
    policy: PolicyId,
    /// When the levels were as they are here.
    at: Tick,
    /// When both are full, if nothing is taken.
    full: Tick,
    messages: i64,
    /// Below zero after a message of more than a second's bytes.
    bytes: i64,
}

impl Rates {
    /// Takes one message of so many bytes, as far as `rate` lets it.
    ///
    /// # Errors
    /// How many milliseconds to wait; then nothing is taken.
    pub fn spend(
        &mut self,
        policy: PolicyId,
        rate: Rate,
        bytes: usize,
        now: Tick,
    ) -> Result<(), u64> {
        self.0.retain(|bucket| bucket.full > now);
        if let Some(bucket) = self.0.iter_mut().find(|bucket| bucket.policy == policy) {
            return bucket.spend(rate, bytes, now);
        }
        if self.0.len() >= BUCKETS_MAX {
            let soonest = self.0.iter().map(|bucket| bucket.full.since(now)).min();
            return Err(soonest.unwrap_or_default());
        }
        let mut bucket = Bucket::full(policy, rate, now);
        let spent = bucket.spend(rate, bytes, now);
        self.0.push(bucket);
        spent
    }

    /// Whether nothing was published lately that is bounded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.capacity() * size_of::<Bucket>()
    }
}

impl Bucket {
    fn full(policy: PolicyId, rate: Rate, now: Tick) -> Self {
        Self {
            policy,
            at: now,
            full: now,
            messages: level_max(u64::from(rate.messages)),
            bytes: rate.bytes.map_or(0, level_max),
        }
    }

    fn spend(&mut self, rate: Rate, bytes: usize, now: Tick) -> Result<(), u64> {
        let passed = i64::try_from(now.since(self.at)).unwrap_or(i64::MAX);
        let refilled = |level: i64, each: u64| {
            let gained = passed.saturating_mul(each as i64);
            level.saturating_add(gained).min(level_max(each))
        };
        let (messages, weight) = (u64::from(rate.messages), bytes as i64 * WHOLE);
        self.messages = refilled(self.messages, messages);
        self.bytes = rate.bytes.map_or(0, |each| refilled(self.bytes, each));
        self.at = now;
        // A message that is more than a second's worth goes when the bucket is full.
        let missing =
            |level: i64, cost: i64, each: u64| time(cost.min(level_max(each)) - level, each);
        let wait = missing(self.messages, WHOLE, messages).max(
            rate.bytes
                .map_or(0, |each| missing(self.bytes, weight, each)),
        );
        if wait > 0 {
            return Err(wait);
        }
        self.messages -= WHOLE;
        self.bytes -= rate.bytes.map_or(0, |_| weight);
        let refill = |level: i64, each: u64| time(level_max(each) - level, each);
        let rest = refill(self.messages, messages)
            .max(rate.bytes.map_or(0, |each| refill(self.bytes, each)));
        self.full = now + rest;
        Ok(())
    }
}

/// A second's worth.
fn level_max(each: u64) -> i64 {
    each as i64 * WHOLE
}

/// Milliseconds until so much has come.
fn time(missing: i64, each: u64) -> u64 {
    (missing.max(0) as u64).div_ceil(each.max(1))
}

impl Session {
    /// Takes a message of so many bytes from what the session may publish under `policy`; the bucket is accounted to `ledger`.
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
        self.extra().spend((policy, rate), bytes, now, ledger)
    }
}

/// A whole message or byte.
const WHOLE: i64 = 1_000;
/// Buckets of one session, so many policies of bounded channels it publishes to within moments; one more has to wait.
pub const BUCKETS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(messages: u32, bytes: impl Into<Option<u64>>) -> Rate {
        Rate {
            messages,
            bytes: bytes.into(),
        }
    }

    const POLICY: PolicyId = PolicyId(1);

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_one_by_one() {
        let mut rates = Rates::default();
        let mut spend = |ms| rates.spend(POLICY, rate(3, None), 9_999, Tick(ms));
        assert_eq!([0; 4].map(&mut spend), [Ok(()), Ok(()), Ok(()), Err(334)]);
        assert_eq!([333, 334, 334].map(&mut spend), [Err(1), Ok(()), Err(333)]);
        // What is refused costs nothing, and no time is lost in rounding.
        assert_eq!(
            [667, 1_000, 1_000].map(&mut spend),
            [Ok(()), Ok(()), Err(334)]
        );
        assert_eq!(
            [90_000; 4].map(&mut spend),
            [Ok(()), Ok(()), Ok(()), Err(334)]
        );
    }

    #[test]
    fn bytes_are_bounded_beside_messages_and_one_message_goes_always() {
        let mut rates = Rates::default();
        let bound = rate(100, 1_000);
        let mut spend = |bytes, ms| rates.spend(POLICY, bound, bytes, Tick(ms));
        assert_eq!(spend(600, 0), Ok(()));
        assert_eq!(spend(600, 0), Err(200));
        assert_eq!(spend(400, 0), Ok(()));
        // Five seconds' worth: it goes when a second's worth has come, and the rest is owed.
        assert_eq!(spend(5_000, 0), Err(1_000));
        assert_eq!(spend(5_000, 1_000), Ok(()));
        assert_eq!(spend(1, 1_000), Err(4_001));
        assert_eq!(spend(0, 1_000), Err(4_000));
        assert_eq!(spend(1_000, 6_000), Ok(()));
        assert_eq!(spend(64 << 20, u64::MAX), Ok(()));
    }

    #[test]
    fn policies_have_a_bucket_each_while_it_is_not_full() {
        let mut rates = Rates::default();
        let bound = rate(1, None);
        for id in 0..BUCKETS_MAX as u16 {
            assert_eq!(
                rates.spend(PolicyId(id), bound, 1, Tick(u64::from(id))),
                Ok(())
            );
        }
        let last = PolicyId(BUCKETS_MAX as u16);
        assert_eq!(rates.spend(last, bound, 1, Tick(100)), Err(900));
        assert_eq!(rates.spend(PolicyId(3), bound, 1, Tick(100)), Err(903));
        assert_eq!(rates.spend(last, bound, 1, Tick(1_000)), Ok(()));
        assert_eq!(rates.spend(last, bound, 1, Tick(5_000)), Ok(()));
        assert_eq!(rates.0.len(), 1);
    }

    /// The slow twin counts every message of the last second.
    #[test]
    fn over_any_time_no_more_goes_than_that_times_worth_and_a_second() {
        let mut rng = crate::rng::Rng::new([3; 32]);
        for messages in [1, 7, 30] {
            let bound = rate(messages, 10_000);
            let mut rates = Rates::default();
            let (mut now, mut went) = (0, Vec::new());
            for _ in 0..5_000 {
                now += rng.next_u64() % 90;
                let bytes = (rng.next_u64() % 3_000) as usize;
                match rates.spend(POLICY, bound, bytes, Tick(now)) {
                    Ok(()) => went.push((now, bytes as u64)),
                    Err(wait) => assert!(wait > 0 && wait <= 1_000, "{wait}"),
                }
            }
            for (first, (start, _)) in went.iter().enumerate() {
                let (mut count, mut bytes) = (0, 0);
                for (at, size) in went.iter().skip(first).take(200) {
                    count += 1;
                    bytes += size;
                    let ms = at - start + 1_000;
                    assert!(count * 1_000 <= ms * u64::from(messages), "{count} in {ms}");
                    assert!(bytes * 1_000 <= ms * 10_000, "{bytes} in {ms}");
                }
            }
        }
    }
}
