//! Benchmarks: micro ones by criterion, whole programs by the `weir-benches` crate.

use crate::{Result, packages, tools};

/// Runs the benchmarks called `args[0]`, or all of them.
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
    tools::cargo(&[
        "run",
        "--release",
        "--locked",
        "--package",
        "weir-benches",
        "--",
        which,
    ])
}
