//! The machine of one connection (§4).

mod acks;
mod link;
mod rate;

use crate::config::Config;
use crate::crypto::Seed;
use crate::error::{CloseReason, SendError};
use crate::handshake::agreement::Agreement;
use crate::handshake::caller::{Caller, Refusal};
use crate::handshake::rendezvous::{Met, Rendezvous};
use crate::packet::extension::Extensions;
use crate::packet::handshake::{HandshakeType, Reason};
use crate::packet::{Control, Handshake, Packet, SocketId};
use crate::receiver::Message;
use crate::seq::Seq;
use crate::stats::Stats;
use crate::transmit::Transmit;
use bytes::Bytes;
use link::Link;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use weir_media::Mono;

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer accepted our call. An accepted connection starts connected and has no such
    /// event.
    Connected,
    /// It is over; nothing else follows. Both ends are told only if it was not the network.
    Closed(CloseReason),
}

/// One connection, from its first packet to its last.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    id: SocketId,
    peer: SocketAddr,
    /// Timestamps of what we send count from here.
    start: Mono,
    phase: Phase,
    control: VecDeque<Transmit>,
    events: VecDeque<Event>,
    malformed: u64,
}

#[derive(Debug)]
enum Phase {
    Calling(Box<Caller>),
    Meeting(Box<Rendezvous>),
    Connected(Box<Link>),
    /// What the peer sent before it ended can still be received.
    Closed(Option<Box<Link>>),
}

impl Connection {
    /// Calls `peer`, for the stream that `stream_id` names (at most
    /// [`crate::limits::STREAM_ID_BYTES_MAX`] bytes; what is longer is cut by nobody and
    /// refused by everybody). `id` tells this connection from others on the same socket and is
    /// not 0.
    #[must_use]
    pub fn call(
        config: Config,
        id: SocketId,
        peer: SocketAddr,
        stream_id: Option<&str>,
        seed: &Seed,
        now: Mono,
    ) -> Self {
        let caller = Caller::new(&config, id, peer.ip(), stream_id, seed, now);
        Self::new(config, id, peer, now, Phase::Calling(Box::new(caller)))
    }

    /// Meets `peer`, which meets us at the same time: a rendezvous. Both name each other's
    /// address and port, and a packet that comes from there for socket 0 is for this
    /// connection. `stream_id` is told if we turn out to be the initiator.
    #[must_use]
    pub fn rendezvous(
        config: Config,
        id: SocketId,
        peer: SocketAddr,
        stream_id: Option<&str>,
        seed: &Seed,
        now: Mono,
    ) -> Self {
        let meeting = Rendezvous::new(&config, id, peer.ip(), stream_id, seed, now);
        Self::new(config, id, peer, now, Phase::Meeting(Box::new(meeting)))
    }

    /// A caller was accepted, and is to be sent `answer`.
    pub(crate) fn accepted(
        config: Config,
        id: SocketId,
        peer: SocketAddr,
        agreement: Agreement,
        answer: Handshake,
        received_at: Mono,
        now: Mono,
    ) -> Self {
        let mut link = Link::new(&config, agreement, received_at, now);
        let cookie = answer.cookie;
        link.set_answer(answer, cookie);
        let phase = Phase::Connected(Box::new(link));
        let mut connection = Self::new(config, id, peer, now, phase);
        connection.repeat_answer(now);
        connection
    }

    fn new(config: Config, id: SocketId, peer: SocketAddr, start: Mono, phase: Phase) -> Self {
        Self {
            config,
            id,
            peer,
            start,
            phase,
            control: VecDeque::new(),
            events: VecDeque::new(),
            malformed: 0,
        }
    }

