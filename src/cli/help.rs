//! The texts about settings: `--help`, `orbited check`, `orbited config`, all made from the table.
//!
//! Data in: the table, and for `check` the settings in force. Data out: whole texts, each line
//! ended. This file must not know any flag by name, besides in the examples.

use super::flag::{Flag, Group, env_name};
use super::table::FLAGS;
use super::{ConfigFormat, Origin, Settings};
use crate::config::Config;
use crate::config::keys::KEYS;

/// `orbited 0.4.0`, with the line's end.
pub fn version() -> String {
    format!("orbited {}\n", env!("CARGO_PKG_VERSION"))
}

/// The text of `--help`, in lines of at most 100 characters.
pub fn help() -> String {
    let mut text = USAGE.to_owned();
    for group in Group::ALL {
        text.push_str(&format!("\n{}:\n", group.title()));
        let flags = FLAGS.iter().filter(|flag| flag.group == group);
        flags.for_each(|flag| text.push_str(&entry(flag)));
    }
    text.push_str(RULES);
    for key in &KEYS {
        let head = format!("    {}={}", key.name, key.form);
        text.push_str(&columns(
            head,
            &format!("{} (default\u{a0}{})", key.help, key.default),
        ));
    }
    text.push_str(EXAMPLES);
    text
}

/// The text of `orbited check`: one line per setting, its value, and where that came from; and for each of these
/// channels what holds for it, and which rule decides that.
pub fn check(settings: &Settings, names: &[String]) -> String {
    let explained = names.iter().map(|name| explain(settings, name));
    in_force(settings) + &explained.collect::<String>()
}

/// Of a flag that repeats, a line for each value.
fn in_force(settings: &Settings) -> String {
    let rows = FLAGS
        .iter()
        .zip(&settings.origins)
        .flat_map(|(flag, origin)| {
            let from = match origin {
                Origin::Default => "default".to_owned(),
                Origin::Env => format!("env {}", env_name(flag.name)),
                Origin::Flag => format!("flag --{}", flag.name),
            };
            let text = flag.show(&settings.config);
            let values: Vec<&str> = match flag.between() {
                Some(between) => text.split(between).map(str::trim).collect(),
                None => vec![&text],
            };
            let row = |value| [flag.name.to_owned(), printable(value), from.clone()];
            values.into_iter().map(row).collect::<Vec<_>>()
        });
    aligned(rows.collect())
}

fn explain(settings: &Settings, name: &str) -> String {
    let config = &settings.config;
    let checked = !config.token_keys.is_empty() || !config.token_jwks.is_empty();
    let rows = config.policies.explain(name).into_iter().map(|part| {
        let from = part
            .rule
            .map_or("default".to_owned(), |rule| format!("rule {rule}"));
        let from = match part.setting.needs_token() && !checked {
            true => format!("{from} (there is no --token-key: only the application)"),
            false => from,
        };
        [
            format!("  {}", part.key.name),
            part.setting.to_string(),
            printable(&from),
        ]
    });
    format!("\nchannel {}\n{}", printable(name), aligned(rows.collect()))
}

/// The README's table of the keys of rules.
pub fn keys_markdown() -> String {
    let mut text = "| key | default | what it does |\n|---|---|---|\n".to_owned();
    for key in &KEYS {
        let form = key.form.replace('|', "\\|");
        let (name, default, help) = (key.name, key.default, key.help);
        text.push_str(&format!("| `{name}={form}` | `{default}` | {help} |\n"));
    }
    text
}

/// The text of `orbited config`: every setting that exists, in this format.
pub fn settings(format: ConfigFormat) -> String {
    match format {
        ConfigFormat::Text => aligned(FLAGS.iter().map(row).collect()),
        ConfigFormat::Markdown => markdown(),
        ConfigFormat::Env => env(),
    }
}

/// The README's table.
pub fn markdown() -> String {
    let mut text = "| flag | default | from … to | what it does |\n|---|---|---|---|\n".to_owned();
    for flag in FLAGS {
        let [_, value, default, range] = row(flag).map(|cell| cell.replace('|', "\\|"));
        let value = if value.is_empty() {
            value
        } else {
            format!(" {value}")
        };
        let name = format!("`--{}{value}`", flag.name);
        let help = meaning(flag).replace('|', "\\|");
        text.push_str(&format!("| {name} | `{default}` | {range} | {help} |\n"));
    }
    text
}

