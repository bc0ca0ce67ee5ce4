//! `orbited publish`, `sessions`, `channels`, `kick` against a real node, and the API by its description.

use crate::client::Client;
use crate::node::{Node, command, run, scratch};
use crate::sessions::{published, subscriber};
use crate::websocket::{Message, WebSocket};
use std::io::Write as _;
use std::process::{Output, Stdio};

/// What a command came to: status, standard output, standard error.
fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output.status.code(), out, err)
}

/// Asks the node; what is printed, with nothing on standard error.
fn asked(node: &Node, args: &[&str]) -> String {
    let at = ["--internal", node.said("internal")];
    // Its output may be more than a pipe holds.
    let output = command(&[args, &at].concat()).output().unwrap();
    let (status, out, err) = texts(&output);
    assert_eq!((status, &*err), (Some(0), ""), "{args:?}");
    out
}

/// Asks in vain: status 1, and one line that has these words.
fn refused(args: &[&str], env: &[(&str, &str)], words: &[&str]) {
    let (status, out, err) = texts(&run(args, env));
    assert_eq!((status, &*out), (Some(1), ""), "{args:?} {err}");
    assert!(
        err.starts_with("orbited: ") && err.lines().count() == 1,
        "{err}"
    );
    for word in words {
        assert!(err.contains(word), "{args:?}: no {word:?} in {err}");
    }
}

#[test]
fn publish_takes_its_message_from_the_command_or_from_standard_input() {
    let node = Node::start(&[]);
    let mut reader = subscriber(&node, "a/b c");
    let out = asked(&node, &["publish", "a/b c", "hi"]);
    assert_eq!(out, "{\"subscribers\":1,\"offset\":1}\n");
    assert_eq!(reader.next_text(), published("a/b c", "hi", 1));
    let out = asked(
        &node,
        &["publish", "--json", "a/b c", "{\"n\":1}", "--id", "7"],
    );
    assert_eq!(out, "{\"subscribers\":1,\"offset\":2}\n");
    let again = asked(
        &node,
        &["publish", "--json", "a/b c", "{\"n\":1}", "--id", "7"],
    );
    assert_eq!(again, out, "the same id is the same publication");
    let json = "[\"PUBLISH\",[\"a/b c\",null,{\"n\":1},{\"offset\":2}]]\n";
    assert_eq!(reader.next_text(), json);
    for (args, offset) in [
        (&["publish", "a/b c"][..], 3),
        (&["publish", "a/b c", "-"], 4),
    ] {
        let mut child = command(&[args, &["--internal", node.said("internal")]].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"piped").unwrap();
        assert!(child.wait_with_output().unwrap().status.success());
        assert_eq!(reader.next_text(), published("a/b c", "piped", offset));
    }
    node.stop();
}

#[test]
fn channels_are_listed_over_many_pages_and_sessions_by_user() {
    let node = Node::start(&["--channel", "k/* history=1"]);
    let mut reader = WebSocket::open(node.connect(), "/_/revolved/ws");
    reader.text("[1,\"AUTH\",[\"ann\"]]\n");
    assert_eq!(reader.next_text(), "[\"OK\",[1,\"ann\"]]\n");
    let mut app = node.internal();
    for half in 0..2 {
        let names: Vec<_> = (0..1000).map(|n| format!("\"k/{half}-{n}\"")).collect();
        let body = format!(
            "{{\"messages\":[{{\"channels\":[{}],\"text\":\"x\"}}]}}",
            names.join(",")
        );
        assert_eq!(app.post("/api/publish", body.as_bytes()).status, 202);
    }
    let out = asked(&node, &["channels"]);
    assert_eq!(out.lines().count(), 2000);
    assert!(
        out.lines()
            .all(|line| line.contains("\"offset\":1,\"kept\":1}"))
    );
    let out = asked(&node, &["channels", "--prefix", "k/1-99"]);
    assert_eq!(out.lines().count(), 11);
    let out = asked(&node, &["sessions", "--user", "ann"]);
    assert!(
        out.contains("\"user\":\"ann\"") && out.lines().count() == 1,
        "{out}"
    );
    assert_eq!(asked(&node, &["sessions"]), out);
    assert_eq!(asked(&node, &["sessions", "--user", "o'x"]), "");
    node.stop();
}

