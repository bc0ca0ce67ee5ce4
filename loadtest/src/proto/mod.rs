//! The client's side of what is on the wire: read only as far as counting needs it.

pub mod csp;
pub mod http;
pub mod sse;
pub mod ws;
