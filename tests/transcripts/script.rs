//! Reads a transcript: from lines to steps.
//!
//! In: the text of a file (its form is told in `transcripts.rs`). Out: settings and steps, each with its line.

use super::pattern::Pattern;
use orbited::config::keys;
use orbited::config::rule::Rule;
use orbited::config::{ApiKey, Callback, Config, Cookie, Names, Peer, Policies, TokenKey};
use orbited::token::Signer;
use serde_json::Value;

/// A transcript.
#[derive(Debug)]
pub struct Script {
    pub config: Config,
    /// Names that stand for tokens from the start.
    pub tokens: Vec<(String, String)>,
    pub steps: Vec<Step>,
}

/// One line with those that continue it.
#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub conn: String,
    pub what: What,
}

/// What happens.
#[derive(Debug)]
pub enum What {
    /// A client sends a request.
    Request {
        line: Pattern,
        fields: Vec<Pattern>,
        body: Pattern,
    },
    /// A client sends these bytes.
    Bytes(Pattern),
    /// A client sends a frame.
    Frame(Opcode, Pattern),
    /// A client shuts its side, or resets the connection.
    End { reset: bool },
    /// A connection that the node makes is there, or nobody is.
    Made(bool),
    /// A client takes no bytes from now on, or takes them again.
    Reads(bool),
    /// Time goes by.
    Wait { ms: u64 },
    /// The operator stops the node.
    Stop,
    /// The server sends this.
    Expect(Expected),
}

/// What a server sends.
#[derive(Debug)]
pub enum Expected {
    /// A response with its body, if it has a length.
    Response(Response),
    /// One chunk.
    Chunk(Pattern),
    /// Bytes without any framing.
    Bytes(Pattern),
    /// A frame.
    Frame(Opcode, Pattern),
    /// All bytes that came; the names in them are learnt.
    All(Pattern),
    /// A frame of STOMP, without its NUL.
    Stomp(Pattern),
    /// The end of its side.
    Eof,
    /// It makes a connection to this address.
    Dial(String),
    /// A request of its own, to this target.
    Post(String, Response),
}

/// A response's head in the order of the wire, and its body.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub fields: Vec<Field>,
    pub body: Pattern,
}

/// A field of a response's head.
#[derive(Debug)]
pub enum Field {
    Line(Pattern),
    /// `Content-Length`, of the body that follows.
    Length,
}

/// A WebSocket frame's opcode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Opcode {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Script {
    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self {
            config: settings("")?,
            tokens: Vec::new(),
            steps: Vec::new(),
        };
        let (mut rules, mut calls) = (Vec::new(), Vec::new());
        for (line, rest) in logical(text) {
            let said = |error: String| format!("line {line}: {error}\n  {}", rest[0]);
            if let Some(list) = rest[0].strip_prefix("config:") {
                script.config = settings(list).map_err(said)?;
            } else if let Some(rule) = rest[0].strip_prefix("rule:") {
                rules.push(Rule::parse(rule).map_err(|bad| said(bad.to_string()))?);
            } else if let Some(token) = rest[0].strip_prefix("token:") {
                script.tokens.push(token_of(token).map_err(said)?);
            } else if let Some(call) = rest[0].strip_prefix("call:") {
                calls.push(Callback::parse(call).map_err(|bad| said(bad.to_string()))?);
            } else {
                script.steps.push(step(line, &rest).map_err(said)?);
            }
        }
        let policies = Policies::new(rules);
        script.config.policies = match script.config.demo {
            true => policies,
            false => policies.closed(),
        };
        script.config.callbacks = calls;
        Ok(script)
    }
}

