//! The command: flags to settings, settings to a node, the node to a loop. Exit status 0 stopped as asked,
//! 1 could not run, 2 wrong settings.

use orbited::cli::{self, Ask, Call, Command, MakeToken, Settings, help, logging};
use orbited::client::{self, Undone};
use orbited::config::{Config, Listen, units};
use orbited::net::{self, Bind, Listener, Loop, clock, limits};
use orbited::node::{Door, Node};
use orbited::token::{Keys, Signer, Wanted};
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let parsed = cli::parse(std::env::args_os().skip(1), std::env::vars_os());
    let text = match parsed {
        Ok(Command::Run(settings)) => return run(&settings),
        Ok(Command::Call(call)) => return ask(&call),
        Ok(Command::HelpOf(verb)) => verb.help(),
        Ok(Command::Check(settings, names)) => help::check(&settings, &names),
        Ok(Command::Config(format)) => help::settings(format),
        Ok(Command::Help) => help::help(),
        Ok(Command::Version) => help::version(),
        Err(error) => return fail(2, &error.to_string()),
    };
    say(&text)
}

fn run(settings: &Settings) -> ExitCode {
    match start(settings) {
        Ok(mut node_loop) => match node_loop.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &format!("the loop failed: {error}")),
        },
        Err(text) => fail(1, &text),
    }
}

/// Asks a running node.
fn ask(call: &Call) -> ExitCode {
    let config = &call.settings.config;
    match &call.ask {
        Ask::MakeToken(what) => return make_token(config, what),
        Ask::CheckToken(token) => return check_token(config, token.as_deref()),
        _ => {}
    }
    let Some(address) = &config.internal else {
        return fail(
            1,
            "--internal off: a node without an internal address cannot be asked",
        );
    };
    let keys = match net::files::keys(&config.api_keys) {
        Ok(keys) => keys,
        Err(error) => return fail(1, &format!("--api-key {error}")),
    };
    let key = keys.first();
    let node = client::Node { address, key };
    let mut out = io::stdout().lock();
    match client::run(&node, &call.ask, io::stdin().lock(), &mut out) {
        Ok(()) | Err(Undone::Unread) => ExitCode::SUCCESS,
        Err(Undone::Because(text)) => fail(1, &text),
    }
}

/// The settings with what is in the files of keys.
fn with_keys(config: &Config) -> Result<Config, String> {
    let mut effective = config.clone();
    effective.api_keys =
        net::files::keys(&config.api_keys).map_err(|error| format!("--api-key {error}"))?;
    effective.callback_keys = net::files::keys(&config.callback_keys)
        .map_err(|error| format!("--callback-key {error}"))?;
    let read = net::files::token_keys(&mut effective);
    read.map_err(|error| format!("--token-key {error}"))?;
    Ok(effective)
}

/// The settings with what the node is called: as its host is, or by some letters of its own.
fn named(mut config: Config, seed: &[u8; 32]) -> Config {
    if config.node_name.is_empty() {
        let letters = seed.iter().take(6).map(|byte| char::from(b'a' + byte % 26));
        let own = || ["node-".to_owned(), letters.collect()].concat();
        config.node_name = limits::host_name().unwrap_or_else(own);
    }
    config
}

fn make_token(config: &Config, what: &MakeToken) -> ExitCode {
    let ttl = what.ttl.as_deref().unwrap_or("1h");
    let life_ms = match units::time(ttl, 1_000, config.token_life_ms) {
        Ok(life_ms) => life_ms,
        Err(misread) => return fail(2, &format!("--ttl {ttl}: {misread}")),
    };
    let wanted = Wanted {
        user: what.user.clone(),
        subscribe: what.subscribe.clone(),
        publish: what.publish.clone(),
        audience: what.audience.clone(),
        issuer: what.issuer.clone(),
        id: what.id.clone(),
    };
    let made = with_keys(config).and_then(|config| {
        let key = config.token_keys.first().ok_or("--token-key is missing")?;
        let signer = Signer::new(key).map_err(|bad| format!("--token-key: {bad}"))?;
        let token = signer.make(&wanted, clock::unix_ms() / 1_000, life_ms / 1_000);
        token.map_err(|bad| format!("--token-key: {bad}"))
    });
    match made {
        Ok(token) => say(&format!("{token}\n")),
        Err(text) => fail(1, &text),
    }
}

fn check_token(config: &Config, token: Option<&str>) -> ExitCode {
    let keys = with_keys(config).and_then(|config| {
        let keys = Keys::new(&config);
        keys.map_err(|bad| format!("--token-key: {bad}"))
    });
    let keys = match keys {
        Ok(keys) => keys,
        Err(text) => return fail(1, &text),
    };
    let token = match token {
        Some(token) => token.to_owned(),
        None => io::read_to_string(io::stdin().take(INPUT_MAX)).unwrap_or_default(),
    };
    let (text, taken) = keys.report(token.trim(), clock::unix_ms());
    let said = say(&text);
    match taken {
        true => said,
        false => ExitCode::from(1),
    }
}

