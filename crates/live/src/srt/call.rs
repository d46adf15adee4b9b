//! Connections to other servers over SRT: streams that are pulled from them, and pushed to them.

use super::board::{Entry, Role, Shown};
use super::line::{Line, Over, Work};
use super::play::{Seat, Sending};
use super::seed;
use crate::clock;
use crate::remote::{Failure, Intake, SrtRemote};
use crate::transport::Transport;
use crate::worker::Live;
use bytes::Bytes;
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll};
use tracing::info;
use weir_media::{Mono, StreamName};
use weir_ring::net::UdpSocket;
use weir_srt::{Config, Connection, KeyLength, SocketId, Stats};

/// Calls `remote` at one address after the other, until one answers, and works with it; why that
/// ended.
async fn call(live: &Live, remote: &SrtRemote, work: &mut impl Calling) -> Failure {
    let Some(remotes) = live.shared().remotes.get() else {
        return Failure::Unwanted;
    };
    let found = remotes.dialer.addresses(&remote.host, remote.port).await;
    let addresses = match found {
        Ok(addresses) => addresses,
        Err(e) => return Failure::Dial(e),
    };
    let mut failure = Failure::Dial(io::ErrorKind::NotFound.into());
    for address in addresses {
        let line = match open(remote, address) {
            Ok(line) => line,
            Err(e) => return Failure::Dial(e),
        };
        work.begin(address, line.stats());
        failure = line.run(work).await.into();
        if work.end(&line.stats()) {
            break;
        }
    }
    failure
}

fn open(remote: &SrtRemote, address: SocketAddr) -> io::Result<Line> {
    let no_randomness = || io::Error::other("the system has no randomness");
    let seed = seed().ok_or_else(no_randomness)?;
    let mut id = [0; 4];
    getrandom::fill(&mut id).map_err(|_| no_randomness())?;
    let id = SocketId((u32::from_ne_bytes(id) & 0x3fff_ffff).max(1));
    let config = Config {
        latency: remote.latency,
        peer_latency: remote.latency,
        passphrase: remote.passphrase.as_ref().and_then(|p| p.machine()),
        key_length: match remote.key_len {
            32 => KeyLength::Aes256,
            24 => KeyLength::Aes192,
            _ => KeyLength::Aes128,
        },
        ..Config::default()
    };
    let stream_id = Some(remote.stream_id.as_str()).filter(|id| !id.is_empty());
    let socket = UdpSocket::from_std(weir_net::udp::outgoing(address)?)?;
    let now = clock::now().mono;
    let connection = Connection::call(config, id, address, stream_id, &seed, now);
    Ok(Line::alone(connection, socket))
}

/// Work over a connection that we make.
trait Calling: Work {
    /// An address is called.
    fn begin(&mut self, address: SocketAddr, stats: Stats);

    /// The connection is over; whether there was one.
    fn end(&mut self, stats: &Stats) -> bool;
}

/// What all calls have in common.
struct Call<'a> {
    live: &'a Live,
    name: &'a StreamName,
    role: Role,
    shown: Option<Shown>,
    connected: bool,
}

impl<'a> Call<'a> {
    fn new(live: &'a Live, name: &'a StreamName, role: Role) -> Self {
        Self {
            live,
            name,
            role,
            shown: None,
            connected: false,
        }
    }

    fn begin(&mut self, peer: SocketAddr, stats: Stats) {
        let Some(srt) = self.live.shared().srt.get() else {
            return;
        };
        self.shown = Some(srt.board.show(Entry {
            connection: self.live.shared().connection(),
            name: self.name.clone(),
            role: self.role,
            peer,
            since: clock::now().utc,
            stats,
        }));
    }

    /// Notes how it does; returns how it did.
    fn note(&self, stats: &Stats) -> Stats {
        let before = self.shown.as_ref().map(|shown| shown.update(stats));
        let before = before.unwrap_or_default();
        self.live.shared().counters.srt.add(&before, stats);
        before
    }

    fn end(&mut self, stats: &Stats) -> bool {
        self.note(stats);
        self.shown = None;
        self.connected
    }
}