/// `NAME CLAIMS` or `NAME ID CLAIMS`, whose times are seconds from the start, signed as [`SECRET`] signs, with a key's id.
fn token_of(text: &str) -> Result<(String, String), String> {
    let (name, claims) = text.trim().split_once(' ').ok_or("NAME CLAIMS")?;
    let (id, claims) = match claims.split_once(' ') {
        Some((id, claims)) if !id.starts_with('{') => (format!("{id}="), claims),
        _ => (String::new(), claims),
    };
    let mut claims: Value = serde_json::from_str(claims).map_err(|error| error.to_string())?;
    for time in ["exp", "nbf", "iat"] {
        if let Some(at) = claims.get(time).and_then(Value::as_i64) {
            claims[time] = UNIX_S.saturating_add_signed(at).into();
        }
    }
    let key = TokenKey::parse(&format!("{id}HS256:{SECRET}")).ok_or("no such key")?;
    let signer = Signer::new(&key).map_err(|bad| bad.to_string())?;
    let token = signer.sign(&claims).map_err(|bad| bad.to_string())?;
    Ok((name.to_owned(), token))
}

/// Lines with those that continue them, without comments and empty ones.
fn logical(text: &str) -> Vec<(usize, Vec<&str>)> {
    let mut out: Vec<(usize, Vec<&str>)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || line.starts_with('#') {
            continue;
        }
        match out.last_mut() {
            Some((_, lines)) if line.starts_with(' ') => lines.push(trimmed),
            _ => out.push((number + 1, vec![trimmed])),
        }
    }
    out
}

fn step(line: usize, lines: &[&str]) -> Result<Step, String> {
    let (head, more) = (lines[0], &lines[1..]);
    let here = |conn: &str, what| {
        let conn = conn.to_owned();
        Ok(Step { line, conn, what })
    };
    if let Some(time) = head.strip_prefix('+') {
        return here("", What::Wait { ms: millis(time)? });
    }
    if head == "stop" {
        return here("", What::Stop);
    }
    let (conn, rest) = head
        .split_once(' ')
        .ok_or("a connection and what it does")?;
    let rest = rest.trim();
    match (rest.split_at_checked(1), rest) {
        (Some((">", said)), _) => here(conn, client(said.trim(), more)?),
        (Some(("<", said)), _) => here(conn, What::Expect(server(conn, said.trim(), more)?)),
        (_, "stops reading") => here(conn, What::Reads(false)),
        (_, "reads on") => here(conn, What::Reads(true)),
        _ => Err("neither > nor <".into()),
    }
}

fn client(said: &str, more: &[&str]) -> Result<What, String> {
    let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
    if let Some(opcode) = Opcode::parse(word) {
        let payload = match opcode {
            Opcode::Close => close_payload(rest)?,
            _ => joined(rest, more),
        };
        return Ok(What::Frame(opcode, payload));
    }
    match word {
        "eof" => Ok(What::End { reset: false }),
        "reset" => Ok(What::End { reset: true }),
        "connected" => Ok(What::Made(true)),
        "refused" => Ok(What::Made(false)),
        "bytes" => Ok(What::Bytes(joined(rest, more))),
        "upgrade" => Ok(request(&format!("GET {rest}{UPGRADE}"), more)),
        _ if word.bytes().all(|b| b.is_ascii_uppercase()) => Ok(request(said, more)),
        _ => Err("a client does no such thing".into()),
    }
}

fn request(said: &str, more: &[&str]) -> What {
    let mut parts = said.split(" | ").map(str::trim);
    let line = parts.next().unwrap_or_default();
    let version = if line.ends_with(" HTTP/1.0") {
        ""
    } else {
        " HTTP/1.1"
    };
    What::Request {
        line: Pattern::parse(&format!("{line}{version}")),
        fields: parts.map(Pattern::parse).collect(),
        body: joined("", more),
    }
}

