//! `cargo xtask …`: everything that is done to weir rather than by it.
//!
//! The README names two of these tasks, `demo` and `test`; each starts from a bare machine.
#![forbid(unsafe_code)]

mod bench;
mod packages;
mod player;
mod tools;

use std::process::ExitCode;

/// A task failed; the text says what to do.
type Result<T> = std::result::Result<T, String>;

const HELP: &str = "\
Tasks of the weir workspace

Usage: cargo xtask TASK [ARGUMENTS]

  demo [ARGUMENTS]   install what is missing, build, and run `weir demo ARGUMENTS`
  test [FILTER]      install what is missing, then run every check and every test;
                     with FILTER, only the tests whose name contains it
  bench [NAME]       micro-benchmarks and whole-program ones against peers in one run;
                     NAME is one of: micro, mux, ingest, start (default: all)
  fuzz TARGET [SECS] run one fuzz target with coverage guidance (default 60 s)
  player             fetch the pinned hls.js from npm and check that ours is the same
  help               this text
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let done = match task.as_str() {
        "demo" => demo(&rest),
        "test" => test(&rest),
        "bench" => bench::run(&rest),
        "fuzz" => fuzz(&rest),
        "player" => player::check(),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("no task is called {other:?}\n\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the release and replaces this process's job by `weir demo`.
fn demo(args: &[String]) -> Result<()> {
    packages::ensure(packages::BUILD)?;
    println!("building weir (the first build takes a few minutes) …");
    tools::cargo(&["build", "--release", "--locked", "--package", "weir"])?;
    let mut weir = tools::weir_command("release");
    if std::env::var_os("WEIR_DATA").is_none() {
        // Not into the checkout.
        weir.env("WEIR_DATA", tools::target_dir().join("demo-data"));
    }
    tools::run(weir.arg("demo").args(args))
}

/// Every check in the order in which it fails fastest.
fn test(args: &[String]) -> Result<()> {
    packages::ensure(packages::BUILD)?;
    packages::ensure(packages::TEST)?;
    tools::ensure_python()?;
    tools::ensure_node()?;
    if let [filter] = args {
        return tools::cargo(&["test", "--workspace", "--locked", filter]);
    }
    tools::cargo(&["fmt", "--all", "--check"])?;
    tools::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])?;
    tools::cargo_env(
        &["doc", "--workspace", "--no-deps", "--locked"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )?;
    tools::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])
}

/// Runs one libFuzzer target. The stable compiler takes the sanitizer flags because
/// `RUSTC_BOOTSTRAP` is set for this build only, in a target directory of its own; naming the
/// host as target keeps them away from build scripts and macros. Finds go to a corpus of
/// their own, so that what is committed stays small.
fn fuzz(args: &[String]) -> Result<()> {
    let target = args
        .first()
        .ok_or("fuzz: which target? See fuzz/fuzz_targets")?;
    let limit = format!(
        "-max_total_time={}",
        args.get(1).map_or("60", String::as_str)
    );
    let (found, kept) = (
        format!("target/fuzz/corpus/{target}"),
        format!("fuzz/corpus/{target}"),
    );
    for dir in [&*found, "fuzz/artifacts"] {
        let dir = tools::root().join(dir);
        std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
    }
    let host = tools::host()?;
    let mut command = vec!["run", "--release", "--locked", "--target", &host];
    command.extend([
        "--package",
        "weir-fuzz",
        "--features",
        "libfuzzer",
        "--bin",
        target,
        "--",
    ]);
    command.extend([&*found, &*kept, &*limit, "-max_len=65536", "-timeout=20"]);
    command.extend(["-rss_limit_mb=1024", "-artifact_prefix=fuzz/artifacts/"]);
    tools::cargo_env(
        &command,
        &[
            ("RUSTC_BOOTSTRAP", "1"),
            ("CARGO_TARGET_DIR", "target/fuzz"),
            ("CARGO_PROFILE_RELEASE_LTO", "off"),
            ("RUSTFLAGS", FUZZ_FLAGS),
        ],
    )
}

const FUZZ_FLAGS: &str = "-Zsanitizer=address -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 -Cdebug-assertions";
