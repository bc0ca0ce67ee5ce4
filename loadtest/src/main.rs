//! `orbited-loadtest`: holds, feeds and reopens many connections to a push server, and says what each costs it
//! beside a server that does nothing else than send.
//!
//! In data-path order: `flags`, `scenario` and `suite` decide what is done; `server` starts what is measured, `floor` is the
//! server to compare with; `crowd` starts load processes, each a `worker` around an `engine` of clients whose
//! protocol is a `mode`, read by `proto`; `publish` sends messages that `payload` marks and `tally` counts; `proc`
//! reads what it cost, `report` prints it; `asker` is a client whose answers are waited for; `watch` looks on:
//! `progress` is its line, `samples` and `curve` what it saw. `provenance` says where figures come from; `sys` has the
//! unsafe calls.

mod asker;
mod beats;
mod crossing;
mod crowd;
mod curve;
mod engine;
mod flags;
mod flights;
mod floor;
mod held;
mod marks;
mod mode;
mod part;
mod payload;
mod pipeline;
mod proc;
mod progress;
mod proto;
mod provenance;
mod publish;
mod report;
mod samples;
mod scenario;

mod server;
mod suite;
mod sys;
mod tally;
mod trend;
mod trouble;
mod watch;
mod worker;

use flags::{Command, Options};
use report::Sheet;
use scenario::smoke;
use std::process::ExitCode;
use trouble::Trouble;

fn main() -> ExitCode {
    let done = flags::parse(std::env::args_os().skip(1)).and_then(obey);
    match done {
        Ok(missed) if missed.is_empty() => ExitCode::SUCCESS,
        Ok(missed) => {
            missed.iter().for_each(|line| eprintln!("not met: {line}"));
            ExitCode::from(3)
        }
        Err(Trouble::Usage(text)) => {
            eprintln!("{text}");
            ExitCode::from(2)
        }
        Err(trouble) => {
            eprintln!("{trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Gives back the bars that were not met.
fn obey(command: Command) -> Result<Vec<String>, Trouble> {
    match command {
        Command::Help => print!("{}", flags::help()),
        Command::Worker => worker::run()?,
        Command::Floor(options) => floor::run(&options)?,
        Command::Run(row, options) => {
            let _ = sys::raise_open_files();
            let mut sheet = sheet(&options);
            for mode in &options.modes {
                sheet.tell(row.report(&options, mode)?, &options.bars)?;
            }
            return Ok(sheet.missed());
        }
        Command::Suite(options) => {
            let _ = sys::raise_open_files();
            let sheet = sheet(&options);
            return suite::run(&options, sheet);
        }
        Command::Smoke(options) => {
            let mut sheet = sheet(&options);
            smoke::run(&options, |report| {
                let bars = smoke::bars(&report);
                sheet.tell(report, &bars)
            })?;
            return Ok(sheet.missed());
        }
    }
    Ok(Vec::new())
}

fn sheet(options: &Options) -> Sheet {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words = ["orbited-loadtest"]
        .into_iter()
        .chain(words.iter().map(String::as_str));
    let command = provenance::command(words);
    Sheet::new(options.json.clone(), options.html.clone(), command)
}
