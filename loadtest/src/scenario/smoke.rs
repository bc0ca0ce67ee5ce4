//! Everything once, tiny: that it works, in seconds. For a CI.

use super::{CROWDLESS, ROWS, Row, SPREADS};
use crate::flags::Options;
use crate::mode;
use crate::report::{Bar, LOSSES, Report};
use crate::trouble::Trouble;
use std::time::Duration;

/// Runs every scenario with every mode that suits it; `each` gets the reports.
///
/// # Errors
/// The first run that could not be made, and what `each` says.
pub fn run(
    options: &Options,
    mut each: impl FnMut(Report) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    for row in &ROWS {
        // One mode will do where no crowd has it.
        let suits = |mode: &&mode::Row| match CROWDLESS.contains(&row.name) {
            true => mode.name == "raw",
            false => mode.name != "template" && row.suits(mode).is_ok(),
        };
        for mode in mode::ROWS.iter().filter(suits) {
            for tiny in tiny(row, options) {
                each(row.report(&tiny, mode)?)?;
            }
        }
    }
    for mode in &options.modes {
        for row in ROWS.iter().filter(|row| SPREADS.contains(&row.name)) {
            for tiny in tiny(row, options).into_iter().take(1) {
                each(row.report(&copies(tiny), mode)?)?;
            }
        }
    }
    Ok(())
}

/// The same over several copies of the server.
fn copies(tiny: Options) -> Options {
    Options {
        servers: 3,
        floor: true,
        floor_heartbeat: Some(Duration::from_millis(20)),
        ..tiny
    }
}

/// What a scenario is run with: its own flags, and few of everything.
fn tiny(row: &Row, options: &Options) -> Vec<Options> {
    let tiny = Options {
        connections: 50,
        total: 100,
        rate: 50.0,
        size: 200,
        time: Duration::from_millis(200),
        times: 2,
        every: Duration::from_millis(60),
        subscriptions: 3,
        settle: Duration::from_millis(20),
        twice: true,
        between: Duration::from_millis(20),
        idle: Duration::from_millis(50),
        ..options.clone()
    };
    match row.name {
        "fanout" => {
            let closed = Options {
                in_flight: Some(4),
                ..tiny.clone()
            };
            vec![tiny, closed]
        }
        "chat" | "peer" => vec![Options {
            rate: 1000.0,
            ..tiny
        }],
        // The server is told by its environment; one that runs already cannot be.
        "heartbeats" => {
            let told = |command: &String| Options {
                command: Some(format!("env ORBITED_HEARTBEAT=1s {command}")),
                heartbeat: Duration::from_secs(1),
                time: Duration::from_millis(1600),
                storm_subscribers: 10,
                ..tiny.clone()
            };
            options.command.as_ref().map(told).into_iter().collect()
        }
        "soak" => {
            let told = |command: &String| Options {
                command: Some(format!("env ORBITED_SESSION_TIMEOUT=100ms {command}")),
                churn: Some(200.0),
                hold_s: 1,
                ..tiny.clone()
            };
            let churn = options.command.as_ref().map(told);
            [tiny.clone()].into_iter().chain(churn).collect()
        }
        _ => vec![tiny],
    }
}

/// Nothing may be lost where something can be, every idle connection hears something, and nothing is left of those who
/// left; other figures of so few say nothing.
#[must_use]
pub fn bars(report: &Report) -> Vec<Bar> {
    let counted = report.value(LOSSES).map(|_| Bar::losses(0.0));
    let mut bars: Vec<Bar> = counted.into_iter().collect();
    // A client of STOMP is sent those that it asks for, and the mode asks for none.
    if report.scenario == "heartbeats" && report.mode != "stomp" {
        bars.extend(Bar::parse("heartbeats>=1"));
    }
    if report.value("churn").is_some() {
        bars.extend(Bar::parse("left<=0"));
        bars.extend(Bar::parse("over<=0"));
    }
    bars
}
