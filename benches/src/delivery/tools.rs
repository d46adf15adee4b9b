//! Load from programs that others wrote: wrk, and h2load for HTTP/2.

use super::load::{Tally, Target};
use crate::Result;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Streams at a time of an HTTP/2 connection: a player fetches video and sound.
const STREAMS: usize = 2;

/// What such a program reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Whole answers.
    pub requests: f64,
    /// The median latency.
    pub p50: Duration,
    /// The latency that 99 in 100 requests do not exceed.
    pub p99: Duration,
}

/// Runs wrk on one thread, on the core of the caller.
pub fn wrk(target: &Target, connections: usize, seconds: u64) -> Result<Report> {
    let mut command = Command::new("wrk");
    command
        .args(["-t", "1", "--latency", "--timeout", "20s"])
        .args(["-c", &connections.to_string(), "-d", &format!("{seconds}s")])
        .arg(url(target));
    read_wrk(&output(command)?)
}

/// Runs h2load on one thread, on the core of the caller. It logs into `folder`.
pub fn h2load(target: &Target, connections: usize, seconds: u64, folder: &Path) -> Result<Report> {
    let log = folder.join("h2load.log");
    // It would append.
    let _ = fs::remove_file(&log);
    let mut command = Command::new("h2load");
    command
        .args(["-t", "1", "-m", &STREAMS.to_string()])
        .args(["-c", &connections.to_string(), "-D", &seconds.to_string()])
        .arg(format!("--log-file={}", log.display()))
        .arg(url(target));
    let text = output(command)?;
    let log = fs::read_to_string(&log).map_err(|e| format!("h2load left no log: {e}"))?;
    read_h2load(&text, &log)
}

fn url(target: &Target) -> String {
    let scheme = if target.tls.is_some() {
        "https"
    } else {
        "http"
    };
    format!("{scheme}://{}{}", target.address, target.path)
}

fn output(mut command: Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|e| format!("cannot run {program}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed: {text}{error}"))
}

fn read_wrk(text: &str) -> Result<Report> {
    let missing = |what: &str| format!("wrk says no {what}: {text}");
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("wrk met errors: {text}"));
    }
    let line = text.lines().find(|line| line.contains(" requests in "));
    let requests = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let share = |share: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(share))?;
        time(line.trim())
    };
    Ok(Report {
        requests: requests.ok_or_else(|| missing("requests"))?,
        p50: share("50%").ok_or_else(|| missing("50%"))?,
        p99: share("99%").ok_or_else(|| missing("99%"))?,
    })
}

/// A time as wrk writes it: `612.00us`, `1.23ms`, `1.50s`, `2.00m`.
fn time(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (value, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(value.parse::<f64>().ok()? * seconds).ok()
}

/// `log` has a line per answer: start, status, microseconds.
fn read_h2load(text: &str, log: &str) -> Result<Report> {
    let missing = |what: &str| format!("h2load says no {what}: {text}");
    if !text.contains("Application protocol: h2") {
        return Err(format!("h2load does not speak HTTP/2: {text}"));
    }
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("requests: "));
    let counts = line.ok_or_else(|| missing("requests"))?;
    let count = |what: &str| {
        let word = |part: &str| part.trim().strip_suffix(what)?.trim().parse::<f64>().ok();
        counts.split(',').find_map(word)
    };
    if count("failed") != Some(0.0) || count("errored") != Some(0.0) {
        return Err(format!("h2load met errors: {text}"));
    }
    let mut tally = Tally::default();
    for line in log.lines() {
        let mut fields = line.split('\t').skip(1);
        if fields.next() != Some("200") {
            return Err(format!("h2load got another status: {line}"));
        }
        let latency = fields.next().and_then(|field| field.parse::<u64>().ok());
        tally
            .latencies
            .push(latency.ok_or_else(|| missing("latency"))? * 1000);
    }
    Ok(Report {
        requests: count("succeeded").ok_or_else(|| missing("succeeded"))?,
        p50: tally.latency(0.5),
        p99: tally.latency(0.99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 3s test @ http://127.0.0.1:1/x
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   367.11us  112.36us   4.22ms   91.47%
    Req/Sec   174.24k     6.06k  184.19k    76.67%
  Latency Distribution
     50%  351.00us
     75%  395.00us
     90%  447.00us
     99%    1.25ms
  520115 requests in 3.00s, 629.96MB read
Requests/sec: 173319.87
Transfer/sec:    209.93MB
";

    #[test]
    fn wrk_is_read() {
        let report = read_wrk(WRK).unwrap();
        assert_eq!(report.requests, 520115.0);
        assert_eq!(report.p50, Duration::from_micros(351));
        assert_eq!(report.p99, Duration::from_micros(1250));
        let refused = format!("{WRK}  Non-2xx or 3xx responses: 5\n");
        assert!(read_wrk(&refused).is_err());
        assert!(read_wrk("").is_err());
        assert_eq!(time("1.50s"), Some(Duration::from_millis(1500)));
        assert_eq!(time("0.00us"), Some(Duration::ZERO));
        assert_eq!(time("1.50h"), None);
    }

    #[test]
    fn h2load_is_read() {
        let text = "Application protocol: h2\n\nfinished in 3.00s, 1.00 req/s, 1MB/s\n\
            requests: 4 total, 4 started, 4 done, 4 succeeded, 0 failed, 0 errored, 0 timeout\n\
            status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        let log = "1\t200\t40\n2\t200\t10\n3\t200\t20\n4\t200\t30\n";
        let report = read_h2load(text, log).unwrap();
        assert_eq!(report.requests, 4.0);
        assert_eq!(report.p50, Duration::from_micros(20));
        assert_eq!(report.p99, Duration::from_micros(40));
        assert!(read_h2load(text, "1\t404\t40\n").is_err());
        assert!(read_h2load(&text.replace("0 errored", "1 errored"), log).is_err());
        assert!(read_h2load(&text.replace(": h2", ": http/1.1"), log).is_err());
    }
}
