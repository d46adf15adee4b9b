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
