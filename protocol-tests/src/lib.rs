//! What the protocol tests are made of: a running `weir`, real publishers and players, clips
//! that ffmpeg makes, and small independent readers and writers of the wire formats, so that
//! weir's own code is never its own witness.
//!
//! | looking for | module |
//! |---|---|
//! | a running weir | [`server`] |
//! | other programs, started and surely ended | [`process`] |
//! | where ffmpeg, Chromium and the rest are | [`tools`] |
//! | other RTMP servers, and one that misbehaves | [`peers`], [`fake`] |
//! | clips to publish | [`clips`] |
//! | publishing exact bytes | [`rtmp`], [`flv`] |
//! | a plain socket on a TLS port | [`bridge`] |
//! | requests, playlists, segments | [`http`], [`hls`] |
//! | a page on another origin | [`site`] |
//! | what ffprobe, `mp4-atom` and an MPEG-TS reader see in them | [`probe`], [`mp4`], [`ts`] |
//!
//! Everything is on loopback and on ports that the system picks, every wait has an end, and
//! whatever was started is ended by its process id. A missing tool fails the test: see
//! [`tools`].
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

pub mod bridge;
pub mod clips;
pub mod fake;
pub mod flv;
pub mod hls;
pub mod hook;
pub mod http;
pub mod mp4;
pub mod peers;
pub mod probe;
pub mod process;
pub mod rtmp;
pub mod server;
pub mod site;
pub mod slow_disk;
pub mod tools;
pub mod ts;
pub mod turn;

use std::time::{Duration, Instant};

/// Calls `attempt` until it gives a value.
///
/// # Panics
/// When it has not within `limit`.
pub fn eventually<T>(limit: Duration, what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
