//! A transport stream that comes to a port here, by whoever sends it: bare, or in RTP, whose packets
//! are put in order and repaired by what comes to the two ports of forward error correction (ST
//! 2022-1), columns 2 and rows 4 above.
//!
//! Nobody says good-bye on UDP. A stream that is silent for [`UDP_SILENCE_MAX`] has left, so that its
//! segment is closed and its grace begins; the port stays open, and what comes next is its return.
//! Datagrams of one sender are taken at a time, until that one is silent: two would make one stream
//! of neither.

use super::intake::Intake;
use super::link::Failure;
use super::listening::Listen;
use crate::clock;
use crate::counters::Counters;
use crate::limits::{
    PULL_TICK, RECEIVES_PER_TURN, RTP_FEC_WAIT, RTP_WAIT, UDP_SENDER_MAX, UDP_SILENCE_MAX,
};
use crate::transport::Transport;
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use tracing::{info, warn};
use weir_media::Mono;
use weir_ring::Alarm;
use weir_ring::net::{Datagrams, UdpSocket};
use weir_rtp::Packet;
use weir_rtp::fec::Decoder;
use weir_rtp::reorder::Reorder;
use weir_rtp::ts::{is_rtp, payload};

/// What a port waited for.
enum Woken {
    /// At the socket of this number.
    Received(usize, io::Result<Datagrams>),
    Timer,
    Evicted,
}

/// Receives until nobody wants the stream any more, or the port cannot be had.
pub(super) async fn run(intake: &mut Intake<'_>, listen: &Listen) -> Failure {
    let sockets = match open(listen) {
        Ok(sockets) => sockets,
        Err(why) => return Failure::Listen(why),
    };
    info!(stream = %intake.source.name, at = %listen, "awaiting a transport stream");
    let mut port = Port {
        intake,
        transport: Transport::new(listen.program),
        rtp: listen.rtp.then(Rtp::default),
        listen,
        sender: None,
        banned: None,
    };
    let failure = port.run(&sockets).await;
    // By whatever way it ends, the open segment is closed at once.
    port.intake.lease = None;
    failure
}

/// The socket of the media, and those of forward error correction if there are any.
fn open(listen: &Listen) -> Result<Vec<UdpSocket>, String> {
    let ports: &[u16] = if listen.rtp { &[0, 2, 4] } else { &[0] };
    let open = |above: &u16| {
        let mut to = listen.to.clone();
        to.address
            .set_port(to.address.port().saturating_add(*above));
        let socket = weir_net::udp::listen(&to).map_err(|e| e.to_string())?;
        UdpSocket::from_std(socket).map_err(|e| e.to_string())
    };
    ports.iter().map(open).collect()
}

struct Port<'a, 'b> {
    intake: &'a mut Intake<'b>,
    transport: Transport,
    rtp: Option<Rtp>,
    listen: &'a Listen,
    /// Whose datagrams are taken, and when the last transport packets came.
    sender: Option<(SocketAddr, Mono)>,
    /// Whose are not for a while, since they made no sense, and since when.
    banned: Option<(SocketAddr, Mono)>,
}

/// RTP on its way to bare packets.
struct Rtp {
    decoder: Decoder,
    reorder: Reorder,
    lost: u64,
    recovered: u64,
}

impl Default for Rtp {
    fn default() -> Self {
        Self {
            decoder: Decoder::new(),
            reorder: Reorder::new(RTP_WAIT),
            lost: 0,
            recovered: 0,
        }
    }
}

impl Rtp {
    /// Takes a media datagram.
    fn media(&mut self, datagram: &[u8], now: Mono) {
        // What cannot be read is counted by the decoder.
        if let Ok(packet) = self.decoder.handle_media(&Bytes::copy_from_slice(datagram)) {
            self.reorder.handle_packet(packet, now);
        }
        self.recover(now);
    }