/// Prints what was asked for. A reader that went away (`orbited --help | head`) is no fault.
fn say(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Everything between settings and the first turn; what fails is named with its cure.
fn start(settings: &Settings) -> Result<Loop, String> {
    let config = &settings.config;
    logging::start(&config.log, clock::unix_ms).map_err(|error| error.to_string())?;
    let files = limits::raise_open_files();
    let seed = limits::seed().map_err(|error| format!("no entropy: {error}"))?;
    let mut node = Node::new(named(with_keys(config)?, &seed), seed)?;
    if let Some(folder) = &config.static_dir {
        let error = |error| format!("--static-dir {}: {error}", folder.display());
        node.set_files(net::files::load(folder).map_err(error)?);
    }
    let listeners = bind(settings)?;
    let at = |door: Door| {
        let bound = listeners.iter().filter(|listener| listener.door == door);
        bound.map(Listener::address).collect::<Vec<_>>()
    };
    let [http, internal, op, stomp] = [Door::Public, Door::Internal, Door::Op, Door::Stomp].map(at);
    let node_loop =
        Loop::new(node, listeners).map_err(|error| format!("cannot start the loop: {error}"))?;
    let one = |bound: Vec<String>| bound.into_iter().next().unwrap_or("off".into());
    greet(
        config,
        files,
        &http,
        [&one(internal), &one(op), &one(stomp)],
    );
    Ok(node_loop)
}

fn bind(settings: &Settings) -> Result<Vec<Listener>, String> {
    let config = &settings.config;
    let how = Bind {
        reuse_port: config.reuse_port,
        backlog: config.backlog,
        tcp_timeout: Duration::from_millis(config.tcp_timeout_ms),
        tcp_keepalive: Duration::from_millis(config.tcp_keepalive_ms),
    };
    let mut listeners = Vec::new();
    for address in &config.listen {
        let listener = Listener::bind(address, Door::Public, how);
        listeners.push(listener.map_err(|error| cannot_listen("--listen", address, &error))?);
    }
    let internal = Bind {
        reuse_port: false,
        ..how
    };
    // Who speaks OP, or STOMP without heart-beats, would never be missed.
    let raw = Bind {
        tcp_keepalive: match how.tcp_keepalive.is_zero() {
            true => RAW_KEEPALIVE,
            false => how.tcp_keepalive,
        },
        ..how
    };
    let doors = [
        ("internal", &config.internal, Door::Internal, internal),
        ("op", &config.op, Door::Op, raw),
        ("stomp", &config.stomp, Door::Stomp, raw),
    ];
    for (flag, address, door, how) in doors {
        let Some(address) = address else { continue };
        match Listener::bind(address, door, how) {
            Ok(listener) => listeners.push(listener),
            // A port nobody asked for may be busy; one that was named may not.
            Err(error) if settings.is_default(flag) => {
                log::warn!("{}", cannot_listen(&format!("--{flag}"), address, &error));
            }
            Err(error) => return Err(cannot_listen(&format!("--{flag}"), address, &error)),
        }
    }
    Ok(listeners)
}

fn cannot_listen(flag: &str, address: &Listen, error: &io::Error) -> String {
    let cure = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has it; name another with port 0 for any free one"
        }
        io::ErrorKind::PermissionDenied => {
            "run with setcap cap_net_bind_service, or name a port above 1023"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => "name another address",
    };
    format!("{flag} {address}: cannot listen: {error}; {cure}")
}

/// The welcome on standard error, then the one line on standard output that programs wait for.
fn greet(config: &Config, files: u64, http: &[String], [internal, op, stomp]: [&str; 3]) {
    let selector = if cfg!(mio_unsupported_force_poll_poll) {
        "poll"
    } else {
        "epoll"
    };
    let room = files
        .saturating_sub(DESCRIPTORS_KEPT)
        .min(config.max_sessions as u64);
    eprintln!(
        "orbited {}  pid {}  {selector}  open-file limit {files} (room for about {room} sessions)",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
    );
    if let Some(first) = http.first() {
        eprintln!("  pages    http://{first}/");
    }
    if internal != "off" {
        let key = match config.api_keys.is_empty() {
            true => "",
            false => "-H 'X-API-Key: …' ",
        };
        eprintln!("  publish  curl {key}-d 'hello' http://{internal}/api/publish/demo/chat");
        eprintln!("  metrics  http://{internal}/metrics");
    }
    if op != "off" {
        eprintln!("  OP       {op}, for the application");
    }
    if config.demo {
        let may = match config.policies.is_open() {
            true => "may publish and subscribe",
            false => "may take any user name, and do what --channel lets a user do",
        };
        eprintln!("demo mode: anyone on this machine {may}; only this machine can connect.");
    }
    println!(
        "ready http={} internal={internal} op={op} stomp={stomp}",
        http.join(",")
    );
    let _ = io::stdout().flush();
    if let Ok(socket) = std::env::var("NOTIFY_SOCKET")
        && let Err(error) = net::notify_ready(&socket)
    {
        log::warn!("cannot tell NOTIFY_SOCKET error={error}");
    }
}

fn fail(status: u8, text: &str) -> ExitCode {
    eprintln!("orbited: {text}");
    ExitCode::from(status)
}

/// Silence on the ports of OP and STOMP before TCP probes a peer, where the operator says nothing.
const RAW_KEEPALIVE: Duration = Duration::from_secs(60);
/// Listeners, the poll, the signals' pipe, the standard streams and what a library opens.
const DESCRIPTORS_KEPT: u64 = 20;
/// Bytes of standard input that are looked at: above any token.
const INPUT_MAX: u64 = 64 << 10;
