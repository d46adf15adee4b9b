//! Two machines joined over a seeded network.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bonding;
mod delivery;
mod filter;
mod handshake;
mod hostile;
mod world;
