//! `weir`: a self-hosted streaming server. This crate is arguments, configuration, wiring
//! and signals; everything else is in the crates below it.
#![forbid(unsafe_code)]

mod cli;
mod config;
mod demo;
mod failovers;
mod import;
mod live_flv;
mod logging;
mod metrics;
mod policy;
mod probe;
mod ready;
mod remotes;
mod server;
mod slates;
mod srt;
mod worker;

use std::process::ExitCode;

/// Frames are allocated on arrival and freed when their chunk is on disk: a thousand times a
/// second and megabytes each. The C library's allocator gives such memory back to the kernel
/// and faults it in again; this one keeps it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("weir: {why}");
            ExitCode::FAILURE
        }
    }
}
