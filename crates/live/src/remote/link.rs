//! One connection to another server: bytes between the socket and the client's machine.

use super::Remote;
use crate::clock;
use crate::limits::{
    LINGER_BYTES_MAX, LINGER_WAIT, OUTPUT_TALK_BYTES_MAX, OUTPUT_TALK_WINDOW, RECEIVE_BATCH_MAX,
    REMOTE_CHUNK_SIZE, SEND_WAIT, TRANSMIT_BATCH_MAX,
};
use crate::reasons::RemoteFailure;
use bytes::Bytes;
use std::fmt;
use std::io;
use std::time::Duration;
use weir_media::Mono;
use weir_net::{Dialer, Stream};
use weir_rtmp::handshake::RANDOM_BYTES;
use weir_rtmp::mux::Body;
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{ClientConfig, ClientSession, Event, Mode};
use weir_rtmp::{Metadata, Url};

/// Why a connection to another server ended, or was never there.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It cannot be reached.
    Dial(io::Error),
    /// The connection failed.
    Socket(io::Error),
    /// It speaks RTMP badly, or is too slow.
    Protocol(weir_rtmp::Error),
    /// It refused, with this status code.
    Refused(String),
    /// It sends us elsewhere.
    Redirected(String),
    /// It sends us elsewhere over and over, or where we do not go.
    Redirects(&'static str),
    /// It closed the connection.
    Closed,
    /// It takes nothing.
    Stalled,
    /// It sends no media.
    Silent,
    /// What it sends is of no use.
    Media(&'static str),
    /// The stream is over there.
    Ended,
    /// Somebody else publishes the stream here.
    Taken,
    /// Nobody wants the stream.
    Unwanted,
    /// We cannot take it.
    Ours(String),
    /// We cannot listen for it.
    Listen(String),
}

impl Failure {
    /// By what it is counted.
    pub(crate) const fn reason(&self) -> RemoteFailure {
        match self {
            Self::Dial(_) | Self::Listen(_) => RemoteFailure::Connect,
            Self::Socket(_) | Self::Closed => RemoteFailure::Closed,
            Self::Protocol(_) => RemoteFailure::Protocol,
            Self::Refused(_) => RemoteFailure::Refused,
            Self::Redirected(_) | Self::Redirects(_) => RemoteFailure::Redirects,
            Self::Stalled => RemoteFailure::Stalled,
            Self::Silent => RemoteFailure::Silent,
            Self::Media(_) => RemoteFailure::Media,
            Self::Ended => RemoteFailure::Ended,
            Self::Taken | Self::Unwanted | Self::Ours(_) => RemoteFailure::Local,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(e) => write!(f, "cannot connect: {e}"),
            Self::Socket(e) => write!(f, "the connection failed: {e}"),
            Self::Protocol(e) => write!(f, "the server's RTMP: {e}"),
            Self::Refused(code) => write!(f, "the server refused: {code}"),
            Self::Redirected(_) => f.write_str("the server asks to connect elsewhere"),
            Self::Redirects(why) => write!(f, "the server's redirect {why}"),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Stalled => f.write_str("the server takes nothing"),
            Self::Silent => f.write_str("the server sends no media"),
            Self::Media(why) => f.write_str(why),
            Self::Ended => f.write_str("the stream is over there"),
            Self::Taken => f.write_str("somebody publishes under this name"),
            Self::Unwanted => f.write_str("nobody watches"),
            Self::Ours(why) | Self::Listen(why) => f.write_str(why),
        }
    }
}

/// What a connection wants.
pub(crate) enum Step {
    Event(Event),
    /// Wait with [`Link::receive`], at most until this time.
    Idle(Option<Mono>),
}

/// One connection to another server.
pub(crate) struct Link {
    stream: Stream,
    machine: ClientSession,
    tc_url: String,
    out: Vec<Bytes>,
    /// Bytes received since then.
    talk: (usize, Mono),
}

impl Link {
    /// Connects to `url`, for which `remote` says whom to trust.
    pub(crate) async fn open(
        dialer: &Dialer,
        remote: &Remote,
        url: &Url,
        mode: Mode,
    ) -> Result<Self, Failure> {
        let tls = match (url.tls, &remote.tls) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls),
            (true, None) => {
                return Err(Failure::Redirects(
                    "leads to TLS, whose authorities are not configured",
                ));
            }
        };
        let mut random = Box::new([0; RANDOM_BYTES]);
        getrandom::fill(&mut random[..])
            .map_err(|_| Failure::Ours("the system has no randomness".into()))?;
        let stream = dialer.dial(&url.host, url.port, tls).await;
        let config = ClientConfig {
            random,
            app: url.app.clone(),
            tc_url: url.tc_url(),
            key: url.key.clone(),
            mode,
            chunk_size: REMOTE_CHUNK_SIZE,
        };
        Ok(Self {
            stream: stream.map_err(Failure::Dial)?,
            machine: ClientSession::new(config, clock::now().mono),
            tc_url: url.tc_url(),
            out: Vec::new(),
            talk: (0, clock::now().mono),
        })
    }

    /// The next event, once all before it is sent. Not to be dropped before its end.
    pub(crate) async fn step(&mut self) -> Result<Step, Failure> {
        loop {
            let step = match self.machine.poll_output() {
                Output::Transmit(bytes) => {
                    self.out.push(bytes);
                    if self.out.len() >= TRANSMIT_BATCH_MAX {
                        self.flush().await?;
                    }
                    continue;
                }
                Output::Event(Event::Refused { code, .. }) => {
                    // The description may repeat the key; the code is a word, if an honest one.
                    let code: String = code
                        .chars()
                        .filter(char::is_ascii_graphic)
                        .take(64)
                        .collect();
                    return Err(Failure::Refused(code));
                }
                Output::Event(Event::Redirected { tc_url }) => {
                    return Err(Failure::Redirected(tc_url));
                }
                Output::Event(Event::ReconnectRequested { tc_url }) => {
                    let here = || self.tc_url.clone();
                    return Err(Failure::Redirected(tc_url.unwrap_or_else(here)));
                }
                Output::Event(event) => return Ok(Step::Event(event)),
                Output::Close => return Err(Failure::Closed),
                Output::Timeout(deadline) => Step::Idle(deadline),
            };
            self.flush().await?;
            return Ok(step);
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.out);
        match weir_ring::timeout(SEND_WAIT, self.stream.send_vectored(out)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Failure::Socket(e)),
            Err(_) => Err(Failure::Stalled),
        }
    }

    /// Waits for bytes until `deadline`, at most `wait`, and feeds them. Loses nothing when
    /// dropped.
    pub(crate) async fn receive(
        &mut self,
        deadline: Option<Mono>,
        wait: Duration,
    ) -> Result<(), Failure> {
        let wait = deadline.map_or(wait, |deadline| clock::until(deadline).min(wait));
        let received = match weir_ring::timeout(wait, self.stream.recv()).await {
            Ok(received) => received,
            Err(_) => {
                let now = clock::now().mono;
                return self.machine.handle_timeout(now).map_err(Failure::Protocol);
            }
        };
        match received {
            Ok(Some(bytes)) => self.take(&bytes),
            Ok(None) => Err(Failure::Closed),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(Failure::Closed),
            Err(e) => Err(Failure::Socket(e)),
        }
    }

    fn take(&mut self, first: &[u8]) -> Result<(), Failure> {
        let now = clock::now().mono;
        if now.since(self.talk.1) >= OUTPUT_TALK_WINDOW {
            self.talk = (0, now);
        }
        self.talk.0 += first.len();
        let mut handled = self.machine.handle_input(first, now);
        for _ in 1..RECEIVE_BATCH_MAX {
            let Some(bytes) = self.stream.try_recv().filter(|_| handled.is_ok()) else {
                break;
            };
            self.talk.0 += bytes.len();
            handled = self.machine.handle_input(&bytes, now);
        }
        handled.map_err(Failure::Protocol)
    }

    /// Whether a server to push to says more than it could have to say.
    pub(crate) fn talks_too_much(&self) -> bool {
        self.talk.0 > OUTPUT_TALK_BYTES_MAX
    }

    /// Sends what the stream says of itself, with the next [`Link::step`].
    pub(crate) fn send_metadata(&mut self, metadata: &Metadata) {
        self.machine.send_metadata(metadata);
    }

    /// Sends a message, with the next [`Link::step`]; times count from `base`.
    pub(crate) fn send(&mut self, body: &Body, base: u32) {
        self.machine.send_body(body, base);
    }

    /// Says good-bye, and closes.
    pub(crate) async fn close(mut self) {
        self.machine.close();
        while let Ok(Step::Event(_) | Step::Idle(Some(_))) = self.step().await {}
        self.stream.linger(LINGER_WAIT, LINGER_BYTES_MAX).await;
    }
}
