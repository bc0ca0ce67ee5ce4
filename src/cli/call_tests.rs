//! The commands that ask a running node.

use super::*;
use crate::cli::parse;

fn command(args: &[&str]) -> Result<Command, Error> {
    let args = args.iter().map(OsString::from);
    parse(args, std::iter::empty())
}

fn ask(args: &[&str]) -> Ask {
    match command(args) {
        Ok(Command::Call(call)) => call.ask,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn error(args: &[&str]) -> String {
    command(args)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

#[test]
fn every_command_is_read_with_its_own_flags() {
    let publish = |data: Option<&str>, json, id: Option<&str>| Ask::Publish {
        channel: "chat".to_owned(),
        data: data.map(str::to_owned),
        json,
        id: id.map(str::to_owned),
    };
    assert_eq!(
        ask(&["publish", "chat", "hi"]),
        publish(Some("hi"), false, None)
    );
    assert_eq!(
        ask(&["publish", "chat", "-", "--json", "--id", "7"]),
        publish(None, true, Some("7"))
    );
    assert_eq!(ask(&["publish", "chat"]), publish(None, false, None));
    assert_eq!(ask(&["sessions"]), Ask::Sessions { user: None });
    let prefix = Some("a/".to_owned());
    assert_eq!(ask(&["channels", "--prefix=a/"]), Ask::Channels { prefix });
    assert_eq!(ask(&["kick", "ann"]), Ask::KickUser("ann".to_owned()));
    assert_eq!(
        ask(&["kick", "--session", "KEY"]),
        Ask::KickSession("KEY".to_owned())
    );
}

#[test]
fn where_the_node_is_stands_before_or_behind() {
    for args in [
        ["--internal", "127.0.0.1:9", "kick", "ann"],
        ["kick", "--internal", "127.0.0.1:9", "ann"],
    ] {
        let Ok(Command::Call(call)) = command(&args) else {
            panic!("{args:?}");
        };
        let internal = call.settings.config.internal.map(|at| at.to_string());
        assert_eq!(internal.as_deref(), Some("127.0.0.1:9"));
    }
}

#[test]
fn what_is_missing_or_too_much_is_named() {
    for (args, said) in [
        (&["publish"][..], "publish: something is missing"),
        (&["kick"], "kick: something is missing"),
        (
            &["kick", "ann", "--session", "k"],
            "kick: something is missing",
        ),
        (&["kick", "ann", "bob"], "unexpected argument bob for kick"),
        (&["sessions", "ann"], "unexpected argument ann for sessions"),
        (
            &["sessions", "--prefix", "a"],
            "unexpected argument --prefix",
        ),
        (
            &["channels", "--max-queue", "1MiB"],
            "unexpected argument --max-queue",
        ),
        (
            &["--max-queue", "1MiB", "channels"],
            "unexpected argument --max-queue",
        ),
        (&["publish", "chat", "--id"], "--id: needs a value"),
        (&["kick", "-x"], "unexpected argument -x"),
        (&["chanels"], "did you mean channels?"),
    ] {
        assert!(error(args).contains(said), "{args:?}: {}", error(args));
    }
}

#[test]
fn each_has_its_help_in_lines_of_at_most_100_characters() {
    for verb in &VERBS {
        assert_eq!(
            command(&[verb.name, "--help"]),
            Ok(Command::HelpOf(verb)),
            "{}",
            verb.name
        );
        let help = verb.help();
        assert!(help.starts_with(&format!("Usage: orbited {} ", verb.name)));
        assert!(help.lines().all(|line| line.chars().count() <= 100));
        for flag in verb.values.iter().chain(verb.switches).chain(verb.common) {
            assert!(help.contains(&format!("--{flag}")), "{flag}");
        }
    }
}
