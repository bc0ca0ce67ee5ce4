//! Why a call was refused: the text and the code of its ERR.
//!
//! In: fixed texts, or one made on the spot. Out: both for the line that answers the call.

use crate::hub::Refused;
use crate::token::Bad;
use std::borrow::Cow;

/// The text and the code of an ERR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, for people.
    pub text: Cow<'static, str>,
    /// The same for programs: a stable kebab-case name.
    pub code: &'static str,
}

impl Refusal {
    /// A refusal with a fixed text.
    pub const fn new(text: &'static str, code: &'static str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            code,
        }
    }
}

impl From<(&'static str, &'static str)> for Refusal {
    fn from((text, code): (&'static str, &'static str)) -> Self {
        Self::new(text, code)
    }
}

impl From<Bad> for Refusal {
    fn from(bad: Bad) -> Self {
        Self {
            text: bad.to_string().into(),
            code: bad.code(),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let (text, code) = match refused {
            Refused::TooManySubscriptions => {
                ("more subscriptions than --max-subscriptions", "too-many")
            }
            Refused::TooManyChannels => ("more channels than --max-channels", "full"),
            Refused::NameTaken => (
                "the name is taken by somebody with other credentials",
                "name-taken",
            ),
        };
        Self::new(text, code)
    }
}
