//! What a process and a core used, from proc(5).

use crate::Result;
use std::fs;
use std::time::Duration;

/// Processor time of a server, all its processes and threads included.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// User and system time as the kernel bills it to the process, ended threads included:
    /// those that io_uring starts for the disk belong to the process.
    pub billed: Duration,
    /// Time that the threads alive now have run, from schedstat.
    pub run: Duration,
}

impl Usage {
    /// What these processes have used so far.
    pub fn of(pids: &[u32]) -> Result<Self> {
        let mut sum = Self {
            billed: Duration::ZERO,
            run: Duration::ZERO,
        };
        for &pid in pids {
            sum.billed += billed(pid).ok_or_else(|| gone(pid))?;
            sum.run += run(pid).ok_or_else(|| gone(pid))?;
        }
        Ok(sum)
    }
}

/// Resident memory of a server, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// All resident pages.
    pub resident: u64,
    /// Those that are not of a file.
    pub anonymous: u64,
}

impl Memory {
    /// What these processes hold now.
    pub fn of(pids: &[u32]) -> Result<Self> {
        let mut sum = Self {
            resident: 0,
            anonymous: 0,
        };
        for &pid in pids {
            let status = fs::read_to_string(format!("/proc/{pid}/status"));
            let status = status.map_err(|_| gone(pid))?;
            let bytes = |key: &str| {
                let line = status.lines().find_map(|l| l.strip_prefix(key));
                let kib = line.and_then(|l| l.trim_end_matches("kB").trim().parse::<u64>().ok());
                kib.unwrap_or(0) * 1024
            };
            sum.resident += bytes("VmRSS:");
            sum.anonymous += bytes("RssAnon:");
        }
        Ok(sum)
    }
}

/// Processes whose parent is `parent`.
pub fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| stat(pid, 1).and_then(|field| field.parse().ok()) == Some(parent))
        .collect()
}

/// Time for which a core was not idle, whoever used it or stole it from this guest.
pub fn busy(cpu: usize) -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").map_err(|e| format!("/proc/stat: {e}"))?;
    let name = format!("cpu{cpu} ");
    let line = text.lines().find_map(|l| l.strip_prefix(&name));
    let fields = line.unwrap_or_default().split(' ');
    // user nice system idle iowait irq softirq steal
    let ticks: Vec<u64> = fields.filter_map(|f| f.parse().ok()).take(8).collect();
    let idle: u64 = ticks.get(3..5).unwrap_or_default().iter().sum();
    Ok(from_ticks(ticks.iter().sum::<u64>() - idle))
}

/// Time that the calling thread has run.
pub fn thread_run() -> Result<Duration> {
    let time = schedstat("/proc/thread-self/schedstat");
    time.ok_or_else(|| "this kernel has no schedstat".into())
}

/// User and system time, of live and of ended threads.
fn billed(pid: u32) -> Option<Duration> {
    let ticks = |field| stat(pid, field)?.parse::<u64>().ok();
    Some(from_ticks(ticks(11)? + ticks(12)?))
}

fn run(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    // A thread that ends meanwhile has no file any more.
    let times = threads.filter_map(|t| schedstat(t.path().join("schedstat").to_str()?));
    Some(times.sum())
}

fn schedstat(path: &str) -> Option<Duration> {
    let text = fs::read_to_string(path).ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// A field of proc_pid_stat(5), counted from 0 at the state: the name before it may hold
/// anything.
fn stat(pid: u32, field: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    fields.split(' ').nth(field).map(str::to_owned)
}

fn from_ticks(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second();
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

fn gone(pid: u32) -> String {
    format!("process {pid} of the server has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_its_own_use() {
        let me = std::process::id();
        let before = Usage::of(&[me]).unwrap();
        let ballast = vec![1u8; 32 << 20];
        let mut sum = 0u64;
        loop {
            sum += ballast.iter().map(|&b| u64::from(b)).sum::<u64>();
            let now = Usage::of(&[me]).unwrap();
            let ran = now.run >= before.run + Duration::from_millis(30);
            if ran && now.billed > before.billed {
                break;
            }
        }
        assert!(sum > 0);
        let memory = Memory::of(&[me]).unwrap();
        assert!(memory.anonymous >= ballast.len() as u64);
        assert!(memory.resident >= memory.anonymous);
    }

    #[test]
    fn a_child_is_found_by_its_parent() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        assert!(children(std::process::id()).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Usage::of(&[child.id()]).is_err());
    }
}
