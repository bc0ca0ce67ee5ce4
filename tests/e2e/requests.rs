//! Requests as real sockets cut them, and answers as real clients read them.

use crate::client::Client;
use crate::node::{Node, run, scratch};
use crate::sessions::Session;
use crate::websocket::{Message, WebSocket, frame};

#[test]
fn a_request_of_ten_thousand_single_bytes_is_served() {
    let node = Node::start(&[]);
    let mut session = Session::open(&node, "echo");
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ",
        session.path("send")
    );
    let size = 10_000 - head.len() - "9999\r\n\r\n".len();
    let text = "0123456789".repeat(1000);
    let text = &text[..size - "[[1,0,\"\"]]".len()];
    let request = format!("{head}{size}\r\n\r\n[[1,0,\"{text}\"]]");
    assert_eq!(request.len(), 10_000);
    let mut client = node.connect();
    for byte in request.as_bytes() {
        client.send(&[*byte]);
    }
    assert_eq!(client.response().text(), "(\"OK\")");
    assert_eq!(session.next(), text);
    node.stop();
}

#[test]
fn websocket_frames_of_single_bytes_are_served() {
    let node = Node::start(&[]);
    let mut socket = WebSocket::open(node.connect(), "/_/echo/ws");
    for _ in 0..3 {
        let frame = frame(true, 1, &[b'x'; 300]);
        frame.iter().for_each(|byte| socket.client.send(&[*byte]));
        assert_eq!(socket.next_text(), "x".repeat(300));
    }
    node.stop();
}

#[test]
fn requests_sent_at_once_are_answered_in_their_order() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let paths = [
        "/style.css",
        "/nothing",
        "/_/CSP.js",
        "/",
        "/_/echo/csp/send?s=no",
    ];
    let requests: String = paths
        .iter()
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .collect();
    client.send(requests.as_bytes());
    for path in paths {
        let together = client.response();
        let alone = node.connect().get(path);
        assert_eq!(
            (together.status, together.body),
            (alone.status, alone.body),
            "{path}"
        );
    }
    node.stop();
}

#[test]
fn a_client_that_shuts_its_side_after_the_request_gets_the_answer() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    client.ask("GET", "/_/CSP.js", "", b"");
    client.shut_sending();
    let answer = client.response();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, include_bytes!("../../static/CSP.js"));
    assert!(client.is_closed());

    // The answer to a publish waits for a command.
    let mut client = node.internal();
    client.ask("POST", "/api/publish/room", "", b"hello");
    client.shut_sending();
    assert_eq!(client.response().status, 202);
    assert!(client.is_closed());
    node.stop();
}

#[test]
fn a_refusal_is_readable_though_ten_megabytes_are_on_their_way() {
    let node = Node::start(&[]);
    let body = vec![b'x'; 10_000_000];
    let declared = format!("Content-Length: {}\r\n\r\n", body.len());
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len());
    for framing in [declared, chunked] {
        let mut client = node.connect();
        let head = format!("POST /_/echo/csp/handshake HTTP/1.1\r\nHost: localhost\r\n{framing}");
        client.send(head.as_bytes());
        // Whether all of it is taken is the server's choice.
        let _ = client.try_send(&body);
        let answer = client.response();
        assert_eq!(answer.status, 413, "{framing}");
        assert!(answer.text().contains("\"code\":\"body-too-big\""));
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(client.is_closed());
    }
    node.stop();
}

#[test]
fn a_body_is_awaited_with_100_continue() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    client.send(
        b"POST /_/echo/csp/handshake HTTP/1.1\r\nHost: localhost\r\n\
        Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    );
    assert_eq!(
        client.through(b"\r\n\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send(b"{}");
    assert_eq!(client.response().status, 200);
    node.stop();
}

#[test]
fn a_hundred_thousand_bytes_in_fragments_come_back_as_they_were() {
    let node = Node::start(&[]);
    let mut socket = WebSocket::open(node.connect(), "/_/echo/ws");
    let text: String = "aé€😀\n".repeat(100_000 / 11);
    let bytes: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(7919) >> 3) as u8)
        .collect();
    // 777 cuts characters.
    for size in [777, 65_536, 100_000] {
        socket.fragmented(false, text.as_bytes(), size);
        assert_eq!(past_pongs(&mut socket), Message::Text(text.clone()));
        socket.fragmented(true, &bytes, size);
        assert_eq!(past_pongs(&mut socket), Message::Binary(bytes.clone()));
    }
    socket.ping(b"still there");
    assert_eq!(socket.next(), Message::Pong(b"still there".to_vec()));
    socket.close(1000);
    assert_eq!(socket.next(), Message::Close(1000));
    assert!(socket.client.is_closed());
    node.stop();
}

