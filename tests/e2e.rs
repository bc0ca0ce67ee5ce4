//! The real binary over real sockets: what no test of the pure node can show, its process, its sockets, its signals.
//!
//! Each test starts its own node on free ports and ends it by its handle. Waits are for conditions, with bounds
//! that only a fault reaches; no duration is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "e2e/application.rs"]
mod application;
#[path = "e2e/client.rs"]
mod client;
#[path = "e2e/node.rs"]
mod node;
#[path = "e2e/sessions.rs"]
mod sessions;
#[path = "e2e/websocket.rs"]
mod websocket;

#[path = "e2e/callbacks.rs"]
mod callbacks;
#[path = "e2e/commands.rs"]
mod commands;
#[path = "e2e/crowds.rs"]
mod crowds;
#[path = "e2e/deciding.rs"]
mod deciding;
#[path = "e2e/dying.rs"]
mod dying;
#[path = "e2e/limits.rs"]
mod limits;
#[path = "e2e/listeners.rs"]
mod listeners;
#[path = "e2e/op.rs"]
mod op;
#[path = "e2e/plain.rs"]
mod plain;
#[path = "e2e/process.rs"]
mod process;
#[path = "e2e/requests.rs"]
mod requests;
#[path = "e2e/settings.rs"]
mod settings;
#[path = "e2e/signoff.rs"]
mod signoff;
#[path = "e2e/signoff_bare.rs"]
mod signoff_bare;
#[path = "e2e/signoff_bayeux.rs"]
mod signoff_bayeux;
#[path = "e2e/signoff_csp.rs"]
mod signoff_csp;
#[path = "e2e/signoff_stomp.rs"]
mod signoff_stomp;
#[path = "e2e/slow.rs"]
mod slow;
#[path = "e2e/stomp.rs"]
mod stomp;
#[path = "e2e/tokens.rs"]
mod tokens;
