//! Clients in pairs: each sends to its partner by the partner's name.

use super::{Case, spoken};
use crate::part::Part;
use crate::report::Figure;
use crate::trouble::Trouble;

/// Everyone signs on with a name; 0 and 1 send to each other, 2 and 3, and so on.
///
/// # Errors
/// Connections that cannot be opened, or somebody without a partner.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let clients = case.options.connections;
    if clients % 2 == 1 {
        return Err(Trouble::Usage("pairs need an even -n".into()));
    }
    spoken::run(case, Part::Pairs(clients), u64::from)
}
