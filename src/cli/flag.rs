//! What a flag is: a name, a group, a kind of value, and the field of `Config` behind it.
//!
//! Data in: the text of a value. Data out: the field it sets, or the `Fault`; and the field's text.
//! The name of a flag is also its environment name, and its default is what `Config::default()`
//! prints. This file must not know which flags there are.

use super::error::Fault;
use super::value;
use crate::config::Config;
use crate::config::units::{self, Misread};

/// One flag.
pub struct Flag {
    /// The long name, without dashes.
    pub name: &'static str,
    /// Its heading in `--help`.
    pub group: Group,
    /// The form of its values, and the field behind it.
    pub kind: Kind,
    /// What it does, in one or two sentences.
    pub help: &'static str,
}

/// The headings of `--help`, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Addresses and their sockets.
    Listen,
    /// What one session may hold, and how long it lives.
    Sessions,
    /// Channels and messages.
    Channels,
    /// Who may do what.
    Auth,
    /// What the application is told by requests to it.
    Callbacks,
    /// Connections and requests.
    Limits,
    /// Times of connections.
    Timeouts,
    /// What pages may do.
    Browsers,
    /// What is logged.
    Logging,
}

/// The form of a flag's values.
pub enum Kind {
    /// Bytes, with a unit.
    Size(Number),
    /// Milliseconds, with a unit.
    Time(Number),
    /// How many.
    Count(Number),
    /// On when named; `--name=false` is off.
    Switch {
        /// The field.
        read: fn(&Config) -> bool,
        /// Sets the field.
        write: fn(&mut Config, bool),
    },
    /// One value of another form.
    Word {
        /// Stands for the value in help.
        placeholder: &'static str,
        /// What a value must look like.
        form: &'static str,
        /// The field as text, which `write` reads back.
        read: fn(&Config) -> String,
        /// Sets the field.
        write: fn(&mut Config, &str) -> Result<(), Fault>,
    },
    /// Any number of values: the flag repeats, and the variable has all of them.
    Words {
        /// Stands for one value in help.
        placeholder: &'static str,
        /// What one value must look like.
        form: &'static str,
        /// What stands between the values in a variable.
        between: char,
        /// The field as text, with `between` between the values.
        read: fn(&Config) -> String,
        /// Sets the field to all of the values.
        write: fn(&mut Config, &[String]) -> Result<(), Misfit>,
    },
}

/// A numeric field and its bounds, both inclusive, in the unit of the field.
pub struct Number {
    /// The least value.
    pub min: u64,
    /// The greatest value.
    pub max: u64,
    /// The field.
    pub read: fn(&Config) -> u64,
    /// Sets the field; false when this machine's words are too small for it.
    pub write: fn(&mut Config, u64) -> bool,
}

/// Which of several values is wrong, counted from 0, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Index into the values.
    pub at: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Group {
    /// All of them, in the order of `--help`.
    pub const ALL: [Self; 9] = [
        Self::Listen,
        Self::Sessions,
        Self::Channels,
        Self::Auth,
        Self::Callbacks,
        Self::Limits,
        Self::Timeouts,
        Self::Browsers,
        Self::Logging,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Listen => "Listen",
            Self::Sessions => "Sessions",
            Self::Channels => "Channels",
            Self::Auth => "Authentication",
            Self::Callbacks => "Callbacks",
            Self::Limits => "Limits",
            Self::Timeouts => "Timeouts",
            Self::Browsers => "Browsers",
            Self::Logging => "Logging",
        }
    }
}

impl Flag {
    /// Sets the field from the values of one source, at least one; more only where the flag
    /// repeats.
    pub fn apply(&self, config: &mut Config, values: &[String]) -> Result<(), Misfit> {
        let text = values.last().map_or("", String::as_str);
        let one = match &self.kind {
            Kind::Size(n) => units::size(text, n.min, n.max).and_then(|v| n.store(config, v)),
            Kind::Time(n) => units::time(text, n.min, n.max).and_then(|v| n.store(config, v)),
            Kind::Count(n) => units::count(text, n.min, n.max).and_then(|v| n.store(config, v)),
            Kind::Switch { write, .. } => value::switch(text).map(|on| write(config, on)),
            Kind::Word { write, .. } => {
                return write(config, text).map_err(|fault| Misfit { at: 0, fault });
            }
            Kind::Words { write, .. } => return write(config, values),
        };
        one.map_err(|misread| Misfit {
            at: 0,
            fault: misread.into(),
        })
    }

    /// The value in force, as text that the variable of this flag takes.
    pub fn show(&self, config: &Config) -> String {
        match &self.kind {
            Kind::Size(n) => units::show_size((n.read)(config)),
            Kind::Time(n) => units::show_time((n.read)(config)),
            Kind::Count(n) => units::show_count((n.read)(config)),
            Kind::Switch { read, .. } => read(config).to_string(),
            Kind::Word { read, .. } | Kind::Words { read, .. } => read(config),
        }
    }

    /// Whether it may be given several times.
    pub fn repeats(&self) -> bool {
        self.between().is_some()
    }

    /// What stands between several values in a variable.
    pub fn between(&self) -> Option<char> {
        match self.kind {
            Kind::Words { between, .. } => Some(between),
            _ => None,
        }
    }

    /// Stands for the value in help; empty for a switch.
    pub fn placeholder(&self) -> &'static str {
        match &self.kind {
            Kind::Size(_) => "SIZE",
            Kind::Time(_) => "TIME",
            Kind::Count(_) => "COUNT",
            Kind::Switch { .. } => "",
            Kind::Word { placeholder, .. } | Kind::Words { placeholder, .. } => placeholder,
        }
    }

    /// What a value must look like.
    pub fn form(&self) -> &'static str {
        match &self.kind {
            Kind::Size(_) => units::SIZE_FORM,
            Kind::Time(_) => units::TIME_FORM,
            Kind::Count(_) => units::COUNT_FORM,
            Kind::Switch { .. } => value::SWITCH_FORM,
            Kind::Word { form, .. } | Kind::Words { form, .. } => form,
        }
    }

    /// The least and the greatest value as text, for flags that have them.
    pub fn range(&self) -> Option<(String, String)> {
        let (n, show): (_, fn(u64) -> String) = match &self.kind {
            Kind::Size(n) => (n, units::show_size),
            Kind::Time(n) => (n, units::show_time),
            Kind::Count(n) => (n, units::show_count),
            Kind::Switch { .. } | Kind::Word { .. } | Kind::Words { .. } => return None,
        };
        Some((show(n.min), show(n.max)))
    }
}

impl Number {
    fn store(&self, config: &mut Config, n: u64) -> Result<(), Misread> {
        let stored = (self.write)(config, n);
        stored.then_some(()).ok_or_else(|| Misread::TooLarge {
            max: usize::MAX.to_string(),
        })
    }
}

/// The environment name of a flag: `max-sessions` is `ORBITED_MAX_SESSIONS`.
pub fn env_name(flag: &str) -> String {
    format!(
        "{ENV_PREFIX}{}",
        flag.to_ascii_uppercase().replace('-', "_")
    )
}

/// Every environment name starts so.
pub const ENV_PREFIX: &str = "ORBITED_";