fn past_pongs(socket: &mut WebSocket) -> Message {
    loop {
        match socket.next() {
            Message::Pong(bytes) => assert_eq!(bytes, b"between"),
            other => return other,
        }
    }
}

#[test]
fn a_message_over_the_bound_closes_the_websocket_with_1009() {
    let node = Node::start(&["--max-message", "1KiB"]);
    let mut socket = WebSocket::open(node.connect(), "/_/echo/ws");
    socket.text(&"x".repeat(1024));
    assert_eq!(socket.next_text().len(), 1024);
    // A line of Revolved may have 4 KiB beside its payload, and bare sockets are bounded alike.
    socket.text(&"x".repeat(5 * 1024 + 1));
    assert_eq!(socket.next(), Message::Close(1009));
    node.stop();
}

#[test]
fn built_in_files_have_an_entity_tag_and_are_304_to_who_has_them() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let file = client.get("/_/CSP.js");
    assert_eq!(file.status, 200);
    assert_eq!(file.body, include_bytes!("../../static/CSP.js"));
    assert_eq!(
        file.field("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    let etag = file.field("etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'));

    let status = |client: &mut Client, tags: &str| {
        client.ask(
            "GET",
            "/_/CSP.js",
            &format!("If-None-Match: {tags}\r\n"),
            b"",
        );
        let answer = client.response();
        assert_eq!(answer.field("etag"), Some(&*etag));
        answer.status
    };
    assert_eq!(status(&mut client, &etag), 304);
    assert_eq!(status(&mut client, &format!("\"other\", W/{etag}")), 304);
    assert_eq!(status(&mut client, "*"), 304);
    assert_eq!(status(&mut client, "\"other\""), 200);

    client.ask("HEAD", "/_/CSP.js", "", b"");
    let head = client.response_head();
    let length = file.body.len().to_string();
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some(&*length))
    );
    assert_eq!(
        client.get("/").field("content-type"),
        Some("text/html; charset=utf-8")
    );
    node.stop();
}

#[test]
fn a_folder_of_the_operators_is_served_in_front_of_the_built_in_files() {
    let folder = scratch("static");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    std::fs::write(folder.join("index.html"), "<p>mine").unwrap();
    std::fs::write(folder.join("deep/er.json"), "{}").unwrap();
    let node = Node::start(&["--static-dir", folder.to_str().unwrap()]);
    let mut client = node.connect();
    let page = client.get("/");
    assert_eq!(page.text(), "<p>mine");
    let etag = page.field("etag").unwrap().to_owned();
    client.ask(
        "GET",
        "/index.html",
        &format!("If-None-Match: {etag}\r\n"),
        b"",
    );
    assert_eq!(client.response().status, 304);
    let json = client.get("/deep/er.json");
    assert_eq!(
        (json.text(), json.field("content-type")),
        ("{}".into(), Some("application/json"))
    );
    assert_eq!(client.get("/_/CSP.js").status, 200);
    for path in [
        "/deep",
        "/deep/",
        "/deep/../index.html",
        "/%2e%2e/Cargo.toml",
        "/../Cargo.toml",
    ] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    node.stop();
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_that_is_not_there_ends_it_with_1_and_is_named() {
    let folder = scratch("nowhere");
    let folder = folder.to_str().unwrap();
    let output = run(
        &[
            "--listen",
            "127.0.0.1:0",
            "--internal",
            "off",
            "--static-dir",
            folder,
        ],
        &[],
    );
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("--static-dir {folder}: ")), "{text}");
}

#[test]
fn a_connection_is_closed_with_its_last_request() {
    let node = Node::start(&["--max-requests", "3"]);
    let mut client = node.connect();
    for _ in 0..2 {
        assert_ne!(client.get("/style.css").field("connection"), Some("close"));
    }
    let last = client.get("/style.css");
    assert_eq!(
        (last.status, last.field("connection")),
        (200, Some("close"))
    );
    assert!(client.is_closed());
    node.stop();
}

#[test]
fn a_page_of_another_origin_is_refused_when_origins_are_listed() {
    let node = Node::start(&["--allow-origin", "https://example.org"]);
    let mut client = node.connect();
    for (origin, status) in [
        ("https://example.org", 200),
        ("https://evil.example.org", 403),
    ] {
        let fields = format!("Origin: {origin}\r\n");
        client.ask("POST", "/_/echo/csp/handshake", &fields, b"{}");
        assert_eq!(client.response().status, status, "{origin}");
    }
    node.stop();
}
