//! What slow peers cost: those that read nothing of an answer, and those that do not finish a
//! request. User memory of the server, and kernel memory of its sockets.

use super::Bench;
use super::cells::Body;
use super::load::{Load, Target, Waiting};
use super::peer::Peer;
use crate::Result;
use crate::table::Table;
use crate::usage::Memory;
use rustix::net::sockopt::set_socket_linger;
use std::any::Any;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

/// Peers of each kind.
const PEERS: usize = 1000;

/// So that a server has done what it does about them, and no deadline has struck.
const QUIET: Duration = Duration::from_millis(1500);

/// Bytes of a head that come one by one.
const HEAD_BYTES: usize = 200;

/// Bytes of a head that is nearly as long as weir lets it be.
const LONG_HEAD_BYTES: usize = 31 << 10;

/// Bytes of further requests that a peer which reads no answers sends at most.
const PIPELINED_BYTES: usize = 1 << 20;

const SEGMENT: Body = Body::Segment(2 << 20);

/// What a peer does.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// It asks, and reads nothing.
    ReadsNothing { tls: bool },
    /// It sends so much of a head, by so many bytes.
    SendsAHead { bytes: usize, by: usize },
    /// It asks on and on, and reads nothing.
    Pipelines,
}

const KINDS: [Kind; 5] = [
    Kind::ReadsNothing { tls: false },
    Kind::ReadsNothing { tls: true },
    Kind::SendsAHead {
        bytes: HEAD_BYTES,
        by: 1,
    },
    Kind::SendsAHead {
        bytes: LONG_HEAD_BYTES,
        by: 1024,
    },
    Kind::Pipelines,
];

impl Kind {
    fn name(self) -> String {
        match self {
            Self::ReadsNothing { tls: false } => "reads nothing of 2 MiB".into(),
            Self::ReadsNothing { tls: true } => "reads nothing of 2 MiB, TLS".into(),
            Self::SendsAHead { bytes, by } => format!("sent {bytes} B of a head by {by}"),
            Self::Pipelines => "asks on, reads nothing".into(),
        }
    }
}

/// Memory per peer, of fresh servers.
pub fn run(bench: &Bench<'_>) -> Result<()> {
    let mut table = Table::new(&[
        "peers",
        "server",
        "RSS",
        "RssAnon",
        "its sockets",
        "TCP in all",
    ]);
    for kind in KINDS {
        let (weir, files) = bench.weir(1)?;
        let nginx = bench.nginx(&files)?;
        for server in [weir, nginx] {
            let tls = matches!(kind, Kind::ReadsNothing { tls: true });
            let target = bench.target(&server, &files, SEGMENT, tls)?;
            let row = measure(&server, &target, kind)
                .map_err(|e| format!("{}: {e}; {}", kind.name(), server.complaints()))?;
            table.row(&row);
        }
    }
    table.print(&format!(
        "http: KiB per slow peer, {PEERS} of each kind: user memory of the server, kernel memory \
         of its sockets, and of all sockets of the machine, those of the peers included"
    ));
    Ok(())
}

fn measure(server: &Peer, target: &Target, kind: Kind) -> Result<[String; 6]> {
    // What the first request of all needs is not a peer's.
    let mut one = Load::connect(target.clone(), 1, Waiting::Spin)?;
    one.ask_all()?;
    one.finish()?;
    drop(one);
    std::thread::sleep(QUIET);
    let port = target.address.port();
    let look = || Ok::<_, String>((Memory::of(&server.pids())?, of_sockets(port)?, of_tcp()?));
    let (user, sockets, tcp) = look()?;
    let peers = start(target, kind)?;
    std::thread::sleep(QUIET);
    let (user_after, sockets_after, tcp_after) = look()?;
    drop(peers);
    let each = |after: u64, before: u64| {
        let bytes = after.saturating_sub(before) as f64 / PEERS as f64;
        format!("{:.1}", bytes / 1024.0)
    };
    Ok([
        kind.name(),
        server.kind.as_str().into(),
        each(user_after.resident, user.resident),
        each(user_after.anonymous, user.anonymous),
        each(sockets_after, sockets),
        each(tcp_after, tcp),
    ])
}

