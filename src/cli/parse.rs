//! From arguments and environment to a `Command`: flag over variable over default.
//!
//! Data in: arguments without the program's name, and the whole environment. Data out: what to do,
//! or the first thing that is wrong. Values of a source that is overruled are not looked at. This
//! file must not know any flag by name: rows are `table`'s, agreement between them is `rules`'.

use std::ffi::{OsStr, OsString};

use lexopt::{Arg, Parser};

use super::call::{self, Call, Verb};
use super::error::{Error, Fault, Setting};
use super::flag::{ENV_PREFIX, Flag, Kind};
use super::table::FLAGS;
use super::{Command, ConfigFormat, Origin, Settings, auth, rules, table};
use crate::config::Config;
use crate::config::near::nearest;
use crate::config::pattern::{BadPattern, Pattern};

/// Reads a command line. `args` starts after the program's name; of `env` only `ORBITED_…` is read,
/// and only where settings are asked for, so that `--help` works whatever is set.
pub fn parse(
    args: impl Iterator<Item = OsString>,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Command, Error> {
    let mut parser = Parser::from_args(args.collect::<Vec<_>>());
    let mut given = vec![Vec::new(); FLAGS.len()];
    let mut check = false;
    let mut names = Vec::new();
    while let Some(arg) = parser
        .next()
        .map_err(|error| stray(error, command(check)))?
    {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Short(letter) => return Err(unknown_flag(format!("-{letter}"))),
            Arg::Long(name) => {
                let (at, flag) = row(name)?;
                take(&mut parser, flag, &mut given[at])?;
            }
            Arg::Value(word) => match word.to_str() {
                _ if check => names.push(channel(&word)?),
                Some("check") => check = true,
                Some("config") => return config(parser, &given),
                Some("version") => return nothing_more(parser, "version", Command::Version),
                Some(word) if Verb::find(word).is_some() => return ask(parser, word, given, env),
                _ => return Err(unknown_command(&word)),
            },
        }
    }
    let settings = settle(given, env)?;
    Ok(if check {
        Command::Check(settings, names)
    } else {
        Command::Run(settings)
    })
}

/// The rest behind a command that asks a running node. Of the settings it has those that say where that is.
fn ask(
    parser: Parser,
    word: &str,
    mut given: Vec<Vec<OsString>>,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Command, Error> {
    let verb = Verb::find(word).ok_or_else(|| unknown_command(OsStr::new(word)))?;
    let foreign =
        |(flag, values): &(&Flag, &Vec<_>)| !values.is_empty() && verb.common(flag.name).is_none();
    if let Some((flag, _)) = FLAGS.iter().zip(&given).find(foreign) {
        let word = format!("--{}", flag.name);
        return Err(unexpected(OsStr::new(&word), verb.name));
    }
    let ask = call::parse(parser, verb, |parser, at, flag| match given.get_mut(at) {
        Some(values) => take(parser, flag, values),
        None => Ok(()),
    })?;
    match ask {
        Ok(ask) => {
            let settings = settle(given, env)?;
            Ok(Command::Call(Call { settings, ask }))
        }
        Err(help) => Ok(help),
    }
}

fn command(check: bool) -> &'static str {
    if check { "check" } else { "orbited" }
}

/// The name of a channel that `check` is to explain. What no rule can be spelled for may be a name all the same.
fn channel(word: &OsStr) -> Result<String, Error> {
    let text = word.to_string_lossy().into_owned();
    let bad = match Pattern::parse(&text) {
        Ok(Pattern::Name(_)) | Err(BadPattern::PartialWildcard) => return Ok(text),
        Ok(_) => None,
        Err(bad) => Some(bad),
    };
    Err(Error::NotAChannel { word: text, bad })
}

/// The rest after `config`: one format or none, and no settings before it either.
fn config(mut parser: Parser, given: &[Vec<OsString>]) -> Result<Command, Error> {
    let before = given
        .iter()
        .position(|values| !values.is_empty())
        .and_then(|at| FLAGS.get(at));
    if let Some(flag) = before {
        return Err(unexpected(
            OsStr::new(&format!("--{}", flag.name)),
            "config",
        ));
    }
    let format = match parser.next().map_err(|error| stray(error, "config"))? {
        None => ConfigFormat::Text,
        Some(Arg::Long("markdown")) => ConfigFormat::Markdown,
        Some(Arg::Long("env")) => ConfigFormat::Env,
        Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Command::Help),
        Some(other) => return Err(unexpected(&spelled(&other), "config")),
    };
    nothing_more(parser, "config", Command::Config(format))
}

fn nothing_more(mut parser: Parser, name: &'static str, done: Command) -> Result<Command, Error> {
    match parser.next().map_err(|error| stray(error, name))? {
        None => Ok(done),
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Help),
        Some(more) => Err(unexpected(&spelled(&more), name)),
    }
}