fn server(conn: &str, said: &str, more: &[&str]) -> Result<Expected, String> {
    let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
    if let Some(opcode) = Opcode::parse(word) {
        let payload = match opcode {
            Opcode::Close => close_payload(rest)?,
            _ => joined(rest, more),
        };
        return Ok(Expected::Frame(opcode, payload));
    }
    match word {
        "eof" => Ok(Expected::Eof),
        "dial" => Ok(Expected::Dial(rest.to_owned())),
        "post" => post(rest, more),
        "chunk" => Ok(Expected::Chunk(joined(rest, more))),
        "end" => Ok(Expected::Bytes(Pattern::parse(r"0\r\n\r\n"))),
        "bytes" => Ok(Expected::Bytes(joined(rest, more))),
        "all" => Ok(Expected::All(joined(rest, more))),
        "frame" => Ok(Expected::Stomp(joined(rest, more))),
        "upgraded" => {
            let mut fields = lines(UPGRADED);
            if let Some(granted) = rest.strip_prefix("| ") {
                let date = fields.pop();
                fields.extend(lines(granted).into_iter().chain(date));
            }
            Ok(Expected::Response(Response {
                status: 101,
                fields,
                body: Pattern::default(),
            }))
        }
        _ => response(conn, word, rest, more).map(Expected::Response),
    }
}

/// `TARGET HOST TYPE | Name: value`, as a response with a status of none.
fn post(rest: &str, more: &[&str]) -> Result<Expected, String> {
    let mut parts = rest.split(" | ");
    let words: Vec<&str> = parts.next().unwrap_or_default().split(' ').collect();
    let [target, host, kind] = words[..] else {
        return Err("a target, a host and a type".into());
    };
    let head = format!("Host: {host} | User-Agent: orbited/{{...}} | Content-Type: {kind}");
    let mut fields = lines(&head);
    fields.push(Field::Length);
    fields.extend(parts.flat_map(lines));
    let body = joined("", more);
    let status = 0;
    let request = Response {
        status,
        fields,
        body,
    };
    Ok(Expected::Post(target.to_owned(), request))
}

fn response(conn: &str, status: &str, rest: &str, more: &[&str]) -> Result<Response, String> {
    let status = status.parse().map_err(|_| "a server says no such thing")?;
    let mut response = Response {
        status,
        fields: Vec::new(),
        body: joined("", more),
    };
    if status != 100 {
        response.fields.extend(lines("Date: {date}"));
    }
    let mut unframed = false;
    for part in format!(" {rest}").split(" | ").map(str::trim) {
        let is_line = part.split(' ').next().is_some_and(|w| w.ends_with(':'));
        if is_line {
            response.fields.extend(lines(part));
            continue;
        }
        let mut words = part.split(' ').filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            unframed |= word == "unframed";
            if word == "fault" {
                let code = words.next().ok_or("which fault?")?;
                response.fault(code, conn.starts_with("app"));
            } else {
                response.word(word, &mut words)?;
            }
        }
    }
    if !unframed {
        response.add_length();
    }
    Ok(response)
}

impl Response {
    fn word<'a>(
        &mut self,
        word: &str,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        if let Some((_, short)) = SHORT.iter().find(|(name, _)| *name == word) {
            self.fields.extend(lines(short));
        } else if let Some(length) = word.strip_prefix("length=") {
            self.fields
                .extend(lines(&format!("Content-Length: {length}")));
        } else if word.contains('/') {
            let mut kind = word.to_owned();
            while kind.ends_with(';') {
                kind = format!("{kind} {}", rest.next().unwrap_or_default());
            }
            self.fields.extend(lines(&format!("Content-Type: {kind}")));
        } else if word != "unframed" {
            return Err(format!("no such word: {word}"));
        }
        Ok(())
    }

    /// A refusal; pages of other origins may read those of the public port only.
    fn fault(&mut self, code: &str, internal: bool) {
        self.fields.extend(lines("Content-Type: application/json"));
        self.fields
            .extend(lines(if internal { PRIVATE } else { ANSWER }));
        self.body = Pattern::parse(&format!(
            "{{\"code\":\"{code}\",\"reason\":\"{{...}}\",\"hint\":\"{{...}}\"}}"
        ));
    }

    /// The length of the body stands behind its type, where nothing else tells it.
    fn add_length(&mut self) {
        let begins = |field: &Field, name: &str| match field {
            Field::Line(line) => line.starts_with(name),
            Field::Length => false,
        };
        let told = ["Content-Length: ", "Transfer-Encoding: "];
        let is_told = |field: &Field| told.iter().any(|name| begins(field, name));
        if matches!(self.status, 100..200 | 204 | 304) || self.fields.iter().any(is_told) {
            return;
        }
        let kind = self
            .fields
            .iter()
            .position(|field| begins(field, "Content-Type: "));
        self.fields
            .insert(kind.map_or(1, |at| at + 1), Field::Length);
    }
}

