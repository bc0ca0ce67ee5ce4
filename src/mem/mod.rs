//! The containers the rest is built of: slots, payloads, output queues, deadlines, accounts; and two spellings that
//! writers share.
//!
//! In and out: plain data. Nothing here knows a protocol, a session or a socket.

pub mod ledger;
pub mod lines;
pub mod msg;
pub mod out_queue;
pub mod presence;
pub mod publication;
pub mod script;
pub mod seat;
pub mod slots;
pub mod wheel;

pub use ledger::{Charge, Ledger};
pub use msg::{Form, Msg};
pub use out_queue::{OutQueue, Sink, Wrote};
pub use presence::PresenceEvent;
pub use publication::{Asker, Content, Position, Publication, View};
pub use seat::Seat;
pub use slots::{Full, Slots};
pub use wheel::TimerWheel;
