//! Everything once, tiny: that it works, in seconds. For a CI.

use super::ROWS;
use crate::flags::Options;
use crate::mode;
use crate::report::{Bar, Report};
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
    let options = Options {
        connections: 50,
        total: 100,
        rate: 50.0,
        size: 200,
        time: Duration::from_millis(200),
        settle: Duration::from_millis(20),
        idle: Duration::from_millis(50),
        ..options.clone()
    };
    for row in &ROWS {
        let modes = mode::ROWS.iter().filter(|mode| mode.name != "template");
        for mode in modes.filter(|mode| row.suits(mode).is_ok()) {
            each(row.report(&options, mode)?)?;
        }
    }
    Ok(())
}

/// Nothing may be lost; figures of so few connections say nothing.
#[must_use]
pub fn bars() -> Vec<Bar> {
    vec![Bar::losses(0.0)]
}
