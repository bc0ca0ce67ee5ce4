//! A slab whose names carry a generation, bounded from the start.
//!
//! In: rows. Out: ids that fail once their row is gone. Room for the whole limit is reserved as address
//! space, so that the table never moves and no doubling copies it; memory is spent on first use only.

use crate::ids::Id;
use slab::Slab;
use std::num::NonZeroU32;

/// Rows of `T` named by `Id<Tag>`, at most `limit` of them.
#[derive(Debug)]
pub struct Slots<Tag, T> {
    rows: Slab<T>,
    generations: Vec<NonZeroU32>,
    limit: usize,
    tag: std::marker::PhantomData<fn() -> Tag>,
}

/// The table holds as many rows as it may; the row comes back.
#[derive(Debug)]
pub struct Full<T>(pub T);

impl<Tag, T> Slots<Tag, T> {
    /// An empty table of at most `limit` rows (2^32 - 1 at most).
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(u32::MAX as usize - 1);
        Self {
            rows: Slab::with_capacity(limit),
            generations: Vec::with_capacity(limit),
            limit,
            tag: std::marker::PhantomData,
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Full`] at the limit.
    pub fn insert(&mut self, row: T) -> Result<Id<Tag>, Full<T>> {
        if self.rows.len() >= self.limit {
            return Err(Full(row));
        }
        let index = self.rows.insert(row);
        if index == self.generations.len() {
            self.generations.push(NonZeroU32::MIN);
        }
        let generation = self
            .generations
            .get(index)
            .copied()
            .unwrap_or(NonZeroU32::MIN);
        Ok(Id::new(index as u32, generation))
    }

    /// Takes the row out; the id and all its copies fail from now on.
    pub fn remove(&mut self, id: Id<Tag>) -> Option<T> {
        self.get(id)?;
        let index = id.index() as usize;
        if let Some(generation) = self.generations.get_mut(index) {
            *generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        }
        self.rows.try_remove(index)
    }

    /// The row, while it lives.
    #[must_use]
    pub fn get(&self, id: Id<Tag>) -> Option<&T> {
        if self.generations.get(id.index() as usize) != Some(&id.generation()) {
            return None;
        }
        self.rows.get(id.index() as usize)
    }

    /// The row, while it lives, to change.
    pub fn get_mut(&mut self, id: Id<Tag>) -> Option<&mut T> {
        if self.generations.get(id.index() as usize) != Some(&id.generation()) {
            return None;
        }
        self.rows.get_mut(id.index() as usize)
    }

    /// The id of whatever row lives in slot `index` now.
    #[must_use]
    pub fn id_at(&self, index: u32) -> Option<Id<Tag>> {
        self.rows.get(index as usize)?;
        let generation = *self.generations.get(index as usize)?;
        Some(Id::new(index, generation))
    }

    /// The slot behind the last that was ever used.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.generations.len() as u32
    }

    /// Every row with its id, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (Id<Tag>, &T)> {
        self.rows
            .iter()
            .filter_map(|(index, row)| Some((self.id_at(index as u32)?, row)))
    }

    /// How many rows live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many rows may live at once.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Lowers or raises the limit; rows above a lowered limit live on. The address space stays as reserved.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(self.rows.capacity().max(self.rows.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnTag;

    #[test]
    fn an_id_of_a_removed_row_fails_even_when_the_slot_is_used_again() {
        let mut slots: Slots<ConnTag, char> = Slots::new(2);
        let old = slots.insert('a').unwrap();
        assert_eq!(slots.remove(old), Some('a'));
        let new = slots.insert('b').unwrap();
        assert_eq!(old.index(), new.index());
        assert_eq!(slots.get(old), None);
        assert_eq!(slots.get(new), Some(&'b'));
        assert_eq!(slots.remove(old), None);
    }

    #[test]
    fn a_full_table_gives_the_row_back() {
        let mut slots: Slots<ConnTag, u8> = Slots::new(1);
        slots.insert(1).unwrap();
        assert!(matches!(slots.insert(2), Err(Full(2))));
    }
}