    /// Takes a datagram of forward error correction.
    fn fec(&mut self, datagram: &[u8], now: Mono) {
        let parity = self.decoder.handle_fec(&Bytes::copy_from_slice(datagram));
        if parity.is_ok() {
            self.reorder.set_wait(RTP_FEC_WAIT);
        }
        self.recover(now);
    }

    fn recover(&mut self, now: Mono) {
        while let Some(packet) = self.decoder.poll_recovered() {
            self.reorder.handle_packet(packet, now);
        }
    }

    /// Adds what was lost and recovered since the last time.
    fn count(&mut self, counters: &Counters) {
        let (lost, recovered) = (self.reorder.stats().lost, self.decoder.stats().recovered);
        counters.rtp_lost.inc_by(lost.saturating_sub(self.lost));
        let more = recovered.saturating_sub(self.recovered);
        counters.rtp_recovered.inc_by(more);
        (self.lost, self.recovered) = (lost, recovered);
    }
}

impl Port<'_, '_> {
    async fn run(&mut self, sockets: &[UdpSocket]) -> Failure {
        let mut alarm = Alarm::default();
        let mut tick = clock::now().mono + PULL_TICK;
        loop {
            let due = self.rtp.as_ref().and_then(|rtp| rtp.reorder.poll_timeout());
            let deadline = due.map_or(tick, |due| due.min(tick));
            let done = match self.wait(sockets, &mut alarm, deadline).await {
                Woken::Received(index, Ok(datagrams)) => self.receive(sockets, index, datagrams),
                Woken::Received(_, Err(e)) => Err(Failure::Socket(e)),
                Woken::Timer => self.give_up(clock::now().mono),
                Woken::Evicted => Err(Failure::Taken),
            };
            if let Err(failure) = done {
                return failure;
            }
            let now = clock::now().mono;
            if tick <= now {
                tick = now + PULL_TICK;
                if let Err(failure) = self.tick(now) {
                    return failure;
                }
            }
            // A sender that never pauses may not keep the worker.
            weir_ring::yield_now().await;
        }
    }

