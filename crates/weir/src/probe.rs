//! `weir probe`: prints what is in a file or behind an address.

use std::io::Write;
use std::path::Path;
use weir_package::probe;

/// Probes `input` and prints the report. Faults inside of a stream are part of the report;
/// only what cannot be read at all is an error.
pub fn run(input: &str) -> Result<(), String> {
    // A file may have any name, and only an address has a scheme with two slashes.
    let report = if input.contains("://") && !Path::new(input).exists() {
        probe::hls(input)
    } else {
        probe::file(Path::new(input))
    };
    let report = report.map_err(|e| e.to_string())?;
    // A reader that has seen enough, such as `head`, closes the pipe: that is no failure.
    match writeln!(std::io::stdout(), "{report}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("output: {e}")),
        _ => Ok(()),
    }
}