/// An argument as it was typed.
fn spelled(arg: &Arg<'_>) -> OsString {
    match arg {
        Arg::Short(letter) => format!("-{letter}").into(),
        Arg::Long(name) => format!("--{name}").into(),
        Arg::Value(word) => word.clone(),
    }
}

fn row(name: &str) -> Result<(usize, &'static Flag), Error> {
    table::find(name).ok_or_else(|| unknown_flag(format!("--{name}")))
}

/// Takes a flag's value off the command line; a switch has one only after `=`.
fn take(parser: &mut Parser, flag: &Flag, values: &mut Vec<OsString>) -> Result<(), Error> {
    if !values.is_empty() && !flag.repeats() {
        return Err(Error::Repeated { flag: flag.name });
    }
    let value = match flag.kind {
        Kind::Switch { .. } => parser.optional_value().unwrap_or("true".into()),
        _ => {
            let missing = |_| Error::NoValue {
                flag: flag.name,
                form: flag.form(),
            };
            parser.value().map_err(missing)?
        }
    };
    values.push(value);
    Ok(())
}

/// Sets each field from the strongest source that names it, then looks at all of them together.
fn settle(
    given: Vec<Vec<OsString>>,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Settings, Error> {
    let variables = variables(env)?;
    let origins = vec![Origin::Default; FLAGS.len()];
    let mut settings = Settings {
        config: Config::default(),
        origins,
    };
    let sources = given.into_iter().zip(variables);
    let rows = FLAGS.iter().zip(settings.origins.iter_mut()).zip(sources);
    for ((flag, from), (typed, variable)) in rows {
        let (origin, values) = match (typed, variable) {
            (typed, _) if !typed.is_empty() => (Origin::Flag, typed),
            (_, Some(value)) => (Origin::Env, vec![value]),
            _ => continue,
        };
        set(flag, &mut settings.config, origin, values)?;
        *from = origin;
    }
    auth::close(&mut settings);
    rules::agree(&settings)?;
    Ok(settings)
}

fn set(flag: &Flag, to: &mut Config, origin: Origin, given: Vec<OsString>) -> Result<(), Error> {
    let wrong = |value, fault| {
        let setting = Setting {
            origin,
            flag: flag.name,
            value,
        };
        Error::Value { setting, fault }
    };
    let mut values = Vec::new();
    for value in given {
        let lossy = |value: OsString| wrong(value.to_string_lossy().into_owned(), Fault::NotText);
        let text = value.into_string().map_err(lossy)?;
        match origin {
            Origin::Env => match flag.between() {
                Some(between) => values.extend(text.split(between).map(str::to_owned)),
                None => values.push(text),
            },
            _ => values.push(text),
        }
    }
    flag.apply(to, &values).map_err(|misfit| {
        let value = values.get(misfit.at).cloned().unwrap_or_default();
        wrong(value, misfit.fault)
    })
}

/// Our variables by row. An unknown one is an error: a misspelt limit must not be silently absent.
fn variables(
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<Option<OsString>>, Error> {
    let mut values = vec![None; FLAGS.len()];
    let mut unknown = None;
    for (name, value) in env {
        let name = name.to_string_lossy();
        let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
            continue;
        };
        if let Some((at, _)) = table::of_variable(&name) {
            values[at] = Some(value);
            continue;
        }
        // The environment has no order; the least name makes the message the same every time.
        let near = nearest(&rest.to_ascii_lowercase().replace('_', "-"), names());
        let name = name.into_owned();
        let first = unknown.take().filter(|(least, _)| *least < name);
        unknown = first.or(Some((name, near)));
    }
    unknown.map_or(Ok(values), |(name, near)| {
        Err(Error::UnknownVariable { name, near })
    })
}

fn unknown_flag(flag: String) -> Error {
    let others = ["help", "version"].into_iter();
    let long = flag.strip_prefix("--");
    let near = long.and_then(|name| nearest(name, names().chain(others)));
    Error::UnknownFlag { flag, near }
}

fn unknown_command(word: &OsStr) -> Error {
    let word = word.to_string_lossy().into_owned();
    let verbs = call::VERBS.iter().map(|verb| verb.name);
    let near = nearest(
        &word,
        ["check", "config", "version"].into_iter().chain(verbs),
    );
    Error::UnknownCommand { word, near }
}

fn unexpected(word: &OsStr, command: &'static str) -> Error {
    Error::Unexpected {
        word: word.to_string_lossy().into_owned(),
        command,
    }
}

/// What `lexopt` itself refuses between two arguments: a value after `=` that nothing takes.
fn stray(error: lexopt::Error, command: &'static str) -> Error {
    let word = match error {
        lexopt::Error::UnexpectedValue { option, value } => {
            format!("{option}={}", value.to_string_lossy())
        }
        other => other.to_string(),
    };
    Error::Unexpected { word, command }
}

fn names() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().map(|flag| flag.name)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
pub(super) mod tests;
