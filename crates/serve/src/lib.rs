//! HTTP delivery: playlists, segments and the watch page, from the log's views.
//!
//! ```text
//! accept.rs       PROXY header, TLS, protocol
//!   ├─► quick.rs  simple requests, without a task ──┐
//!   └─► connection.rs   all others of HTTP/1.1 ─────┤
//!                                                   ▼
//!                 bytes ─► request ─► resolve.rs ─► response.rs ─► send.rs ─► bytes
//!                                      │
//!                    route.rs ◄────────┼──► hls.rs      playlists from a view
//!                                      ├──► low_latency.rs   parts, blocking reload
//!                                      ├──► dash.rs     the description of DASH
//!                                      ├──► ts.rs       TS segments, muxed and cached
//!                                      ├──► live.rs     frames as they come, as FLV
//!                                      └──► page.rs     the watch page
//! ```
//!
//! Each worker has a [`Server`]; it reads the library's snapshots without locks. Bodies
//! leave by gather send from memory, or by sendfile from the log.
#![forbid(unsafe_code)]

mod accept;
mod access;
mod cache;
mod connection;
mod counters;
mod dash;
mod delivery;
mod h2;
mod hls;
mod input;
pub mod limits;
mod live;
mod low_latency;
mod page;
mod playlist;
mod quick;
mod resolve;
mod response;
mod route;
mod send;
mod server;
mod ts;
mod waiters;

pub use accept::ALPN;
pub use access::{AccessLog, LogFormat};
pub use counters::{Counters, Limit};
pub use delivery::Way;
pub use live::{LiveBody, LiveRefusal, LiveRequest, LiveSource, Opening};
pub use server::{Options, Players, Server, Wanted};
