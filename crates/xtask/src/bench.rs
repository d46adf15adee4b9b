//! Benchmarks: micro ones by criterion, whole programs by the `weir-benches` crate.

use crate::{Result, packages, tools};

/// Runs the benchmarks called `args[0]`, or all of them; what follows it is for the program.
pub fn run(args: &[String]) -> Result<()> {
    packages::ensure(packages::BUILD)?;
    let which = args.first().map_or("all", String::as_str);
    if matches!(which, "micro" | "all") {
        tools::cargo(&[
            "bench",
            "--workspace",
            "--locked",
            "--exclude",
            "weir-benches",
        ])?;
    }
    if which == "micro" {
        return Ok(());
    }
    packages::ensure(packages::BENCH)?;
    tools::cargo(&["build", "--release", "--locked", "--package", "weir"])?;
    let run = [
        "run",
        "--release",
        "--locked",
        "--package",
        "weir-benches",
        "--",
        which,
    ];
    let more = args.iter().skip(1).map(String::as_str);
    tools::cargo(&run.into_iter().chain(more).collect::<Vec<_>>())
}
