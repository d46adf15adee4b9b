//! The behaviour of the crate through its public interface.

mod build;
mod fragmented;
mod media;
mod progressive;
mod write;