/// Pulls a stream once; why that ended.
pub(crate) async fn pull(intake: &mut Intake<'_>, remote: &SrtRemote) -> Failure {
    let (live, name) = (intake.live, &intake.source.name);
    let mut pulling = Pulling {
        call: Call::new(live, name, Role::Pull),
        transport: Transport::new(remote.program),
        intake,
    };
    let failure = call(live, remote, &mut pulling).await;
    let now = clock::now().mono;
    // The last picture ends where the stream does, and so does the segment.
    let _ = pulling.transport.end(now, pulling.intake);
    pulling.intake.lease = None;
    failure
}

struct Pulling<'a, 'b> {
    call: Call<'b>,
    transport: Transport,
    intake: &'a mut Intake<'b>,
}

impl Work for Pulling<'_, '_> {
    fn connected(&mut self) {
        self.call.connected = true;
        self.intake.connected();
    }

    fn message(&mut self, payload: &Bytes, now: Mono) -> Result<(), Over> {
        let received = &self.call.live.shared().counters.ts_received;
        received.inc_by(payload.len() as u64);
        Ok(self.transport.handle(payload, now, self.intake)?)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        pin!(self.intake.evicted()).poll(cx)
    }

    fn run(&mut self, _: &mut Connection, _: Mono) -> Result<(), Over> {
        Err(Failure::Taken.into())
    }

    fn tick(&mut self, stats: &Stats, _: Mono) -> Result<(), Over> {
        self.call.note(stats);
        Ok(self.intake.check()?)
    }
}

impl Calling for Pulling<'_, '_> {
    fn begin(&mut self, address: SocketAddr, stats: Stats) {
        self.intake.connected();
        self.call.begin(address, stats);
    }

    fn end(&mut self, stats: &Stats) -> bool {
        self.call.end(stats)
    }
}

/// Whom a push tells how it goes.
pub(crate) struct Progress<'a> {
    /// When the server began to take the stream.
    pub(crate) began: &'a Cell<Option<Mono>>,
    /// Told of bytes sent, and of times that the stream was moved on.
    pub(crate) sent: &'a dyn Fn(usize, u64),
    /// Told when the server takes the stream.
    pub(crate) taken: &'a dyn Fn(),
}

/// Pushes a stream from `seat` once; why that ended.
pub(crate) async fn push(
    live: &Live,
    name: &StreamName,
    remote: &SrtRemote,
    seat: Seat,
    progress: Progress<'_>,
) -> Failure {
    let mut pushing = Pushing {
        call: Call::new(live, name, Role::Push),
        sending: Sending::new(seat),
        progress,
    };
    call(live, remote, &mut pushing).await
}

struct Pushing<'a> {
    call: Call<'a>,
    sending: Sending,
    progress: Progress<'a>,
}

impl Pushing<'_> {
    fn note(&mut self, stats: &Stats) {
        let before = self.call.note(stats);
        let bytes = stats.sent_bytes.saturating_sub(before.sent_bytes);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        (self.progress.sent)(bytes, self.sending.take_skips());
    }
}

impl Work for Pushing<'_> {
    fn connected(&mut self) {
        self.call.connected = true;
        self.progress.began.set(Some(clock::now().mono));
        info!(stream = %self.call.name, "pushing over SRT");
        (self.progress.taken)();
    }

    fn message(&mut self, _: &Bytes, _: Mono) -> Result<(), Over> {
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.call.connected {
            true => self.sending.poll(cx),
            false => Poll::Pending,
        }
    }

    fn run(&mut self, connection: &mut Connection, now: Mono) -> Result<(), Over> {
        self.sending.run(connection, now);
        Ok(())
    }

    fn tick(&mut self, stats: &Stats, now: Mono) -> Result<(), Over> {
        self.note(stats);
        match self.sending.is_over(stats, now) {
            true => Err(Failure::Unwanted.into()),
            false => Ok(()),
        }
    }
}

impl Calling for Pushing<'_> {
    fn begin(&mut self, address: SocketAddr, stats: Stats) {
        self.call.begin(address, stats);
    }

    fn end(&mut self, stats: &Stats) -> bool {
        self.note(stats);
        self.call.end(stats)
    }
}
