//! Offline work on whole streams. So far that is the probe: what is in a file or behind an
//! address, and what is wrong with it.
//!
//! This crate reads files and opens connections, and blocks while it does: it is for the
//! command line, never for a worker.
//!
//! | looking for | module |
//! |---|---|
//! | what a stream holds, and its faults | [`probe`] |
//! | why it could not be read | [`error`] |
//! | any maximum | [`limits`] |
#![forbid(unsafe_code)]

pub mod error;
mod fetch;
pub mod limits;
pub mod probe;
mod url;

pub use error::{Error, FetchFault};
