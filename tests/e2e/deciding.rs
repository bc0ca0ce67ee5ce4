//! What the application decides, by its real URL: names, readers, messages, calls; and what holds while it is away.

use crate::application::Application;
use crate::client::Client;
use crate::node::{Node, run, until};
use crate::websocket::WebSocket;

/// A node that asks `app` about everything, one question at a time; of channels below `asked/` about each.
fn start(app: &Application, more: &[&str]) -> Node {
    let url = format!("{} lanes=1 {}", app.url(), more.join(" "));
    let rule = "asked/** subscribe=ask publish=ask history=10";
    Node::start(&["--decide", &url, "--channel", rule])
}

/// A WebSocket of Revolved, which the application lets in.
fn revolved(node: &Node, app: &mut Application) -> WebSocket {
    let client = node.connect();
    let opened = std::thread::spawn(move || WebSocket::open(client, "/_/revolved/ws"));
    let question = app.decide("{}");
    assert_eq!(question["event"], "signon");
    assert_eq!(question["session"], serde_json::Value::Null);
    opened.join().unwrap()
}

#[test]
fn a_name_is_the_applications_word_and_so_is_what_is_read() {
    let mut app = Application::start();
    let node = start(&app, &[]);
    let mut socket = revolved(&node, &mut app);
    socket.text("[1,\"AUTH\",[\"ann\",\"secret\"]]\n[2,\"SUBSCRIBE\",[\"asked/a\"]]\n");
    let question = app.decide("{\"user\":\"Ann\",\"subscribe\":[\"asked/news\",\"not//a name\"]}");
    assert_eq!(question["event"], "signon");
    assert_eq!(question["user"], "ann");
    assert_eq!(question["credentials"], "secret");
    assert_eq!(question["service"], "revolved");
    let question = app.decide("{\"allow\":false,\"reason\":\"not you\"}");
    assert_eq!(question["event"], "subscribe");
    assert_eq!(question["user"], "Ann");
    assert_eq!(question["channel"], "asked/a");
    assert_eq!(socket.next_text(), "[\"SUBSCRIBED\",[\"asked/news\"]]\n");
    assert_eq!(socket.next_text(), "[\"OK\",[1,\"Ann\"]]\n");
    assert_eq!(socket.next_text(), "[\"ERR\",[2,\"not you\",\"denied\"]]\n");
    // Nobody was asked for the channels that a pattern stands for.
    socket.text("[3,\"SUBSCRIBE\",[\"asked/*\"]]\n");
    assert!(socket.next_text().contains("\"forbidden\""));
    node.stop();
}

#[test]
fn what_is_published_is_what_the_application_makes_of_it_in_order() {
    let mut app = Application::start();
    let node = start(&app, &[]);
    let mut socket = revolved(&node, &mut app);
    let lines: String = (1..=3)
        .map(|n| format!("[{n},\"PUBLISH\",[\"asked/a\",{n}]]\n"))
        .collect();
    socket.text(&format!("{lines}[4,\"PUBLISH\",[\"free\",4]]\n"));
    assert_eq!(app.decide("{\"payload\":{\"was\":\n1}}")["body"], "1");
    assert_eq!(app.decide("{\"allow\":false}")["body"], "2");
    assert_eq!(app.decide("")["body"], "3");
    let ok = |n: u32, offset: u32| format!("[\"OK\",[{n},{{\"offset\":{offset}}}]]\n");
    assert_eq!(socket.next_text(), ok(1, 1));
    let no = "[\"ERR\",[2,\"the application does not allow it\",\"denied\"]]\n";
    assert_eq!(socket.next_text(), no);
    assert_eq!(socket.next_text(), ok(3, 2));
    assert_eq!(socket.next_text(), ok(4, 1));
    // Who says goodbye behind it has said it all the same.
    socket.text("[5,\"PUBLISH\",[\"asked/a\",5]]\n[6,\"PUBLISH\",[\"asked/a\",6]]\n");
    socket.close(1000);
    assert_eq!(app.decide("")["body"], "5");
    assert_eq!(app.decide("")["body"], "6");
    let history = || node.internal().get("/api/history/asked/a").text();
    until("both are published", || history().contains("\"offset\":4"));
    let kept = history();
    assert!(
        kept.contains("{\"was\": 1}") && !kept.contains("\"payload\":2"),
        "{kept}"
    );
    node.stop();
}

#[test]
fn a_call_is_answered_by_the_application_and_holds_up_nothing() {
    let mut app = Application::start();
    let node = start(&app, &[]);
    let mut socket = revolved(&node, &mut app);
    socket.text("[1,\"CALL\",[\"add\",[1,2]]]\n[2,\"SUBSCRIBE\",[\"free\"]]\n");
    assert!(socket.next_text().starts_with("[\"OK\",[2,"));
    let question = app.decide("{\"result\":3}");
    assert_eq!(question["event"], "call");
    assert_eq!(question["name"], "add");
    assert_eq!(question["payload"], serde_json::json!([1, 2]));
    assert_eq!(socket.next_text(), "[\"OK\",[1,3]]\n");
    socket.text("[3,\"CALL\",[\"nothing\"]]\n");
    app.decide("");
    assert_eq!(socket.next_text(), "[\"OK\",[3,null]]\n");
    socket.text("[4,\"CALL\",[\"wrong\"]]\n");
    app.post();
    app.answer("500 Internal Server Error", "");
    assert!(socket.next_text().ends_with("\"no-answer\"]]\n"));
    node.stop();
}

