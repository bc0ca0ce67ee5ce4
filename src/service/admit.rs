//! Who somebody is: the one way in for every protocol, by a token where the node has keys for them.
//!
//! In: the name that a client asks for, and what it shows for it. Out: the name that it has, and what its token lets it do; or
//! the refusal that says why not. Where there is no key, what is shown only keeps others from the name.

use super::decide::{self, Asking, Matter};
use super::refusal::Refusal;
use super::{Cx, Hello, notice, of};
use crate::cmd::{Cause, Cmd};
use crate::config::policy::Who;
use crate::config::{Config, Names};
use crate::hub::{Hub, Refused, names};
use crate::session::Session;
use crate::token::{Bad, Claims, Do, Tokens};
use serde_json::Value;

/// Who somebody is.
#[derive(Debug, Default)]
pub struct Admitted {
    /// The user.
    pub user: Option<String>,
    /// What keeps others from the name.
    pub proof: Vec<u8>,
    /// What the token says, if there is one.
    pub claims: Option<Claims>,
    /// Channels and patterns that the application has it read.
    pub subscribe: Vec<Box<str>>,
}

impl Admitted {
    /// How its session begins; what the token says goes with it.
    pub fn hello(&mut self) -> Hello<'_> {
        Hello {
            user: self.user.as_deref(),
            credentials: &self.proof,
            claims: self.claims.take(),
            channels: Vec::new(),
            by_port: false,
            resource: None,
            place: None,
        }
    }
}

/// Whom a handshake names, if anybody. What is no text is not taken for no name.
///
/// # Errors
/// [`BAD_NAME`].
pub fn named(user: Option<&Value>) -> Result<Option<&str>, Refusal> {
    let user = user.filter(|user| !user.is_null());
    let text = user.map(|user| user.as_str().ok_or(NOT_A_NAME));
    text.transpose()
}

/// Who somebody is that wants to be `user`, if anybody, and shows `proof`.
///
/// # Errors
/// The cause, which is not counted yet.
pub fn admit(
    (tokens, config): (&Tokens, &Config),
    (user, proof): (Option<&str>, Option<&Value>),
    unix_ms: u64,
) -> Result<Admitted, Refusal> {
    let user = user.map(names::user).transpose();
    let user = user.map_err(|error| Refusal::new(error.reason(), BAD_NAME))?;
    let proof = proof.filter(|proof| !proof.is_null());
    let checked = !tokens.keys.is_empty();
    // Where the application decides who somebody is, it is the one that looks at what is shown.
    let asks = config.decider(Matter::Signon.word()).is_some() && !checked;
    let open = asks || config.names == Names::Anyone || (config.demo && !checked);
    if !open && user.is_some() && (!checked || proof.is_none()) {
        return Err(NEEDS_TOKEN);
    }
    let Some(proof) = proof.filter(|_| checked) else {
        return Ok(Admitted {
            user: user.map(str::to_owned),
            proof: proof.map(Value::to_string).unwrap_or_default().into(),
            ..Admitted::default()
        });
    };
    let text = proof.as_str().ok_or(Bad::Form)?;
    let claims = tokens.check(text, unix_ms)?;
    by_token(user, claims)
}

/// The same for claims that were checked: their user and no other.
///
/// # Errors
/// [`Bad::User`].
pub fn by_token(user: Option<&str>, claims: Claims) -> Result<Admitted, Refusal> {
    if user.is_some_and(|user| claims.user.as_deref() != Some(user)) {
        return Err(Bad::User.into());
    }
    Ok(Admitted {
        user: claims.user.as_deref().map(str::to_owned),
        proof: BY_TOKEN.to_vec(),
        claims: Some(claims),
        subscribe: Vec::new(),
    })
}