/// A file of variables: all defaults, commented out.
fn env() -> String {
    let mut text = String::new();
    let default = Config::default();
    for flag in FLAGS {
        wrap(&meaning(flag), WIDTH - 2)
            .iter()
            .for_each(|line| text.push_str(&format!("# {line}\n")));
        text.push_str(&format!(
            "#{}={}\n",
            env_name(flag.name),
            flag.show(&default)
        ));
    }
    text
}

/// A setting in short: name, placeholder, default, range.
fn row(flag: &Flag) -> [String; 4] {
    let range = flag
        .range()
        .map_or(String::new(), |(min, max)| format!("{min} … {max}"));
    let (name, value) = (flag.name.to_owned(), flag.placeholder().to_owned());
    [name, value, flag.show(&Config::default()), range]
}

fn meaning(flag: &Flag) -> String {
    let repeats = if flag.repeats() { " May repeat." } else { "" };
    format!("{}{repeats}", flag.help)
}

/// A flag's lines in `--help`.
fn entry(flag: &Flag) -> String {
    let head = format!("    --{} {}", flag.name, flag.placeholder());
    let default = flag.show(&Config::default());
    // A no-break space, so that the default stays with its word.
    columns(head, &format!("{} (default\u{a0}{default})", meaning(flag)))
}

/// What something is called, and beside it, or under it where that is long, what it does.
fn columns(head: String, about: &str) -> String {
    let lines = wrap(about, WIDTH - COLUMN).into_iter();
    let mut lines = lines.map(|line| line.replace('\u{a0}', " "));
    let mut text = head.trim_end().to_owned();
    if text.len() < COLUMN {
        let first = lines.next().unwrap_or_default();
        text = format!("{text:<COLUMN$}{first}");
    }
    lines.for_each(|line| text.push_str(&format!("\n{:COLUMN$}{line}", "")));
    text + "\n"
}

