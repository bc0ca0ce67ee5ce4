//! A rule for channels as text, both ways.
//!
//! In: `chat/** history=100,1h presence publish=user`. Out: a [`Rule`], or what is wrong with the text and the cure. What the
//! settings come to for a name is `policy`'s business.

use super::keys::{self, KEYS, Key, Setting};
use super::near::nearest;
use super::pattern::{BadPattern, Pattern};
use super::units::Misread;
use std::fmt;

/// What an operator wants for some channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    text: String,
    pattern: Pattern,
    settings: Vec<Setting>,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadRule {
    /// Nothing, or a pattern that nothing is said of.
    Empty,
    /// A key where the pattern is to stand.
    NoPattern,
    /// The pattern is none.
    Pattern {
        /// As typed.
        text: String,
        /// Why.
        bad: BadPattern,
    },
    /// No such key; with the nearest one there is.
    UnknownKey {
        /// As typed.
        key: String,
        /// The nearest name.
        near: Option<&'static str>,
    },
    /// A key twice.
    Repeated {
        /// Its name.
        key: &'static str,
    },
    /// A key without its value.
    NoValue {
        /// Its name.
        key: &'static str,
        /// What would be right.
        form: &'static str,
    },
    /// A value that is none.
    Value {
        /// The key with its value, as typed.
        text: String,
        /// How it misses its form.
        misread: Misread,
    },
}

impl Rule {
    /// Reads a pattern and its settings, with blanks between them.
    ///
    /// # Errors
    /// [`BadRule`], of the first word that is wrong.
    pub fn parse(text: &str) -> Result<Self, BadRule> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [first, rest @ ..] = words.as_slice() else {
            return Err(BadRule::Empty);
        };
        if first
            .split_once('=')
            .is_some_and(|(key, _)| keys::find(key).is_some())
        {
            return Err(BadRule::NoPattern);
        }
        let pattern = Pattern::parse(first).map_err(|bad| BadRule::Pattern {
            text: (*first).to_owned(),
            bad,
        })?;
        let mut settings: Vec<Setting> = Vec::new();
        for word in rest {
            let setting = setting(word)?;
            let key = setting.key();
            if settings.iter().any(|other| other.key() == key) {
                return Err(BadRule::Repeated { key: key.name });
            }
            settings.push(setting);
        }
        if settings.is_empty() {
            return Err(BadRule::Empty);
        }
        let text = words.join(" ");
        Ok(Self {
            text,
            pattern,
            settings,
        })
    }

    /// Whether it is about the channel called `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.pattern.matches(name)
    }

    /// Whether it says something of `key`.
    #[must_use]
    pub fn sets(&self, key: &Key) -> bool {
        self.settings.iter().any(|setting| setting.key() == key)
    }

    /// What it says.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

/// As it was typed, with single blanks.
impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

fn setting(word: &str) -> Result<Setting, BadRule> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    let Some(key) = keys::find(name) else {
        return Err(BadRule::UnknownKey {
            key: name.to_owned(),
            near: nearest(name, KEYS.iter().map(|key| key.name)),
        });
    };
    let Some(value) = value.or(key.alone) else {
        return Err(BadRule::NoValue {
            key: key.name,
            form: key.form,
        });
    };
    (key.read)(value).map_err(|misread| BadRule::Value {
        text: word.to_owned(),
        misread,
    })
}

/// What is wrong, and the cure.
impl fmt::Display for BadRule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(out, "must be {RULE_FORM}"),
            Self::NoPattern => write!(out, "the channels stand first: it must be {RULE_FORM}"),
            Self::Pattern { text, bad } => {
                write!(out, "{text} is no channel or pattern: {bad}")?;
                suggest(out, bad.near(text).as_deref())
            }
            Self::UnknownKey { key, near: None } => {
                let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
                write!(out, "no key {key} (there are {})", names.join(", "))
            }
            Self::UnknownKey { key, near } => {
                write!(out, "no key {key}")?;
                suggest(out, *near)
            }
            Self::Repeated { key } => write!(out, "{key}: given twice in one rule"),
            Self::NoValue { key, form } => write!(out, "{key} needs a value: {key}={form}"),
            Self::Value { text, misread } => write!(out, "{text}: {misread}"),
        }
    }
}

fn suggest(out: &mut fmt::Formatter<'_>, near: Option<&str>) -> fmt::Result {
    near.map_or(Ok(()), |near| write!(out, " (did you mean {near}?)"))
}

/// What a rule must look like.
pub const RULE_FORM: &str =
    "PATTERN KEY=VALUE …, like 'chat/** history=100,1h presence publish=user'";
#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
