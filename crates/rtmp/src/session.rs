//! The two machines: [`server::ServerSession`] and [`client::ClientSession`].
//!
//! Both are driven alike. `handle_input` and `handle_timeout` feed, `poll_output` drains
//! until [`Output::Timeout`], the other verbs are commands. After each feed or command comes
//! a full drain.

mod capabilities;
pub mod client;
mod link;
pub mod server;
mod target;
mod timer;

pub use capabilities::Capabilities;
pub use target::Target;

use bytes::Bytes;
use weir_media::Mono;

/// What a session wants, in order. `E` is its event type.
#[derive(Debug, Clone, PartialEq)]
pub enum Output<E> {
    /// Bytes for the peer.
    Transmit(Bytes),
    /// Something happened.
    Event(E),
    /// Close the connection, once what was transmitted is flushed. Given once.
    Close,
    /// Nothing more for now: wait for input, a command, or this time.
    Timeout(Option<Mono>),
}
