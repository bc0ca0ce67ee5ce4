//! A server that starts: how soon it is ready, and what it holds before anybody connects.

use super::Case;
use crate::proc::{Usage, program_of};
use crate::report::{Figure, figure};
use crate::server::{Launch, Server};
use crate::trouble::Trouble;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;

/// Looks at the server that was started, then starts and stops others like it.
///
/// # Errors
/// It does not start, or there is no command that starts it.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let (options, server) = (case.options, case.server);
    let command = options.command.as_deref();
    let command = command.ok_or_else(|| Trouble::Usage("start needs --server".into()))?;
    sleep(options.settle);
    let usage = Usage::of(&server.pids)?;
    let mut times_ms = vec![ready_ms(server)];
    for _ in 1..options.times {
        let launch = Launch {
            quiet: true,
            ..options.launch()
        };
        times_ms.push(ready_ms(&Server::start(command, launch)?));
    }
    times_ms.sort_by(f64::total_cmp);
    let slowest = times_ms.last().copied().unwrap_or_default();
    let kib = |bytes: u64| bytes as f64 / 1024.0;
    let mut figures = vec![
        figure("start_to_ready", middle(&times_ms), "ms, the median"),
        figure("start_to_ready_max", slowest, "ms"),
        figure(
            "pss_before",
            kib(usage.pss),
            "KiB, without the program's pages",
        ),
        figure("pss_before_all", kib(usage.pss_all), "KiB with them"),
        figure("rss_before", kib(usage.rss), "KiB"),
        figure("descriptors_before", usage.descriptors as f64, ""),
    ];
    if let Some(pid) = server.pids.first() {
        figures.extend(sizes(&program_of(*pid)?));
    }
    Ok(figures)
}

fn ready_ms(server: &Server) -> f64 {
    server.started_in.as_secs_f64() * 1e3
}

/// The value in the middle of those that are in order.
fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The program's size, and that without symbols where binutils are there to take them out.
fn sizes(program: &Path) -> Vec<Figure> {
    let bytes = |path: &Path| fs::metadata(path).map_or(0.0, |data| data.len() as f64);
    let mut figures = vec![figure("binary", bytes(program) / 1e6, "MB")];
    let copy = std::env::temp_dir().join(format!("orbited-loadtest-{}", std::process::id()));
    let strip = Command::new("strip")
        .arg("-o")
        .args([&copy, program])
        .stderr(Stdio::null())
        .status();
    if strip.is_ok_and(|status| status.success()) {
        figures.push(figure("binary_stripped", bytes(&copy) / 1e6, "MB"));
    }
    // It is not there where there is no strip.
    let _ = fs::remove_file(&copy);
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_a_size() {
        let sizes = sizes(&std::env::current_exe().unwrap());
        assert!(sizes[0].value > 0.1 && sizes[0].name == "binary");
        assert!(sizes.iter().all(|size| size.value <= sizes[0].value));
    }

    #[test]
    fn the_middle_is_found() {
        assert_eq!((middle(&[1.0, 2.0, 9.0]), middle(&[])), (2.0, 0.0));
    }
}
