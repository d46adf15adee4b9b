//! TLS 1.3 and 1.2 (RFC 8446, RFC 5246) on the ring's streams, by rustls with aws-lc-rs.
//!
//! [`Acceptor`] is one per listener, shared by all workers: certificates by name, reloaded in
//! place, and the keys of session tickets. [`Connector`] is for connections that we make.
//! [`TlsStream`] is one connection. Most users take [`crate::Stream`], which is either of plain and
//! TLS.
//!
//! Left out: early data (0-RTT: a request could be replayed), client certificates, certificate
//! compression (RFC 8879: chains are short next to media), OCSP stapling, TLS 1.1 and older, and
//! kernel TLS (not in the kernels this was measured on).

mod acceptor;
mod certificate;
mod connector;
mod handshake;
mod identity;
mod names;
mod pool;
mod session;
mod stream;

pub use acceptor::Acceptor;
pub use connector::Connector;
pub use identity::{Identity, Warning};
pub(crate) use session::sealed_len;
pub use stream::{DetachedTls, TlsStream};
