//! `orbited token`, `orbited revoke`, and what demo mode refuses, of the real process.

use crate::node::{Node, command, run, scratch};
use crate::websocket::{Message, WebSocket};
use std::io::Write as _;
use std::process::Stdio;

const SECRET: &str = "a secret of at least thirty-two bytes";

fn key() -> String {
    format!("HS256:{SECRET}")
}

/// Status, standard output, standard error.
fn said(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = run(args, env);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn made(more: &[&str]) -> String {
    let key = key();
    let args = ["token", "make", "--token-key", &*key];
    let (status, out, err) = said(&[&args, more].concat(), &[]);
    assert_eq!((status, &*err), (Some(0), ""), "{more:?}");
    out.trim().to_owned()
}

fn line(socket: &mut WebSocket, text: &str) -> String {
    socket.text(&format!("{text}\n"));
    socket.next_text()
}

#[test]
fn what_token_makes_it_takes_and_says_what_is_in_it() {
    let token = made(&["--user", "ann", "--subscribe", "chat/*", "--jti", "one"]);
    let key = key();
    let (status, out, err) = said(&["token", "check", "--token-key", &key, &token], &[]);
    assert_eq!((status, &*err), (Some(0), ""));
    assert!(
        out.contains("\"sub\":\"ann\"") && out.contains("{\"chat/*\":[\"subscribe\"]}"),
        "{out}"
    );
    assert!(out.contains("taken: it ends in 3"), "{out}");
    // By standard input, with the key in a variable; and with another key in a file, whose last line end is not of it.
    let mut child = command(&["token", "check"])
        .env("ORBITED_TOKEN_KEY", &key)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(format!("{token}\n").as_bytes())
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let path = scratch("secret");
    for (secret, taken) in [
        (SECRET, true),
        ("another secret, of thirty-two bytes too", false),
    ] {
        std::fs::write(&path, format!("{secret}\n")).unwrap();
        let file = format!("HS256:@{}", path.display());
        let (status, out, _) = said(&["token", "check", "--token-key", &file, &token], &[]);
        assert_eq!(status == Some(0), taken, "{out}");
        assert_eq!(
            out.contains("refused: token-wrong-signature"),
            !taken,
            "{out}"
        );
        assert!(!out.contains(secret));
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_is_wrong_with_a_token_or_a_key_is_said_and_no_key_is() {
    let (key, token) = (key(), made(&["--audience", "them", "--ttl", "1m"]));
    let (status, out, _) = said(&["token", "check", "--token-key", &key, &token], &[]);
    assert_eq!(status, Some(1));
    assert!(
        out.ends_with("refused: token-wrong-audience: the token is meant for another audience\n"),
        "{out}"
    );
    let audience = [
        "token",
        "check",
        "--token-key",
        &*key,
        "--token-audience",
        "them",
        &*token,
    ];
    assert_eq!(said(&audience, &[]).0, Some(0));
    for (args, status, words) in [
        (&["token"][..], 2, "token"),
        (&["token", "forge"], 2, "token"),
        (&["token", "make"], 1, "--token-key is missing"),
        (
            &["token", "make", "--token-key", "HS256:short"],
            2,
            "at least 32 bytes",
        ),
        (
            &["token", "make", "--token-key", "RS256:short"],
            1,
            "BEGIN PRIVATE KEY",
        ),
        (
            &["token", "make", "--token-key", "ES256:@/nowhere"],
            1,
            "/nowhere",
        ),
        (
            &["token", "make", "--token-key", &*key, "--ttl", "5"],
            2,
            "did you mean 5s?",
        ),
        (&["token", "make", "--internal", "off"], 2, "--internal"),
        (
            &["--token-key", &*key, "--names", "anyone"],
            2,
            "somebody else's",
        ),
    ] {
        let (code, _, err) = said(args, &[]);
        assert_eq!(code, Some(status), "{args:?} {err}");
        assert!(
            err.contains(words) && !err.contains("short") && !err.contains(SECRET),
            "{args:?} {err}"
        );
    }
}

#[test]
fn demo_mode_stays_on_this_machine_and_any_flag_of_authentication_ends_it() {
    for flag in ["--listen", "--internal"] {
        let (status, _, err) = said(&[flag, "0.0.0.0:0"], &[]);
        assert_eq!(status, Some(2));
        assert!(
            err.contains("without authentication a node listens on loopback only"),
            "{err}"
        );
    }
    let key = key();
    // Nothing is listened on: only whether the settings would do.
    for flags in [
        ["--token-key", &*key],
        ["--api-key", "abcdefghijklmnop"],
        ["--names", "anyone"],
    ] {
        let (status, out, err) = said(
            &["check", "--listen", "0.0.0.0:80", flags[0], flags[1], "a"],
            &[],
        );
        assert_eq!(status, Some(0), "{err}");
        assert!(
            out.contains("subscribe  token") && !out.contains(SECRET),
            "{out}"
        );
    }
    let internal = ["check", "--internal", "0.0.0.0:80", "--token-key", &*key];
    let (status, _, err) = said(&internal, &[]);
    assert_eq!(status, Some(2));
    assert!(err.contains("--api-key"), "{err}");
    let both = [&internal[..], &["--api-key", "abcdefghijklmnop"]].concat();
    assert_eq!(said(&both, &[]).0, Some(0));
}

#[test]
fn a_token_opens_what_it_names_until_it_is_revoked() {
    let node = Node::start(&["--token-key", &key()]);
    assert!(!node.stderr().contains("demo mode"));
    let mut socket = WebSocket::open(node.connect(), "/_/revolved/ws");
    let denied = line(&mut socket, "[1,\"SUBSCRIBE\",[\"demo/chat\"]]");
    assert!(denied.contains("\"forbidden\""), "{denied}");
    let token = made(&["--user", "ann", "--subscribe", "chat", "--publish", "chat"]);
    let auth = format!("[2,\"AUTH\",[null,\"{token}\"]]");
    assert_eq!(line(&mut socket, &auth), "[\"OK\",[2,\"ann\"]]\n");
    assert!(line(&mut socket, "[3,\"SUBSCRIBE\",[\"chat\"]]").starts_with("[\"OK\""));
    let at = ["--internal", node.said("internal")];
    let (status, out, err) = said(&[&["revoke", "ann"], &at[..]].concat(), &[]);
    assert_eq!((status, &*out, &*err), (Some(0), "{\"sessions\":1}\n", ""));
    assert!(
        socket
            .next_text()
            .starts_with("[\"BYE\",[4401,\"the token was revoked\"")
    );
    assert_eq!(socket.next(), Message::Close(4401));
    let mut socket = WebSocket::open(node.connect(), "/_/revolved/ws");
    let refused = line(&mut socket, &auth);
    assert_eq!(
        refused,
        "[\"ERR\",[2,\"the token was revoked\",\"token-revoked\"]]\n"
    );
    let (status, out, _) = said(&[&["revoke", "--jti", "one"], &at[..]].concat(), &[]);
    assert_eq!((status, &*out), (Some(0), "{\"sessions\":0}\n"));
    node.stop();
}
