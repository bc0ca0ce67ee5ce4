//! Numbers with their units as text, both ways: sizes, times, counts.
//!
//! Data in: text of an operator. Data out: bytes, milliseconds and counts within bounds, or how the text misses them.
//! Whatever is printed here is read back as the same value. It must not know what the numbers are of.

use std::fmt;

/// What a size must look like.
pub const SIZE_FORM: &str = "a whole number with a unit, like 64KiB (B, KiB, MiB, GiB, TiB)";
/// What a time must look like.
pub const TIME_FORM: &str = "a whole number with a unit, like 30s (ms, s, m, h)";
/// What a count must look like.
pub const COUNT_FORM: &str = "a whole number, like 1000 or 1_000";
/// How a text misses what it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misread {
    /// A size or a time as a bare number.
    NeedsUnit {
        /// The likeliest spelling.
        near: String,
    },
    /// Not of the form.
    Malformed {
        /// What would be right.
        form: &'static str,
        /// The likeliest spelling, where there is one.
        near: Option<String>,
    },
    /// Below the least value.
    TooSmall {
        /// The least, as text.
        min: String,
    },
    /// Above the greatest value.
    TooLarge {
        /// The greatest, as text.
        max: String,
    },
}

impl fmt::Display for Misread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsUnit { near } => write!(out, "needs a unit (did you mean {near}?)"),
            Self::Malformed { form, near: None } => write!(out, "must be {form}"),
            Self::Malformed {
                form,
                near: Some(near),
            } => write!(out, "must be {form} (did you mean {near}?)"),
            Self::TooSmall { min } => write!(out, "too small, the least is {min}"),
            Self::TooLarge { max } => write!(out, "too large, the most is {max}"),
        }
    }
}

/// Bytes from text such as `64KiB`, from `min` to `max`.
pub fn size(text: &str, min: u64, max: u64) -> Result<u64, Misread> {
    let bytes = match measure(text, &SIZES) {
        Measure::Known(bytes) => bytes,
        Measure::Bare(n) => {
            let spellings = [
                (n, show_size(n)),
                (n.saturating_mul(KIB), format!("{n}KiB")),
            ];
            return Err(Misread::NeedsUnit {
                near: likeliest(spellings, min, max),
            });
        }
        Measure::Unknown(near) => {
            return Err(Misread::Malformed {
                form: SIZE_FORM,
                near,
            });
        }
    };
    within(bytes, min, max, show_size)
}

/// Milliseconds from text such as `30s`, from `min` to `max`.
pub fn time(text: &str, min: u64, max: u64) -> Result<u64, Misread> {
    let ms = match measure(text, &TIMES) {
        Measure::Known(ms) => ms,
        Measure::Bare(n) => {
            let spellings = [
                (n.saturating_mul(1000), format!("{n}s")),
                (n, format!("{n}ms")),
            ];
            return Err(Misread::NeedsUnit {
                near: likeliest(spellings, min, max),
            });
        }
        Measure::Unknown(near) => {
            return Err(Misread::Malformed {
                form: TIME_FORM,
                near,
            });
        }
    };
    within(ms, min, max, show_time)
}

/// A count of things, from `min` to `max`.
pub fn count(text: &str, min: u64, max: u64) -> Result<u64, Misread> {
    let plain = text.replace([',', '\''], "");
    match (digits(text), digits(&plain)) {
        (Some(n), _) => within(n, min, max, show_count),
        (None, near) => Err(Misread::Malformed {
            form: COUNT_FORM,
            near: near.map(show_count),
        }),
    }
}

/// The shortest exact text of a size in bytes.
pub fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES)
}

/// The shortest exact text of a time in milliseconds.
pub fn show_time(ms: u64) -> String {
    // The least unit would make zero "0ms"; nobody writes that.
    if ms == 0 {
        "0s".to_owned()
    } else {
        show(ms, &TIMES)
    }
}

/// A count's text.
pub fn show_count(n: u64) -> String {
    n.to_string()
}

/// A number with a unit, as far as it could be read.
enum Measure {
    /// In the smallest unit.
    Known(u64),
    /// Without a unit.
    Bare(u64),
    /// Not readable; perhaps with what was meant.
    Unknown(Option<String>),
}

fn measure(text: &str, units: &[(&str, u64)]) -> Measure {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let Some(n) = digits(number) else {
        return Measure::Unknown(None);
    };
    if unit.is_empty() {
        return Measure::Bare(n);
    }
    match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => Measure::Known(n.saturating_mul(*factor)),
        None => Measure::Unknown(meant(unit, units).map(|name| format!("{n}{name}"))),
    }
}

/// The unit that a misspelling such as `KB`, `k` or `sec` stands for.
fn meant<'a>(unit: &str, units: &[(&'a str, u64)]) -> Option<&'a str> {
    let lower = unit.trim().to_ascii_lowercase();
    let names = || units.iter().map(|(name, _)| *name);
    names()
        .find(|name| lower.starts_with(&name.to_ascii_lowercase()))
        .or_else(|| names().find(|name| lower.starts_with(&name[..1].to_ascii_lowercase())))
}

/// A number of digits and single underscores between them. Beyond 64 bits it is the greatest, which
/// no bound allows.
fn digits(text: &str) -> Option<u64> {
    let good = text
        .split('_')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    good.then(|| text.replace('_', "").parse().unwrap_or(u64::MAX))
}

