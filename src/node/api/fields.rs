//! JSON of which nothing is lost in reading it.
//!
//! In: what serde reads. Out: an object whose names stand once, a list no longer than may be: the rest of one that is
//! longer is passed over. Names that are repeated in a refusal are cut.

use super::batch::PUBLICATIONS_MAX;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

/// Names and values, not looked into.
pub type Object<'a> = BTreeMap<String, &'a RawValue>;

/// An object as it was read, and the first name that stands twice.
pub struct Fields<'a>(Object<'a>, Option<String>);

impl<'a> Fields<'a> {
    /// The object.
    ///
    /// # Errors
    /// A name stands twice: one of its values would be lost.
    pub fn once(self) -> Result<Object<'a>, String> {
        match self.1 {
            Some(name) => Err(format!("{} stands twice", start(&name))),
            None => Ok(self.0),
        }
    }
}

/// What is left of an object whose known names were taken.
///
/// # Errors
/// A name that is not known.
pub fn nothing_else(fields: &Object<'_>) -> Result<(), String> {
    match fields.keys().next() {
        Some(name) => Err(format!("{} is not known here", start(name))),
        None => Ok(()),
    }
}

/// The start of a name that is said in a refusal.
pub fn start(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_SAID_MAX))
        .unwrap_or_default()
}

/// A list, and whether it is longer than may be.
pub struct Few<T>(Vec<T>, bool);

impl<T> Few<T> {
    /// A list of one.
    pub fn one(item: T) -> Self {
        Self(vec![item], false)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of it; `None` where there is more than may be.
    pub fn all(self) -> Option<Vec<T>> {
        (!self.1).then_some(self.0)
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InFields)
    }
}

struct InFields;

impl<'de> Visitor<'de> for InFields {
    type Value = Fields<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields(Object::new(), None);
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            match fields.0.entry(name) {
                Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                Entry::Occupied(entry) => fields.1 = Some(entry.key().clone()),
            }
        }
        Ok(fields)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(InFew(PhantomData))
    }
}

struct InFew<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for InFew<T> {
    type Value = Few<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
        let mut few = Few(Vec::new(), false);
        while few.0.len() < PUBLICATIONS_MAX {
            match list.next_element()? {
                Some(item) => few.0.push(item),
                None => return Ok(few),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            few.1 = true;
        }
        Ok(few)
    }
}

/// Bytes of a name that a refusal repeats.
const NAME_SAID_MAX: usize = 64;
