//! Debian packages: what each task needs, and how it gets there.

use crate::{Result, tools};
use std::path::Path;
use std::process::Command;

/// A file that a package brings, and the package.
type Needed = (&'static str, &'static str);

/// What building weir needs beside Rust. Without nasm openh264 runs at a third of its speed.
pub const BUILD: &[Needed] = &[("/usr/bin/g++", "g++"), ("/usr/bin/nasm", "nasm")];

/// Real clients and tools that the tests drive.
pub const TEST: &[Needed] = &[
    ("/usr/bin/ffprobe", "ffmpeg"),
    ("/usr/bin/rtmpdump", "rtmpdump"),
    ("/usr/bin/srt-live-transmit", "srt-tools"),
    ("/usr/bin/gst-launch-1.0", "gstreamer1.0-tools"),
    (
        "/usr/share/doc/gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-base",
    ),
    (
        "/usr/share/doc/gstreamer1.0-plugins-good",
        "gstreamer1.0-plugins-good",
    ),
    (
        "/usr/share/doc/gstreamer1.0-plugins-bad",
        "gstreamer1.0-plugins-bad",
    ),
    (
        "/usr/share/doc/gstreamer1.0-plugins-ugly",
        "gstreamer1.0-plugins-ugly",
    ),
    ("/usr/bin/mpv", "mpv"),
    ("/usr/bin/cvlc", "vlc-bin"),
    ("/usr/share/doc/vlc-plugin-base", "vlc-plugin-base"),
    ("/usr/bin/chromium", "chromium"),
    ("/usr/sbin/ip", "iproute2"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/prlimit", "util-linux"),
    ("/usr/sbin/nginx", "nginx"),
    ("/usr/share/doc/libnginx-mod-rtmp", "libnginx-mod-rtmp"),
];

/// Peers and tools that the benchmarks run beside weir.
pub const BENCH: &[Needed] = &[
    ("/usr/sbin/nginx", "nginx"),
    ("/usr/share/doc/libnginx-mod-rtmp", "libnginx-mod-rtmp"),
    ("/usr/bin/ffprobe", "ffmpeg"),
    ("/usr/sbin/ip", "iproute2"),
    ("/usr/bin/wrk", "wrk"),
    ("/usr/bin/srt-live-transmit", "srt-tools"),
    ("/usr/bin/h2load", "nghttp2-client"),
    ("/usr/bin/openssl", "openssl"),
];

/// Installs what is missing of `needed` when run as root; otherwise says what to install.
pub fn ensure(needed: &[Needed]) -> Result<()> {
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|(_, p)| *p)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

/// Installs `packages` with apt.
pub fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!(
            "these Debian packages are missing; install them and run this again:\n\n    \
             sudo apt-get install --no-install-recommends {list}\n"
        ));
    }
    println!("installing {list} …");
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        tools::run_quietly(&mut command)
    };
    apt(&["update"])?;
    let mut args = vec!["install", "-y", "--no-install-recommends"];
    args.extend(packages);
    apt(&args)
}

fn is_root() -> bool {
    let uid = Command::new("id").arg("-u").output();
    uid.is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}
