//! The one table of keys of rules, and their values as text, both ways.
//!
//! In: the text of a value. Out: the [`Setting`], or how the text misses its form; and the text again. Which channels a
//! setting is for is `rule`'s business, what becomes of it `policy`'s.

use super::near::nearest;
use super::policy::{History, Presence, Rate, Slow, Who};
use super::units::{self, Misread};
use std::fmt;

/// A key with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Who may subscribe.
    Subscribe(Who),
    /// Who may publish.
    Publish(Who),
    /// What is kept.
    History(Option<History>),
    /// What is told of subscribers.
    Presence(Presence),
    /// Bytes of the largest message.
    Message(Option<usize>),
    /// How much a session may publish.
    Rate(Option<Rate>),
    /// What becomes of who does not keep up.
    Slow(Slow),
    /// Milliseconds that a message may wait for others.
    Lazy(Option<u32>),
}

/// A key of rules: a row of the table.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like, in short.
    pub form: &'static str,
    /// Its value where no rule says one.
    pub default: &'static str,
    /// What it does, in one or two sentences.
    pub help: &'static str,
    /// What the key alone stands for.
    pub(super) alone: Option<&'static str>,
    pub(super) read: fn(&str) -> Result<Setting, Misread>,
}

/// Names are unique.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Key {}

/// The row of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

impl Setting {
    /// The row that it is a value of.
    #[must_use]
    pub fn key(&self) -> &'static Key {
        let [
            subscribe,
            publish,
            history,
            presence,
            message,
            rate,
            slow,
            lazy,
        ] = &KEYS;
        match self {
            Self::Subscribe(_) => subscribe,
            Self::Publish(_) => publish,
            Self::History(_) => history,
            Self::Presence(_) => presence,
            Self::Message(_) => message,
            Self::Rate(_) => rate,
            Self::Slow(_) => slow,
            Self::Lazy(_) => lazy,
        }
    }

    /// About what the application is asked, of `decider::MATTERS`.
    #[must_use]
    pub fn asks(&self) -> Option<&'static str> {
        match self {
            Self::Subscribe(Who::Ask) => Some("subscribe"),
            Self::Publish(Who::Ask) => Some("publish"),
            _ => None,
        }
    }

    /// Whether it asks for what this version cannot check.
    #[must_use]
    pub fn needs_token(&self) -> bool {
        matches!(
            self,
            Self::Subscribe(Who::Token) | Self::Publish(Who::Token)
        )
    }
}

/// The value, as a rule takes it.
impl fmt::Display for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscribe(who) | Self::Publish(who) => out.write_str(word_of(*who, &WHO)),
            Self::Presence(presence) => out.write_str(word_of(*presence, &PRESENCE)),
            Self::History(Some(kept)) => {
                let (ttl, bytes) = (units::show_time(kept.ttl_ms), units::show_size(kept.bytes));
                write!(out, "{},{ttl},{bytes}", kept.messages)
            }
            Self::Message(Some(max)) => out.write_str(&units::show_size(*max as u64)),
            Self::Message(None) => out.write_str(UNBOUNDED),
            Self::Rate(Some(rate)) => {
                write!(out, "{}/s", rate.messages)?;
                rate.bytes.map_or(Ok(()), |bytes| {
                    write!(out, ",{}/s", units::show_size(bytes))
                })
            }
            Self::History(None) | Self::Rate(None) | Self::Lazy(None) => out.write_str(OFF),
            Self::Lazy(Some(ms)) => out.write_str(&units::show_time((*ms).into())),
            Self::Slow(Slow::Every(ms)) => write!(out, "every={}", units::show_time(*ms)),
            Self::Slow(slow) => out.write_str(word_of(*slow, &SLOW)),
        }
    }
}

