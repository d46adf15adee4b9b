//! What a figure depends on: set where it can be, printed in any case.

use crate::server::{NGINX, RTMP_MODULE};
use crate::srt::SRT_LIVE_TRANSMIT;
use crate::{Options, Result, Which, cores};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Set in the process that runs inside the network namespace.
const INSIDE: &str = "WEIR_BENCH_NAMESPACE";

const CONGESTION_CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// Moves to a network namespace of its own with reno, as root; returns what the network is
/// now.
///
/// BBR costs six times as much as reno on loopback for large bodies, and is the default of
/// many machines. The namespace has no name, so it is gone with the processes in it.
pub fn enter_namespace() -> Result<String> {
    if std::env::var_os(INSIDE).is_some() {
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        if !up.is_ok_and(|status| status.success()) {
            return Err("cannot bring the namespace's loopback up: is iproute2 there?".into());
        }
        fs::write(CONGESTION_CONTROL, "reno").map_err(|e| format!("cannot set reno: {e}"))?;
        return Ok("own network namespace, reno".into());
    }
    if rustix::process::geteuid().is_root() {
        let program = std::env::current_exe().map_err(|e| format!("where am I? {e}"))?;
        let mut again = Command::new("unshare");
        again
            .arg("--net")
            .arg(program)
            .args(std::env::args_os().skip(1));
        // It returns only if it fails, in a container that may not, for instance.
        let refused = again.env(INSIDE, "1").exec();
        eprintln!("no network namespace of our own: {refused}");
    }
    let default = read(CONGESTION_CONTROL);
    Ok(format!(
        "the machine's own, {default} (not reno: that needs root)"
    ))
}

/// Prints the conditions of this run.
pub fn print(options: &Options, network: &str) -> Result<()> {
    let cores = match cores::allowed().as_slice() {
        [server, client, ..] => format!("server on {server}, client on {client}"),
        _ => "one only: server and client share it".into(),
    };
    println!("kernel      {}", read("/proc/sys/kernel/osrelease"));
    println!("processor   {}, {cores}", processor());
    println!("load        {} (1, 5, 15 minutes)", load());
    if options.which != Which::Mux {
        println!("network     {network}");
        let data = options.data()?;
        println!("data        {} ({})", data.display(), file_system(&data));
        println!(
            "weir        {}",
            said(Command::new(options.weir()?).arg("--version"))
        );
    }
    if [Which::Ingest, Which::Http, Which::Rtmp]
        .into_iter()
        .any(|w| options.wants(w))
    {
        println!("nginx       {}", said(Command::new(NGINX).arg("-v")));
    }
    if options.wants(Which::Http) {
        println!("wrk         {}", said(Command::new("wrk").arg("-v")));
        println!(
            "h2load      {}",
            said(Command::new("h2load").arg("--version"))
        );
    }
    if options.wants(Which::Srt) {
        let version = Command::new(SRT_LIVE_TRANSMIT).arg("-version").output();
        let text = version
            .map(|o| [o.stdout, o.stderr].concat())
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        println!("libsrt      {text}");
    }
    if options.wants(Which::Ingest) || options.wants(Which::Rtmp) {
        let query = ["-W", "-f", "${Version}", RTMP_MODULE];
        let module = said(Command::new("dpkg-query").args(query));
        println!("nginx-rtmp  {module}");
    }
    Ok(())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "?".into(), |text| text.trim().to_owned())
}

fn load() -> String {
    let text = read("/proc/loadavg");
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn processor() -> String {
    let text = read("/proc/cpuinfo");
    let line = text.lines().find(|l| l.starts_with("model name"));
    let name = line.and_then(|l| l.split_once(": "));
    name.map_or("?", |(_, name)| name).to_owned()
}

/// What a program prints first, wherever it prints it.
fn said(command: &mut Command) -> String {
    let Ok(output) = command.output() else {
        return "not installed".into();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("?").to_owned()
}

/// Type of the file system that holds `path`, from proc_pid_mountinfo(5).
fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = read("/proc/self/mountinfo");
    let holding = mounts.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let kind = source.split(' ').next()?;
        path.starts_with(point).then_some((point.len(), kind))
    });
    let longest = holding.max_by_key(|(len, _)| *len);
    longest.map_or("?", |(_, kind)| kind).to_owned()
}
