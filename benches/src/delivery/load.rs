//! Keep-alive connections that ask for one thing over and over: one thread, a closed loop.
//!
//! A plain body is discarded in the kernel (`MSG_TRUNC`, tcp(7)): the client must not be what
//! limits the server. It spins, so that the server is never charged for waking it.

use super::answer::Answer;
use super::tls::Secure;
use crate::Result;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that are received of an answer whose head has not come yet.
const FIRST_BYTES: usize = 2048;

/// Bytes of a body that are discarded at a time at most.
const DISCARD_BYTES: usize = 8 << 20;

/// Ready connections that are looked at before the clock.
const EVENTS: usize = 256;

/// What is asked for, and of whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// Absolute path.
    pub path: String,
    /// Bytes of the body.
    pub length: u64,
    /// How to speak TLS, if so.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// What happened in a time.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Bytes of bodies, those of answers that are not whole included.
    pub body_bytes: u64,
    /// Whole answers.
    pub answers: u64,
    /// From each request to the last byte of its answer, in nanoseconds.
    pub latencies: Vec<u64>,
}

impl Tally {
    /// Requests that were answered, a part of an answer as a part of a request.
    pub fn requests(&self, length: u64) -> f64 {
        self.body_bytes as f64 / length as f64
    }

    /// The latency that `share` of the requests do not exceed, by the nearest rank; zero
    /// without an answer.
    pub fn latency(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        let found = sorted.get(rank.saturating_sub(1)).copied();
        Duration::from_nanos(found.unwrap_or(0))
    }
}

/// Whether the client gives its core away while nothing is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// No: for a core of its own.
    Spin,
    /// Yes: for a core that the server uses, too.
    Sleep,
}

/// The connections.
pub struct Load {
    target: Target,
    waiting: Waiting,
    request: Vec<u8>,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    scratch: Vec<u8>,
    tally: Tally,
}

struct Connection {
    stream: TcpStream,
    tls: Option<Box<Secure>>,
    answer: Answer,
    asked: Instant,
}

