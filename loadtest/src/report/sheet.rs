//! Where reports go: standard output, lines of JSON, a page.
//!
//! In: reports, one by one. Out: what `--json` and `--html` ask for, and the bars that were not met.

use super::html::{self, Judged};
use super::{Bar, Report, missed};
use crate::provenance::Provenance;
use crate::trouble::Trouble;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

/// The reports of an invocation.
#[derive(Debug, Default)]
pub struct Sheet {
    json: Option<PathBuf>,
    page: Option<PathBuf>,
    provenance: Provenance,
    command: String,
    runs: Vec<Judged>,
    missed: Vec<String>,
}

impl Sheet {
    /// One without reports; `command` is what made them.
    #[must_use]
    pub fn new(json: Option<PathBuf>, page: Option<PathBuf>, command: String) -> Self {
        Self {
            json,
            page,
            provenance: Provenance::here(),
            command,
            ..Self::default()
        }
    }

    /// Prints a report, and adds it to the files. The page is written anew each time, so that what was found before
    /// a run fails is not lost.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn tell(&mut self, report: Report, bars: &[Bar]) -> Result<(), Trouble> {
        println!("{}", report.text());
        self.add(report.title(), report, bars)
    }

    /// Adds a report under a title to the files only.
    ///
    /// # Errors
    /// As [`Self::tell`].
    pub fn add(&mut self, title: String, report: Report, bars: &[Bar]) -> Result<(), Trouble> {
        self.missed.extend(missed(&report, bars));
        if let Some(path) = &self.json {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let written = file.and_then(|mut file| writeln!(file, "{}", report.json()));
            written.map_err(Trouble::io("writing the lines of JSON"))?;
        }
        self.runs.push(Judged {
            title,
            report,
            bars: bars.to_vec(),
        });
        if let Some(path) = &self.page {
            let page = html::page(&self.runs, &self.provenance, &self.command);
            fs::write(path, page).map_err(Trouble::io("writing the page"))?;
        }
        Ok(())
    }

    /// Adds a run that could not be made to what was not met.
    pub fn fail(&mut self, line: String) {
        self.missed.push(line);
    }

    /// Every bar that was not met, a line each.
    #[must_use]
    pub fn missed(self) -> Vec<String> {
        self.missed
    }
}
