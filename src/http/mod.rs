//! HTTP/1.1 without I/O: bytes in, typed requests out; typed answers in, bytes out.
//!
//! Data in: what a socket read, and the answers of the layers above. Data out: [`request::Request`], [`refusal::Refusal`], heads and chunks.
//! It must not know sockets, time, sessions or what a path does; paths are only given their names here ([`routes`]).

pub mod answer;
pub mod assets;
pub mod body;
pub mod cookies;
pub mod cors;
pub mod fault;
mod field;
pub mod forms;
mod head;
mod host;
pub mod reader;
pub mod refusal;
pub mod request;
pub mod response;
pub mod routes;
mod scan;
pub mod url;

#[cfg(test)]
mod hardening;
