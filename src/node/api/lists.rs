//! What the application and the operator may look at: who is in a channel, what it kept, channels, sessions.
//!
//! In: queries. Out: JSON of bounded length. A table is listed by slots, of which one request looks at
//! [`STEPS_MAX`] at most, and says with which the next page begins: so no request walks a million rows, and whoever
//! follows `after` to its end meets each row that was there all the time once. A page may be short, or empty, and go on.

use super::Node;
use super::checked_channel;
use super::query::Query;
use crate::http::fault::Fault;
use crate::http::request::Request;
use crate::hub::{Asked, Members};
use crate::ids::SessionId;
use crate::service::json;
use crate::service::revolved::frames;

/// A page of a table under way.
#[derive(Debug, Default)]
struct Page {
    rows: Vec<String>,
    /// Slots looked at, and subscriptions counted.
    steps: usize,
}

impl Page {
    /// Looks at slots until the page or its time is full. Gives back its JSON, in which `after` is the next slot.
    fn fill(
        mut self,
        name: &str,
        limit: usize,
        slots: impl Iterator<Item = u32>,
        mut look: impl FnMut(&mut Self, u32),
    ) -> String {
        let mut after = None;
        for slot in slots {
            if self.rows.len() >= limit || self.steps >= STEPS_MAX {
                after = Some(slot);
                break;
            }
            self.steps += 1;
            look(&mut self, slot);
        }
        let after = after.map_or("null".to_owned(), |slot| format!("\"{slot}\""));
        let rows = self.rows.join(",");
        format!("{{\"{name}\":[{rows}],\"after\":{after}}}\n")
    }
}

impl Node {
    /// How many sessions are in a channel, and which users, where its rule lists them.
    pub(super) fn presence(&mut self, request: &Request<'_>, name: &str) -> Result<String, Fault> {
        let query = Query::of(request, &["after", "limit"])?;
        let name = checked_channel(name)?;
        let members = self.hub.members(name, query.text("after"), query.limit()?);
        let members = members.unwrap_or_else(|| Members {
            sessions: self.hub.subscribers(name),
            ..Members::default()
        });
        Ok(frames::members(&members) + "\n")
    }

    /// A page of what a channel has kept.
    pub(super) fn history(&self, request: &Request<'_>, name: &str) -> Result<String, Fault> {
        let query = Query::of(request, &["limit", "since", "before", "backwards"])?;
        let name = checked_channel(name)?;
        let (since, before) = (query.since()?, query.number("before")?);
        let backwards = query.switch("backwards")? || before.is_some();
        if since.is_some() && backwards {
            return Err(BOTH_WAYS);
        }
        let asked = Asked {
            from: before.or(since.map(|since| since.offset)),
            backwards,
            messages: query.limit()?,
            bytes: HISTORY_BYTES_MAX,
        };
        let page = self.hub.page(name, asked);
        if since.is_some_and(|since| since.epoch != page.position.epoch) {
            return Err(OTHER_EPOCH);
        }
        Ok(frames::page(&page, HISTORY_BYTES_MAX) + "\n")
    }

    /// A page of the channels and patterns.
    pub(super) fn channels(&self, request: &Request<'_>) -> Result<String, Fault> {
        let query = Query::of(request, &["prefix", "after", "limit"])?;
        let prefix = query.text("prefix").unwrap_or_default();
        let slots = query.slot()?..self.hub.end();
        let page = Page::default();
        Ok(page.fill("channels", query.limit()?, slots, |page, slot| {
            let listed = self.hub.listed(slot);
            let Some(row) = listed.filter(|row| row.name.starts_with(prefix)) else {
                return;
            };
            let (name, subscribers, kept) = (json::text(row.name), row.subscribers, row.kept);
            let place = match row.position {
                Some(at) => format!(
                    "\"epoch\":\"{:x}\",\"offset\":{},\"kept\":{kept}",
                    at.epoch, at.offset
                ),
                None => "\"pattern\":true".to_owned(),
            };
            let row = format!("{{\"name\":{name},\"subscribers\":{subscribers},{place}}}");
            page.rows.push(row);
        }))
    }

