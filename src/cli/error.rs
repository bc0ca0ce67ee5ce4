//! What can be wrong with a command line, each as one line that names the setting, the value and
//! the cure.
//!
//! Data in: the operator's own text. Data out: `Display`, without the `orbited: ` that `main` puts
//! before it. All of these end the process with status 2.

use std::fmt;

use super::Origin;
use super::flag::env_name;
use super::logging::Escaped;
use crate::config::callback::BadCallback;
use crate::config::pattern::BadPattern;
use crate::config::rule::BadRule;
use crate::config::secret::API_KEY_FORM;
use crate::config::token::TOKEN_KEY_FORM;
use crate::config::units::Misread;

/// Why a command line was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No such flag; with the nearest one there is.
    UnknownFlag {
        /// As typed, with its dashes.
        flag: String,
        /// The nearest name, without dashes.
        near: Option<&'static str>,
    },
    /// An `ORBITED_…` variable that sets nothing; with the nearest one that does.
    UnknownVariable {
        /// The variable's name.
        name: String,
        /// The nearest flag's name.
        near: Option<&'static str>,
    },
    /// No such command; with the nearest one there is.
    UnknownCommand {
        /// As typed.
        word: String,
        /// The nearest command.
        near: Option<&'static str>,
    },
    /// An argument where none is taken.
    Unexpected {
        /// As typed.
        word: String,
        /// The command it was given to.
        command: &'static str,
    },
    /// A command without what it is about.
    Incomplete {
        /// The command.
        command: &'static str,
    },
    /// A flag that takes one value came twice.
    Repeated {
        /// The flag's name.
        flag: &'static str,
    },
    /// A flag without its value.
    NoValue {
        /// The flag's name.
        flag: &'static str,
        /// What would be right.
        form: &'static str,
    },
    /// What `check` was to explain is no channel's name.
    NotAChannel {
        /// As typed.
        word: String,
        /// Why; `None` is that it is a pattern.
        bad: Option<BadPattern>,
    },
    /// A setting whose value is wrong.
    Value {
        /// Which one, and from where.
        setting: Setting,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// A setting as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Decides the spelling: a variable is named as one.
    pub origin: Origin,
    /// The flag's name.
    pub flag: &'static str,
    /// The value's text.
    pub value: String,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Not of the flag's form, or not within its bounds.
    Misread(Misread),
    /// Not a rule for channels.
    Rule(BadRule),
    /// Not a URL to which events can be posted, or not its settings.
    Callback(BadCallback),
    /// More values than the flag takes.
    TooMany {
        /// How many it takes.
        max: usize,
    },
    /// The same value twice, in this flag or in the other.
    Taken {
        /// The flag that has it already.
        by: &'static str,
    },
    /// Above another setting that must hold it.
    Exceeds {
        /// The other flag.
        other: &'static str,
        /// Its value, as text.
        limit: String,
    },
    /// An address that other machines reach, which demo mode refuses.
    NotLoopback {
        /// The same port on loopback.
        near: String,
    },
    /// Not a key of the application; it may be one that was cut, so it is not repeated.
    NotAKey,
    /// Not a key by which tokens are checked; it is not repeated either.
    NotATokenKey,
    /// An internal address that other machines reach, without a key that they must show.
    NoApiKey,
    /// Two URLs are to decide about the same.
    TwoDecide {
        /// About what.
        matter: &'static str,
    },
    /// A rule that asks the application, and nobody to ask.
    NobodyDecides {
        /// About what.
        matter: &'static str,
    },
    /// Whom OP lets in, and no OP.
    NoOp,
    /// Names for whoever asks, where tokens say who somebody is.
    NamesOfTokens,
    /// Bytes that are not UTF-8.
    NotText,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFlag { flag, near } => {
                write!(out, "unknown flag {}", Escaped(flag))?;
                hint(out, "see --help", near.map(|name| format!("--{name}")))
            }
            Self::UnknownVariable { name, near } => {
                write!(out, "unknown environment variable {}", Escaped(name))?;
                hint(out, "see orbited config --env", near.map(env_name))
            }
            Self::UnknownCommand { word, near } => {
                write!(out, "unknown command {}", Escaped(word))?;
                hint(
                    out,
                    "there are check, config, version, publish, sessions, channels and kick",
                    near.map(str::to_owned),
                )
            }
            Self::Unexpected { word, command } => {
                write!(
                    out,
                    "unexpected argument {} for {command} (see --help)",
                    Escaped(word)
                )
            }
            Self::Incomplete { command } => {
                write!(
                    out,
                    "{command}: something is missing (see orbited {command} --help)"
                )
            }
            Self::NotAChannel { word, bad: None } => write!(
                out,
                "check {}: a pattern stands for many channels, name one of them",
                Escaped(word)
            ),
            Self::NotAChannel {
                word,
                bad: Some(bad),
            } => write!(out, "check {}: {bad}", Escaped(word)),
            Self::Repeated { flag } => write!(out, "--{flag}: given twice, takes one value"),
            Self::NoValue { flag, form } => write!(out, "--{flag}: needs a value: {form}"),
            Self::Value { setting, fault } if setting.is_secret() => {
                write!(out, "{}: {}", setting.name(), Escaped(fault))
            }
            // A fault may repeat what was typed.
            Self::Value { setting, fault } => write!(out, "{setting}: {}", Escaped(fault)),
        }
    }
}