fn lines(text: &str) -> Vec<Field> {
    text.split(" | ")
        .map(|line| Field::Line(Pattern::parse(line)))
        .collect()
}

fn joined(first: &str, more: &[&str]) -> Pattern {
    let mut text = Pattern::parse(first);
    more.iter()
        .for_each(|line| text.append(Pattern::parse(line)));
    text
}

/// `4404 unknown_session`, or nothing.
fn close_payload(text: &str) -> Result<Pattern, String> {
    if text.is_empty() {
        return Ok(Pattern::default());
    }
    let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
    let code: u16 = code.parse().map_err(|_| "a close code is a number")?;
    let [high, low] = code.to_be_bytes();
    Ok(Pattern::parse(&format!(
        "\\x{high:02x}\\x{low:02x}{reason}"
    )))
}

fn millis(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(split.unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| "a number of ms, s or m")?;
    match unit {
        "ms" => Ok(number),
        "s" => Ok(number * 1_000),
        "m" => Ok(number * 60_000),
        _ => Err("a time has ms, s or m".into()),
    }
}

/// A setting of tokens; any of them ends demo mode.
fn about_tokens(config: &mut Config, name: &str, value: &str) -> Result<(), String> {
    config.demo = false;
    match name {
        "key" => {
            let key = TokenKey::parse(&value.replace("SECRET", SECRET)).ok_or("no such key")?;
            config.token_keys.push(key);
        }
        "audience" => config.token_audience.push(value.to_owned()),
        _ => return Err(format!("no such setting: token_{name}")),
    }
    Ok(())
}

/// `name=value` pairs on top of the default; tables are small, since a node is made for each replay.
fn settings(list: &str) -> Result<Config, String> {
    let mut config = Config {
        max_connections: 64,
        max_sessions: 64,
        max_channels: 64,
        ..Config::default()
    };
    for pair in list.split_whitespace() {
        let (name, value) = pair.split_once('=').ok_or("name=value")?;
        if name == "node_name" {
            value.clone_into(&mut config.node_name);
            continue;
        }
        if name == "locations" {
            config.locations.push(value.to_owned());
            continue;
        }
        if name == "allow_origin" {
            config.allow_origin.push(value.to_owned());
            continue;
        }
        if matches!(name, "api_key" | "callback_key") {
            let key = ApiKey::parse(value).ok_or("no such key")?;
            match name {
                "api_key" => {
                    config.demo = false;
                    config.api_keys.push(key);
                }
                _ => config.callback_keys.push(key),
            }
            continue;
        }
        if name == "event_history" {
            config.event_history = keys::history(value).map_err(|_| "no such history")?;
            continue;
        }
        if let Some(rest) = name.strip_prefix("token_") {
            about_tokens(&mut config, rest, value)?;
            continue;
        }
        if name == "names" {
            config.names = match value {
                "anyone" => Names::Anyone,
                _ => return Err("names is anyone".into()),
            };
            continue;
        }
        if name == "peer" {
            config.peer = match value {
                "user" => Peer::User,
                "off" => Peer::Off,
                _ => return Err("peer is user or off".into()),
            };
            continue;
        }
        if name == "bayeux_cookie" {
            let cookie = Some(value)
                .filter(|value| *value != "off")
                .map(Cookie::parse);
            config.bayeux_cookie = cookie.transpose().map_err(|_| "no such cookie")?;
            continue;
        }
        number(&mut config, name, value)?;
    }
    Ok(config)
}