    /// Where the peer is.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Destination that the peer's packets carry.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.id
    }

    /// Destination that our packets carry, once it is known.
    #[must_use]
    pub fn peer_id(&self) -> Option<SocketId> {
        match &self.phase {
            Phase::Connected(link) => Some(link.peer_id()),
            Phase::Calling(_) | Phase::Meeting(_) | Phase::Closed(_) => None,
        }
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected(_))
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }

    /// A datagram has come from `from`. What does not belong here is counted and dropped.
    pub fn handle(&mut self, datagram: Bytes, from: SocketAddr, now: Mono) {
        let same_ip = from.ip().to_canonical() == self.peer.ip().to_canonical();
        if !same_ip || from.port() != self.peer.port() {
            self.malformed += 1;
            return;
        }
        let Ok(packet) = Packet::parse(datagram) else {
            self.malformed += 1;
            return;
        };
        match packet {
            Packet::Data(data) => match &mut self.phase {
                Phase::Connected(link) if data.destination == self.id => {
                    link.handle_data(data, now);
                }
                _ => self.malformed += 1,
            },
            Packet::Control(control) => match control.body {
                Control::Handshake(handshake) if self.may_greet(control.destination) => {
                    self.handle_handshake(&handshake, control.timestamp, now);
                }
                body if control.destination == self.id => {
                    self.handle_control(body, control.timestamp, now);
                }
                _ => self.malformed += 1,
            },
        }
    }

    /// Whether a handshake for `destination` is for us. What answers a caller carries its
    /// number, which a stranger who does not see its packets does not know.
    fn may_greet(&self, destination: SocketId) -> bool {
        let calling = matches!(self.phase, Phase::Calling(_));
        destination == self.id || (destination.0 == 0 && !calling)
    }

    fn handle_handshake(&mut self, handshake: &Handshake, timestamp: u32, now: Mono) {
        match &mut self.phase {
            Phase::Calling(caller) => {
                match caller.handle(&self.config, handshake, timestamp, now) {
                    None => {}
                    Some(Ok(agreement)) => {
                        let link = Link::new(&self.config, agreement, now, now);
                        self.phase = Phase::Connected(Box::new(link));
                        self.events.push_back(Event::Connected);
                    }
                    Some(Err(Refusal::ByPeer(reason))) => {
                        self.end(CloseReason::Refused(reason));
                    }
                    Some(Err(Refusal::ByUs(reason))) => {
                        self.end(CloseReason::NotAccepted(reason));
                    }
                }
            }
            Phase::Meeting(meeting) => {
                match meeting.handle(&self.config, handshake, timestamp, now) {
                    None => {}
                    Some(Ok(met)) => self.meet(*met, now),
                    Some(Err(Refusal::ByPeer(reason))) => {
                        self.end(CloseReason::Refused(reason));
                    }
                    Some(Err(Refusal::ByUs(reason))) => {
                        self.refuse(handshake, reason, now);
                        self.end(CloseReason::NotAccepted(reason));
                    }
                }
            }
            Phase::Connected(link) => {
                if link.asks_for_answer(handshake) {
                    self.repeat_answer(now);
                }
            }
            Phase::Closed(_) => {}
        }
    }

    /// A rendezvous has come about.
    fn meet(&mut self, met: Met, now: Mono) {
        let mut link = Link::new(&self.config, met.agreement, now, now);
        link.set_answer(met.answer, met.peer_cookie);
        self.phase = Phase::Connected(Box::new(link));
        self.events.push_back(Event::Connected);
        self.repeat_answer(now);
    }

    /// Tells the other end of a rendezvous why it fails.
    fn refuse(&mut self, theirs: &Handshake, reason: Reason, now: Mono) {
        let answer = Handshake {
            kind: HandshakeType::rejection(reason),
            extension: 0,
            socket_id: self.id,
            extensions: Extensions::default(),
            ..theirs.clone()
        };
        let body = Control::Handshake(Box::new(answer));
        let transmit = Transmit::control(&body, self.timestamp(now), theirs.socket_id);
        self.control.push_back(transmit);
    }

    /// Sends the answer to a conclusion, the same as before but for its timestamp: that is
    /// what the peer sets its clock by.
    fn repeat_answer(&mut self, now: Mono) {
        if let Phase::Connected(link) = &self.phase
            && let Some(answer) = link.answer()
        {
            self.push_control(&Control::Handshake(answer), now);
        }
    }

    fn handle_control(&mut self, body: Control, timestamp: u32, now: Mono) {
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        if matches!(body, Control::Shutdown) {
            self.end(CloseReason::Peer);
            return;
        }
        if let Some(answer) = link.handle_control(body, timestamp, now) {
            self.push_control(&answer, now);
        }
    }

    /// Takes a message to be sent.
    ///
    /// # Errors
    /// If it is too long or empty, too much waits already, or there is no connection.
    pub fn send(&mut self, payload: Bytes, now: Mono) -> Result<(), SendError> {
        let timestamp = self.timestamp(now);
        let Phase::Connected(link) = &mut self.phase else {
            return Err(SendError::NotConnected);
        };
        let announcement = link.send(payload, timestamp, now)?;
        if let Some(content) = announcement {
            let body = Control::KeyMaterial {
                request: true,
                content,
            };
            self.push_control(&body, now);
        }
        Ok(())
    }

    /// The next message whose time has come. Once the peer has ended the connection, or fell
    /// silent, all that it sent is due.
    pub fn recv(&mut self, now: Mono) -> Option<Message> {
        match &mut self.phase {
            Phase::Connected(link) => link.recv(now),
            // Nothing more will come that could fill a gap.
            Phase::Closed(Some(link)) => link.recv(Mono(u64::MAX)),
            Phase::Calling(_) | Phase::Meeting(_) | Phase::Closed(None) => None,
        }
    }

    /// Number of the message that [`Self::recv`] would return now. What is given up by now is
    /// skipped.
    pub(crate) fn due_seq(&mut self, now: Mono) -> Option<Seq> {
        match &mut self.phase {
            Phase::Connected(link) => link.due_seq(now),
            Phase::Closed(Some(link)) => link.due_seq(Mono(u64::MAX)),
            Phase::Calling(_) | Phase::Meeting(_) | Phase::Closed(None) => None,
        }
    }

    /// Messages before `next` are not needed: another member of the group has them.
    pub(crate) fn skip_to(&mut self, next: Seq) {
        if let Phase::Connected(link) | Phase::Closed(Some(link)) = &mut self.phase {
            link.skip_to(next);
        }
    }

    /// Delivers messages at the same time as `other`, whose peer has the same clock.
    pub(crate) fn align_time(&mut self, other: &Self) {
        if let (Phase::Connected(link), Phase::Connected(other)) = (&mut self.phase, &other.phase) {
            link.align_time(other);
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next datagram to be sent to the peer.
    pub fn poll_transmit(&mut self, now: Mono) -> Option<Transmit> {
        if let Some(transmit) = self.control.pop_front() {
            self.sent(now);
            return Some(transmit);
        }
        let timestamp = self.timestamp(now);
        match &mut self.phase {
            Phase::Calling(caller) => {
                let handshake = caller.poll(&self.config, now)?;
                let body = Control::Handshake(Box::new(handshake));
                Some(Transmit::control(&body, timestamp, SocketId(0)))
            }
            Phase::Meeting(meeting) => {
                let handshake = meeting.poll(&self.config, now)?;
                let body = Control::Handshake(Box::new(handshake));
                Some(Transmit::control(&body, timestamp, meeting.peer_id()))
            }
            Phase::Connected(link) => link.poll_transmit(timestamp, now),
            Phase::Closed(_) => None,
        }
    }

    fn sent(&mut self, now: Mono) {
        if let Phase::Connected(link) = &mut self.phase {
            link.sent(now);
        }
    }

    /// When [`Self::handle_timeout`] is due; `None` if it is over.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Mono> {
        if !self.control.is_empty() || !self.events.is_empty() {
            return Some(Mono(0));
        }
        match &self.phase {
            Phase::Calling(caller) => Some(caller.due()),
            Phase::Meeting(meeting) => Some(meeting.due()),
            Phase::Connected(link) => Some(link.due(self.config.idle_timeout)),
            Phase::Closed(_) => None,
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Mono) {
        match &mut self.phase {
            Phase::Calling(caller) => {
                if caller.is_over(now) {
                    self.end(CloseReason::HandshakeTimeout);
                }
            }
            Phase::Meeting(meeting) => {
                if meeting.is_over(now) {
                    self.end(CloseReason::HandshakeTimeout);
                }
            }
            Phase::Connected(link) => {
                if link.is_idle(self.config.idle_timeout, now) {
                    self.end(CloseReason::Idle);
                } else if link.is_exhausted() {
                    self.push_control(&Control::Shutdown, now);
                    self.end(CloseReason::KeyExhausted);
                } else if let Some(body) = link.handle_timeout(now) {
                    self.push_control(&body, now);
                }
            }
            Phase::Closed(_) => {}
        }
    }

    /// Ends the connection at once and tells the peer. What was not sent is lost.
    pub fn close(&mut self, now: Mono) {
        if self.is_connected() {
            self.push_control(&Control::Shutdown, now);
        }
        self.end(CloseReason::Local);
    }

    fn end(&mut self, reason: CloseReason) {
        let link = match std::mem::replace(&mut self.phase, Phase::Closed(None)) {
            Phase::Closed(link) => {
                self.phase = Phase::Closed(link);
                return;
            }
            Phase::Connected(link) => Some(link),
            Phase::Calling(_) | Phase::Meeting(_) => None,
        };
        self.phase = Phase::Closed(link);
        self.events.push_back(Event::Closed(reason));
    }

    /// Packets that are kept for sending, and not acknowledged.
    #[must_use]
    pub fn send_backlog(&self) -> usize {
        match &self.phase {
            Phase::Connected(link) => link.send_backlog(),
            Phase::Calling(_) | Phase::Meeting(_) | Phase::Closed(_) => 0,
        }
    }

    /// Agreed latencies: how long we hold what comes, and the peer what we send.
    #[must_use]
    pub fn latencies(&self) -> Option<(Duration, Duration)> {
        match &self.phase {
            Phase::Connected(link) => Some(link.latencies()),
            Phase::Calling(_) | Phase::Meeting(_) | Phase::Closed(_) => None,
        }
    }

    /// Version of SRT that the peer says it is: `major << 16 | minor << 8 | patch`.
    #[must_use]
    pub fn peer_version(&self) -> Option<u32> {
        match &self.phase {
            Phase::Connected(link) | Phase::Closed(Some(link)) => Some(link.peer_version()),
            Phase::Calling(_) | Phase::Meeting(_) | Phase::Closed(None) => None,
        }
    }

    /// Figures since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = match &self.phase {
            Phase::Connected(link) | Phase::Closed(Some(link)) => link.stats(),
            Phase::Calling(_) | Phase::Meeting(_) | Phase::Closed(None) => Stats::default(),
        };
        stats.malformed_packets += self.malformed;
        stats
    }

    fn push_control(&mut self, body: &Control, now: Mono) {
        use crate::limits::CONTROL_PACKETS_MAX;
        let timestamp = self.timestamp(now);
        if let Phase::Connected(link) = &self.phase
            && self.control.len() < CONTROL_PACKETS_MAX
        {
            let transmit = Transmit::control(body, timestamp, link.peer_id());
            self.control.push_back(transmit);
        }
    }

    /// Microseconds since the start, wrapping.
    fn timestamp(&self, now: Mono) -> u32 {
        now.0.wrapping_sub(self.start.0) as u32
    }
}
