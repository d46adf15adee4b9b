//! The real program against real clients: one binary, one module per area.
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]
#![allow(missing_docs, reason = "tests are named after what they show")]

#[path = "main/access.rs"]
mod access;
#[path = "main/bad_input.rs"]
mod bad_input;
#[path = "main/broadcast.rs"]
mod broadcast;
#[path = "main/codecs.rs"]
mod codecs;
#[path = "main/cues.rs"]
mod cues;
#[path = "main/delivery.rs"]
mod delivery;
#[path = "main/failover.rs"]
mod failover;
#[path = "main/harness.rs"]
mod harness;
#[path = "main/health.rs"]
mod health;
#[path = "main/live.rs"]
mod live;
#[path = "main/media.rs"]
mod media;
#[path = "main/playback.rs"]
mod playback;
#[path = "main/players.rs"]
mod players;
#[path = "main/program.rs"]
mod program;
#[path = "main/publish.rs"]
mod publish;
#[path = "main/pull.rs"]
mod pull;
#[path = "main/push.rs"]
mod push;
#[path = "main/reconnect.rs"]
mod reconnect;
#[path = "main/rtmps.rs"]
mod rtmps;
#[path = "main/sessions.rs"]
mod sessions;
#[path = "main/slate.rs"]
mod slate;
#[path = "main/srt.rs"]
mod srt;
#[path = "main/support.rs"]
mod support;
#[path = "main/udp.rs"]
mod udp;
