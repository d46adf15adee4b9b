//! SRT: packets, handshake, and the machine of one connection, without sockets or a clock.
//!
//! Standard: `draft-sharabayko-srt-01` (section numbers in this crate are its), and what
//! libsrt does where the draft is silent. Live mode only: each packet is a message of its own,
//! delivered whole, in order and at its time. Handshake version 5. Not covered: handshake
//! version 4, file and stream mode.
//!
//! Datagrams and time go in, datagrams, messages, events and a deadline come out. A port gives
//! datagrams for socket 0 to its [`Listener`] (after a look into its table for repeated
//! conclusions, see [`packet::peek`]) and others to the [`Connection`] of their destination.
//! After each batch of [`Connection::handle`], and at the deadline after
//! [`Connection::handle_timeout`], drain [`Connection::poll_transmit`], [`Connection::recv`]
//! and [`Connection::poll_event`] until they return `None`, then ask for
//! [`Connection::next_timeout`].
//!
//! | looking for | module |
//! |---|---|
//! | one packet | [`packet`] |
//! | how a connection begins | [`handshake`] |
//! | what a caller wants | [`stream_id`] |
//! | the machine of one connection | [`connection`] |
//! | what is to be sent, and how fast | `sender` |
//! | what has come, what is missing, and when it is due | `receiver` |
//! | parity packets | [`filter`] |
//! | several connections as one | [`group`] |
//! | keys | [`crypto`] |
//! | figures | [`stats`] |
//! | settings | [`config`] |
//! | why a connection ended | [`error`] |
//! | any maximum | [`limits`] |
#![forbid(unsafe_code)]

pub mod config;
pub mod connection;
pub mod crypto;
pub mod error;
pub mod filter;
pub mod group;
pub mod handshake;
pub mod limits;
pub mod packet;
mod receiver;
mod rtt;
mod sender;
pub mod seq;
pub mod stats;
pub mod stream_id;
mod timing;
pub mod transmit;

pub use config::Config;
pub use connection::{Connection, Event};
pub use crypto::{KeyLength, Passphrase, Refresh, Seed};
pub use error::{CloseReason, Error, SendError};
pub use filter::FilterSpec;
pub use group::{Group, GroupKind};
pub use handshake::cookie::CookieKey;
pub use handshake::listener::{Ignored, Incoming, Listener, Request};
pub use packet::handshake::Reason;
pub use packet::{Peek, SocketId, peek};
pub use receiver::Message;
pub use sender::Bandwidth;
pub use stats::Stats;
pub use stream_id::{Mode, StreamId};
pub use transmit::Transmit;
