//! CONNECT: the version, the heart-beats, who the client is.
//!
//! In: its frame. Out: CONNECTED, or why not. `host` is not needed: half of the clients do not send it.

use super::{BAD_FRAME, BUSY, replies, say};
use crate::cmd::Cmd;
use crate::config::ApiKey;
use crate::metrics::Kind;
use crate::service::refusal::Refusal;
use crate::service::{Cx, admit, notice};
use crate::session::desk::Desk;
use crate::session::{ServiceKind, Session, Stomp};
use crate::stomp::{Frame, Version};
use serde_json::Value;

/// Lets a client in.
///
/// # Errors
/// No version in common, a name that is none or somebody else's.
pub fn connect(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>) -> Result<(), Refusal> {
    let version = match frame.header("accept-version") {
        // Who offers none is of before there were several.
        None => Version::V10,
        Some(offered) => Version::best_of(offered).ok_or(NO_VERSION)?,
    };
    let wished = wished(frame.header("heart-beat").unwrap_or("0,0"))?;
    let is_app = is_app(cx, session, frame)?;
    match is_app {
        true => session.service = ServiceKind::StompApp,
        false => {
            let before = cx.hub.user_name(&session.seat).map(str::to_owned);
            sign_on(cx, session, frame)?;
            session.service = ServiceKind::Stomp;
            // Who took a name now was told of by that.
            if cx.hub.user_name(&session.seat) == before.as_deref() {
                notice::signon(cx, session);
            }
        }
    }
    let (sends, wants) = beats(session.down(), version, wished);
    let mut stomp = Stomp::new(version);
    // The server is a little early, and waits for two of the client's before it is late.
    stomp.beat_ds = (sends * 9 / 1000) as u16;
    stomp.watch_ds = if wants > 0 {
        (wants / 50 + 10) as u16
    } else {
        0
    };
    session.put_stomp(stomp);
    let (key, beat) = (session.key(cx.id).text(), format!("{sends},{wants}"));
    let mut headers = vec![
        ("version", version.word()),
        ("heart-beat", &*beat),
        ("server", replies::SERVER),
        ("session", &*key),
    ];
    if is_app {
        session.put_desk(
            Desk::new(frame.header("login").unwrap_or_default()),
            cx.ledger,
        );
        headers.push(("orbit-role", "app"));
    }
    // CONNECTED is never escaped, and has nothing to be.
    say(cx, session, "CONNECTED", &headers, "");
    cx.cmds.push(Cmd::Arm(cx.id));
    Ok(())
}

/// Whether the client is the application: it shows one of its keys, whatever it is called. In demo mode there are none, and
/// saying so is enough, but only where no page can say it.
fn is_app(cx: &Cx<'_>, session: &Session, frame: &Frame<'_>) -> Result<bool, Refusal> {
    let shown = frame.header("passcode").unwrap_or_default();
    match frame.header("orbit-role") {
        _ if ApiKey::is_any(&cx.config.api_keys, shown.as_bytes()) => Ok(true),
        None | Some("client") => Ok(false),
        Some("app") if cx.config.demo && session.is_by_port() => Ok(true),
        Some("app") => Err(NOT_LET_IN),
        Some(_) => Err(BAD_ROLE),
    }
}

/// `login` is the user's name and `passcode` what proves it, as AUTH of Revolved has them: a token too, which needs no login.
/// Without either a client has the name that the token of its handshake says, if it has one.
fn sign_on(cx: &mut Cx<'_>, session: &mut Session, frame: &Frame<'_>) -> Result<(), Refusal> {
    let given = |name| frame.header(name).filter(|text| !text.is_empty());
    let (login, passcode) = (given("login"), given("passcode"));
    let nameless = session.pass().is_none() && (passcode.is_none() || cx.tokens.keys.is_empty());
    // Elsewhere the application was asked when the session began.
    let asks = session.down() == Kind::Tcp && cx.config.asks_who_begins();
    if login.is_none() && nameless && !asks {
        return Ok(());
    }
    if cx.hub.is_busy() {
        return Err(BUSY);
    }
    let proof = passcode.map(|text| Value::String(text.to_owned()));
    let signed = admit::sign_on(cx, session, (login, proof.as_ref()));
    // Which of the two is wrong is nobody's business.
    signed.map_err(|refusal| match refusal.code {
        NAME_TAKEN => NOT_LET_IN,
        _ => refusal,
    })?;
    Ok(())
}

/// Milliseconds after which the client can send, and wants to be sent, something; 0 is never.
fn wished(text: &str) -> Result<(u64, u64), Refusal> {
    let (sends, wants) = text.split_once(',').ok_or(BAD_BEAT)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| BAD_BEAT);
    Ok((number(sends)?, number(wants)?))
}

/// The same for the server: what the client wishes, unless it is too often. Where the carrier looks after its peer itself,
/// nothing is wanted of the client: a WebSocket has pings, and CSP has its own life. 1.0 has no heart-beats.
fn beats(down: Kind, version: Version, (can, wants): (u64, u64)) -> (u64, u64) {
    let agreed = |wish: u64| match wish {
        0 => 0,
        wish => wish.clamp(BEAT_MS_MIN, BEAT_MS_MAX),
    };
    match down {
        _ if version == Version::V10 => (0, 0),
        // Who can only less often is not waited for.
        Kind::Tcp if can > BEAT_MS_MAX => (agreed(wants), 0),
        Kind::Tcp => (agreed(wants), agreed(can)),
        Kind::WebSocket => (agreed(wants), 0),
        _ => (0, 0),
    }
}

const NO_VERSION: Refusal = Refusal::new("none of the versions is known here", "bad-version");
const BAD_ROLE: Refusal = Refusal::new("orbit-role is app or client", BAD_FRAME);
const NOT_LET_IN: Refusal = Refusal::new("login or passcode are wrong", NAME_TAKEN);
const NAME_TAKEN: &str = "name-taken";
const BAD_BEAT: Refusal = Refusal::new("heart-beat is two numbers with a comma between", BAD_FRAME);
/// Most often, in milliseconds: what a silent connection costs in a second is bounded by this.
const BEAT_MS_MIN: u64 = 1_000;
/// Least often: beyond half an hour nobody could tell it from never, and twice that in tenths of a second is a `u16`.
const BEAT_MS_MAX: u64 = 1_800_000;
