//! The behaviour of the crate through its public interface.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod build;
mod codecs;
mod fragmented;
mod media;
mod progressive;
mod write;
