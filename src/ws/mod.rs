//! RFC 6455, the server's side, without I/O: what a WebSocket peer's bytes mean and what ours must look like.
//!
//! Data in: the header look-ups of an upgrade request, then bytes off the wire. Data out: a 101 response head, typed
//! events, frame heads. It must not know sockets, HTTP types, sessions, Origin policy, or what a message says.
//!
//! A connection reads by calling [`decoder::next`] until it answers `More`, and writes by putting a head from [`frames`]
//! before a payload it already has. Nothing is queued here. Pongs are the caller's: RFC 6455 section 5.5.3 lets an
//! endpoint answer only the latest ping, so a connection keeps at most one pong it still owes and replaces its payload,
//! whatever number of pings arrives before it can write.
//!
//! Absent on purpose: extensions (none is ever accepted, so reserved bits stay an error), and the client's side.

pub mod decoder;
pub mod frames;
pub mod handshake;

mod header;
mod mask;
mod message;

#[cfg(test)]
mod conformance;
