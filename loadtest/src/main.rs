//! `orbited-loadtest`: holds, feeds and reopens many connections to a push server, and says what each costs it
//! beside a server that does nothing else than send.
//!
//! In data-path order: `flags` and `scenario` decide what is done; `server` starts what is measured, `floor` is the
//! server to compare with; `crowd` starts load processes, each a `worker` around an `engine` of clients whose
//! protocol is a `mode`, read by `proto`; `publish` sends messages that `payload` marks and `tally` counts; `proc`
//! reads what it cost, `report` prints it; `watch` looks on, `progress` is its line. `sys` has the unsafe calls.

mod crowd;
mod engine;
mod flags;
mod floor;
mod held;
mod mode;
mod payload;
mod proc;
mod progress;
mod proto;
mod publish;
mod report;
mod scenario;
mod server;
mod sys;
mod tally;
mod trouble;
mod watch;
mod worker;

use flags::{Command, Options};
use report::{Bar, Report};
use scenario::smoke;
use std::fs::OpenOptions;
use std::io::Write as _;
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
            let mut missed = Vec::new();
            for mode in &options.modes {
                let report = row.report(&options, mode)?;
                missed.extend(tell(&options, &report, &options.bars)?);
            }
            return Ok(missed);
        }
        Command::Smoke(options) => {
            let mut results = Vec::new();
            smoke::run(&options, |report| {
                results.push(tell(&options, &report, &smoke::bars()));
            })?;
            let missed: Result<Vec<_>, _> = results.into_iter().collect();
            return Ok(missed?.concat());
        }
    }
    Ok(Vec::new())
}

fn tell(options: &Options, report: &Report, bars: &[Bar]) -> Result<Vec<String>, Trouble> {
    println!("{}", report.text());
    if let Some(path) = &options.json {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let written = file.and_then(|mut file| writeln!(file, "{}", report.json()));
        written.map_err(Trouble::io("writing the lines of JSON"))?;
    }
    Ok(report::missed(report, bars))
}
