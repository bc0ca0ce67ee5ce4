//! Which service a session belongs to.
//!
//! In: nothing. Out: the kinds, and what is said of each.

/// Which service a session belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// Sends back what it gets.
    Echo,
    /// Channels and peer messages.
    Revolved,
    /// A plain reader of channels, by server-sent events.
    Events,
    /// The same, by a stream of JSON objects.
    Objects,
    /// The same, by the answer to one request.
    Poll,
    /// The application, reading what happens to sessions.
    Feed,
    /// Channels, by the calls of Revolved that Orbited 0.3 had.
    RevolvedOfOld,
    /// Channels, as CometD and Faye speak them.
    Bayeux,
    /// Whatever the application and the client say to each other.
    Orbit,
    /// The same as Orbited 0.3 had it: at a location, and only the application speaks.
    Location,
    /// A URL of the application, to which events are posted.
    Callback,
    /// STOMP, and who it is has not been said.
    StompGuest,
    /// Channels and peer messages by STOMP.
    Stomp,
    /// The application, by STOMP: it may do anything, and reads what happens to others.
    StompApp,
    /// The application, by OP.
    Op,
}

impl ServiceKind {
    /// Whether its beginning is no news to the application: its own sessions, those of one answer, and those that may
    /// become its own.
    #[must_use]
    pub fn is_silent(self) -> bool {
        matches!(
            self,
            Self::Feed | Self::Callback | Self::Poll | Self::Op | Self::StompGuest | Self::StompApp
        )
    }

    /// Whether its stream may come back: its sessions wait for that, though what was written is gone.
    #[must_use]
    pub fn returns(self) -> bool {
        matches!(self, Self::Location | Self::RevolvedOfOld)
    }

    /// Whether it may take part in the application's groups.
    #[must_use]
    pub fn shares_events(self) -> bool {
        matches!(self, Self::StompApp | Self::Op)
    }

    /// Whether it speaks STOMP.
    #[must_use]
    pub fn is_stomp(self) -> bool {
        matches!(self, Self::StompGuest | Self::Stomp | Self::StompApp)
    }

    /// Its name in lists and events.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Revolved | Self::RevolvedOfOld => "revolved",
            Self::Events | Self::Objects | Self::Poll => "events",
            Self::Feed => "feed",
            Self::Bayeux => "bayeux",
            Self::Orbit | Self::Location => "orbit",
            Self::Callback => "callback",
            Self::StompGuest | Self::Stomp | Self::StompApp => "stomp",
            Self::Op => "op",
        }
    }
}
