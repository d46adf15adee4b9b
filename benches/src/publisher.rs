//! Many RTMP publishers in real time, in the caller's thread.
//!
//! Each is a [`ClientSession`] over a non-blocking socket. What falls due at a turn leaves in
//! one write, as an encoder with a send buffer does; a server that does not read in time is
//! waited for, and the lateness that this makes is reported.

use crate::Result;
use crate::clip::{AAC_FRAME, Clip, FRAME_RATE, SAMPLE_RATE};
use crate::fanout::stamp;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_media::{Mono, TrackId};
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{ClientConfig, ClientSession, Event, Mode};

/// Pause between turns at most: what falls due is late by at most so much.
const TURN: Duration = Duration::from_millis(1);

/// How often a publisher reads what the server says once it publishes.
const READ_EVERY: Duration = Duration::from_millis(100);

/// Publishers that run together.
#[derive(Debug)]
pub struct Load {
    epoch: Instant,
    publishers: Vec<Publisher>,
    /// The most that a frame was late since it was last reset.
    lateness_max: Duration,
}

#[derive(Debug)]
struct Publisher {
    name: String,
    stream: TcpStream,
    session: ClientSession,
    clip: Arc<Clip>,
    /// Bytes that the socket has not taken yet.
    unsent: Vec<u8>,
    /// Bytes of media that the socket has taken.
    sent: u64,
    /// When its first frame is due, then when it was sent.
    start: Instant,
    /// When the write of its first keyframe began.
    first_key: Option<Instant>,
    pictures: u64,
    sounds: u64,
    /// Pictures have their number in them.
    stamped: bool,
    read_next: Instant,
}

impl Load {
    /// Nobody yet.
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            publishers: Vec::new(),
            lateness_max: Duration::ZERO,
        }
    }

    /// Connects a publisher of `name` whose first frame is due at `start`.
    pub fn add(
        &mut self,
        server: SocketAddr,
        name: String,
        clip: &Arc<Clip>,
        chunk_size: u32,
        start: Instant,
    ) -> Result<()> {
        let failed = |e: std::io::Error| format!("cannot connect {name} to {server}: {e}");
        let stream = TcpStream::connect(server).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        let config = ClientConfig {
            random: Box::new([0x5a; 1528]),
            app: "live".into(),
            tc_url: format!("rtmp://{server}/live"),
            key: name.clone(),
            mode: Mode::Publish,
            chunk_size,
        };
        self.publishers.push(Publisher {
            name,
            stream,
            session: ClientSession::new(config, mono(self.epoch)),
            clip: clip.clone(),
            unsent: Vec::new(),
            sent: 0,
            start,
            first_key: None,
            pictures: 0,
            sounds: 0,
            stamped: false,
            read_next: start,
        });
        Ok(())
    }

    /// Publishes until `end`.
    pub fn run_until(&mut self, end: Instant) -> Result<()> {
        while Instant::now() < end {
            self.turn()?;
            std::thread::sleep(TURN);
        }
        Ok(())
    }

    /// Sends what is due.
    pub fn turn(&mut self) -> Result<()> {
        for publisher in &mut self.publishers {
            let now = Instant::now();
            let late = publisher.turn(now, mono(self.epoch));
            let late = late.map_err(|e| format!("publisher {}: {e}", publisher.name))?;
            self.lateness_max = self.lateness_max.max(late);
        }
        Ok(())
    }

    /// When the write of a publisher's first keyframe began, by the order of adding.
    pub fn first_key(&self, index: usize) -> Option<Instant> {
        self.publishers.get(index)?.first_key
    }

    /// Writes into each picture of a publisher, by the order of adding, its number.
    pub fn stamp(&mut self, index: usize) {
        if let Some(publisher) = self.publishers.get_mut(index) {
            publisher.stamped = true;
        }
    }

    /// Pictures that a publisher has sent.
    pub fn pictures(&self, index: usize) -> u64 {
        self.publishers.get(index).map_or(0, |p| p.pictures)
    }

    /// Bytes of media that the sockets have taken.
    pub fn sent(&self) -> u64 {
        self.publishers.iter().map(|p| p.sent).sum()
    }

    /// The most that a frame was late since the last call.
    pub fn take_lateness(&mut self) -> Duration {
        std::mem::take(&mut self.lateness_max)
    }
}

fn mono(epoch: Instant) -> Mono {
    Mono(epoch.elapsed().as_micros() as u64)
}

impl Publisher {
    /// Does what is due; returns how late the latest frame was.
    fn turn(&mut self, now: Instant, mono: Mono) -> std::result::Result<Duration, String> {
        let mut late = Duration::ZERO;
        if self.session.is_publishing() {
            if now >= self.start && self.unsent.is_empty() {
                late = self.send_due(now);
            }
        } else if now > self.start + Duration::from_secs(10) {
            return Err("the server has not accepted it in time".into());
        }
        if !self.session.is_publishing() || now >= self.read_next {
            self.read_next = now + READ_EVERY;
            self.read(mono)?;
            self.session
                .handle_timeout(mono)
                .map_err(|e| e.to_string())?;
        }
        self.drain()?;
        self.write()?;
        Ok(late)
    }

    fn send_due(&mut self, now: Instant) -> Duration {
        let mut late = Duration::ZERO;
        if self.pictures == 0 {
            // A first frame that is late delays all: real time runs from it.
            self.start = now;
            for config in [self.clip.video(), self.clip.audio()] {
                let track = TrackId::source(config.kind());
                self.session.send_config(track, config, 0);
            }
            self.first_key = Some(now);
        }
        let age = now - self.start;
        let due = |i: u64, ticks, rate| Duration::from_micros(i * ticks * 1_000_000 / rate);
        while due(self.pictures, 1, FRAME_RATE) <= age {
            late = late.max(age - due(self.pictures, 1, FRAME_RATE));
            let mut picture = self.clip.picture(self.pictures);
            if self.stamped {
                picture.payload = stamp::put(&picture.payload, self.pictures);
            }
            self.session.send_frame(&picture);
            self.pictures += 1;
        }
        while due(self.sounds, AAC_FRAME, SAMPLE_RATE) <= age {
            self.session.send_frame(&self.clip.sound(self.sounds));
            self.sounds += 1;
        }
        late
    }

    fn read(&mut self, mono: Mono) -> std::result::Result<(), String> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the server has closed the connection".into()),
                Ok(n) => {
                    let heard = self.session.handle_input(&buffer[..n], mono);
                    heard.map_err(|e| e.to_string())?;
                    self.drain()?;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e.to_string()),
            }
        }
    }

    fn drain(&mut self) -> std::result::Result<(), String> {
        loop {
            match self.session.poll_output() {
                Output::Transmit(bytes) => self.unsent.extend_from_slice(&bytes),
                Output::Event(Event::Refused { code, .. }) => return Err(code),
                Output::Event(_) => {}
                Output::Close => return Err("the session is over".into()),
                Output::Timeout(_) => return Ok(()),
            }
        }
    }

    fn write(&mut self) -> std::result::Result<(), String> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(n) => {
                    self.sent += n as u64;
                    self.unsent.drain(..n);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e.to_string()),
            }
        }
        Ok(())
    }
}
