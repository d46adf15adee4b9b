//! Logs: `tracing` events on standard error, as text or JSON.

use crate::config::{LogFormat, Settings};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The filter that the settings name.
///
/// # Errors
/// If it cannot be parsed.
pub fn filter(settings: &Settings) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&settings.log)
        .map_err(|e| format!("log = {:?} is not a log filter: {e}", settings.log))
}

/// Starts logging as the settings say. Events before this are lost.
///
/// # Errors
/// If the filter cannot be parsed, or logging runs already.
pub fn start(settings: &Settings) -> Result<(), String> {
    let filter = filter(settings)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match settings.log_format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
    };
    started.map_err(|e| format!("cannot start logging: {e}"))
}
