//! Words to values in bounds.
//!
//! In: what stands behind a flag. Out: the value, or what was wanted instead.

use crate::mode::Row;
use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

type Value<T> = Result<T, String>;

/// Puts a value in its place.
pub fn set<T>(place: &mut T, value: Value<T>) -> Value<()> {
    *place = value?;
    Ok(())
}

/// Puts a value in a place that was empty.
pub fn some<T>(place: &mut Option<T>, value: Value<T>) -> Value<()> {
    *place = Some(value?);
    Ok(())
}

/// Adds a value.
pub fn push<T>(place: &mut Vec<T>, value: Value<T>) -> Value<()> {
    place.push(value?);
    Ok(())
}

/// A number from `least` to `most`. What is not a number is in no bounds.
pub fn number<T: FromStr + PartialOrd + Display>(word: &str, least: T, most: T) -> Value<T> {
    let value = word.parse().ok();
    let value = value.filter(|value| *value >= least && *value <= most);
    value.ok_or_else(|| format!("wants a number from {least} to {most}"))
}

/// A time with its unit, at most a day.
pub fn time(word: &str) -> Value<Duration> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match word.get(digits.len()..) {
        Some("ms") => 1.0,
        Some("s") => 1e3,
        Some("m") => 60e3,
        Some("h") => 3600e3,
        _ => f64::NAN,
    };
    let time_ms = digits.parse().unwrap_or(f64::NAN) * unit_ms;
    match time_ms {
        0.0..=86400e3 => Ok(Duration::from_secs_f64(time_ms / 1e3)),
        _ => Err("wants a time to 24h with its unit, as 500ms or 10s".into()),
    }
}

/// An address of this machine: a load is not to be let loose on others.
pub fn local(word: &str) -> Value<SocketAddr> {
    let address = word.parse::<SocketAddr>().ok();
    let address = address.filter(|address| address.ip().is_loopback());
    address.ok_or_else(|| "wants a loopback ADDR:PORT".into())
}

/// Names of modes, with commas between.
pub fn modes(word: &str) -> Value<Vec<&'static Row>> {
    let rows = word.split(',').map(Row::named);
    let rows: Option<Vec<_>> = rows.collect();
    rows.ok_or_else(|| "wants modes of those in --help".into())
}

/// A channel's name that needs no escape anywhere.
pub fn name(word: &str) -> Value<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    match word.bytes().all(plain) && !word.is_empty() {
        true => Ok(word.to_owned()),
        false => Err("wants letters, digits, / - _".into()),
    }
}

/// A request target.
pub fn path(word: &str) -> Value<String> {
    match word.starts_with('/') && word.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(word.to_owned()),
        false => Err("wants a path".into()),
    }
}

/// A header field.
pub fn field(word: &str) -> Value<String> {
    match word.contains(": ") && !word.contains(['\r', '\n']) {
        true => Ok(word.to_owned()),
        false => Err("wants `Name: value`".into()),
    }
}

/// Any text.
pub fn text(word: &str) -> Value<String> {
    Ok(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_a_bound() {
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "5", "s", "-1s", "25h", "5 s", "5d"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_this_machine_is_loaded() {
        assert!(local("127.9.8.7:80").is_ok() && local("[::1]:80").is_ok());
        assert!(local("0.0.0.0:80").is_err() && local("192.0.2.1:80").is_err());
    }
}