#[test]
fn kick_ends_the_sessions_of_a_user_or_one() {
    let node = Node::start(&[]);
    let mut reader = WebSocket::open(node.connect(), "/_/revolved/ws");
    reader.text("[1,\"AUTH\",[\"o'x\"]]\n");
    assert_eq!(reader.next_text(), "[\"OK\",[1,\"o'x\"]]\n");
    assert_eq!(asked(&node, &["kick", "o'x"]), "{\"sessions\":1}\n");
    assert!(reader.next_text().starts_with("[\"BYE\",[4403,"));
    assert_eq!(reader.next(), Message::Close(4403));
    assert_eq!(asked(&node, &["kick", "o'x"]), "{\"sessions\":0}\n");
    let mut reader = WebSocket::open(node.connect(), "/_/revolved/ws");
    let out = asked(&node, &["sessions"]);
    let (_, behind) = out.split_once("\"key\":\"").unwrap();
    let key = behind.split('"').next().unwrap();
    assert_eq!(
        asked(&node, &["kick", "--session", key]),
        "{\"sessions\":1}\n"
    );
    assert!(reader.next_text().starts_with("[\"BYE\",[4403,"));
    let at = ["--internal", node.said("internal")];
    let again = ["kick", "--session", key, at[0], at[1]];
    refused(&again, &[], &["404 not-connected", "/api/sessions"]);
    node.stop();
}

#[test]
fn where_nobody_listens_the_command_says_so_and_ends_with_1() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let env = [("ORBITED_INTERNAL", &*address)];
    let words = ["nobody listens on ", &address, "--internal"];
    refused(&["publish", "a", "x"], &env, &words);
    refused(&["sessions"], &env, &words);
    let path = format!("unix:{}", scratch("nobody").display());
    refused(
        &["kick", "ann", "--internal", &path],
        &[],
        &["nobody listens on unix:"],
    );
    refused(&["channels", "--internal", "off"], &[], &["--internal off"]);
    // Somebody else listens there.
    let node = Node::start(&[]);
    let public = ["channels", "--internal", node.said("http")];
    refused(&public, &[], &["404 not-found"]);
    node.stop();
}

#[test]
fn by_a_unix_socket_it_goes_too() {
    let path = format!("unix:{}", scratch("internal").display());
    let mut started = command(&["--listen", "127.0.0.1:0", "--internal", &path]);
    let node = Node::spawn(&mut started);
    let out = asked(&node, &["publish", "a", "x"]);
    assert_eq!(out, "{\"subscribers\":0,\"offset\":1}\n");
    node.stop();
}

#[test]
fn a_key_is_shown_from_a_file_or_the_environment_and_never_printed() {
    let path = scratch("keys");
    std::fs::write(&path, "first-key-0123456\n\n  second-key-012345\r\n").unwrap();
    let file = format!("@{}", path.display());
    let node = Node::start(&["--api-key", &file]);
    let at = node.said("internal").to_owned();
    assert_eq!(asked(&node, &["sessions", "--api-key", &file]), "");
    let second = [("ORBITED_API_KEY", "second-key-012345")];
    let shown = run(&["channels", "--internal", &at], &second);
    assert_eq!(texts(&shown), (Some(0), String::new(), String::new()));
    let env = [("ORBITED_INTERNAL", &*at)];
    refused(&["channels"], &env, &["401 no-key", "--api-key"]);
    let wrong = ["kick", "ann", "--api-key", "another-key-01234"];
    refused(&wrong, &env, &["401 no-key"]);
    assert_eq!(Client::connect(&at).get("/healthz").status, 200);
    assert!(!node.stderr().contains("key-0123"), "{}", node.stderr());
    node.stop();
    let checked = run(&["check", "--api-key", &file], &second);
    assert!(texts(&checked).1.contains(&file));
    let hidden = run(&["check"], &second);
    assert!(
        texts(&hidden).1.contains("(hidden)  "),
        "{:?}",
        texts(&hidden)
    );
    std::fs::write(&path, "\n").unwrap();
    let listen = ["--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0"];
    let empty = [&listen[..], &["--api-key", &file]].concat();
    refused(&empty, &[], &["--api-key @", "there is no key in it"]);
    std::fs::write(&path, "short\n").unwrap();
    refused(&empty, &[], &["--api-key @", "a line is no key"]);
    std::fs::remove_file(&path).unwrap();
    refused(&empty, &[], &["--api-key @", "No such file"]);
}

#[test]
fn every_path_of_the_description_is_served_by_the_method_it_says() {
    let node = Node::start(&[]);
    let text = node.internal().get("/api/openapi.json").text();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 20);
    for (path, methods) in paths {
        // Any text is a name, but not of an event.
        let target = path.replace("{events}", "signoff");
        let target = target.replace(['{', '}'], "");
        for (said, other) in [("get", "POST"), ("post", "GET")] {
            if methods.get(said).is_none() {
                continue;
            }
            let mut client = node.internal();
            client.ask(&said.to_uppercase(), &target, "", b"");
            let head = client.response_head();
            let unknown = matches!(head.status, 405 | 404) && !target.starts_with("/api/send/");
            assert!(!unknown, "{said} {path}: {}", head.head);
            if path.starts_with("/api/") {
                let mut client = node.internal();
                client.ask(other, &target, "", b"");
                assert_eq!(client.response_head().status, 405, "{other} {path}");
            }
        }
    }
    node.stop();
}
