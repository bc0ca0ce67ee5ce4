//! The only source of chance: equal seeds give equal runs, byte for byte.
//!
//! In: a seed. Out: numbers and choices. Also the counters that a run prints at its end.

use orbited::rng::Rng;
use std::collections::BTreeMap;

/// A seeded chooser.
pub struct Chance(Rng);

impl Chance {
    /// The chooser of `seed`; `stream` keeps two of one seed apart.
    pub fn new(seed: u64, stream: u8) -> Self {
        let mut bytes = [stream; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(Rng::new(bytes))
    }

    /// Below `bound`, 0 for 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound as u64) as usize
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `list`.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// One of `list`, which is not empty.
    pub fn pick_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// An index of `weights`, each as likely as it weighs.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let sum: u32 = weights.iter().sum();
        let mut at = self.below(sum as usize) as u32;
        for (index, weight) in weights.iter().enumerate() {
            if at < *weight {
                return index;
            }
            at -= weight;
        }
        0
    }

    /// A seed for something else.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.0.secret());
        bytes
    }
}

/// What a run did, by name.
#[derive(Default)]
pub struct Totals(BTreeMap<(&'static str, &'static str), u64>);

impl Totals {
    /// One more.
    pub fn count(&mut self, name: &'static str) {
        self.add(name, 1);
    }

    /// So many more.
    pub fn add(&mut self, name: &'static str, many: u64) {
        self.add_to(name, "", many);
    }

    /// So many more of a kind.
    pub fn add_to(&mut self, name: &'static str, kind: &'static str, many: u64) {
        *self.0.entry((name, kind)).or_default() += many;
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Totals) {
        let each = other.0.iter();
        each.for_each(|((name, kind), many)| self.add_to(name, kind, *many));
    }

    /// How many there are of a name in its group.
    pub fn of(&self, group: &str, name: &str) -> u64 {
        let all = self
            .0
            .iter()
            .filter(|(key, _)| group_of(key) == (group, name));
        all.map(|(_, many)| many).sum()
    }

    /// How many there are in a group: of all names that begin with it.
    pub fn of_group(&self, group: &str) -> u64 {
        let all = self.0.iter().filter(|(key, _)| group_of(key).0 == group);
        all.map(|(_, many)| many).sum()
    }

    /// Everything: a line per name, in groups, each under its sum.
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        let mut before = "";
        for (key, many) in &self.0 {
            let (group, name) = group_of(key);
            if group != before && !group.is_empty() {
                lines += &format!("{:>12} {group}\n", self.of_group(group));
            }
            let indent = if group.is_empty() { "" } else { "    " };
            lines += &format!("{indent}{many:>12} {name}\n");
            before = group;
        }
        lines
    }
}

/// The group of a counter and its name there: `group: name`, or a kind of a name.
fn group_of<'a>(key: &(&'a str, &'a str)) -> (&'a str, &'a str) {
    match key {
        (name, "") => name.split_once(": ").unwrap_or(("", name)),
        (name, kind) => (name, kind),
    }
}
