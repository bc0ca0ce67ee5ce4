//! Gives paths their names. The one place where a path is spelled.
//!
//! Data in: the path of a request, still percent-encoded. Data out: a [`Route`] or, on the internal port, an [`Internal`].
//! It must not know methods, queries or what serves a route. Paths match exactly: no prefix, no case folding, no dots resolved, and an
//! escaped spelling is another path; so no policy in front can be walked around (Faye's CVE-2020-11020).

use std::borrow::Cow;

use super::assets;
use super::url::decode_path;

/// A service a CSP session or a bare WebSocket can be opened to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// Publish and subscribe over JSON lines.
    Revolved,
    /// Sends back what it gets.
    Echo,
    /// Whatever the application and the client say to each other.
    Orbit,
    /// STOMP as a stream of bytes.
    Stomp,
}

impl Service {
    /// The service called `name` in a path.
    pub fn parse(name: &str) -> Option<Service> {
        match name {
            "revolved" => Some(Service::Revolved),
            "echo" => Some(Service::Echo),
            "orbit" => Some(Service::Orbit),
            "stomp" => Some(Service::Stomp),
            _ => None,
        }
    }
}

/// What a CSP base offers (csp.md section 1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// Makes a session.
    Handshake,
    /// Downstream.
    Comet,
    /// Upstream.
    Send,
    /// Ends a session.
    Close,
    /// Returns what it gets.
    Reflect,
    /// Lets a client see whether something between buffers.
    Streamtest,
    /// The client library. [`public`] answers it as [`Route::Asset`] for every service, so it never comes with a [`Route::Csp`].
    Script,
    /// The session over WebSocket.
    Socket,
}

impl Endpoint {
    /// The endpoint called `name` behind a CSP base and its slash.
    pub fn parse(name: &str) -> Option<Endpoint> {
        match name {
            "handshake" => Some(Endpoint::Handshake),
            "comet" => Some(Endpoint::Comet),
            "send" => Some(Endpoint::Send),
            "close" => Some(Endpoint::Close),
            "reflect" => Some(Endpoint::Reflect),
            "streamtest" => Some(Endpoint::Streamtest),
            "static/csp.js" => Some(Endpoint::Script),
            "websocket" => Some(Endpoint::Socket),
            _ => None,
        }
    }
}

/// A call of Revolved as Orbited 0.3 had it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Makes a session.
    Connect,
    /// Gives it a user.
    Authenticate,
    /// To a channel.
    Subscribe,
    /// Ends that.
    Unsubscribe,
    /// To a channel.
    Publish,
    /// The stream of the session's events.
    Event,
}

impl Call {
    /// The call of this name.
    pub fn parse(name: &str) -> Option<Call> {
        match name {
            "connect" => Some(Call::Connect),
            "authenticate" => Some(Call::Authenticate),
            "subscribe" => Some(Call::Subscribe),
            "unsubscribe" => Some(Call::Unsubscribe),
            "publish" => Some(Call::Publish),
            "event" => Some(Call::Event),
            _ => None,
        }
    }
}

