//! Listening sockets, limits on who may use them, connections to others, and TLS.
//!
//! | looking for | module |
//! |---|---|
//! | an address as the operator writes it | [`address`] |
//! | one port shared by all workers, and by no other program | [`listen`], of UDP [`udp`] |
//! | multicast groups | [`udp`] |
//! | how many connections an address may hold | [`connections`] |
//! | how often an address may fail | [`rate`] |
//! | connections to other servers | [`dial`], [`resolve`] |
//! | where they may go | [`reach`] |
//! | certificates, TLS connections | [`tls`] |
//! | one type for plain and TLS connections | [`stream`] |
//!
//! The sockets that [`bind`] makes are plain ones; what is accepted from them is the ring's, and so
//! is what [`Dialer`] makes.
#![forbid(unsafe_code)]

pub mod address;
pub mod connections;
pub mod dial;
pub mod error;
pub mod limits;
pub mod listen;
mod peer;
pub mod rate;
pub mod reach;
pub mod resolve;
pub mod stream;
pub mod tls;
pub mod udp;

pub use address::Address;
pub use connections::{ConnectionGuard, ConnectionLimits, Refused};
pub use dial::Dialer;
pub use error::Error;
pub use listen::bind;
pub use rate::RateLimit;
pub use reach::Reach;
pub use stream::{Detached, Received, Stream};
