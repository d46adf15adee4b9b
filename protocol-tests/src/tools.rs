//! Where the real clients are. `cargo xtask test` installs them; a missing one fails the
//! test that needs it, because a test that is silently skipped proves nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Once, OnceLock};

/// Cargo's target directory: the grandparent of the running test's.
///
/// # Panics
/// If the test does not run below a target directory.
pub fn target_dir() -> PathBuf {
    profile_dir().parent().unwrap().into()
}

/// `target/debug` or `target/release`.
fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors()
        .nth(2)
        .expect("a test runs as target/PROFILE/deps/NAME")
        .into()
}

/// The weir program of the profile that is tested, built from the sources as they are;
/// `WEIR_BIN` names another one.
///
/// # Panics
/// If it cannot be built.
pub fn weir() -> PathBuf {
    static BUILT: Once = Once::new();
    if let Some(named) = std::env::var_os("WEIR_BIN") {
        return named.into();
    }
    let profile = profile_dir();
    BUILT.call_once(|| {
        // Cargo itself takes the lock that keeps two builds apart, and is done at once when
        // nothing changed.
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .args(["build", "--quiet", "--package", "weir", "--target-dir"])
            .arg(target_dir());
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let built = cargo.status().expect("cargo runs");
        assert!(built.success(), "weir does not build");
    });
    profile.join("weir")
}

/// An installed program.
///
/// # Panics
/// If it is not installed.
pub fn program(name: &str) -> Command {
    let places = ["/usr/bin", "/usr/sbin", "/bin", "/usr/local/bin"];
    let found = places
        .iter()
        .map(|p| Path::new(p).join(name))
        .find(|p| p.exists());
    Command::new(found.unwrap_or_else(|| missing(name)))
}

/// ffmpeg of the distribution, told to say only what matters.
pub fn ffmpeg() -> Command {
    let mut command = program("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-v", "error", "-y"]);
    command
}

/// ffmpeg 9, from PyPI's imageio-ffmpeg.
///
/// # Panics
/// If it is not installed.
pub fn ffmpeg9() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let out = python()
            .args([
                "-c",
                "import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())",
            ])
            .output()
            .unwrap();
        if !out.status.success() {
            missing::<()>("imageio-ffmpeg");
        }
        String::from_utf8(out.stdout).unwrap().trim().into()
    });
    let mut command = Command::new(path);
    command.args(["-nostdin", "-hide_banner", "-v", "error", "-y"]);
    command
}

/// Python with the packages of the tests.
///
/// # Panics
/// If it is not installed.
pub fn python() -> Command {
    let python = tools_dir().join("python/bin/python");
    if !python.exists() {
        missing::<()>("python");
    }
    Command::new(python)
}

/// `node_modules` with hls.js, mpegts.js, playwright-core and node-media-server.
///
/// # Panics
/// If it is not there.
pub fn node_modules() -> PathBuf {
    let modules = tools_dir().join("node/node_modules");
    let packages = [
        "hls.js",
        "mpegts.js",
        "playwright-core",
        "node-media-server",
    ];
    for package in packages {
        if !modules.join(package).exists() {
            missing::<()>(package);
        }
    }
    modules
}

/// Whether the tests run as root: some of them become another user, or mount.
pub fn is_root() -> bool {
    let out = program("id").arg("-u").output().unwrap();
    out.stdout.trim_ascii() == b"0"
}

fn tools_dir() -> PathBuf {
    std::env::var_os("WEIR_TEST_TOOLS").map_or_else(|| target_dir().join("tools"), PathBuf::from)
}

fn missing<T>(what: &str) -> T {
    panic!("{what} is not installed: run `cargo xtask test` once, which installs it")
}
