//! Where figures come from: the machine, the moment, the command. Figures without these say nothing.
//!
//! In: `/proc`, the clock, words. Out: short texts.

use crate::sys;
use std::fs;
use std::thread::available_parallelism;

/// What a table of figures must be headed by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// As in `/proc/cpuinfo`.
    pub processor: String,
    /// Its cores that may be used.
    pub cores: usize,
    /// Its release.
    pub kernel: String,
    /// `2026-11-22 07:00 UTC`.
    pub moment: String,
}

impl Provenance {
    /// Of this machine, now.
    #[must_use]
    pub fn here() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            processor: processor(&text("/proc/cpuinfo")),
            cores: available_parallelism().map_or(1, usize::from),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            moment: sys::utc(),
        }
    }

    /// In a line.
    #[must_use]
    pub fn line(&self) -> String {
        let cores = match self.cores {
            1 => "1 core".to_owned(),
            cores => format!("{cores} cores"),
        };
        let (processor, kernel, moment) = (&self.processor, &self.kernel, &self.moment);
        format!("{processor}, {cores}; Linux {kernel}; {moment}")
    }
}

/// x86 says `model name`, ARM often nothing.
fn processor(cpuinfo: &str) -> String {
    let mut fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let name = fields.find(|(key, _)| matches!(key.trim(), "model name" | "Model" | "cpu"));
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}

/// Words as a shell takes them back.
#[must_use]
pub fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().map(quoted).collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=%+@".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named() {
        let x86 = "processor\t: 0\nvendor_id\t: x\nmodel name\t: AMD EPYC\nflags\t: fpu\n";
        assert_eq!(processor(x86), "AMD EPYC");
        assert_eq!(processor(""), std::env::consts::ARCH);
        let here = Provenance::here();
        assert!(here.cores > 0 && !here.kernel.is_empty());
        assert!(here.moment.ends_with(" UTC"), "{}", here.moment);
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_cut_them() {
        let words = ["hold", "--server", "a b --c", "it's", "", "p99<=1"];
        assert_eq!(
            command(words),
            "hold --server 'a b --c' 'it'\\''s' '' 'p99<=1'"
        );
    }
}
