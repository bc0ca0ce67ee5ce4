//! When a URL of the application is called again that did not answer well.
//!
//! In: how calls went, chance. Out: how long to wait. After [`OPEN_AFTER`] failures in a row the breaker is open: the URL is
//! only tried now and then, with one event, until that is taken.

use crate::metrics::Called;
use crate::rng::Rng;

/// Failures in a row.
#[derive(Debug, Default)]
pub struct Breaker(u32);

impl Breaker {
    /// A call of this URL failed, by the flag and its number. Gives back how many milliseconds to wait until the next.
    pub fn fail(&mut self, (flag, n): (&str, usize), called: Called, rng: &mut Rng) -> u64 {
        self.0 = self.0.saturating_add(1);
        let (wait_ms, word) = (self.wait_ms(rng), called.word());
        match self.0 == OPEN_AFTER {
            true => log::warn!("{flag}={n} result={word}: it is only tried from now on"),
            false => log::debug!("{flag}={n} result={word} wait={wait_ms}"),
        }
        wait_ms
    }

    /// A call of it went well.
    pub fn succeed(&mut self, (flag, n): (&str, usize)) {
        if std::mem::take(&mut self.0) >= OPEN_AFTER {
            log::info!("{flag}={n} answers again");
        }
    }

    /// One failure more opens it.
    pub fn try_once_more(&mut self) {
        self.0 = self.0.min(OPEN_AFTER - 1);
    }

    /// Whether the last call failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.0 > 0
    }

    /// Whether the URL is only tried.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0 >= OPEN_AFTER
    }

    /// Twice as long after each failure, up to half less by chance, so that several nodes do not call together.
    fn wait_ms(&self, rng: &mut Rng) -> u64 {
        let whole = match self.is_open() {
            true => PROBE_MS,
            false => FIRST_MS << self.0.saturating_sub(1),
        };
        whole / 2 + rng.below(whole / 2 + 1)
    }
}

const OPEN_AFTER: u32 = 5;
/// Behind the first failure: a restart of the application is often over by then.
const FIRST_MS: u64 = 500;
/// Between two calls of an open one.
const PROBE_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_longer_each_time_and_opens() {
        const WHO: (&str, usize) = ("callback", 1);
        for n in 0..100 {
            let (mut breaker, mut rng) = (Breaker::default(), Rng::new([n; 32]));
            for most in [500, 1_000, 2_000, 4_000, 10_000, 10_000, 10_000] {
                let wait = breaker.fail(WHO, Called::Status, &mut rng);
                assert_eq!(breaker.is_open(), most == 10_000);
                assert!((most / 2..=most).contains(&wait), "{wait} of {most}");
            }
            breaker.try_once_more();
            assert!(breaker.is_failing() && !breaker.is_open());
            breaker.fail(WHO, Called::Status, &mut rng);
            assert!(breaker.is_open());
            breaker.succeed(WHO);
            assert!(!breaker.is_failing());
        }
    }
}