/// Text in lines of at most `width` characters, where its words allow.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Cells in columns, two spaces between them.
fn aligned<const N: usize>(rows: Vec<[String; N]>) -> String {
    let width = |at: usize| {
        rows.iter()
            .map(|row| row[at].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}  "));
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn printable(text: &str) -> String {
    super::logging::Escaped(text).to_string()
}

const USAGE: &str = "\
Usage: orbited [FLAGS]                      run; without flags a demo on this machine
       orbited check [FLAGS] [CHANNEL…]     print the settings in force and where each came from,
                                            and what holds for these channels
       orbited config [--env|--markdown]    print every setting there is
       orbited version
       orbited publish CHANNEL [DATA|-]     these ask a running node; each has its own --help
       orbited sessions | channels | kick

Every flag has a variable: --max-sessions is ORBITED_MAX_SESSIONS. A flag wins over its variable.
Sizes and times are written with units: 64KiB, 1MiB; 500ms, 30s, 5m, 24h.

    -h, --help                      Print this.
    -V, --version                   Print the version.
";

const RULES: &str = "
Channel rules, as in --channel 'chat/** history=100,1h presence publish=user':
    The pattern is a name, a/* (one segment more), a/** (one or more), * or **. All rules that
    match a name apply; for each key the last of them that has it decides. Keys:
";

const EXAMPLES: &str = "
Examples:
    orbited
    orbited --listen 127.0.0.1:8080 --internal off
    orbited --listen unix:/run/orbited/http.sock --max-sessions 50000 --session-timeout 30s
    orbited --allow-origin https://example.org --log info,orbited::session=debug
    orbited --channel '** publish=user' --channel 'news/** publish=app rate=5/s'
    ORBITED_MAX_QUEUE=256KiB orbited check
";

/// Characters of a line of help.
const WIDTH: usize = 100;
/// Where the meanings start.
const COLUMN: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parse::tests::run;

    #[test]
    fn help_lines_have_at_most_100_characters() {
        for text in [
            help(),
            settings(ConfigFormat::Env),
            settings(ConfigFormat::Text),
        ] {
            let longest = text
                .lines()
                .max_by_key(|line| line.chars().count())
                .unwrap_or("");
            assert!(longest.chars().count() <= WIDTH, "{longest}");
        }
    }

    #[test]
    fn help_names_every_flag_with_its_default_under_its_group() {
        let text = help();
        for flag in FLAGS {
            let title = text.find(&format!("\n{}:\n", flag.group.title()));
            let line =
                text.find(format!("\n    --{} {}", flag.name, flag.placeholder()).trim_end());
            assert!(title.is_some() && title < line, "--{}", flag.name);
            let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(joined.contains(&format!("(default {})", flag.show(&Config::default()))));
        }
    }

    #[test]
    fn the_examples_are_read_without_an_error() {
        for line in EXAMPLES
            .lines()
            .filter_map(|line| line.strip_prefix("    orbited"))
        {
            // Every second piece stands in quotes.
            let pieces = line.split('\'').enumerate();
            let args = pieces.flat_map(|(at, piece)| match at % 2 {
                0 => piece.split_whitespace().collect(),
                _ => vec![piece],
            });
            let args: Vec<_> = args.collect();
            assert!(run(&args, &[]).is_ok(), "{line}");
        }
    }

    #[test]
    fn check_says_where_each_setting_came_from() {
        let env = [("ORBITED_LINGER", "5s")];
        let text = run(&["check", "--max-queue", "2MiB"], &env)
            .map(|s| check(&s, &[]))
            .unwrap_or_default();
        assert_eq!(text.lines().count(), FLAGS.len());
        let has = |words: &str| {
            text.lines()
                .any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == words)
        };
        assert!(has("linger 5s env ORBITED_LINGER"), "{text}");
        assert!(has("max-queue 2MiB flag --max-queue"), "{text}");
        assert!(has("max-head 16KiB default"), "{text}");
        let rules = ["--channel", "a presence", "--channel", "b publish=app"];
        let text = run(&rules, &[]).map(|s| check(&s, &[])).unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|l| l.starts_with("channel ")).collect();
        let words = |line: &&str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            lines.iter().map(words).collect::<Vec<_>>(),
            [
                "channel a presence flag --channel",
                "channel b publish=app flag --channel"
            ]
        );
    }

    #[test]
    fn check_says_which_rule_decides_for_a_channel() {
        let args = [
            "--channel",
            "** publish=user",
            "--channel",
            "chat/** presence subscribe=token",
        ];
        let settings = run(&args, &[]).unwrap();
        let names = ["chat/a".to_owned(), "b\n".to_owned()];
        let text = check(&settings, &names);
        let explained = text.split_once("\n\nchannel").unwrap().1;
        assert_eq!(
            explained,
            " chat/a
  subscribe  token  rule chat/** presence subscribe=token (there is no --token-key: only the application)
  publish    user   rule ** publish=user
  history    off    default
  presence   list   rule chat/** presence subscribe=token
  message    max    default
  rate       off    default
  slow       close  default
  lazy       off    default

channel b\\n
  subscribe  anyone  default
  publish    user    rule ** publish=user
  history    off     default
  presence   off     default
  message    max     default
  rate       off     default
  slow       close   default
  lazy       off     default
"
        );
    }

    #[test]
    fn help_names_every_key_of_a_rule() {
        let text = help();
        for key in &KEYS {
            let line = format!("\n    {}={}", key.name, key.form);
            assert!(text.contains(&line), "{}", key.name);
        }
    }

    #[test]
    fn the_markdown_table_has_a_row_of_four_cells_per_flag() {
        let text = markdown();
        assert_eq!(text.lines().count(), FLAGS.len() + 2);
        for line in text.lines() {
            assert_eq!(line.replace("\\|", "").matches('|').count(), 5, "{line}");
        }
        assert!(
            text.contains("| `--max-sessions COUNT` | `1000000` | 1 … 16777216 |"),
            "{text}"
        );
    }

    #[test]
    fn the_version_is_one_line() {
        assert_eq!(
            version(),
            format!("orbited {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}