/// A setting that is a number.
fn number(config: &mut Config, name: &str, value: &str) -> Result<(), String> {
    let n: u64 = value.parse().map_err(|_| format!("{name} is a number"))?;
    let size = match name {
        "max_connections" => &mut config.max_connections,
        "max_sessions" => &mut config.max_sessions,
        "max_line" => &mut config.max_line,
        "max_head" => &mut config.max_head,
        "max_body" => &mut config.max_body,
        "max_batch" => &mut config.max_batch,
        "max_message" => &mut config.max_message,
        "max_queue" => &mut config.max_queue,
        "max_queue_total" => &mut config.max_queue_total,
        "max_subscriptions" => &mut config.max_subscriptions,
        "max_channels" => &mut config.max_channels,
        "callback_queue" => &mut config.callback_queue,
        _ => {
            match name {
                "max_requests" => config.max_requests = n as u32,
                "demo" => config.demo = n == 1,
                "op_welcome" => config.op_welcome = n == 1,
                "legacy_html" => config.legacy_html = n == 1,
                "header_timeout_ms" => config.header_timeout_ms = n,
                "keepalive_timeout_ms" => config.keepalive_timeout_ms = n,
                "session_timeout_ms" => config.session_timeout_ms = n,
                "bayeux_idle_ms" => config.bayeux_idle_ms = n,
                "linger_ms" => config.linger_ms = n,
                "heartbeat_ms" => config.heartbeat_ms = n,
                "presence_grace_ms" => config.presence_grace_ms = n,
                _ => return Err(format!("no such setting: {name}")),
            }
            return Ok(());
        }
    };
    *size = n as usize;
    Ok(())
}

impl Opcode {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "text" => Some(Self::Text),
            "binary" => Some(Self::Binary),
            "close" => Some(Self::Close),
            "ping" => Some(Self::Ping),
            "pong" => Some(Self::Pong),
            _ => None,
        }
    }
}

/// Words for what stands in most heads.
const SHORT: [(&str, &str); 11] = [
    (
        "csp",
        "Cache-Control: no-cache, must-revalidate | Access-Control-Allow-Origin: * | X-Content-Type-Options: nosniff",
    ),
    (
        "plain",
        "Cache-Control: no-store, no-transform | Access-Control-Allow-Origin: * | X-Content-Type-Options: nosniff",
    ),
    ("answer", ANSWER),
    ("private", PRIVATE),
    ("cors", "Access-Control-Allow-Origin: *"),
    ("nosniff", "X-Content-Type-Options: nosniff"),
    ("chunked", "Transfer-Encoding: chunked"),
    ("close", "Connection: close"),
    ("keep-alive", "Connection: keep-alive"),
    (
        "sandbox",
        "Content-Security-Policy: sandbox; default-src 'none'",
    ),
    ("unbuffered", "X-Accel-Buffering: no"),
];
const PRIVATE: &str = "Cache-Control: no-store | X-Content-Type-Options: nosniff";
const ANSWER: &str =
    "Cache-Control: no-store | Access-Control-Allow-Origin: * | X-Content-Type-Options: nosniff";
/// The sample of RFC 6455 section 1.3.
const UPGRADE: &str = " | Upgrade: websocket | Connection: Upgrade | Sec-WebSocket-Version: 13 \
    | Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const UPGRADED: &str = "Upgrade: websocket | Connection: Upgrade \
    | Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo= | Date: {date}";

/// What transcripts sign their tokens with: `token_key=HS256:SECRET`.
const SECRET: &str = "the-secret-that-transcripts-sign-with";
/// When a transcript begins: Sun, 06 Nov 1994 08:49:37 GMT.
pub const UNIX_S: u64 = 784_111_777;
