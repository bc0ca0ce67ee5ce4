//! Flags and environment of the real process: its exit status, and what it says where.

use crate::node::{Node, command, run};
use std::process::Output;

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Runs with settings that are wrong: status 2, nothing on standard output, one line with the cure.
fn refused(args: &[&str], env: &[(&str, &str)], words: &[&str]) {
    let (status, out, err) = texts(&run(args, env));
    assert_eq!((status, &*out), (Some(2), ""), "{args:?} {err}");
    assert!(
        err.starts_with("orbited: ") && err.lines().count() == 1,
        "{err}"
    );
    for word in words {
        assert!(err.contains(word), "{args:?}: no {word:?} in {err}");
    }
}

/// Runs to print something: status 0, nothing on standard error.
fn printed(args: &[&str], env: &[(&str, &str)]) -> String {
    let (status, out, err) = texts(&run(args, env));
    assert_eq!((status, &*err), (Some(0), ""), "{args:?}");
    out
}

#[test]
fn an_unknown_flag_ends_it_with_2_and_the_likeliest_name() {
    refused(
        &["--max-sesions", "5"],
        &[],
        &["unknown flag --max-sesions", "did you mean --max-sessions?"],
    );
    refused(&["--qqq"], &[], &["unknown flag --qqq", "see --help"]);
    refused(&["chekc"], &[], &["unknown command chekc", "check"]);
}

#[test]
fn a_time_without_unit_ends_it_with_2_and_the_likeliest_unit() {
    refused(
        &["--session-timeout", "5"],
        &[],
        &["--session-timeout 5: needs a unit", "did you mean 5s?"],
    );
}

#[test]
fn an_address_of_other_machines_ends_it_with_2_and_the_loopback_one() {
    refused(
        &["--listen", "0.0.0.0:0"],
        &[],
        &["--listen 0.0.0.0:0", "127.0.0.1:0"],
    );
    refused(
        &["--listen", "127.0.0.1:0", "--internal", "192.0.2.1:80"],
        &[],
        &["--internal 192.0.2.1:80", "127.0.0.1:80"],
    );
}

#[test]
fn an_unknown_variable_ends_it_with_2_and_the_likeliest_name() {
    refused(
        &[],
        &[("ORBITED_MAX_SESION", "5")],
        &["ORBITED_MAX_SESION", "did you mean ORBITED_MAX_SESSIONS?"],
    );
}

#[test]
fn the_version_is_printed() {
    let version = format!("orbited {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&["--version"], &[]), version);
    assert_eq!(printed(&["version"], &[]), version);
}

#[test]
fn help_is_grouped_and_goes_to_standard_output() {
    let help = printed(&["--help"], &[]);
    assert!(help.starts_with("Usage: orbited [FLAGS]"));
    let groups = [
        "Listen", "Sessions", "Channels", "Limits", "Timeouts", "Browsers", "Logging",
    ];
    let at: Vec<usize> = groups
        .iter()
        .map(|group| help.find(&format!("\n{group}:\n")).expect(group))
        .collect();
    assert!(at.is_sorted(), "{help}");
    assert!(help.contains("    --listen "), "{help}");
    assert_eq!(printed(&["-h"], &[]), help);
}

#[test]
fn check_prints_the_settings_in_force_and_where_each_came_from() {
    let env = [("ORBITED_MAX_SESSIONS", "77"), ("ORBITED_LINGER", "9s")];
    let text = printed(&["check", "--linger", "4s"], &env);
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "max-sessions 77 env ORBITED_MAX_SESSIONS",
        "linger 4s flag --linger",
        "session-timeout 1m default",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn check_of_wrong_settings_ends_with_2() {
    refused(
        &["check", "--max-queue", "5"],
        &[],
        &["--max-queue 5: needs a unit"],
    );
}

#[test]
fn a_setting_from_the_environment_holds() {
    let mut command = command(&["--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0"]);
    let node = Node::spawn(command.env("ORBITED_MAX_SESSIONS", "1"));
    let mut client = node.connect();
    assert_eq!(client.post("/_/echo/csp/handshake", b"{}").status, 200);
    let refused = client.post("/_/echo/csp/handshake", b"{}");
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("\"code\":\"sessions-full\""));
    assert_eq!(refused.field("retry-after"), Some("2"));
    assert_eq!(
        node.metric("orbited_refused_total{reason=\"sessions-full\"}"),
        1
    );
    node.stop();
}

#[test]
fn a_flag_wins_over_its_variable() {
    let mut command = command(&[
        "--listen",
        "127.0.0.1:0",
        "--internal",
        "off",
        "--max-body",
        "1KiB",
    ]);
    let node = Node::spawn(command.env("ORBITED_MAX_BODY", "1MiB"));
    let answer = node.connect().post("/_/echo/csp/handshake", &[b' '; 2000]);
    assert_eq!(answer.status, 413);
    node.stop();
}

#[test]
fn a_location_is_a_path_outside_the_nodes_own() {
    let shown = printed(&["check", "--location", "/chat", "--location", "/a/b"], &[]);
    let rows = shown.lines().filter(|line| line.starts_with("location "));
    let named = rows.filter_map(|row| row.split_whitespace().nth(1));
    assert_eq!(named.collect::<Vec<_>>(), ["/chat", "/a/b"], "{shown}");
    for (wrong, words) in [
        ("chat", &["--location", "/chat"] as &[_]),
        ("/", &["--location"]),
        ("/_/chat", &["--location"]),
        ("/a,b", &["--location"]),
        ("/%61", &["--location"]),
    ] {
        refused(&["--location", wrong], &[], words);
    }
}