/// Whom the application lets in, and as whom; it is asked with what `question` spells, to which who it is is added.
///
/// # Errors
/// That it is asked now; that it does not; a name that is none, or is not the token's.
pub fn by_application(
    (asking, config): (&mut Asking, &Config),
    mut admitted: Admitted,
    (question, proof): (impl FnOnce() -> Vec<u8>, Option<&Value>),
) -> Result<Admitted, Refusal> {
    if !config.asks_who_begins() {
        return Ok(admitted);
    }
    let mut question = question();
    let user = admitted.user.clone().unwrap_or_default();
    decide::field(&mut question, "user", admitted.user.as_deref());
    // A token that was checked is between the client and this node.
    let proof = proof.filter(|_| admitted.claims.is_none());
    if let Some(proof) = proof {
        decide::json_field(&mut question, "credentials", &proof.to_string());
    }
    question.push(b'}');
    let changes = decide::decide(asking, (Matter::Signon, &user), || question)?;
    if let Some(user) = changes.user {
        let named = names::user(&user);
        let user = named.map_err(|error| Refusal::new(error.reason(), BAD_NAME))?;
        let own = admitted
            .claims
            .as_ref()
            .and_then(|claims| claims.user.as_deref());
        if own.is_some_and(|own| own != user) {
            return Err(Bad::User.into());
        }
        admitted.user = Some(user.to_owned());
    }
    // By OP it is shown no credentials, which keep others from the name as ever.
    if admitted.claims.is_none() && !config.op_welcome {
        // Whom it lets in may have the name beside others whom it lets in.
        admitted.proof = BY_APPLICATION.to_vec();
    }
    admitted.subscribe = changes.subscribe;
    Ok(admitted)
}

/// Has the session at hand read what the application wants it to.
pub fn seat_all(cx: &mut Cx<'_>, session: &mut Session, topics: &[Box<str>]) {
    for topic in topics {
        let known = names::topic(topic).is_ok();
        if !known || !of(session.service).seated(cx, session, topic, true) {
            log::debug!("cannot be subscribed session={} channel={topic:?}", cx.id);
        }
    }
}

/// Makes the session at hand whose it is. Gives back the user's name.
///
/// # Errors
/// The cause, counted; the session is what it was.
pub fn sign_on(
    cx: &mut Cx<'_>,
    session: &mut Session,
    asked: (Option<&str>, Option<&Value>),
) -> Result<Option<String>, Refusal> {
    let before = cx.hub.user_name(&session.seat).map(str::to_owned);
    let done = try_sign_on(cx, session, asked);
    let pending = done.as_ref().is_err_and(Refusal::is_pending);
    if shows_token(cx, asked.1) && !pending {
        tried(cx, session, done.as_ref().err());
    }
    if done.is_ok() && cx.hub.user_name(&session.seat) != before.as_deref() {
        notice::signon(cx, session);
    }
    done.inspect_err(|refusal| cx.count(refusal))
}

/// Whether a proof is to be looked at as a token.
fn shows_token(cx: &Cx<'_>, proof: Option<&Value>) -> bool {
    !cx.tokens.keys.is_empty() && proof.is_some_and(|proof| !proof.is_null())
}

/// Ends the session at hand at the last token that it may try in vain; its client is told of that one as of the others.
fn tried(cx: &mut Cx<'_>, session: &mut Session, refusal: Option<&Refusal>) {
    let bad = refusal.is_some_and(|refusal| refusal.code.starts_with("token-"));
    if (bad || refusal.is_none()) && session.tried_token(bad, cx.ledger) {
        cx.end(session, Cause::Protocol);
    }
}

fn try_sign_on(
    cx: &mut Cx<'_>,
    session: &mut Session,
    asked: (Option<&str>, Option<&Value>),
) -> Result<Option<String>, Refusal> {
    let held = session.pass().and_then(|pass| pass.own());
    let admitted: Admitted = match held.filter(|_| !shows_token(cx, asked.1)) {
        // Whose token a session has is said: with its rights nobody takes another name.
        Some((claims, _)) => by_token(asked.0, Claims::clone(claims))?,
        None => admit((cx.tokens, cx.config), asked, cx.unix_ms)?,
    };
    let question = || {
        decide::signon(
            &session.key(cx.id).text(),
            session.service.word(),
            cx.unix_ms,
        )
    };
    let by = (&mut *cx.asking, cx.config);
    let admitted = by_application(by, admitted, (question, asked.1))?;
    match &admitted.user {
        Some(user) => cx
            .hub
            .sign_on(cx.id, &mut session.seat, user, &admitted.proof)?,
        // It would stay whose it was, with what another may do.
        None if cx.hub.user_name(&session.seat).is_some() => return Err(Bad::User.into()),
        None => {}
    }
    seat_all(cx, session, &admitted.subscribe);
    if let Some(claims) = admitted.claims {
        put_token(cx, session, claims);
    }
    Ok(admitted.user)
}

