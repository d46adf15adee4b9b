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
//! Not covered: HTTP/2, multipart ranges, `CONNECT`, upgrades other than to `WebSocket`; content
//! codings are chosen here and made elsewhere.
//!
//! | looking for | module |
//! |---|---|
//! | a request's head | [`request`] |
//! | where a message body ends | [`body`] |
//! | path segments and query values | [`target`] |
//! | which bytes to send | [`range`] |
//! | whether to send any | [`conditional`] |
//! | an answer's head | [`response`] |
//! | which content coding to send | [`encoding`] |
//! | which sites may play | [`origin`] |
//! | reading an answer | [`client`] |
//! | the client behind proxies | [`proxy`], [`forwarded`], [`network`] |
//! | frames on a connection that was upgraded | [`websocket`] |
//! | a line of the access log | [`log`] |
//! | why a request was refused, and with which status | [`error`] |
#![forbid(unsafe_code)]

pub mod body;
pub mod client;
pub mod conditional;
pub mod date;
pub mod encoding;
pub mod error;
pub mod forwarded;
mod framing;
pub mod headers;
pub mod limits;
pub mod log;
pub mod network;
pub mod origin;
pub mod proxy;
pub mod range;
pub mod request;
pub mod response;
pub mod status;
pub mod target;
pub mod websocket;

pub use body::BodyLength;
pub use date::HttpDate;
pub use encoding::Encoding;
pub use error::Error;
pub use headers::{Headers, Parsed, Version};
pub use network::Network;
pub use origin::{Cors, Origins};
pub use range::ByteRange;
pub use request::{Method, Request};
pub use response::Head;
pub use status::Status;
