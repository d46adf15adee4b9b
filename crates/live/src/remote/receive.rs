//! A transport stream that comes to a port here, by whoever sends it.
//!
//! Nobody says good-bye on UDP. A stream that is silent for [`UDP_SILENCE_MAX`] has left, so that its
//! segment is closed and its grace begins; the port stays open, and what comes next is its return.
//! Datagrams of one sender are taken at a time, until that one is silent: two would make one stream
//! of neither.

use super::intake::Intake;
use super::link::Failure;
use super::listening::Listen;
use crate::clock;
use crate::limits::{PULL_TICK, RECEIVES_PER_TURN, UDP_SENDER_MAX, UDP_SILENCE_MAX};
use crate::transport::Transport;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use tracing::{info, warn};
use weir_media::Mono;
use weir_ring::Alarm;
use weir_ring::net::{Datagrams, UdpSocket};

/// What a port waited for.
enum Woken {
    Received(io::Result<Datagrams>),
    Tick,
    Evicted,
}

/// Receives until nobody wants the stream any more, or the port cannot be had.
pub(super) async fn run(intake: &mut Intake<'_>, listen: &Listen) -> Failure {
    let opened = weir_net::udp::listen(&listen.to).map_err(|e| e.to_string());
    let opened = opened.and_then(|s| UdpSocket::from_std(s).map_err(|e| e.to_string()));
    let socket = match opened {
        Ok(socket) => socket,
        Err(why) => return Failure::Listen(why),
    };
    info!(stream = %intake.source.name, at = %listen, "awaiting a transport stream");
    let mut port = Port {
        intake,
        transport: Transport::new(listen.program),
        sender: None,
    };
    let failure = port.run(&socket).await;
    // By whatever way it ends, the open segment is closed at once.
    port.intake.lease = None;
    failure
}

struct Port<'a, 'b> {
    intake: &'a mut Intake<'b>,
    transport: Transport,
    /// Whose datagrams are taken, and when the last one came.
    sender: Option<(SocketAddr, Mono)>,
}

impl Port<'_, '_> {
    async fn run(&mut self, socket: &UdpSocket) -> Failure {
        let mut alarm = Alarm::default();
        loop {
            let done = match self.wait(socket, &mut alarm).await {
                Woken::Received(Ok(datagrams)) => self.receive(socket, datagrams),
                Woken::Received(Err(e)) => Err(Failure::Socket(e)),
                Woken::Tick => self.tick(),
                Woken::Evicted => Err(Failure::Taken),
            };
            if let Err(failure) = done {
                return failure;
            }
            // A sender that never pauses may not keep the worker.
            weir_ring::yield_now().await;
        }
    }

    async fn wait(&mut self, socket: &UdpSocket, alarm: &mut Alarm) -> Woken {
        let deadline = weir_ring::now() + PULL_TICK;
        let mut evicted = pin!(self.intake.evicted());
        poll_fn(|cx| {
            if let Poll::Ready(received) = socket.poll_recv(cx) {
                return Poll::Ready(Woken::Received(received));
            }
            if evicted.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Woken::Evicted);
            }
            alarm.poll_at(cx, deadline).map(|()| Woken::Tick)
        })
        .await
    }

    /// Takes what came, and what else is there already.
    fn receive(&mut self, socket: &UdpSocket, first: Datagrams) -> Result<(), Failure> {
        let now = clock::now().mono;
        self.take(&first, now)?;
        for _ in 1..RECEIVES_PER_TURN {
            match socket.try_recv() {
                Some(datagrams) => self.take(&datagrams, now)?,
                None => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, datagrams: &Datagrams, now: Mono) -> Result<(), Failure> {
        let counters = &self.intake.live.shared().counters;
        let source = datagrams.source();
        match &mut self.sender {
            Some((sender, heard)) if *sender == source => *heard = now,
            Some((_, heard)) if now.since(*heard) < UDP_SENDER_MAX => {
                counters.ts_foreign.inc_by(datagrams.iter().count() as u64);
                return Ok(());
            }
            sender => {
                info!(stream = %self.intake.source.name, from = %source, "a transport stream comes");
                *sender = Some((source, now));
            }
        }
        counters.ts_received.inc_by(datagrams.bytes().len() as u64);
        for datagram in datagrams.iter() {
            self.transport.handle(datagram, now, self.intake)?;
        }
        Ok(())
    }

    /// Looks whether it goes on.
    fn tick(&mut self) -> Result<(), Failure> {
        self.intake.check_wanted()?;
        let now = clock::now().mono;
        if self.intake.lease.is_some() && now.since(self.intake.heard) >= UDP_SILENCE_MAX {
            warn!(stream = %self.intake.source.name, "no media comes any more");
            // The last picture ends where the stream does.
            self.transport.end(now, self.intake)?;
            self.intake.leave();
        }
        Ok(())
    }
}