    /// A page of the open sessions, or of one user's.
    pub(super) fn sessions(&self, request: &Request<'_>) -> Result<String, Fault> {
        let query = Query::of(request, &["user", "after", "limit"])?;
        let user = query.text("user").map(|_| query.user()).transpose()?;
        let (from, limit) = (query.slot()?, query.limit()?);
        let few = user.as_ref().map(|user| self.slots_of(user));
        let look = |page: &mut Page, slot| {
            if let Some(id) = self.sessions.id_at(slot) {
                self.look_at(page, id, user.as_deref());
            }
        };
        let page = Page::default();
        Ok(match few.flatten() {
            Some(slots) => {
                let slots = slots.into_iter().filter(|slot| *slot >= from);
                page.fill("sessions", limit, slots, look)
            }
            None => page.fill("sessions", limit, from..self.sessions.end(), look),
        })
    }

    /// Where a user's sessions are, in order; `None` for a user with so many that all sessions are looked through.
    fn slots_of(&self, user: &str) -> Option<Vec<u32>> {
        let sessions = self.hub.sessions_of(user, STEPS_MAX)?;
        let mut slots: Vec<u32> = sessions.into_iter().map(|id| id.index()).collect();
        slots.sort_unstable();
        Some(slots)
    }

    fn look_at(&self, page: &mut Page, id: SessionId, wanted: Option<&str>) {
        let session = self.sessions.get(id).filter(|session| session.is_open());
        let Some(session) = session else { return };
        let user = self.hub.user_name(&session.seat);
        if wanted.is_some() && user != wanted {
            return;
        }
        let channels = self.hub.subscribed_to(&session.seat);
        page.steps += channels;
        page.rows.push(format!(
            "{{\"key\":\"{}\",\"user\":{},\"service\":\"{}\",\"transport\":\"{}\",\"seconds\":{},\
             \"channels\":{channels},\"waiting\":{}}}",
            session.key(id).text(),
            user.map_or("null".to_owned(), json::text),
            session.service.word(),
            session.down().word(),
            session.steady_ms(self.now()) / 1_000,
            session.queued(),
        ));
    }
}

/// Rows that one request looks at: far below a millisecond of work.
const STEPS_MAX: usize = 8_192;
/// Bytes of the messages of one page of history; one message is given whatever it weighs.
const HISTORY_BYTES_MAX: usize = 1024 * 1024;
const BOTH_WAYS: Fault = Fault::new(
    400,
    "bad-query",
    "since goes forwards; before and backwards go back.",
    "Ask for one of them.",
);
const OTHER_EPOCH: Fault = Fault::new(
    410,
    "epoch",
    "The channel's past of that epoch is forgotten.",
    "Ask without since; the answer names the epoch that holds now.",
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows that are even, listed from `from` on.
    fn even(from: u32, end: u32, limit: usize) -> String {
        Page::default().fill("n", limit, from..end, |page, slot| {
            if slot.is_multiple_of(2) {
                page.rows.push(slot.to_string());
            }
        })
    }

    #[test]
    fn a_page_ends_with_its_limit_and_the_next_begins_there() {
        assert_eq!(even(0, 7, 2), "{\"n\":[0,2],\"after\":\"3\"}\n");
        assert_eq!(even(3, 7, 2), "{\"n\":[4,6],\"after\":null}\n");
        assert_eq!(even(9, 7, 2), "{\"n\":[],\"after\":null}\n");
    }

    #[test]
    fn a_page_looks_at_so_many_rows_and_no_more_whatever_it_finds() {
        let mut looked = 0;
        let page = Page::default().fill("n", 10, 0..1_000_000, |_, _| looked += 1);
        assert_eq!(
            (looked, &*page),
            (STEPS_MAX, "{\"n\":[],\"after\":\"8192\"}\n")
        );
        let dear = Page::default().fill("n", 10, 0..1_000_000, |page, slot| {
            page.rows.push(slot.to_string());
            page.steps += STEPS_MAX / 2;
        });
        assert_eq!(dear, "{\"n\":[0,1],\"after\":\"2\"}\n");
    }
}
