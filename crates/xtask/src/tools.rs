//! Running programs, and the Python and Node packages that the tests use.

use crate::{Result, packages};
use std::path::{Path, PathBuf};
use std::process::Command;

/// ffmpeg 9 as a static binary.
const PYTHON_PACKAGE: &str = "imageio-ffmpeg==0.8.1";
/// hls.js, dash.js, shaka-player and mpegts.js play in Chromium, driven by Playwright;
/// node-media-server is a source and a target.
const NODE_PACKAGES: [&str; 6] = [
    "hls.js@1.7.4",
    "dashjs@5.2.1",
    "shaka-player@5.2.12",
    "mpegts.js@1.8.2",
    "playwright-core@1.65.1",
    "node-media-server@4.4.3",
];

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map_or_else(PathBuf::new, Into::into)
}

/// Where cargo builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The machine's target triple, as rustc names it.
pub fn host() -> Result<String> {
    let out = Command::new("rustc")
        .arg("-vV")
        .output()
        .map_err(|e| format!("cannot run rustc: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let host = text.lines().find_map(|l| l.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc names no host".into())
}

/// The weir binary of a profile.
pub fn weir_command(profile: &str) -> Command {
    Command::new(target_dir().join(profile).join("weir"))
}

/// Runs a program; its exit status decides.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|e| format!("cannot run {command:?}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} failed: {status}"))
    }
}

/// Runs a program and shows what it printed only if it failed.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    let out = command
        .output()
        .map_err(|e| format!("cannot run {command:?}: {e}"))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?} failed: {}\n{}{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    ))
}

/// Runs cargo in the workspace.
pub fn cargo(args: &[&str]) -> Result<()> {
    cargo_env(args, &[])
}

/// Runs cargo in the workspace with variables of its own.
pub fn cargo_env(args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    println!("\n$ cargo {}", args.join(" "));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root())
        .args(args)
        .envs(env.iter().copied());
    command.env("WEIR_TEST_TOOLS", tools_dir());
    run(&mut command)
}

/// Where the tests find the Python and Node packages.
fn tools_dir() -> PathBuf {
    target_dir().join("tools")
}

/// Makes a virtual environment with the Python packages.
pub fn ensure_python() -> Result<()> {
    let venv = tools_dir().join("python");
    let stamp = venv.join(format!("{PYTHON_PACKAGE}.installed"));
    if stamp.exists() {
        return Ok(());
    }
    println!("installing {PYTHON_PACKAGE} …");
    let make = || {
        run_quietly(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&venv),
        )
    };
    if make().is_err() {
        packages::install(&["python3", "python3-venv"])?;
        make()?;
    }
    run_quietly(Command::new(venv.join("bin/pip")).args(["install", "--quiet", PYTHON_PACKAGE]))?;
    std::fs::write(&stamp, "").map_err(|e| format!("cannot write {}: {e}", stamp.display()))
}

/// Installs the Node packages below the tools directory.
pub fn ensure_node() -> Result<()> {
    let dir = tools_dir().join("node");
    let stamp = dir.join(format!(
        "{}.installed",
        NODE_PACKAGES.join("+").replace('/', "_")
    ));
    if stamp.exists() {
        return Ok(());
    }
    if Command::new("npm").arg("--version").output().is_err() {
        packages::install(&["nodejs", "npm"])?;
    }
    println!("installing {} …", NODE_PACKAGES.join(" "));
    let failed = |e: std::io::Error| format!("cannot write below {}: {e}", dir.display());
    std::fs::create_dir_all(&dir).map_err(failed)?;
    std::fs::write(dir.join("package.json"), "{\"private\":true}").map_err(failed)?;
    let mut npm = Command::new("npm");
    npm.current_dir(&dir)
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"]);
    run_quietly(npm.args(NODE_PACKAGES))?;
    std::fs::write(&stamp, "").map_err(failed)
}
