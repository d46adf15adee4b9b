//! HTTP delivery: playlists, segments and the watch page, from the log's views.
//!
//! ```text
//! connection.rs   bytes ─► request ─► resolve.rs ─► response.rs ─► bytes
//!                                      │
//!                    route.rs ◄────────┼──► hls.rs      playlists from a view
//!                                      ├──► ts.rs       TS segments, muxed and cached
//!                                      └──► page.rs     the watch page
//! ```
//!
//! Each worker has a [`Server`]; it reads the library's snapshots without locks. Bodies
//! leave by gather send from memory, or by sendfile from the log.
#![forbid(unsafe_code)]

mod cache;
mod connection;
mod counters;
mod hls;
pub mod limits;
mod page;
mod resolve;
mod response;
mod route;
mod server;
mod ts;
mod waiters;

pub use counters::{Answer, Counters, Way};
pub use server::Server;