fn word_of<T: PartialEq>(value: T, words: &[(&'static str, T)]) -> &'static str {
    let row = words.iter().find(|(_, meant)| *meant == value);
    row.map_or("", |(word, _)| word)
}

/// One of some words.
fn choice<T: Copy>(
    text: &str,
    words: &[(&'static str, T)],
    form: &'static str,
) -> Result<T, Misread> {
    let row = words.iter().find(|(word, _)| *word == text);
    row.map(|(_, value)| *value)
        .ok_or_else(|| Misread::Malformed {
            form,
            near: nearest(text, words.iter().map(|(word, _)| *word)).map(str::to_owned),
        })
}

fn who(text: &str) -> Result<Who, Misread> {
    let form = "anyone, user, app or token";
    match text {
        // Spelled nearest to `anyone`, which is the last thing that is meant.
        "none" | "nobody" | "off" => Err(Misread::Malformed {
            form,
            near: Some("app".to_owned()),
        }),
        _ => choice(text, &WHO, form),
    }
}

/// `N`, and behind it a time and a size in either order; each unit says which of the two is meant.
///
/// # Errors
/// A number that is none, or beyond its bounds.
pub fn history(text: &str) -> Result<Option<History>, Misread> {
    if text == OFF {
        return Ok(None);
    }
    let mut parts = text.split(',');
    let messages = units::count(parts.next().unwrap_or_default(), 1, HISTORY_MESSAGES_MAX)?;
    let (mut ttl_ms, mut bytes) = (None, None);
    for part in parts {
        let field = if is_size(part) {
            &mut bytes
        } else {
            &mut ttl_ms
        };
        let value = match is_size(part) {
            true => units::size(part, KIB, HISTORY_BYTES_MAX)?,
            false => units::time(part, SECOND_MS, HISTORY_MS_MAX)?,
        };
        if field.replace(value).is_some() {
            return Err(Misread::Malformed {
                form: HISTORY_FORM,
                near: None,
            });
        }
    }
    Ok(Some(History {
        messages: messages as u32,
        bytes: bytes.unwrap_or(HISTORY_BYTES),
        ttl_ms: ttl_ms.unwrap_or(HISTORY_MS),
    }))
}

/// Whether a text ends like a unit of sizes, right or misspelt.
fn is_size(text: &str) -> bool {
    text.ends_with(['B', 'b', 'K', 'k', 'M', 'G', 'g', 'T', 't'])
}

/// `N/s` and behind it, if bytes are bounded too, `SIZE/s`.
fn rate(text: &str) -> Result<Option<Rate>, Misread> {
    if text == OFF {
        return Ok(None);
    }
    let (messages, bytes) = match text.split_once(',') {
        Some((messages, bytes)) => (messages, Some(bytes)),
        None => (text, None),
    };
    let a_second = |part: &str| {
        let malformed = || {
            let near = units::count(part, 1, RATE_MESSAGES_MAX).map(|n| format!("{n}/s"));
            Misread::Malformed {
                form: RATE_FORM,
                near: near.ok(),
            }
        };
        part.strip_suffix("/s")
            .map(str::to_owned)
            .ok_or_else(malformed)
    };
    let messages = units::count(&a_second(messages)?, 1, RATE_MESSAGES_MAX)?;
    let bytes = match bytes {
        Some(bytes) => Some(units::size(&a_second(bytes)?, 1, RATE_BYTES_MAX)?),
        None => None,
    };
    Ok(Some(Rate {
        messages: messages as u32,
        bytes,
    }))
}

fn message(text: &str) -> Result<Option<usize>, Misread> {
    if text == UNBOUNDED {
        return Ok(None);
    }
    units::size(text, 1, MESSAGE_MAX).map(|bytes| Some(bytes as usize))
}

fn slow(text: &str) -> Result<Slow, Misread> {
    match text.strip_prefix("every=") {
        Some(time) => units::time(time, EVERY_MS_MIN, EVERY_MS_MAX).map(Slow::Every),
        None => choice(text, &SLOW, "close, drop-oldest, latest or every=TIME"),
    }
}

fn lazy(text: &str) -> Result<Option<u32>, Misread> {
    match text {
        OFF => Ok(None),
        text => units::time(text, EVERY_MS_MIN, EVERY_MS_MAX).map(|ms| Some(ms as u32)),
    }
}

/// Every key, in the order in which they are explained.
pub static KEYS: [Key; 8] = [
    Key {
        name: "subscribe",
        form: "anyone|user|app|token|ask",
        default: "anyone",
        help: "Who may read: any session, one with a user name, nobody, who has the right in a token, or whom --decide lets.",
        alone: None,
        read: |text| who(text).map(Setting::Subscribe),
    },
    Key {
        name: "publish",
        form: "anyone|user|app|token|ask",
        default: "anyone",
        help: "Who may publish beside the application, which always may.",
        alone: None,
        read: |text| who(text).map(Setting::Publish),
    },
    Key {
        name: "history",
        form: "N[,TIME][,SIZE]|off",
        default: OFF,
        help: "How many messages are kept, for how long (1h) and how many bytes of them (1MiB).",
        alone: None,
        read: |text| history(text).map(Setting::History),
    },
    Key {
        name: "presence",
        form: "list|count|off",
        default: OFF,
        help: "What is told of who is subscribed: names, a number, nothing. presence alone is presence=list.",
        alone: Some("list"),
        read: |text| choice(text, &PRESENCE, "list, count or off").map(Setting::Presence),
    },
    Key {
        name: "message",
        form: "SIZE|max",
        default: UNBOUNDED,
        help: "Bytes of the largest message that a session may publish; max is --max-message.",
        alone: None,
        read: |text| message(text).map(Setting::Message),
    },
    Key {
        name: "rate",
        form: "N/s[,SIZE/s]|off",
        default: OFF,
        help: "Messages, and bytes of them, that one session may publish in a second to all channels of the same policy. \
               A second's worth may come at once, and one message always.",
        alone: None,
        read: |text| rate(text).map(Setting::Rate),
    },
    Key {
        name: "slow",
        form: "close|drop-oldest|latest|every=TIME",
        default: "close",
        help: "What becomes of a subscriber who does not keep up: its session ends, it misses the oldest, only the latest \
               of each key waits, or everybody is sent the latest once in so long. Who misses something is told how many.",
        alone: None,
        read: |text| slow(text).map(Setting::Slow),
    },
    Key {
        name: "lazy",
        form: "TIME|off",
        default: OFF,
        help: "How long a message may wait at clients of Bayeux for others to go with, so that it wakes none by itself. lazy \
               alone is lazy=5s.",
        alone: Some("5s"),
        read: |text| lazy(text).map(Setting::Lazy),
    },
];

/// What a history must look like.
pub const HISTORY_FORM: &str = "N[,TIME][,SIZE] like 100,1h,1MiB, or off";
const RATE_FORM: &str = "N/s[,SIZE/s] like 10/s or 10/s,64KiB/s, or off";

const WHO: [(&str, Who); 5] = [
    ("anyone", Who::Anyone),
    ("user", Who::User),
    ("app", Who::App),
    ("token", Who::Token),
    ("ask", Who::Ask),
];
const PRESENCE: [(&str, Presence); 3] = [
    ("list", Presence::List),
    ("count", Presence::Count),
    (OFF, Presence::Off),
];
const SLOW: [(&str, Slow); 3] = [
    ("close", Slow::Close),
    ("drop-oldest", Slow::DropOldest),
    ("latest", Slow::Latest),
];
const OFF: &str = "off";
const UNBOUNDED: &str = "max";

/// How long messages are kept where a rule names no time: longer than any reload or tunnel.
const HISTORY_MS: u64 = 3_600_000;
/// Bytes of them where a rule names none: as many as may wait for one session by default.
const HISTORY_BYTES: u64 = 1 << 20;
/// Most messages of one channel that may be kept: history is for catching up, not an archive.
const HISTORY_MESSAGES_MAX: u64 = 1_000_000;
const HISTORY_BYTES_MAX: u64 = 1 << 30;
/// Thirty days.
const HISTORY_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// The greatest `--max-message`.
const MESSAGE_MAX: u64 = 64 << 20;
const RATE_MESSAGES_MAX: u64 = 1_000_000;
const RATE_BYTES_MAX: u64 = 1 << 30;
const EVERY_MS_MIN: u64 = 10;
const EVERY_MS_MAX: u64 = 3_600_000;
const SECOND_MS: u64 = 1_000;
const KIB: u64 = 1 << 10;