    async fn wait(&mut self, sockets: &[UdpSocket], alarm: &mut Alarm, deadline: Mono) -> Woken {
        let deadline = weir_ring::now() + clock::until(deadline);
        let mut evicted = pin!(self.intake.evicted());
        poll_fn(|cx| {
            if evicted.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Woken::Evicted);
            }
            for (index, socket) in sockets.iter().enumerate() {
                if let Poll::Ready(received) = socket.poll_recv(cx) {
                    return Poll::Ready(Woken::Received(index, received));
                }
            }
            alarm.poll_at(cx, deadline).map(|()| Woken::Timer)
        })
        .await
    }

    /// Takes what came to a socket, and what else is there already.
    fn receive(
        &mut self,
        sockets: &[UdpSocket],
        index: usize,
        first: Datagrams,
    ) -> Result<(), Failure> {
        let now = clock::now().mono;
        self.take(index, &first, now)?;
        for _ in 1..RECEIVES_PER_TURN {
            match sockets.get(index).and_then(UdpSocket::try_recv) {
                Some(datagrams) => self.take(index, &datagrams, now)?,
                None => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, index: usize, datagrams: &Datagrams, now: Mono) -> Result<(), Failure> {
        let source = datagrams.source();
        if index > 0 {
            let ours = self
                .sender
                .is_some_and(|(sender, _)| sender.ip() == source.ip());
            if let Some(rtp) = self.rtp.as_mut().filter(|_| ours) {
                datagrams.iter().for_each(|datagram| rtp.fec(datagram, now));
            }
            return self.drain(now);
        }
        let counters = self.intake.live.shared().counters.clone();
        if !self.admits(source, datagrams, now) {
            counters.ts_foreign.inc_by(datagrams.iter().count() as u64);
            return Ok(());
        }
        counters.ts_received.inc_by(datagrams.bytes().len() as u64);
        let mut taken = Ok(());
        for datagram in datagrams.iter() {
            match &mut self.rtp {
                // Some send bare packets where RTP was agreed.
                Some(rtp) if is_rtp(datagram) => rtp.media(datagram, now),
                _ => taken = taken.and(self.transport.handle(datagram, now, self.intake)),
            }
        }
        match taken.and_then(|()| self.drain(now)) {
            // What one sender sends is not the port's fault.
            Err(failure @ Failure::Media(_)) => {
                counters.pull_failed(&failure);
                warn!(stream = %self.intake.source.name, from = %source, "pull: {failure}");
                self.banned = Some((source, now));
                self.leave(now);
                Ok(())
            }
            done => done,
        }
    }

    /// Whether datagrams of `source` are taken. It has the port from its first transport packets
    /// on, until none came for a while.
    fn admits(&mut self, source: SocketAddr, datagrams: &Datagrams, now: Mono) -> bool {
        let wanted = self.listen.to.source.is_none_or(|ip| ip == source.ip());
        let banned = self.banned;
        if !wanted || banned.is_some_and(|(s, at)| s == source && now.since(at) < UDP_SILENCE_MAX) {
            return false;
        }
        match self.sender {
            Some((sender, heard)) if sender == source => {
                // Looked at now and then only: nothing is renewed by less.
                if now.since(heard) >= UDP_SENDER_MAX / 4 && self.has_packets(datagrams) {
                    self.sender = Some((source, now));
                }
                true
            }
            Some((_, heard)) if now.since(heard) < UDP_SENDER_MAX => false,
            _ if !self.has_packets(datagrams) => false,
            _ => {
                // Nothing of one sender goes on in the other's stream.
                self.leave(now);
                info!(stream = %self.intake.source.name, from = %source, "a transport stream comes");
                self.sender = Some((source, now));
                true
            }
        }
    }

    /// Whether one of the datagrams is whole transport packets, bare or in RTP.
    fn has_packets(&self, datagrams: &Datagrams) -> bool {
        datagrams.iter().any(|datagram| {
            if self.rtp.is_some() && is_rtp(datagram) {
                let packet = Packet::parse(&Bytes::copy_from_slice(datagram));
                return packet.is_ok_and(|packet| payload(&packet).is_ok());
            }
            let (packets, rest) = datagram.as_chunks::<188>();
            rest.is_empty() && !packets.is_empty() && packets.iter().all(|p| p[0] == 0x47)
        })
    }

    /// The sender has left: its stream ends, and what comes next is another one.
    fn leave(&mut self, now: Mono) {
        // The last picture ends where the stream does.
        let _ = self.transport.end(now, self.intake);
        self.transport = Transport::new(self.listen.program);
        self.rtp = self.listen.rtp.then(Rtp::default);
        self.sender = None;
        self.intake.leave();
    }

    /// Hands on what is in order.
    fn drain(&mut self, now: Mono) -> Result<(), Failure> {
        let Some(rtp) = &mut self.rtp else {
            return Ok(());
        };
        while let Some(packet) = rtp.reorder.poll_packet() {
            if let Ok(packets) = payload(&packet) {
                self.transport.handle(packets, now, self.intake)?;
            }
        }
        Ok(())
    }

    /// What was waited for long enough does not come any more.
    fn give_up(&mut self, now: Mono) -> Result<(), Failure> {
        if let Some(rtp) = &mut self.rtp {
            rtp.reorder.handle_timeout(now);
        }
        self.drain(now)
    }

    /// Looks whether it goes on.
    fn tick(&mut self, now: Mono) -> Result<(), Failure> {
        self.intake.check_wanted()?;
        if let Some(rtp) = &mut self.rtp {
            rtp.count(&self.intake.live.shared().counters);
        }
        if self.intake.lease.is_some() && now.since(self.intake.heard) >= UDP_SILENCE_MAX {
            warn!(stream = %self.intake.source.name, "no media comes any more");
            self.leave(now);
        }
        Ok(())
    }
}
