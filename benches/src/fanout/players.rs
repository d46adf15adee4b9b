//! Many viewers of one stream, in the caller's thread.
//!
//! What they get is discarded in the kernel (`MSG_TRUNC`, tcp(7)), but for a few that take the
//! stream apart and tell how late its pictures are. The thread spins, so that the server is
//! never charged for waking it.

use super::stamp;
use crate::Result;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, recv};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use weir_media::{Mono, TrackKind};
use weir_rtmp::demux::{Demuxer, Media};
use weir_rtmp::flv::{Reader, TagKind};
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{ClientConfig, ClientSession, Event, Mode};

/// Bytes that are discarded at a time at most.
const DISCARD_BYTES: usize = 8 << 20;

/// Bytes that are read at a time by a player that looks at them.
const READ_BYTES: usize = 64 << 10;

/// Ready connections that are looked at before the publisher's turn.
const EVENTS: usize = 64;

/// How a player gets the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RTMP.
    Rtmp,
    /// FLV over HTTP.
    Flv,
}

/// Viewers of one stream.
pub struct Players {
    epoll: OwnedFd,
    players: Vec<Player>,
    scratch: Vec<u8>,
    /// When each picture was sent, by its number.
    sent: Vec<Instant>,
    /// From the sending of a picture to its arrival, in seconds.
    late: Vec<f64>,
    bytes: u64,
}

struct Player {
    stream: TcpStream,
    reader: Reading,
}

enum Reading {
    /// It discards.
    Nothing,
    /// The server has not let it play yet; whether it will look.
    Connecting(Box<ClientSession>, bool),
    /// The answer's head is not whole yet.
    Head(Vec<u8>, bool),
    Rtmp(Box<ClientSession>),
    Flv(Box<Reader>, Box<Demuxer>),
}

impl Players {
    /// Nobody yet.
    pub fn new() -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC);
        Ok(Self {
            epoll: epoll.map_err(|e| format!("epoll: {e}"))?,
            players: Vec::new(),
            // Never written to where it is discarded into, so it is hardly any memory.
            scratch: vec![0; DISCARD_BYTES],
            sent: Vec::new(),
            late: Vec::new(),
            bytes: 0,
        })
    }

    /// Whether all that were added play.
    pub fn all_play(&self) -> bool {
        let connects = |p: &Player| matches!(p.reader, Reading::Connecting(..) | Reading::Head(..));
        !self.players.iter().any(connects)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.players.len()
    }

    /// Notes that the pictures up to number `count` were sent by now.
    pub fn sent(&mut self, count: u64, now: Instant) {
        self.sent.resize(count as usize, now);
    }

    /// Connects one more; with `looks`, one that takes the stream apart.
    pub fn add(
        &mut self,
        server: SocketAddr,
        name: &str,
        protocol: Protocol,
        looks: bool,
    ) -> Result<()> {
        let failed = |e: io::Error| format!("cannot play from {server}: {e}");
        let mut stream = TcpStream::connect(server).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        set_socket_linger(&stream, Some(Duration::ZERO)).map_err(|e| failed(e.into()))?;
        let reader = match protocol {
            Protocol::Rtmp => {
                let mut session = Box::new(session(server, name));
                transmit(&mut session, &mut stream)?;
                Reading::Connecting(session, looks)
            }
            Protocol::Flv => {
                let request = format!("GET /{name}/live.flv HTTP/1.1\r\nHost: {server}\r\n\r\n");
                stream.write_all(request.as_bytes()).map_err(failed)?;
                Reading::Head(Vec::new(), looks)
            }
        };
        stream.set_nonblocking(true).map_err(failed)?;
        let data = epoll::EventData::new_u64(self.players.len() as u64);
        epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)
            .map_err(|e| failed(e.into()))?;
        self.players.push(Player { stream, reader });
        Ok(())
    }

    /// Takes what there is.
    pub fn turn(&mut self) -> Result<()> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        let pause = Timespec::default();
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(format!("epoll: {e}")),
        }
        for event in &events {
            let at = event.data.u64() as usize;
            let Some(player) = self.players.get_mut(at) else {
                continue;
            };
            let (flags, len) = match player.reader {
                Reading::Nothing => (RecvFlags::TRUNC, DISCARD_BYTES),
                _ => (RecvFlags::empty(), READ_BYTES),
            };
            let buffer = self.scratch.get_mut(..len).unwrap_or_default();
            let received = match recv(&player.stream, &mut *buffer, flags) {
                Ok((_, 0)) => return Err(format!("the server closed viewer {at}")),
                Ok((_, received)) => received,
                Err(rustix::io::Errno::AGAIN) => continue,
                Err(e) => return Err(format!("cannot receive: {e}")),
            };
            self.bytes += received as u64;
            let bytes = buffer.get(..received.min(len)).unwrap_or_default();
            let (sent, late) = (&self.sent, &mut self.late);
            let now = Instant::now();
            player.reader.take(bytes, &mut player.stream, |number| {
                if let Some(sent) = sent.get(number as usize) {
                    late.push((now - *sent).as_secs_f64());
                }
            })?;
        }
        Ok(())
    }

    /// How late pictures were since this was last called, sorted; and the bytes that came.
    pub fn take(&mut self) -> (Vec<f64>, u64) {
        let mut late = std::mem::take(&mut self.late);
        late.sort_by(f64::total_cmp);
        (late, std::mem::take(&mut self.bytes))
    }
}