fn within(n: u64, min: u64, max: u64, show: fn(u64) -> String) -> Result<u64, Misread> {
    if n < min {
        return Err(Misread::TooSmall { min: show(min) });
    }
    if n > max {
        return Err(Misread::TooLarge { max: show(max) });
    }
    Ok(n)
}

/// The first spelling whose value is allowed, else the first.
fn likeliest(spellings: [(u64, String); 2], min: u64, max: u64) -> String {
    let allowed = spellings
        .iter()
        .position(|(n, _)| (min..=max).contains(n))
        .unwrap_or(0);
    let [(_, first), (_, second)] = spellings;
    if allowed == 0 { first } else { second }
}

fn show(n: u64, units: &[(&str, u64)]) -> String {
    let whole = units
        .iter()
        .rev()
        .find(|(_, factor)| n >= *factor && n.is_multiple_of(*factor));
    whole.map_or_else(
        || n.to_string(),
        |(name, factor)| format!("{}{name}", n / factor),
    )
}

const KIB: u64 = 1024;
const SIZES: [(&str, u64); 5] = [
    ("B", 1),
    ("KiB", KIB),
    ("MiB", KIB << 10),
    ("GiB", KIB << 20),
    ("TiB", KIB << 30),
];
const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

#[cfg(test)]
mod tests {
    use super::*;

    fn fault<T>(result: Result<T, Misread>) -> String {
        result
            .err()
            .map(|fault| fault.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn sizes_and_times_are_read_in_every_unit() {
        let sizes = ["4096B", "64KiB", "1MiB", "2GiB", "1TiB"].map(|t| size(t, 0, u64::MAX));
        assert_eq!(sizes, [4096, 64 << 10, 1 << 20, 2 << 30, 1 << 40].map(Ok));
        let times = ["250ms", "30s", "5m", "24h", "1_000s"].map(|t| time(t, 0, u64::MAX));
        assert_eq!(times, [250, 30_000, 300_000, 86_400_000, 1_000_000].map(Ok));
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for n in [
            1,
            999,
            1000,
            1024,
            1025,
            60_000,
            90_000,
            3_600_000,
            1 << 20,
            33 << 10,
            1 << 40,
        ] {
            assert_eq!(size(&show_size(n), 0, u64::MAX), Ok(n));
            assert_eq!(time(&show_time(n), 0, u64::MAX), Ok(n));
            assert_eq!(count(&show_count(n), 0, u64::MAX), Ok(n));
        }
        assert_eq!(time(&show_time(0), 0, 1), Ok(0));
    }

    #[test]
    fn a_bare_number_is_refused_with_the_likeliest_unit() {
        assert_eq!(
            fault(time("5", 100, 3_600_000)),
            "needs a unit (did you mean 5s?)"
        );
        assert_eq!(
            fault(time("60000", 100, 3_600_000)),
            "needs a unit (did you mean 60000ms?)"
        );
        assert_eq!(
            fault(size("64", 4096, 1 << 30)),
            "needs a unit (did you mean 64KiB?)"
        );
        assert_eq!(
            fault(size("65536", 4096, 1 << 30)),
            "needs a unit (did you mean 64KiB?)"
        );
    }

    #[test]
    fn a_misspelt_unit_is_refused_with_the_right_one() {
        let said = |text| size(text, 0, u64::MAX).err();
        for text in ["64KB", "64K", "64kb", "64k", "64kib", "64Kib"] {
            let near = Some("64KiB".to_owned());
            assert_eq!(
                said(text),
                Some(Misread::Malformed {
                    form: SIZE_FORM,
                    near
                })
            );
        }
        assert!(fault(time("5sec", 0, 9)).ends_with("(did you mean 5s?)"));
        assert!(fault(time("5min", 0, 9)).ends_with("(did you mean 5m?)"));
        assert!(fault(time("5msec", 0, 9)).ends_with("(did you mean 5ms?)"));
    }

    #[test]
    fn bounds_are_inclusive_and_overflow_is_too_large() {
        assert_eq!(time("1s", 1000, 2000), Ok(1000));
        assert_eq!(time("2s", 1000, 2000), Ok(2000));
        assert_eq!(fault(time("3s", 1000, 2000)), "too large, the most is 2s");
        assert_eq!(
            fault(time("999ms", 1000, 2000)),
            "too small, the least is 1s"
        );
        assert_eq!(
            fault(size("99999999999999999999TiB", 1, 1024)),
            "too large, the most is 1KiB"
        );
        assert_eq!(
            fault(count("99999999999999999999", 1, 7)),
            "too large, the most is 7"
        );
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for text in [
            "",
            "-5s",
            "1.5s",
            "_5s",
            "5_s",
            "1__0s",
            "s",
            " 5s",
            "5 parsecs",
            "٣s",
        ] {
            assert!(time(text, 0, u64::MAX).is_err(), "{text}");
        }
        assert_eq!(count("1_000", 0, 9999), Ok(1000));
        assert!(fault(count("1,000", 0, 9999)).ends_with("(did you mean 1000?)"));
        assert_eq!(fault(count("lots", 0, 9)), format!("must be {COUNT_FORM}"));
    }
}
