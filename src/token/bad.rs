//! Why a token is not taken: one word for programs and counters, one sentence for people.

use std::fmt;

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// The node has no key to check it by.
    NoKeys,
    /// Longer than any.
    TooLong,
    /// Not three parts of base64url, of which the first two are JSON objects; or a header that must be understood and is not.
    Form,
    /// Signed by another algorithm than the key is for, or by none.
    Alg,
    /// Its key's name is not known.
    UnknownKey,
    /// Not signed by the key.
    Signature,
    /// A claim is not what it must be; which one.
    Claim(&'static str),
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    Early,
    /// It ends later than any may.
    Lasting,
    /// It is meant for others.
    Audience,
    /// Somebody else has issued it.
    Issuer,
    /// The application has revoked it, or all of its user's.
    Revoked,
    /// It is another user's than the one who is asked for.
    User,
    /// A ticket that is not known: it was used, or its time is over.
    Ticket,
}

impl Bad {
    /// The word for programs and counters.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoKeys => "token-not-checked",
            Self::TooLong => "token-too-long",
            Self::Form => "token-malformed",
            Self::Alg => "token-wrong-algorithm",
            Self::UnknownKey => "token-unknown-key",
            Self::Signature => "token-wrong-signature",
            Self::Claim(_) => "token-bad-claim",
            Self::Expired => "token-expired",
            Self::Early => "token-not-yet-valid",
            Self::Lasting => "token-lasts-too-long",
            Self::Audience => "token-wrong-audience",
            Self::Issuer => "token-wrong-issuer",
            Self::Revoked => "token-revoked",
            Self::User => "token-of-another-user",
            Self::Ticket => "ticket-unknown",
        }
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoKeys => "tokens are not checked here: the operator has given no key",
            Self::TooLong => "the token is longer than 8 KiB",
            Self::Form => "the token is malformed",
            Self::Alg => "the token's algorithm is not that of the key",
            Self::UnknownKey => "the token names no key that is known",
            Self::Signature => "the token is not signed by the key",
            Self::Claim(name) => {
                return write!(out, "the token's claim {name} is missing or malformed");
            }
            Self::Expired => "the token has expired",
            Self::Early => "the token is not yet valid",
            Self::Lasting => "the token lasts longer than --token-life",
            Self::Audience => "the token is meant for another audience",
            Self::Issuer => "the token is of another issuer",
            Self::Revoked => "the token was revoked",
            Self::User => "the token is of another user",
            Self::Ticket => "the ticket is not known: it was used, or its time is over",
        })
    }
}