/// What a path on the public port names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route<'a> {
    /// `/_/SERVICE/csp/ENDPOINT`.
    Csp(Service, Endpoint),
    /// `/_/SERVICE/ws`.
    ServiceSocket(Service),
    /// `/_/events`.
    Events,
    /// `/_/revolved/CALL`.
    Revolved(Call),
    /// `/_/orbit/LOCATION`: the transport layer of Orbited 0.3, by the location and its slash, still percent-encoded.
    Location(&'a str),
    /// `/_/stomp`: STOMP over WebSocket.
    Stomp,
    /// Bayeux: `/_/bayeux`, `/bayeux`, `/cometd`, and whatever a client puts below them: CometD appends the kind of its
    /// message, Faye the session.
    Bayeux,
    /// An embedded file, by the name [`assets::find`] knows.
    Asset(&'a str),
    /// A service this version knows the name of and does not offer.
    NotOffered(&'static str),
    /// Nothing.
    Unknown,
}

/// What `path` names on the public port.
pub fn public(path: &str) -> Route<'_> {
    match path {
        "/" => Route::Asset("index.html"),
        "/_/events" => Route::Events,
        "/_/stomp" => Route::Stomp,
        _ if is_bayeux(path) => Route::Bayeux,
        _ => match (path.strip_prefix("/_/"), path.strip_prefix('/')) {
            (Some(rest), _) => mounted(rest),
            (None, Some(name)) => {
                assets::find(name).map_or(Route::Unknown, |asset| Route::Asset(asset.name))
            }
            (None, None) => Route::Unknown,
        },
    }
}

fn is_bayeux(path: &str) -> bool {
    let below = |base| path.strip_prefix(base);
    let rest = ["/_/bayeux", "/bayeux", "/cometd"]
        .into_iter()
        .find_map(below);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What is behind `/_/`.
fn mounted(rest: &str) -> Route<'_> {
    if let Some(name) = library(rest.strip_prefix("static/").unwrap_or(rest)) {
        return Route::Asset(name);
    }
    match rest.split_once('/') {
        Some(("csp", name)) => csp(offer("orbit"), name),
        Some((service, tail)) => match (offer(service), tail.strip_prefix("csp/")) {
            (offer, Some(name)) => csp(offer, name),
            (Offer::Yes(service), None) if tail == "ws" => Route::ServiceSocket(service),
            (Offer::Not(service), None) if tail == "ws" => Route::NotOffered(service),
            (Offer::Yes(Service::Orbit), None) => location(rest),
            (Offer::Yes(Service::Revolved), None) => {
                Call::parse(tail).map_or(Route::Unknown, Route::Revolved)
            }
            _ => Route::Unknown,
        },
        None => Route::Unknown,
    }
}

/// What is behind the service's name and is nothing else.
fn location(rest: &str) -> Route<'_> {
    match rest.strip_prefix("orbit") {
        Some("/" | "/csp") | None => Route::Unknown,
        Some(location) => Route::Location(location),
    }
}

/// What a service name in a path is to this version.
enum Offer {
    Yes(Service),
    Not(&'static str),
    Unheard,
}

fn offer(name: &str) -> Offer {
    let not = NOT_OFFERED.iter().find(|known| **known == name);
    match (Service::parse(name), not) {
        (Some(service), _) => Offer::Yes(service),
        (None, Some(name)) => Offer::Not(name),
        (None, None) => Offer::Unheard,
    }
}

/// What is behind a CSP base. js.io strips one trailing slash from a base it is given, other clients do not: then there are two.
fn csp(offer: Offer, name: &str) -> Route<'static> {
    let endpoint = Endpoint::parse(name.strip_prefix('/').unwrap_or(name));
    match (offer, endpoint) {
        (Offer::Unheard, _) | (_, None) => Route::Unknown,
        (_, Some(Endpoint::Script)) => Route::Asset("CSP.js"),
        (Offer::Not(service), Some(_)) => Route::NotOffered(service),
        (Offer::Yes(service), Some(endpoint)) => Route::Csp(service, endpoint),
    }
}

/// The asset that a client library's name stands for; both spellings are in use.
fn library(name: &str) -> Option<&'static str> {
    match name {
        "CSP.js" | "csp.js" => Some("CSP.js"),
        "CSP.min.js" | "csp.min.js" => Some("CSP.min.js"),
        "CSP.d.ts" | "csp.d.ts" => Some("CSP.d.ts"),
        "Revolved.js" | "revolved.js" => Some("Revolved.js"),
        "Orbited.js" | "orbited.js" => Some("Orbited.js"),
        "Orbited.d.ts" | "orbited.d.ts" => Some("Orbited.d.ts"),
        "iframe.js" => Some("iframe.js"),
        "Revolved.d.ts" | "revolved.d.ts" => Some("Revolved.d.ts"),
        _ => None,
    }
}

/// Services of the wire description that this version does not have.
const NOT_OFFERED: [&str; 1] = ["tcp"];