fn handshake(client: &mut Client, cookie: &str, body: &str) {
    let fields = format!("Cookie: {cookie}\r\n");
    client.ask(
        "POST",
        "/_/revolved/csp/handshake",
        &fields,
        body.as_bytes(),
    );
}

#[test]
fn a_handshake_waits_for_its_cookie_to_be_looked_at() {
    let mut app = Application::start();
    let node = start(&app, &[]);
    let mut client = node.connect();
    handshake(&mut client, "sid=7", "{}");
    // What comes behind it on the connection waits.
    client.ask("GET", "/_/CSP.js", "", b"");
    let question = app.decide("{\"user\":\"bob\"}");
    assert_eq!(question["cookie"], "sid=7");
    assert_eq!(question["user"], serde_json::Value::Null);
    assert!(client.response().text().contains("\"session\""));
    assert_eq!(client.response().status, 200);
    assert!(
        node.internal()
            .get("/api/sessions")
            .text()
            .contains("\"bob\"")
    );
    handshake(&mut client, "sid=8", "{\"user\":\"bob\"}");
    app.post();
    app.answer("403 Forbidden", "");
    let refused = client.response();
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("\"denied\""), "{}", refused.text());
    node.stop();
}

#[test]
fn while_the_application_is_away_nobody_comes_in_or_everybody() {
    let app = Application::start();
    let closed = start(&app, &[]);
    let open = start(&app, &["fail=open"]);
    drop(app);
    let mut client = closed.connect();
    handshake(&mut client, "", "{}");
    let refused = client.response();
    assert_eq!(
        (refused.status, refused.field("Retry-After")),
        (503, Some("2"))
    );
    let mut client = open.connect();
    handshake(&mut client, "", "{}");
    assert_eq!(client.response().status, 200);
    // However many wait, one after the other is let through.
    let mut socket = WebSocket::open(open.connect(), "/_/revolved/ws");
    let many = 2_000;
    let line = |n| format!("[{n},\"PUBLISH\",[\"asked/a\",{n}]]\n");
    socket.text(&(1..=many).map(line).collect::<String>());
    for n in 1..=many {
        assert_eq!(
            socket.next_text(),
            format!("[\"OK\",[{n},{{\"offset\":{n}}}]]\n")
        );
    }
    open.stop();
    closed.stop();
}

#[test]
fn bayeux_stomp_and_plain_readers_are_asked_for_too() {
    let mut app = Application::start();
    let node = start(&app, &["events=subscribe,publish"]);
    let mut client = node.connect();
    let post = |client: &mut Client, body: &str| client.ask("POST", "/cometd", "", body.as_bytes());
    post(
        &mut client,
        "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\",\"supportedConnectionTypes\":[\"long-polling\"]}]",
    );
    let text = client.response().text();
    let (_, behind) = text.split_once("\"clientId\":\"").unwrap();
    let (key, _) = behind.split_once('"').unwrap();
    let message = |channel: &str, more: &str| {
        format!("{{\"channel\":\"{channel}\",\"clientId\":\"{key}\",{more}}}")
    };
    let batch = [
        message("/free", "\"data\":0"),
        message("/meta/subscribe", "\"subscription\":\"/asked/a\""),
        message("/asked/a", "\"data\":1"),
        message("/asked/b", "\"data\":2"),
    ];
    post(&mut client, &format!("[{}]", batch.join(",")));
    assert_eq!(app.decide("{}")["event"], "subscribe");
    assert_eq!(app.decide("{\"payload\":11}")["body"], "1");
    assert_eq!(
        app.decide("{\"allow\":false,\"reason\":\"no b\"}")["channel"],
        "asked/b"
    );
    let answers: Vec<serde_json::Value> = serde_json::from_str(&client.response().text()).unwrap();
    let done: Vec<_> = answers
        .iter()
        .filter_map(|one| one["successful"].as_bool())
        .collect();
    assert_eq!(done, [true, true, true, false], "{answers:?}");
    assert_eq!(answers.last().unwrap()["error"], "403:publish_denied:no b");

    let mut stomp = Client::connect(node.said("stomp"));
    stomp.send(b"CONNECT\naccept-version:1.2\n\n\0SEND\ndestination:/topic/asked/a\ncontent-type:text/plain\nreceipt:1\n\nhi\0");
    stomp.send(b"SUBSCRIBE\nid:0\ndestination:/topic/asked/b\n\n\0");
    assert_eq!(app.decide("{\"payload\":\"hello\"}")["body"], "hi");
    app.decide("{\"allow\":false,\"reason\":\"closed\"}");
    let told = String::from_utf8(stomp.rest()).unwrap();
    assert!(
        told.contains("receipt-id:1") && told.contains("message:closed"),
        "{told}"
    );
    let kept = node.internal().get("/api/history/asked/a").text();
    assert!(kept.contains("11") && kept.contains("hello"), "{kept}");

    let mut reader = node.connect();
    reader.ask("GET", "/_/events?channel=asked/a", "Cookie: a=b\r\n", b"");
    let question = app.decide("{\"allow\":false}");
    assert_eq!(
        (&question["channel"], &question["cookie"]),
        (&"asked/a".into(), &"a=b".into())
    );
    assert_eq!(reader.response().status, 403);
    reader.ask("GET", "/_/events?channel=asked/a", "", b"");
    app.decide("");
    assert_eq!(reader.response_head().status, 200);
    node.stop();
}

#[test]
fn what_is_to_be_decided_has_somebody_who_does() {
    let output = run(&["check", "--channel", "a subscribe=ask"], &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told.contains("no --decide has events=subscribe"), "{told}");
}
