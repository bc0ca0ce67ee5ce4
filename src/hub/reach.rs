//! A fan-out under way: whom it has still to reach.
//!
//! In: the lists of the rows a publication goes to. Out: sessions, each once however many of its subscriptions match.
//! Newcomers stand in front of a list and so are not reached; who leaves is passed over.

use super::subs::{NIL, Subscriptions};
use crate::ids::SessionId;
use crate::rng::Keyed;
use std::collections::HashSet;

/// Who is left to reach.
#[derive(Debug)]
pub struct Reach {
    /// Of the list under way, the link that comes next.
    next: u32,
    /// The first links of the lists behind it, the longest first.
    lists: Vec<u32>,
    /// Where there are several lists: who was reached by those before the longest.
    reached: HashSet<SessionId, Keyed>,
    several: bool,
}

impl Reach {
    /// Nobody.
    #[must_use]
    pub fn new(keyed: Keyed) -> Self {
        Self {
            next: NIL,
            lists: Vec::new(),
            reached: HashSet::with_hasher(keyed),
            several: false,
        }
    }

    /// Begins with lists, each by its first link and its length.
    pub fn begin(&mut self, lists: &mut [(u32, u32)]) {
        lists.sort_unstable_by_key(|(_, len)| std::cmp::Reverse(*len));
        self.lists.clear();
        self.lists.extend(lists.iter().map(|(first, _)| *first));
        self.next = self.lists.pop().unwrap_or(NIL);
        self.several = !self.lists.is_empty();
        if !self.reached.is_empty() {
            self.reached.clear();
            self.reached.shrink_to(REACHED_KEPT);
        }
    }

    /// The next session.
    #[inline]
    pub fn next(&mut self, links: &Subscriptions) -> Option<SessionId> {
        if self.several {
            return self.next_of_several(links);
        }
        let (session, after) = links.session_and_next(self.next)?;
        self.next = after;
        Some(session)
    }

    #[inline(never)]
    fn next_of_several(&mut self, links: &Subscriptions) -> Option<SessionId> {
        loop {
            let Some((session, after)) = links.session_and_next(self.next) else {
                self.next = self.lists.pop()?;
                continue;
            };
            self.next = after;
            // Nobody asks who was reached by the last list.
            let is_new = match self.lists.is_empty() {
                true => !self.reached.contains(&session),
                false => self.reached.insert(session),
            };
            if is_new {
                return Some(session);
            }
        }
    }

    /// `link` is taken out of its list, where `after` followed it.
    pub fn left(&mut self, link: u32, after: u32) {
        let lists = self.lists.iter_mut().chain([&mut self.next]);
        for next in lists.filter(|next| **next == link) {
            *next = after;
        }
    }
}

/// Places kept for the next fan-out.
const REACHED_KEPT: usize = 1024;
