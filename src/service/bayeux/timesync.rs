//! The timesync extension: a client measures how far its clock is off, by what the server's said (bayeux.md section 5).
//!
//! In: what a client says of its clock, moments of the server's. Out: the member `timesync` of a reply's `ext`.

use super::messages::{Message, members};
use crate::session::Timesync;

/// What `message` wants to know, now; `None` where it does not, or knows well enough.
#[must_use]
pub fn asked(message: &Message<'_>, now_ms: u64) -> Option<Timesync> {
    let asked = members(message.extension("timesync")?.get())?;
    let number = |name: &str| {
        let number = asked.get(name).map(|value| value.get());
        number.and_then(|text| serde_json::from_str::<f64>(text).ok())
    };
    let (asked, came) = (number("tc")? as i64, now_ms as i64);
    let lag = number("l").map(|lag| lag as i64);
    let off = lag.map(|lag| {
        let offset = number("o").unwrap_or_default() as i64;
        let there = asked.saturating_add(offset).saturating_add(lag);
        there.saturating_sub(came)
    });
    let knows = off.is_some_and(|off| off.saturating_abs() < GOOD_MS);
    (!knows || lag == Some(0)).then_some(Timesync { asked, came, off })
}

/// What it is told, now: with the time for which the question waited.
#[must_use]
pub fn answer(sync: &Timesync, now_ms: u64) -> String {
    let Timesync { asked, came, off } = sync;
    let waited = (now_ms as i64).saturating_sub(*came);
    let off = off.map_or(String::new(), |off| format!(",\"a\":{off}"));
    format!("{{\"tc\":{asked},\"ts\":{came},\"p\":{waited}{off}}}")
}

/// What `message` is told at once.
#[must_use]
pub fn answer_now(message: &Message<'_>, now_ms: u64) -> Option<String> {
    asked(message, now_ms).map(|sync| answer(&sync, now_ms))
}

/// Milliseconds by which a client may be off that is told nothing any more.
const GOOD_MS: i64 = 25;

#[cfg(test)]
mod tests {
    use super::super::messages::parse;
    use super::*;

    fn answer(timesync: &str) -> Option<String> {
        let text = format!("{{\"ext\":{{\"timesync\":{timesync}}}}}");
        let messages = parse(text.as_bytes(), 1).unwrap();
        asked(&messages[0], 1_000).map(|sync| super::answer(&sync, 1_250))
    }

    #[test]
    fn a_client_that_is_off_is_told_by_how_much_and_one_that_is_not_nothing() {
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(
            answer(r#"{"tc":900}"#),
            told(r#"{"tc":900,"ts":1000,"p":250}"#)
        );
        assert_eq!(
            answer(r#"{"tc":990.5,"l":0,"o":0}"#),
            told(r#"{"tc":990,"ts":1000,"p":250,"a":-10}"#)
        );
        assert_eq!(
            answer(r#"{"tc":900,"l":5,"o":70}"#),
            told(r#"{"tc":900,"ts":1000,"p":250,"a":-25}"#)
        );
        assert_eq!(answer(r#"{"tc":900,"l":5,"o":71}"#), None);
        for none in ["{}", "7", "null", r#"{"tc":"x"}"#] {
            assert_eq!(answer(none), None, "{none}");
        }
        assert!(answer(r#"{"tc":1e300,"l":1e300,"o":-1e300}"#).is_some());
    }
}
