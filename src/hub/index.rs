//! Where a name's row is: a hash table of row numbers, five bytes each.
//!
//! In: a hash and a row. Out: the row whose name is meant, as whoever asks can tell. The names themselves stand in
//! the rows only. A table that grows hashes everything anew; so that nobody waits for a million names, there are
//! many small tables, of which one grows at a time.

use crate::rng::Keyed;
use hashbrown::HashTable;
use std::hash::{BuildHasher as _, Hash};

/// Row numbers by the hash of what they are called.
#[derive(Debug)]
pub struct Index {
    shards: Box<[HashTable<u32>]>,
    keyed: Keyed,
    len: usize,
}

impl Index {
    /// An empty index; `keyed` keeps clients from choosing names that collide.
    #[must_use]
    pub fn new(keyed: Keyed) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
            keyed,
            len: 0,
        }
    }

    /// The hash of a name, or of whatever else clients choose.
    #[must_use]
    pub fn hash(&self, name: impl Hash) -> u64 {
        self.keyed.hash_one(name)
    }

    /// The row called `name`, of which `is` says that it is meant.
    pub fn find(&self, name: impl Hash, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let hash = self.hash(name);
        let table = self.shards.get(shard(hash))?;
        table.find(hash, |row| is(*row)).copied()
    }

    /// Adds a row that is not in it; `name_of` gives the name of any other.
    pub fn insert<N: Hash>(&mut self, name: N, row: u32, name_of: impl Fn(u32) -> Option<N>) {
        let hash = self.hash(name);
        let keyed = &self.keyed;
        let hash_of = |row: &u32| name_of(*row).map_or(0, |name| keyed.hash_one(name));
        if let Some(table) = self.shards.get_mut(shard(hash)) {
            table.insert_unique(hash, row, hash_of);
            self.len += 1;
        }
    }

    /// Takes a row out.
    pub fn remove(&mut self, name: impl Hash, row: u32) {
        let hash = self.hash(name);
        let table = self.shards.get_mut(shard(hash));
        if let Some(Ok(entry)) = table.map(|table| table.find_entry(hash, |found| *found == row)) {
            entry.remove();
            self.len -= 1;
        }
    }

    /// How many rows are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }
}

/// The table takes its bits from both ends of the hash, so these are from its middle.
fn shard(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

/// Among a million names a table that grows has some 3,600.
const SHARDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn rows_are_found_while_they_are_in_it_and_only_those() {
        let mut index = Index::new(Rng::new([5; 32]).keyed());
        let name = |row: u32| format!("name {row}");
        for row in 0..20_000 {
            index.insert(name(row), row, |row| Some(name(row)));
        }
        for row in (0..20_000).step_by(2) {
            index.remove(name(row), row);
            index.remove(name(row), row);
        }
        assert_eq!(index.len(), 10_000);
        for row in 0..20_000 {
            let found = index.find(name(row), |found| found == row);
            assert_eq!(found, (row % 2 == 1).then_some(row));
        }
    }
}
