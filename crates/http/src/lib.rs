//! HTTP/1.1 heads: reading requests, choosing ranges, writing answers.
//!
//! Standards: RFC 9110 (semantics), RFC 9112 (HTTP/1.1), RFC 8673 (open-ended ranges). The
//! crate is pure: no sockets, files, threads, clock or randomness. It reads from and writes
//! to the caller's buffers and, outside percent-decoding, never allocates.
//!
//! Framing is strict: what two programs on one connection could read differently (bare LF,
//! folded lines, two lengths, a length beside a transfer coding) is refused, because a
//! shared cache or proxy in front of weir would otherwise be fooled by it.
//!
//! Not covered: HTTP/2, content codings, multipart ranges, `CONNECT`, upgrades.
//!
//! | looking for | module |
//! |---|---|
//! | a request's head | [`request`] |
//! | where a message body ends | [`body`] |
//! | path segments and query values | [`target`] |
//! | which bytes to send | [`range`] |
//! | whether to send any | [`conditional`] |
//! | an answer's head | [`response`] |
//! | reading an answer | [`client`] |
//! | why a request was refused, and with which status | [`error`] |
#![forbid(unsafe_code)]

pub mod body;
pub mod client;
pub mod conditional;
pub mod date;
pub mod error;
mod framing;
pub mod headers;
pub mod limits;
pub mod range;
pub mod request;
pub mod response;
pub mod status;
pub mod target;

pub use body::BodyLength;
pub use date::HttpDate;
pub use error::Error;
pub use headers::{Headers, Parsed, Version};
pub use range::ByteRange;
pub use request::{Method, Request};
pub use response::Head;
pub use status::Status;
