//! orbited: holds the push connections of a web application.
//!
//! The modules in the order data passes through them; each file's header says what it takes, what it gives,
//! and what it must not know. `ARCHITECTURE.md` has the walks through them.

// The loop: the only module that touches sockets, clocks, files and entropy.

pub mod net;
// The node: owns every table, routes bytes in, commands across and frames out.
pub mod node;
// Codecs: bytes to requests, and answers to bytes.
pub mod http;
pub mod op;
pub mod stomp;
pub mod ws;
// How a session's packets look on a wire: rows of settings, and two writers.
pub mod transport;
// The CSP state machine.
pub mod session;
// What a session's bytes mean.
pub mod service;
// Who somebody is, and may do, signed by the application.
pub mod token;
// Channels, users, subscriptions.
pub mod hub;
// What an operator sees.
pub mod admin;
// The command line's side of the API: it asks a running node, and is no part of one.
pub mod client;
// Flags.
pub mod cli;
pub mod config;
// Base: imported by everyone, importing nobody.
pub mod cmd;
pub mod codes;
pub mod ids;
pub mod mem;
pub mod metrics;
pub mod rng;
pub mod time;
