//! The command line: from arguments and environment to a `Command`, and the texts it prints.
//!
//! `table` has one row per flag (`flag` is what a row is), and everything else reads it: `parse`
//! (flags, environment), `call` (the commands that ask a running node), `rules` (settings that must agree), `help` (`--help`, `check`, `config`).
//! `value` is the text forms, `error` what is wrong and the cure, `logging` the log lines. Data out
//! is `config::Config`. It must not know the layers that read the settings,
//! and it does no I/O besides the log.

pub mod auth;
pub mod call;
mod callbacks;
pub mod error;
pub mod fields;
pub mod flag;
pub mod help;
pub mod logging;
pub mod parse;
pub mod rules;
pub mod table;
pub mod value;

pub use call::{Ask, Call, MakeToken};
pub use error::{Error, Fault};
pub use parse::parse;

use crate::config::Config;

/// What the process was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the node with these settings.
    Run(Settings),
    /// Print the settings, and what they come to for these channels (`help::check`), and stop.
    Check(Settings, Vec<String>),
    /// Print every setting that exists (`help::settings`) and stop.
    Config(ConfigFormat),
    /// Ask a running node.
    Call(Call),
    /// Print the `help` of such a command and stop.
    HelpOf(&'static call::Verb),
    /// Print `help::help` and stop.
    Help,
    /// Print `help::version` and stop.
    Version,
}

/// The settings in force, and where each came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The values, within the table's bounds and in agreement with each other.
    pub config: Config,
    /// One per row of `table::FLAGS`, in its order.
    pub origins: Vec<Origin>,
}

impl Settings {
    /// Whether nobody set the flag called `name`.
    pub fn is_default(&self, name: &str) -> bool {
        let row = table::FLAGS.iter().position(|flag| flag.name == name);
        row.and_then(|row| self.origins.get(row)) == Some(&Origin::Default)
    }
}

/// Where a setting came from; the later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `Config::default()`.
    Default,
    /// An `ORBITED_…` variable.
    Env,
    /// The command line.
    Flag,
}

/// How `orbited config` lists the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigFormat {
    /// One aligned line each: name, form, default, allowed range.
    Text,
    /// `--markdown`: the README's table.
    Markdown,
    /// `--env`: a file for `EnvironmentFile=` or `--env-file`, all defaults, commented out.
    Env,
}