/// The client of the session at hand is here again, on another stream, and shows who it is.
///
/// # Errors
/// It is not who it was: the name is kept by other credentials.
pub fn again(cx: &mut Cx<'_>, session: &mut Session, admitted: Admitted) -> Result<(), Refused> {
    if let Some(user) = &admitted.user {
        cx.hub
            .sign_on(cx.id, &mut session.seat, user, &admitted.proof)?;
    }
    if let Some(claims) = admitted.claims {
        put_token(cx, session, claims);
    }
    Ok(())
}

fn put_token(cx: &mut Cx<'_>, session: &mut Session, claims: Claims) {
    let (until, ledger) = (cx.tokens.end_of(&claims, cx.unix_ms, cx.now), cx.ledger);
    review(cx, session, |session| {
        session.set_token(claims, until, ledger);
    });
    cx.cmds.push(Cmd::Arm(cx.id));
}

/// Adds a token for some channels to those of the session at hand.
///
/// # Errors
/// The cause, counted.
pub fn add_token(cx: &mut Cx<'_>, session: &mut Session, text: &str) -> Result<(), Refusal> {
    let done = try_add_token(cx, session, text);
    tried(cx, session, done.as_ref().err());
    done.inspect_err(|refusal| cx.metrics.refuse(refusal.code))
}

fn try_add_token(cx: &mut Cx<'_>, session: &mut Session, text: &str) -> Result<(), Refusal> {
    let claims = cx.tokens.check(text, cx.unix_ms)?;
    let user = claims.user.as_deref();
    if user.is_some_and(|user| user_of(cx.hub, session) != Some(user)) {
        return Err(Bad::User.into());
    }
    let until = cx.tokens.end_of(&claims, cx.unix_ms, cx.now);
    if !session.add_token(claims, until, cx.ledger) {
        return Err(TOO_MANY_TOKENS);
    }
    cx.cmds.push(Cmd::Arm(cx.id));
    Ok(())
}

/// Forgets tokens for single channels whose time is over, and what they opened.
pub fn expire(cx: &mut Cx<'_>, session: &mut Session) {
    let (now, ledger) = (cx.now, cx.ledger);
    review(cx, session, |session| session.expire_tokens(now, ledger));
}

/// Whose a session is. A plain reader is nobody's, but may have shown whose token it has.
#[must_use]
pub fn user_of<'a>(hub: &'a Hub, session: &'a Session) -> Option<&'a str> {
    let own = session.pass().and_then(|pass| pass.own());
    let shown = own.and_then(|(claims, _)| claims.user.as_deref());
    hub.user_name(&session.seat).or(shown)
}

/// Changes what the session at hand may do, and ends the subscriptions that it has no right to any more.
fn review(cx: &mut Cx<'_>, session: &mut Session, change: impl FnOnce(&mut Session)) {
    let mut by_token = cx.hub.topics(&session.seat);
    by_token.retain(|topic| {
        cx.hub.policy(topic).subscribe == Who::Token && session.has_right(Do::Subscribe, topic)
    });
    change(session);
    for topic in by_token {
        if session.listens() && !session.has_right(Do::Subscribe, &topic) {
            of(session.service).lapsed(cx, session, &topic);
        }
    }
}

/// What keeps a name that a token gave from who has none.
const BY_TOKEN: &[u8] = b"\0token";
/// The same of a name that the application gave.
pub(super) const BY_APPLICATION: &[u8] = b"\0application";
/// The code of a name that is none.
pub const BAD_NAME: &str = "bad-name";
const NOT_A_NAME: Refusal = Refusal::new("a user is a name", BAD_NAME);
const NEEDS_TOKEN: Refusal = Refusal::new("a user's name needs a token here", "name-needs-token");
const TOO_MANY_TOKENS: Refusal = Refusal::new(
    "a session may hold 32 tokens for single channels at once",
    "too-many",
);
