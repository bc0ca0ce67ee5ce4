//! Rooms full of clients that publish themselves: the shape that CometD is measured by.

use super::{Case, spoken};
use crate::part::{Part, Rooms, Seating};
use crate::report::Figure;
use crate::trouble::Trouble;

/// Everyone subscribes to --rooms-per-client of --rooms, and publishes to them in turn, --burst messages at once. A message goes to all of its
/// room, its sender too.
///
/// # Errors
/// Connections that cannot be opened, or fewer rooms than one client is in.
pub fn run(case: &Case<'_>) -> Result<Vec<Figure>, Trouble> {
    let options = case.options;
    let rooms = Rooms {
        count: options.rooms,
        each: options.rooms_per_client,
        clients: options.connections,
        burst: options.burst,
    };
    if rooms.each > rooms.count {
        let text = "--rooms-per-client is more than --rooms".to_owned();
        return Err(Trouble::Usage(text));
    }
    spoken::run(case, Part::Chats(rooms), |messages| {
        Seating::new(rooms).deliveries(messages)
    })
}
