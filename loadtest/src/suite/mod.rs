//! The published tables: every row of `rows` against one server, as Markdown.
//!
//! In: a server. Out: on standard output tables as they go, under the machine and the date, and the command of each
//! row; then the bars that were not met.

mod markdown;
mod rows;

use crate::flags::{self, Command, Options};
use crate::mode;
use crate::provenance::{self, Provenance};
use crate::report::{Bar, Report, Sheet};
use crate::scenario;
use crate::trouble::Trouble;
use markdown::{HEAD, is_held};
use rows::{ROWS, Row};
use std::ffi::OsString;
use std::thread::available_parallelism;

/// Runs the rows, all or those with `--only` in their words. A row that cannot be run is a bar that is not met.
///
/// # Errors
/// No server is named, no row is meant, or a file cannot be written.
pub fn run(asked: &Options, mut sheet: Sheet) -> Result<Vec<String>, Trouble> {
    let only = asked.only.as_deref().unwrap_or_default();
    let is_meant = |row: &&Row| row.words.contains(only) && !(asked.quick && row.long);
    let rows: Vec<&Row> = ROWS.iter().filter(is_meant).collect();
    if rows.is_empty() {
        return Err(Trouble::Usage(format!(
            "no row of the suite has {only:?} in it"
        )));
    }
    // Before minutes of work: whether there is a server at all.
    drop(asked.server()?);
    println!("{}.", Provenance::here().line());
    if asked.quick {
        println!(
            "Quick: too few connections for bars on memory and time, which are shown, not held."
        );
    }
    tables(&rows, asked, &mut sheet)?;
    println!("\nEach run again:\n\n```");
    for row in rows {
        println!("{}", row.command(asked));
    }
    println!("```");
    Ok(sheet.missed())
}

fn tables(rows: &[&Row], asked: &Options, sheet: &mut Sheet) -> Result<(), Trouble> {
    let mut group = "";
    for row in rows {
        if row.group != group {
            group = row.group;
            print!("\n### {group}\n\n{HEAD}");
        }
        match reports(row, asked) {
            Ok(reports) => tell(row, reports, asked.quick, sheet)?,
            Err(trouble) => {
                let words = row.words;
                let trouble = trouble.to_string().replace(['\n', '|'], " ");
                println!("| `{words}` | could not run: {trouble} ||||| **no** |");
                sheet.fail(format!("{words}: could not run: {trouble}"));
            }
        }
    }
    Ok(())
}

fn reports(row: &Row, asked: &Options) -> Result<Vec<(Report, Vec<Bar>)>, Trouble> {
    let (scenario, options) = row.parsed(asked)?;
    let modes = options.modes.iter();
    let report = |mode: &&'static mode::Row| {
        let report = scenario.report(&options, mode)?;
        Ok((report, options.bars.clone()))
    };
    modes.map(report).collect()
}

fn tell(
    row: &Row,
    reports: Vec<(Report, Vec<Bar>)>,
    quick: bool,
    sheet: &mut Sheet,
) -> Result<(), Trouble> {
    let words: Vec<_> = row
        .words
        .split(' ')
        .filter(|word| *word != "--floor")
        .collect();
    let name = words.join(" ");
    for (report, bars) in reports {
        print!(
            "{}",
            markdown::lines(&name, &report, &bars, row.shown, quick)
        );
        let held = bars.into_iter().filter(|bar| is_held(bar, &report, quick));
        let held: Vec<_> = held.collect();
        sheet.add(name.clone(), report, &held)?;
    }
    Ok(())
}

impl Row {
    /// The words, made quick if that is asked for, with the flags that every row has.
    fn full(&self, quick: bool) -> Vec<String> {
        let words = self.words.split(' ').chain(pins().then_some("--pin"));
        let words = words.chain(QUICK.split(' ').filter(|_| quick));
        let bars = self.bars.iter().flat_map(|bar| ["--bar", bar]);
        words.chain(bars).map(str::to_owned).collect()
    }

    fn parsed(&self, asked: &Options) -> Result<(&'static scenario::Row, Options), Trouble> {
        let words = self.full(asked.quick);
        let Command::Run(row, options) = flags::parse(words.iter().map(OsString::from))? else {
            return Err(Trouble::Usage(format!("{} is no scenario", self.words)));
        };
        let options = Options {
            command: asked.command.clone(),
            target: asked.target,
            internal: asked.internal,
            pids: asked.pids.clone(),
            repeat: asked.repeat,
            ..options
        };
        Ok((row, options))
    }

    /// What is typed to run it alone.
    fn command(&self, asked: &Options) -> String {
        let mut words = vec!["orbited-loadtest".to_owned()];
        words.extend(self.full(asked.quick));
        if let Some(command) = &asked.command {
            words.extend(["--server".to_owned(), command.clone()]);
        }
        provenance::command(words.iter().map(String::as_str))
    }
}

/// A core of its own for the server needs another for the load.
fn pins() -> bool {
    available_parallelism().is_ok_and(|cores| cores.get() > 1)
}

/// What makes a row a matter of a second; a flag that comes again counts as it comes last.
const QUICK: &str = "-n 200 --total 200 --time 1s --settle 50ms --idle 100ms";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_command_that_the_flags_take() {
        let asked = Options {
            command: Some("server".into()),
            ..Options::default()
        };
        for row in &ROWS {
            let (scenario, options) = row.parsed(&asked).unwrap();
            assert!(row.words.starts_with(scenario.name), "{}", row.words);
            assert_eq!(options.bars.len(), row.bars.len(), "{}", row.words);
            assert!(options.command.is_some());
            assert!(!options.floor || scenario.floor, "{}", row.words);
            assert!(
                options
                    .modes
                    .iter()
                    .all(|mode| scenario.suits(mode).is_ok())
            );
        }
    }

    #[test]
    fn a_quick_row_has_few_connections_and_the_same_bars() {
        let asked = Options {
            quick: true,
            ..Options::default()
        };
        for row in &ROWS {
            let (_, options) = row.parsed(&asked).unwrap();
            assert_eq!(
                (options.connections, options.bars.len()),
                (200, row.bars.len())
            );
        }
    }

    #[test]
    fn rows_of_a_group_follow_each_other() {
        let mut groups: Vec<_> = ROWS.iter().map(|row| row.group).collect();
        groups.dedup();
        let mut sorted = groups.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(groups.len(), sorted.len());
    }

    #[test]
    fn a_rows_command_can_be_typed() {
        let asked = Options {
            command: Some("target/release/orbited --log warn".into()),
            ..Options::default()
        };
        let command = ROWS[0].command(&asked);
        assert!(command.starts_with("orbited-loadtest hold --mode http -n 19000 --floor"));
        assert!(command.contains("--bar 'bytes_per_conn<=128'"), "{command}");
        assert!(command.ends_with("--server 'target/release/orbited --log warn'"));
    }
}