impl Load {
    /// Connects so many times, with handshakes where there are any, and asks nothing yet.
    pub fn connect(target: Target, connections: usize, waiting: Waiting) -> Result<Self> {
        let failed = |e: io::Error| format!("cannot connect to {}: {e}", target.address);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
        let mut opened = Vec::with_capacity(connections);
        for i in 0..connections {
            let stream = TcpStream::connect(target.address).map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            // Closed by a reset: the ports of earlier measurements must not run out.
            set_socket_linger(&stream, Some(Duration::ZERO)).map_err(|e| failed(e.into()))?;
            let secured = target
                .tls
                .as_ref()
                .map(|config| Secure::new(&stream, config));
            let tls = secured.transpose()?.map(Box::new);
            stream.set_nonblocking(true).map_err(failed)?;
            let data = epoll::EventData::new_u64(i as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)
                .map_err(|e| failed(e.into()))?;
            opened.push(Connection {
                stream,
                tls,
                answer: Answer::default(),
                asked: Instant::now(),
            });
        }
        let Target { address, path, .. } = &target;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: weir-benches\r\n\
             Accept: */*\r\n\r\n"
        );
        Ok(Self {
            request: request.into_bytes(),
            target,
            waiting,
            epoll,
            connections: opened,
            // Never written to where bodies are discarded, so it is no memory.
            scratch: vec![0; DISCARD_BYTES],
            tally: Tally::default(),
        })
    }

    /// Asks once on each connection.
    pub fn ask_all(&mut self) -> Result<()> {
        for connection in &mut self.connections {
            connection.ask(&self.request)?;
        }
        Ok(())
    }

    /// Takes answers for `duration`, and asks again after each; returns what happened.
    pub fn run_for(&mut self, duration: Duration) -> Result<Tally> {
        self.run(Some(Instant::now() + duration), true)
    }

    /// Takes the answer that each connection waits for, and asks nothing more.
    pub fn finish(&mut self) -> Result<Tally> {
        self.run(None, false)
    }

    fn run(&mut self, end: Option<Instant>, again: bool) -> Result<Tally> {
        let pause = match self.waiting {
            Waiting::Spin => Timespec::default(),
            Waiting::Sleep => Timespec {
                tv_sec: 0,
                tv_nsec: 10_000_000,
            },
        };
        self.tally = Tally::default();
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        let mut whole = 0;
        while end.map_or(whole < self.connections.len(), |end| Instant::now() < end) {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&pause)) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(format!("epoll: {e}")),
            }
            for event in &events {
                let at = event.data.u64() as usize;
                whole += usize::from(self.turn(at, again)?);
            }
        }
        Ok(std::mem::take(&mut self.tally))
    }

    /// Reads what there is on one connection; whether its answer is whole now.
    fn turn(&mut self, at: usize, again: bool) -> Result<bool> {
        let Some(connection) = self.connections.get_mut(at) else {
            return Ok(false);
        };
        self.tally.body_bytes += connection.receive(self.target.length, &mut self.scratch)?;
        if !connection.answer.is_whole() {
            return Ok(false);
        }
        let latency = connection.asked.elapsed().as_nanos();
        self.tally.answers += 1;
        self.tally.latencies.push(latency as u64);
        connection.answer.reset();
        if again {
            connection.ask(&self.request)?;
        }
        Ok(true)
    }
}

impl Connection {
    fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.asked = Instant::now();
        if let Some(tls) = &mut self.tls {
            return tls.send(&self.stream, request);
        }
        // A socket whose answers are all read takes a request whole.
        match send(&self.stream, request, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == request.len() => Ok(()),
            Ok(_) => Err("a request was not taken whole".into()),
            Err(e) => Err(format!("cannot ask: {e}")),
        }
    }

    /// Takes what there is of the answer; returns how much of it is of the body.
    fn receive(&mut self, length: u64, scratch: &mut [u8]) -> Result<u64> {
        if let Some(tls) = &mut self.tls {
            return tls.receive(&self.stream, scratch, |bytes| {
                self.answer.take(bytes, length)
            });
        }
        let mut body = 0;
        if self.answer.left().is_none() {
            let first = scratch.get_mut(..FIRST_BYTES).unwrap_or_default();
            let Some(received) = self.recv(first, RecvFlags::empty())? else {
                return Ok(0);
            };
            let first = first.get(..received).unwrap_or_default();
            body = self.answer.take(first, length)?;
            // What is less than was asked for is all that there was.
            if received < FIRST_BYTES {
                return Ok(body);
            }
        }
        let left = self.answer.left().unwrap_or(0).min(scratch.len() as u64);
        let rest = scratch.get_mut(..left as usize).unwrap_or_default();
        if !rest.is_empty()
            && let Some(received) = self.recv(rest, RecvFlags::TRUNC)?
        {
            self.answer.skip(received as u64)?;
            body += received as u64;
        }
        Ok(body)
    }

    /// `None` if nothing is there yet.
    fn recv(&self, buffer: &mut [u8], flags: RecvFlags) -> Result<Option<usize>> {
        match recv(&self.stream, buffer, flags) {
            Ok((_, 0)) => Err("the server closed a connection".into()),
            Ok((_, received)) => Ok(Some(received)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(e) => Err(format!("cannot receive: {e}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::{ScopedJoinHandle, scope};

    /// Longer than what is received before bodies are discarded.
    const LENGTH: usize = 300_000;

    /// Answers each request with a body of `LENGTH`; returns how many were answered whole.
    fn serve(mut stream: TcpStream, status: &str) -> u64 {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {LENGTH}\r\n\r\n");
        // The head comes in two pieces, the second with the body.
        let (first, second) = head.as_bytes().split_at(20);
        let rest = [second, &vec![b'x'; LENGTH]].concat();
        let (mut answered, mut request) = (0, Vec::new());
        let mut buffer = [0; 1024];
        // The client ends by a reset.
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            request.extend_from_slice(&buffer[..read]);
            if !request.ends_with(b"\r\n\r\n") {
                continue;
            }
            assert!(request.starts_with(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:"));
            request.clear();
            let pieces = [first, &rest];
            answered += u64::from(pieces.iter().all(|piece| stream.write_all(piece).is_ok()));
        }
        answered
    }

    /// Runs `client` against a server of two connections; returns what the server answered.
    fn with_server(status: &str, client: impl FnOnce(Load)) -> u64 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let target = Target {
            address: listener.local_addr().unwrap(),
            path: "/x".into(),
            length: LENGTH as u64,
            tls: None,
        };
        scope(|scope| {
            let load = Load::connect(target, 2, Waiting::Sleep).unwrap();
            let threads: Vec<ScopedJoinHandle<'_, u64>> = (0..2)
                .map(|_| {
                    let (stream, _) = listener.accept().unwrap();
                    scope.spawn(move || serve(stream, status))
                })
                .collect();
            client(load);
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        })
    }

    #[test]
    fn each_connection_asks_again_after_its_answer() {
        let mut whole = 0;
        let answered = with_server("200 OK", |mut load| {
            load.ask_all().unwrap();
            while whole < 10 {
                let tally = load.run_for(Duration::from_millis(20)).unwrap();
                assert_eq!(tally.latencies.len() as u64, tally.answers);
                whole += tally.answers;
            }
            let last = load.finish().unwrap();
            assert_eq!(
                last.answers, 2,
                "one for each connection, and then it is silent"
            );
            whole += last.answers;
            assert_eq!(load.run_for(Duration::from_millis(1)).unwrap().answers, 0);
        });
        assert_eq!(answered, whole);
    }

    #[test]
    fn bodies_are_counted_to_the_byte() {
        with_server("200 OK", |mut load| {
            load.ask_all().unwrap();
            let tally = load.finish().unwrap();
            assert_eq!(tally.body_bytes, 2 * LENGTH as u64);
            assert_eq!(tally.requests(LENGTH as u64), 2.0);
        });
    }

    #[test]
    fn an_error_is_no_answer() {
        with_server("404 Not Found", |mut load| {
            load.ask_all().unwrap();
            assert!(load.finish().unwrap_err().contains("404"));
        });
    }

    #[test]
    fn latencies_are_of_the_nearest_rank() {
        let tally = Tally {
            latencies: (1..=200).rev().collect(),
            ..Tally::default()
        };
        assert_eq!(tally.latency(0.5), Duration::from_nanos(100));
        assert_eq!(tally.latency(0.99), Duration::from_nanos(198));
        assert_eq!(tally.latency(1.0), Duration::from_nanos(200));
        assert_eq!(Tally::default().latency(0.99), Duration::ZERO);
    }
}