/// Whoever holds the connections: they are open until it is dropped.
fn start(target: &Target, kind: Kind) -> Result<Box<dyn Any>> {
    match kind {
        Kind::ReadsNothing { .. } => {
            let mut load = Load::connect(target.clone(), PEERS, Waiting::Spin)?;
            load.ask_all()?;
            Ok(Box::new(load))
        }
        Kind::SendsAHead { bytes, by } => {
            let mut sockets = connect(target)?;
            let head = format!("GET {} HTTP/1.1\r\nX: ", target.path);
            let fill = "x".repeat(bytes.saturating_sub(head.len()));
            let text = head + &fill;
            for part in text.as_bytes().chunks(by) {
                write_to_all(&mut sockets, part)?;
            }
            Ok(Box::new(sockets))
        }
        Kind::Pipelines => {
            let mut sockets = connect(target)?;
            let request = format!("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", target.path);
            let requests = request.repeat(16 * 1024 / request.len());
            for _ in 0..PIPELINED_BYTES / requests.len() {
                write_to_all(&mut sockets, requests.as_bytes())?;
            }
            Ok(Box::new(sockets))
        }
    }
}

fn connect(target: &Target) -> Result<Vec<TcpStream>> {
    let one = || {
        let socket = TcpStream::connect(target.address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        set_socket_linger(&socket, Some(Duration::ZERO))?;
        Ok(socket)
    };
    let all: std::io::Result<_> = (0..PEERS).map(|_| one()).collect();
    all.map_err(|e| format!("cannot connect to {}: {e}", target.address))
}

/// What a socket does not take is not sent.
fn write_to_all(sockets: &mut [TcpStream], bytes: &[u8]) -> Result<()> {
    for socket in sockets {
        match socket.write(bytes) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(format!("a slow peer was left: {e}")),
        }
    }
    Ok(())
}

/// Kernel memory of the sockets whose own port this is, in bytes: received, queued to be sent, and
/// set aside.
fn of_sockets(port: u16) -> Result<u64> {
    let mut ss = Command::new("ss");
    ss.args(["-tmnH", "state", "established"]);
    ss.arg(format!("( sport = :{port} )"));
    let output = ss.output().map_err(|e| format!("ss (iproute2): {e}"))?;
    Ok(read_skmem(&String::from_utf8_lossy(&output.stdout)))
}

/// Sums `skmem:(r…,rb…,t…,tb…,f…,w…,…)`: `r` and `w` are what is queued, `f` what is set aside.
fn read_skmem(text: &str) -> u64 {
    let lists = text.split("skmem:(").skip(1);
    let fields = lists.flat_map(|list| list.split(')').next().unwrap_or_default().split(','));
    let counted = fields.filter_map(|field| {
        let digits = field.strip_prefix(['r', 'w', 'f'])?;
        digits.parse::<u64>().ok()
    });
    counted.sum()
}

/// Memory of all TCP sockets of the machine, from /proc/net/sockstat, in bytes.
fn of_tcp() -> Result<u64> {
    let path = "/proc/net/sockstat";
    let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let pages = read_sockstat(&text).ok_or_else(|| format!("{path} has no memory of TCP"))?;
    Ok(pages * rustix::param::page_size() as u64)
}

fn read_sockstat(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("TCP: "))?;
    let mut words = line.split(' ');
    words.find(|&word| word == "mem")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let ss = "0 2565760 127.0.0.1:80 127.0.0.1:5\n\t \
                  skmem:(r3,rb131072,t0,tb2626560,f2048,w2567168,o0,bl0,d0)\n\
                  0 0 127.0.0.1:80 127.0.0.1:6\n\t skmem:(r0,rb1,t0,tb1,f4096,w0,o0,bl0,d7)\n";
        assert_eq!(read_skmem(ss), 3 + 2048 + 2_567_168 + 4096);
        assert_eq!(read_skmem(""), 0);
        let sockstat = "sockets: used 100\nTCP: inuse 3 orphan 0 tw 5 alloc 9 mem 17\nUDP: mem 2\n";
        assert_eq!(read_sockstat(sockstat), Some(17));
        assert_eq!(read_sockstat("UDP: mem 2\n"), None);
    }
}
