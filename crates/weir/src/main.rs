//! `weir`: a self-hosted streaming server. This crate is arguments, configuration, wiring
//! and signals; everything else is in the crates below it.
#![forbid(unsafe_code)]

mod cli;
mod config;
mod demo;
mod logging;
mod metrics;
mod probe;
mod ready;
mod server;
mod worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("weir: {why}");
            ExitCode::FAILURE
        }
    }
}