impl Reading {
    /// Tells the number of each picture that is whole now.
    fn take(
        &mut self,
        bytes: &[u8],
        stream: &mut TcpStream,
        mut picture: impl FnMut(u64),
    ) -> Result<()> {
        match self {
            Self::Nothing => {}
            Self::Connecting(session, looks) => {
                let taken = session.handle_input(bytes, Mono(0));
                taken.map_err(|e| format!("a player: {e}"))?;
                if transmit(session, stream)? {
                    let looks = *looks;
                    *self = match std::mem::replace(self, Self::Nothing) {
                        Self::Connecting(session, _) if looks => Self::Rtmp(session),
                        _ => Self::Nothing,
                    };
                }
            }
            Self::Head(head, looks) => {
                head.extend_from_slice(bytes);
                let end = head.windows(4).position(|w| w == b"\r\n\r\n");
                let Some(end) = end else { return Ok(()) };
                if !head.starts_with(b"HTTP/1.1 200 ") {
                    return Err(String::from_utf8_lossy(head).into_owned());
                }
                let (body, looks) = (head.split_off(end + 4), *looks);
                if !looks {
                    *self = Self::Nothing;
                    return Ok(());
                }
                *self = Self::Flv(Box::default(), Box::default());
                return self.take(&body, stream, picture);
            }
            Self::Rtmp(session) => {
                let taken = session.handle_input(bytes, Mono(0));
                taken.map_err(|e| format!("a player: {e}"))?;
                loop {
                    match session.poll_output() {
                        Output::Event(Event::Frame(frame)) if frame.kind == TrackKind::Video => {
                            picture(stamp::of(&frame.payload));
                        }
                        Output::Timeout(_) => return Ok(()),
                        // Acknowledgements are not waited for.
                        _ => {}
                    }
                }
            }
            Self::Flv(reader, demuxer) => {
                let mut input = bytes;
                loop {
                    let tag = reader.next_tag(&mut input);
                    let Some(tag) = tag.map_err(|e| format!("a player: {e}"))? else {
                        return Ok(());
                    };
                    if tag.kind == TagKind::Video {
                        demuxer.handle_video(tag.timestamp, tag.body, Mono(0));
                    }
                    while let Some(media) = demuxer.poll_media() {
                        if let Media::Frame(frame) = media {
                            picture(stamp::of(&frame.payload));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn session(server: SocketAddr, name: &str) -> ClientSession {
    let config = ClientConfig {
        random: Box::new([0x5a; 1528]),
        app: "live".into(),
        tc_url: format!("rtmp://{server}/live"),
        key: name.into(),
        mode: Mode::Play,
        chunk_size: 4096,
    };
    ClientSession::new(config, Mono(0))
}

/// Sends what the session has to say; whether it plays.
fn transmit(session: &mut ClientSession, stream: &mut TcpStream) -> Result<bool> {
    loop {
        match session.poll_output() {
            // A socket without anything to send takes a command whole.
            Output::Transmit(bytes) => stream
                .write_all(&bytes)
                .map_err(|e| format!("cannot play: {e}"))?,
            Output::Event(Event::Playing) => return Ok(true),
            Output::Event(Event::Refused { code, .. }) => return Err(code),
            Output::Event(_) => {}
            Output::Close => return Err("the session is over".into()),
            Output::Timeout(_) => return Ok(false),
        }
    }
}