impl std::error::Error for Error {}

fn hint(out: &mut fmt::Formatter<'_>, otherwise: &str, near: Option<String>) -> fmt::Result {
    match near {
        Some(near) => write!(out, " (did you mean {near}?)"),
        None => write!(out, " ({otherwise})"),
    }
}

impl Setting {
    /// Whether its value is not to be shown.
    fn is_secret(&self) -> bool {
        matches!(self.flag, "api-key" | "token-key" | "callback-key")
    }

    /// As it was spelled, without its value.
    fn name(&self) -> String {
        match self.origin {
            Origin::Env => env_name(self.flag),
            Origin::Flag | Origin::Default => format!("--{}", self.flag),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.value.is_empty() {
            "\"\""
        } else {
            &self.value
        };
        match self.origin {
            Origin::Env => write!(out, "{}={}", env_name(self.flag), Escaped(value)),
            Origin::Flag | Origin::Default => write!(out, "--{} {}", self.flag, Escaped(value)),
        }
    }
}

impl From<Misread> for Fault {
    fn from(misread: Misread) -> Self {
        Self::Misread(misread)
    }
}

impl From<BadRule> for Fault {
    fn from(bad: BadRule) -> Self {
        Self::Rule(bad)
    }
}

impl From<BadCallback> for Fault {
    fn from(bad: BadCallback) -> Self {
        Self::Callback(bad)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misread(misread) => misread.fmt(out),
            Self::Rule(bad) => bad.fmt(out),
            Self::Callback(bad) => bad.fmt(out),
            Self::TooMany { max } => write!(out, "too many, at most {max} values"),
            Self::Taken { by } => write!(out, "already taken by --{by}"),
            Self::Exceeds { other, limit } => {
                write!(
                    out,
                    "larger than --{other} {limit}; lower the one or raise the other"
                )
            }
            Self::NotLoopback { near } => write!(
                out,
                "without authentication a node listens on loopback only; use {near} or unix:PATH, \
                 or say by --token-key or --names who may connect"
            ),
            Self::NotAKey => write!(out, "a key is {API_KEY_FORM}"),
            Self::NotATokenKey => write!(out, "a key is {TOKEN_KEY_FORM}"),
            Self::NoApiKey => write!(
                out,
                "other machines could use the API; give it --api-key, or use an address of this machine"
            ),
            Self::TwoDecide { matter } => write!(
                out,
                "another --decide decides about {matter} already, or --op-welcome; say by events= what each is asked"
            ),
            Self::NobodyDecides { matter } => write!(
                out,
                "the application is to be asked, and no --decide has events={matter}"
            ),
            Self::NoOp => write!(
                out,
                "nobody is welcome where the application cannot say so: --op is off"
            ),
            Self::NamesOfTokens => write!(
                out,
                "where tokens say who somebody is, a name taken without one would be somebody else's"
            ),
            Self::NotText => write!(out, "not UTF-8"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_was_typed() {
        let setting = Setting {
            origin: Origin::Env,
            flag: "log",
            value: "a\nb\u{1b}[2J".to_owned(),
        };
        let text = Error::Value {
            setting,
            fault: Fault::NotText,
        }
        .to_string();
        assert_eq!(text, "ORBITED_LOG=a\\nb\\u{1b}[2J: not UTF-8");
    }

    #[test]
    fn an_empty_value_is_shown_as_quotes() {
        let setting = Setting {
            origin: Origin::Flag,
            flag: "log",
            value: String::new(),
        };
        assert_eq!(setting.to_string(), "--log \"\"");
    }
}
