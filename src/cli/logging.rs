//! The log on standard error: `2026-11-22T01:14:50.541Z INFO  listen  ready http=127.0.0.1:8000`.
//!
//! Data in: a filter, a clock, and the records of every layer. Data out: one line each, in UTC,
//! with the module's last name. Peers' text is escaped where it is logged; here no control
//! character passes, so that a line stays a line. It must not know what is logged, nor read a clock
//! itself.

use std::fmt::{self, Write as _};
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use log::{LevelFilter, Record};

use crate::config::near::nearest;
use crate::config::units::Misread;

/// What a filter must look like.
pub const FILTER_FORM: &str =
    "a level (error to trace, or off) and MODULE=LEVEL, like info,orbited::session=debug";

/// Why logging did not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartError {
    /// The filter is wrong.
    Filter(Misread),
    /// This process has a logger already.
    Started,
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(fault) => write!(out, "--log: {fault}"),
            Self::Started => write!(out, "logging has been started already"),
        }
    }
}

impl std::error::Error for StartError {}

/// Logs to standard error from now on. `now_unix_ms` is milliseconds since 1970 (the clock is
/// `net`'s).
pub fn start(filter: &str, now_unix_ms: fn() -> u64) -> Result<(), StartError> {
    check(filter).map_err(StartError::Filter)?;
    env_logger::Builder::new()
        .parse_filters(filter)
        .format(move |out, record| line(out, record, now_unix_ms()))
        .try_init()
        .map_err(|_| StartError::Started)
}

/// Whether a filter is one. Stricter than `env_logger`, which takes `inof` for a module's name and
/// then logs nothing.
pub fn check(filter: &str) -> Result<(), Misread> {
    let wrong = filter
        .split(',')
        .map(str::trim)
        .find(|part| !is_directive(part));
    match wrong {
        None => Ok(()),
        Some(part) => Err(Misread::Malformed {
            form: FILTER_FORM,
            near: meant(part),
        }),
    }
}

fn is_directive(part: &str) -> bool {
    match part.split_once('=') {
        Some((module, level)) => is_module(module) && is_level(level),
        None => is_level(part),
    }
}

fn is_level(text: &str) -> bool {
    text.parse::<LevelFilter>().is_ok()
}

fn is_module(text: &str) -> bool {
    let name = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    text.split("::").all(name)
}

/// The level that a near miss such as `warning` stands for.
fn meant(part: &str) -> Option<String> {
    let (module, word) = part
        .rsplit_once('=')
        .map_or(("", part), |(module, word)| (module, word));
    let word = word.trim().to_ascii_lowercase();
    let longer = LEVELS.into_iter().find(|level| word.starts_with(level));
    let level = longer.or_else(|| nearest(&word, LEVELS.into_iter()))?;
    Some(if module.is_empty() {
        level.to_owned()
    } else {
        format!("{module}={level}")
    })
}

/// Writes one record as one line; `now_unix_ms` is milliseconds since 1970.
pub fn line(out: &mut dyn io::Write, record: &Record<'_>, now_unix_ms: u64) -> io::Result<()> {
    writeln!(
        out,
        "{} {:<5} {:<7} {}",
        stamp(now_unix_ms),
        record.level(),
        Escaped(short(record.target())),
        Escaped(record.args()),
    )
}

/// The last name of one of our modules; other crates' as they are.
fn short(target: &str) -> &str {
    let ours = target.strip_prefix("orbited::");
    ours.map_or(target, |path| path.rsplit("::").next().unwrap_or(path))
}

/// RFC 3339 in UTC with milliseconds. `httpdate` knows the calendar, and its text has fixed places.
fn stamp(unix_ms: u64) -> String {
    let unix_ms = unix_ms.min(YEAR_9999_MS);
    let http = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(unix_ms));
    let mut words = http.split_ascii_whitespace().skip(1);
    let mut word = || words.next().unwrap_or_default();
    let (day, month_name, year, clock) = (word(), word(), word(), word());
    let month = MONTHS
        .iter()
        .position(|name| *name == month_name)
        .map_or(0, |at| at + 1);
    format!("{year}-{month:02}-{day}T{clock}.{:03}Z", unix_ms % 1000)
}

/// Shows text with every control character and line separator escaped.
pub struct Escaped<T>(pub T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = out.width().unwrap_or(0);
        let mut escaper = Escaper { out, written: 0 };
        write!(escaper, "{}", self.0)?;
        let written = escaper.written;
        (written..width).try_for_each(|_| out.write_char(' '))
    }
}

struct Escaper<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    /// Characters so far, for padding.
    written: usize,
}

impl fmt::Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            let escape = c.escape_default();
            self.written += escape.len();
            return write!(self.out, "{escape}");
        }
        self.written += 1;
        self.out.write_char(c)
    }
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `httpdate` panics after the year 9999.
const YEAR_9999_MS: u64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    fn logged(target: &str, text: &str, now_unix_ms: u64) -> String {
        let mut out = Vec::new();
        let args = format_args!("{text}");
        let record = Record::builder()
            .level(Level::Info)
            .target(target)
            .args(args)
            .build();
        let written = line(&mut out, &record, now_unix_ms);
        assert!(written.is_ok());
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_line_is_time_level_module_and_message() {
        assert_eq!(
            logged(
                "orbited::net::listen",
                "ready http=127.0.0.1:8000 tls=no",
                1_795_310_090_541
            ),
            "2026-11-22T01:14:50.541Z INFO  listen  ready http=127.0.0.1:8000 tls=no\n"
        );
        assert!(logged("orbited", "x", 0).starts_with("1970-01-01T00:00:00.000Z INFO  orbited x"));
        assert!(logged("mio::poll", "x", 0).contains(" mio::poll x"));
    }

    #[test]
    fn a_line_stays_one_line_whatever_is_logged() {
        let text = logged(
            "orbited::session",
            "a\r\nb\u{1b}[31m\u{7f}\u{85}\u{2028}é",
            0,
        );
        assert!(
            text.ends_with(" session a\\r\\nb\\u{1b}[31m\\u{7f}\\u{85}\\u{2028}é\n"),
            "{text}"
        );
    }

    #[test]
    fn the_calendar_ends_where_it_must() {
        assert!(stamp(u64::MAX).starts_with("9999-12-31T23:59:59.999Z"));
        assert!(stamp(1_709_164_800_000).starts_with("2024-02-29T00:00:00.000Z"));
    }

    #[test]
    fn filters_are_a_level_and_levels_by_module() {
        for good in [
            "info",
            "DEBUG",
            "off",
            "info,orbited::session=debug",
            "orbited::net=trace",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "", "info,", "inof", "orbited", "info/x", "a=b=info", "=info", "a:b=info",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_filter_is_refused_with_the_cure() {
        let said = |filter| {
            check(filter)
                .err()
                .map(|fault| fault.to_string())
                .unwrap_or_default()
        };
        let expected = format!("must be {FILTER_FORM} (did you mean warn?)");
        assert_eq!(said("warning"), expected);
        assert!(said("info,orbited::ws=dbug").ends_with("(did you mean orbited::ws=debug?)"));
        assert_eq!(said("chatty"), format!("must be {FILTER_FORM}"));
        assert_eq!(
            start("chatty", || 0).err().map(|e| e.to_string()),
            Some(format!("--log: {}", said("chatty")))
        );
    }
}