/// What a path on the internal port names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Internal<'a> {
    /// `/api/publish/CHANNEL`: the channel, decoded, not empty; it may hold slashes and is not yet checked to be a channel's name.
    Publish(Cow<'a, str>),
    /// `/api/publish`: many messages.
    PublishMany,
    /// `/api/send/USER`: the user, decoded, not empty, not yet checked.
    Send(Cow<'a, str>),
    /// `/api/send`: to one session.
    SendOne,
    /// `/api/broadcast`.
    Broadcast,
    /// `/api/kick/USER`: the user, as for [`Internal::Send`].
    Kick(Cow<'a, str>),
    /// `/api/kick`: one session.
    KickOne,
    /// `/api/subscribe`.
    Subscribe,
    /// `/api/unsubscribe`.
    Unsubscribe,
    /// `/api/revoke`.
    Revoke,
    /// `/api/ticket`.
    Ticket,
    /// `/api/presence/CHANNEL`: the channel, as for [`Internal::Publish`].
    Presence(Cow<'a, str>),
    /// `/api/history/CHANNEL`: the channel, as for [`Internal::Publish`].
    History(Cow<'a, str>),
    /// `/api/channels`.
    Channels,
    /// `/api/sessions`.
    Sessions,
    /// `/api/openapi.json`.
    Description,
    /// `/api/events/EVENT[,EVENT]`: their names, as for [`Internal::Publish`].
    Events(Cow<'a, str>),
    /// `/healthz`.
    Healthz,
    /// `/livez`.
    Livez,
    /// `/readyz`.
    Readyz,
    /// `/metrics`.
    Metrics,
    /// `/`.
    Root,
    /// Nothing.
    Unknown,
}

impl Internal<'_> {
    /// Whether it is asked for by GET, and changes nothing.
    #[must_use]
    pub fn is_looked_at(&self) -> bool {
        !matches!(
            self,
            Self::Publish(_)
                | Self::PublishMany
                | Self::Send(_)
                | Self::SendOne
                | Self::Broadcast
                | Self::Kick(_)
                | Self::KickOne
                | Self::Revoke
                | Self::Ticket
                | Self::Subscribe
                | Self::Unsubscribe
        )
    }
}

/// What `path` names on the internal port.
pub fn internal(path: &str) -> Internal<'_> {
    match path {
        "/healthz" => Internal::Healthz,
        "/livez" => Internal::Livez,
        "/readyz" => Internal::Readyz,
        "/metrics" => Internal::Metrics,
        "/" => Internal::Root,
        _ => path
            .strip_prefix("/api/")
            .and_then(api)
            .unwrap_or(Internal::Unknown),
    }
}

/// What is behind `/api/`.
fn api(rest: &str) -> Option<Internal<'_>> {
    let Some((call, name)) = rest.split_once('/') else {
        return match rest {
            "publish" => Some(Internal::PublishMany),
            "send" => Some(Internal::SendOne),
            "broadcast" => Some(Internal::Broadcast),
            "kick" => Some(Internal::KickOne),
            "revoke" => Some(Internal::Revoke),
            "ticket" => Some(Internal::Ticket),
            "subscribe" => Some(Internal::Subscribe),
            "unsubscribe" => Some(Internal::Unsubscribe),
            "channels" => Some(Internal::Channels),
            "sessions" => Some(Internal::Sessions),
            "openapi.json" => Some(Internal::Description),
            _ => None,
        };
    };
    let make = match call {
        "publish" => Internal::Publish,
        "send" => Internal::Send,
        "kick" => Internal::Kick,
        "presence" => Internal::Presence,
        "history" => Internal::History,
        "events" => Internal::Events,
        _ => return None,
    };
    let name = Some(name).filter(|name| !name.is_empty());
    name.and_then(decode_path).map(make)
}

/// Every path that [`internal`] gives a meaning, and the method it takes; `{…}` is a name. The description of the API is
/// held against it.
pub const INTERNAL: [(&str, &str); 22] = [
    ("post", "/api/publish/{channel}"),
    ("post", "/api/publish"),
    ("post", "/api/send/{user}"),
    ("post", "/api/send"),
    ("post", "/api/broadcast"),
    ("post", "/api/subscribe"),
    ("post", "/api/unsubscribe"),
    ("post", "/api/kick/{user}"),
    ("post", "/api/kick"),
    ("post", "/api/revoke"),
    ("post", "/api/ticket"),
    ("get", "/api/presence/{channel}"),
    ("get", "/api/history/{channel}"),
    ("get", "/api/channels"),
    ("get", "/api/sessions"),
    ("get", "/api/events/{events}"),
    ("get", "/api/openapi.json"),
    ("get", "/metrics"),
    ("get", "/healthz"),
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_csp_endpoint_of_an_offered_service_has_its_route() {
        for (name, endpoint) in [
            ("handshake", Endpoint::Handshake),
            ("comet", Endpoint::Comet),
            ("send", Endpoint::Send),
            ("close", Endpoint::Close),
            ("reflect", Endpoint::Reflect),
            ("streamtest", Endpoint::Streamtest),
            ("websocket", Endpoint::Socket),
        ] {
            assert_eq!(
                public(&format!("/_/revolved/csp/{name}")),
                Route::Csp(Service::Revolved, endpoint)
            );
            assert_eq!(
                public(&format!("/_/echo/csp/{name}")),
                Route::Csp(Service::Echo, endpoint)
            );
            assert_eq!(
                public(&format!("/_/echo/csp//{name}")),
                Route::Csp(Service::Echo, endpoint),
                "a base given with its slash"
            );
            assert_eq!(
                public(&format!("/_/csp/{name}")),
                Route::Csp(Service::Orbit, endpoint)
            );
            assert_eq!(
                public(&format!("/_/tcp/csp/{name}")),
                Route::NotOffered("tcp")
            );
        }
        assert_eq!(public("/_/echo/ws"), Route::ServiceSocket(Service::Echo));
        assert_eq!(public("/_/stomp/ws"), Route::ServiceSocket(Service::Stomp));
        assert_eq!(public("/_/stomp"), Route::Stomp);
        assert_eq!(public("/_/events"), Route::Events);
        assert_eq!(public("/_/orbit/chat"), Route::Location("/chat"));
        assert_eq!(public("/_/revolved/event"), Route::Revolved(Call::Event));
        assert_eq!(public("/_/orbit/a/b"), Route::Location("/a/b"));
    }

    #[test]
    fn the_client_libraries_are_served_under_all_their_names() {
        for base in ["/_/", "/_/static/"] {
            for (name, asset) in [
                ("CSP.js", "CSP.js"),
                ("csp.js", "CSP.js"),
                ("Orbited.js", "Orbited.js"),
                ("orbited.js", "Orbited.js"),
                ("Revolved.js", "Revolved.js"),
                ("revolved.js", "Revolved.js"),
            ] {
                assert_eq!(public(&format!("{base}{name}")), Route::Asset(asset));
                let (name, asset) = (name.replace(".js", ".d.ts"), asset.replace(".js", ".d.ts"));
                assert_eq!(public(&format!("{base}{name}")), Route::Asset(&asset));
            }
        }
        assert_eq!(public("/_/CSP.min.js"), Route::Asset("CSP.min.js"));
        for path in [
            "/_/echo/csp/static/csp.js",
            "/_/orbit/csp/static/csp.js",
            "/_/csp/static/csp.js",
            "/_/csp//static/csp.js",
            "/CSP.js",
        ] {
            assert_eq!(public(path), Route::Asset("CSP.js"), "{path}");
        }
        assert_eq!(public("/"), Route::Asset("index.html"));
        assert_eq!(public("/style.css"), Route::Asset("style.css"));
    }

    #[test]
    fn every_asset_a_route_names_exists() {
        for path in [
            "/",
            "/_/CSP.js",
            "/_/csp.d.ts",
            "/_/revolved.js",
            "/_/Revolved.d.ts",
            "/_/orbited.js",
            "/_/Orbited.d.ts",
            "/_/iframe.js",
            "/_/echo/csp/static/csp.js",
        ] {
            assert!(
                matches!(public(path), Route::Asset(name) if assets::find(name).is_some()),
                "{path}"
            );
        }
    }

    #[test]
    fn near_misses_are_unknown() {
        for path in [
            "",
            "*",
            "/_",
            "/_/",
            "/_/echo",
            "/_/echo/",
            "/_/echo/csp",
            "/_/echo/csp/",
            "/_/echo/csp///send",
            "/_/echo/csp/send/",
            "/_/echo/csp/sendx",
            "/_/echo/csp/Send",
            "/_/Echo/csp/send",
            "/_/echo/csp/%73end",
            "/_/echo/ws/",
            "/_/echo/wsx",
            "/_/orbit",
            "/_/orbit/",
            "/_/orbit/csp",
            "/_/echo/connect",
            "/_/revolved/connect/",
            "/_/revolved/Connect",
            "/_/revolved/send",
            "/_/orbit/csp/sendx",
            "/_/other/csp/send",
            "/_/other/csp/static/csp.js",
            "/_/events/",
            "/_/events/x",
            "//_/events",
            "/_//events",
            "/_/../style.css",
            "/x/../CSP.js",
            "/static/CSP.js",
            "/_/static/",
            "/_/style.css",
            "/_/static/static/CSP.js",
            "/_/CSP.js/",
            "/cSP.js",
            "/favicon.ico",
        ] {
            assert_eq!(public(path), Route::Unknown, "{path}");
        }
    }

    #[test]
    fn internal_paths_have_their_names_and_channels_are_decoded() {
        for (path, route) in [
            ("/healthz", Internal::Healthz),
            ("/livez", Internal::Livez),
            ("/readyz", Internal::Readyz),
            ("/metrics", Internal::Metrics),
            ("/", Internal::Root),
            (
                "/api/publish/chat/room%201",
                Internal::Publish("chat/room 1".into()),
            ),
            ("/api/publish/a%2Fb", Internal::Publish("a/b".into())),
            ("/api/publish//x", Internal::Publish("/x".into())),
            ("/api/kick/o%27x", Internal::Kick("o'x".into())),
            ("/api/kick/", Internal::Unknown),
            (
                "/api/events/signon,signoff",
                Internal::Events("signon,signoff".into()),
            ),
            ("/api/events/", Internal::Unknown),
            ("/api/publish/", Internal::Unknown),
            ("/api/publish", Internal::PublishMany),
            ("/api/send/a/b", Internal::Send("a/b".into())),
            ("/api/send/", Internal::Unknown),
            ("/api/history/%ff", Internal::Unknown),
            ("/api/history/a", Internal::History("a".into())),
            ("/api/channels/", Internal::Unknown),
            ("/api/channels/a", Internal::Unknown),
            ("/api/nothing/a", Internal::Unknown),
            ("/api/nothing", Internal::Unknown),
            ("/api/", Internal::Unknown),
            ("/api", Internal::Unknown),
            ("/api/publish/%ff", Internal::Unknown),
            ("/api/publish/a%00", Internal::Unknown),
            ("/healthz/", Internal::Unknown),
            ("", Internal::Unknown),
        ] {
            assert_eq!(internal(path), route, "{path}");
        }
    }

    /// The row of the table that a route belongs to; a new route must name its own.
    fn row(route: &Internal<'_>) -> &'static str {
        match route {
            Internal::Publish(_) => "/api/publish/{channel}",
            Internal::PublishMany => "/api/publish",
            Internal::Send(_) => "/api/send/{user}",
            Internal::SendOne => "/api/send",
            Internal::Broadcast => "/api/broadcast",
            Internal::Kick(_) => "/api/kick/{user}",
            Internal::KickOne => "/api/kick",
            Internal::Revoke => "/api/revoke",
            Internal::Ticket => "/api/ticket",
            Internal::Subscribe => "/api/subscribe",
            Internal::Unsubscribe => "/api/unsubscribe",
            Internal::Presence(_) => "/api/presence/{channel}",
            Internal::History(_) => "/api/history/{channel}",
            Internal::Channels => "/api/channels",
            Internal::Sessions => "/api/sessions",
            Internal::Description => "/api/openapi.json",
            Internal::Events(_) => "/api/events/{events}",
            Internal::Healthz => "/healthz",
            Internal::Livez => "/livez",
            Internal::Readyz => "/readyz",
            Internal::Metrics => "/metrics",
            Internal::Root => "/",
            Internal::Unknown => "",
        }
    }

    #[test]
    fn every_path_of_the_table_is_the_route_it_says() {
        for (_, path) in INTERNAL {
            assert_eq!(row(&internal(&path.replace(['{', '}'], ""))), path);
        }
    }
}
