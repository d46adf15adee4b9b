//! An established connection: its two halves, and what they tell each other.

use super::acks::Acks;
use crate::config::Config;
use crate::crypto::Crypto;
use crate::error::SendError;
use crate::filter::{ArqMode, FEC_HEADER_BYTES, Fec, FilterReceiver, FilterSender};
use crate::handshake::agreement::Agreement;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::packet::data::next_message_number;
use crate::packet::handshake::HandshakeType;
use crate::packet::{
    Ack, Control, DataPacket, HEADER_BYTES, Handshake, LossList, MessageFlags, SocketId,
};
use crate::receiver::{Arrival, Message, Receiver, Tsbpd};
use crate::rtt::Rtt;
use crate::sender::{LOWER_HEADERS_BYTES, Sender, drop_after};
use crate::seq::Seq;
use crate::stats::Stats;
use crate::timing::{KEEP_ALIVE, NAK_PERIOD_MIN};
use crate::transmit::Transmit;
use bytes::Bytes;
use std::time::Duration;
use weir_media::Mono;

/// What was received, besides what the halves count.
#[derive(Debug, Default)]
struct Counts {
    received_acks: u64,
    received_naks: u64,
    sent_naks: u64,
    retransmitted: u64,
    undecrypted: u64,
    malformed: u64,
}

#[derive(Debug)]
pub(super) struct Link {
    peer_id: SocketId,
    peer_version: u32,
    /// What a peer that repeats its conclusion is told again, and the cookie in that.
    answer: Option<(Box<Handshake>, u32)>,
    rtt: Rtt,
    sender: Sender,
    send_latency: Duration,
    /// Longest payload that is sent, in bytes.
    payload_max: usize,
    message_number: u32,
    receiver: Receiver,
    acks: Acks,
    crypto: Option<Crypto>,
    filter_sender: Option<FilterSender>,
    filter_receiver: Option<FilterReceiver>,
    heard_at: Mono,
    sent_at: Mono,
    counts: Counts,
}

impl Link {
    /// `received_at` is when the handshake packet with the peer's timestamp came.
    pub(super) fn new(config: &Config, agreement: Agreement, received_at: Mono, now: Mono) -> Self {
        let tsbpd = Tsbpd::new(
            agreement.peer_timestamp,
            agreement.receive_latency,
            received_at,
        );
        let receive_first = agreement.receive_first;
        let fec = agreement.filter;
        let arq = fec.map_or(ArqMode::Always, Fec::arq);
        Self {
            peer_id: agreement.peer_id,
            peer_version: agreement.peer_version,
            answer: None,
            rtt: Rtt::default(),
            sender: Sender::new(
                agreement.send_first,
                config.send_capacity(),
                agreement.flow_window.clamp(2, config.send_capacity()),
                config.bandwidth,
                drop_after(agreement.send_latency),
                now,
            ),
            send_latency: agreement.send_latency,
            payload_max: payload_max(agreement.mtu, fec.is_some()),
            message_number: 0,
            receiver: Receiver::new(receive_first, config.receive_capacity(), tsbpd, arq),
            acks: Acks::new(receive_first, now),
            crypto: agreement.crypto,
            filter_sender: fec.map(|fec| FilterSender::new(fec, agreement.send_first)),
            filter_receiver: fec.map(|fec| FilterReceiver::new(fec, receive_first)),
            heard_at: now,
            sent_at: now,
            counts: Counts::default(),
        }
    }

    pub(super) fn peer_id(&self) -> SocketId {
        self.peer_id
    }

    pub(super) fn peer_version(&self) -> u32 {
        self.peer_version
    }

    pub(super) fn set_answer(&mut self, answer: Handshake, peer_cookie: u32) {
        self.answer = Some((Box::new(answer), peer_cookie));
    }

    pub(super) fn answer(&self) -> Option<Box<Handshake>> {
        self.answer.as_ref().map(|(answer, _)| answer.clone())
    }

    /// Whether the peer has not heard our answer.
    pub(super) fn asks_for_answer(&self, handshake: &Handshake) -> bool {
        handshake.kind == HandshakeType::CONCLUSION
            && handshake.extensions.hs.is_some()
            && handshake.socket_id == self.peer_id
            && self
                .answer
                .as_ref()
                .is_some_and(|(_, cookie)| *cookie == handshake.cookie)
    }

    pub(super) fn latencies(&self) -> (Duration, Duration) {
        (self.receiver.tsbpd.latency(), self.send_latency)
    }

    pub(super) fn send_backlog(&self) -> usize {
        self.sender.buffered().0
    }

    pub(super) fn handle_data(&mut self, packet: DataPacket, now: Mono) {
        self.heard_at = now;
        if packet.payload.is_empty() || packet.payload.len() > PAYLOAD_BYTES_MAX {
            self.counts.malformed += 1;
            return;
        }
        self.acks.received(packet.payload.len(), now);
        if self.filter_receiver.is_some() {
            self.filter_data(packet, now);
        } else if packet.message.number() == 0 {
            // Parity, where no filter was agreed on.
            self.counts.malformed += 1;
        } else {
            self.insert(&packet, now);
        }
    }

    /// Takes a packet through the packet filter, and what it rebuilds.
    fn filter_data(&mut self, packet: DataPacket, now: Mono) {
        let mut next = Some(packet);
        while let Some(packet) = next.take() {
            let is_data = packet.message.number() != 0;
            if is_data {
                self.insert(&packet, now);
            }
            let wanted = self.receiver.judge(packet.seq) != Arrival::Beyond;
            let Some(filter) = &mut self.filter_receiver else {
                return;
            };
            if wanted {
                filter.feed(&packet);
            }
            for (first, last) in filter.lost() {
                self.receiver.ask_for(first, last, now);
            }
            next = filter.poll();
        }
    }

    fn insert(&mut self, packet: &DataPacket, now: Mono) {
        if packet.message.retransmitted() {
            self.counts.retransmitted += 1;
        }
        let arrival = self.receiver.admit(packet.seq, now);
        self.receiver.heard(packet.seq, arrival);
        if arrival != Arrival::New {
            self.receiver.refuse(arrival);
            return;
        }
        let Some(payload) = self.decrypt(packet) else {
            self.counts.undecrypted += 1;
            return;
        };
        self.receiver
            .insert(packet.seq, packet.timestamp, payload, now);
    }

    fn decrypt(&mut self, packet: &DataPacket) -> Option<Bytes> {
        match (&mut self.crypto, packet.message.key()) {
            (None, None) => Some(packet.payload.clone()),
            (Some(crypto), Some(parity)) => crypto.decrypt(packet.seq, parity, &packet.payload),
            // In the clear where keys were agreed on, or the other way around.
            _ => None,
        }
    }

    /// Returns what is to be answered.
    pub(super) fn handle_control(
        &mut self,
        body: Control,
        timestamp: u32,
        now: Mono,
    ) -> Option<Control> {
        self.heard_at = now;
        match body {
            Control::Ack(ack) => self.handle_ack(&ack, now),
            Control::Nak(losses) => self.handle_nak(&losses, now),
            Control::AckAck(number) => {
                if let Some(round_trip) = self.acks.confirm(number, now) {
                    self.rtt.sample(round_trip);
                    let rtt_us = self.rtt.smoothed_us();
                    self.receiver.tsbpd.drift_sample(timestamp, rtt_us, now);
                }
                None
            }
            Control::DropRequest { first, last, .. } => {
                self.receiver.give_up(first, last);
                self.acks.skipped(now);
                None
            }
            Control::KeyMaterial { request, content } => {
                self.handle_key_material(request, &content, now)
            }
            Control::Handshake(_)
            | Control::KeepAlive
            | Control::CongestionWarning
            | Control::Shutdown
            | Control::PeerError(_)
            | Control::Unknown(_) => None,
        }
    }

    fn handle_ack(&mut self, ack: &Ack, now: Mono) -> Option<Control> {
        self.counts.received_acks += 1;
        if !self.sender.acknowledge(ack.next, now) {
            self.counts.malformed += 1;
            return None;
        }
        let report = ack.report?;
        self.rtt.told(report.rtt_us, report.rtt_variance_us);
        self.sender.set_flow_window(report.available_packets);
        Some(Control::AckAck(ack.number))
    }

    fn handle_nak(&mut self, losses: &LossList, now: Mono) -> Option<Control> {
        self.counts.received_naks += 1;
        let gone = self.sender.report_lost(losses, self.rtt.patience(), now)?;
        Some(drop_request(gone))
    }

    fn handle_key_material(
        &mut self,
        request: bool,
        content: &Bytes,
        now: Mono,
    ) -> Option<Control> {
        let crypto = self.crypto.as_mut()?;
        if request {
            let content = crypto.handle_request(content, now)?;
            return Some(Control::KeyMaterial {
                request: false,
                content,
            });
        }
        crypto.handle_response(content);
        None
    }

    /// Returns key material that is to be sent.
    pub(super) fn send(
        &mut self,
        payload: Bytes,
        timestamp: u32,
        now: Mono,
    ) -> Result<Option<Bytes>, SendError> {
        if payload.is_empty() || payload.len() > self.payload_max {
            return Err(SendError::Length(payload.len()));
        }
        if self.sender.is_full() || self.is_exhausted() {
            return Err(SendError::Full);
        }
        self.message_number = next_message_number(self.message_number);
        let (payload, parity, announcement) = match &mut self.crypto {
            None => (payload, None, None),
            Some(crypto) => {
                let next = self.sender.next_seq();
                let announcement = crypto.advance(self.sender.first(), next, now);
                let (payload, parity) = crypto.encrypt(next, &payload);
                (payload, Some(parity), announcement)
            }
        };
        let message = MessageFlags::solo(self.message_number, parity);
        self.sender.push(payload, message, timestamp, now);
        Ok(announcement)
    }

    pub(super) fn recv(&mut self, now: Mono) -> Option<Message> {
        let dropped = self.receiver.counts.dropped_packets;
        let message = self.receiver.poll(now);
        if self.receiver.counts.dropped_packets != dropped {
            self.acks.skipped(now);
        }
        if message.is_some() {
            self.acks.freed(self.receiver.available(), now);
        }
        message
    }

    pub(super) fn due_seq(&mut self, now: Mono) -> Option<Seq> {
        let dropped = self.receiver.counts.dropped_packets;
        let seq = self.receiver.due_seq(now);
        if self.receiver.counts.dropped_packets != dropped {
            self.acks.skipped(now);
        }
        self.acks.freed(self.receiver.available(), now);
        seq
    }

    pub(super) fn skip_to(&mut self, next: Seq) {
        self.receiver.skip_to(next);
    }

    pub(super) fn align_time(&mut self, other: &Self) {
        self.receiver.tsbpd.align(&other.receiver.tsbpd);
    }

    /// Acknowledgements first, then loss reports, then what was asked for, then what is new.
    pub(super) fn poll_transmit(&mut self, timestamp: u32, now: Mono) -> Option<Transmit> {
        if let Some(ack) = self.acks.poll(&self.receiver, &self.rtt, now) {
            return Some(self.control(&Control::Ack(ack), timestamp, now));
        }
        if let Some(content) = self.receiver.poll_report(self.nak_period(), now) {
            self.counts.sent_naks += 1;
            let body = Control::Nak(LossList(content.into()));
            return Some(self.control(&body, timestamp, now));
        }
        if let Some(parity) = self.filter_sender.as_mut().and_then(FilterSender::poll) {
            self.sent_at = now;
            self.sender.pace(parity.content.len(), now);
            let packet = DataPacket {
                seq: parity.seq,
                message: MessageFlags::solo(0, None),
                timestamp: parity.timestamp,
                destination: self.peer_id,
                payload: Bytes::new(),
            };
            return Some(Transmit::data(packet.header(), parity.content));
        }
        let outgoing = self.sender.poll(now)?;
        self.sent_at = now;
        if let Some(filter) = &mut self.filter_sender
            && !outgoing.message.retransmitted()
        {
            let flags = outgoing.message.key_bits();
            filter.feed(outgoing.seq, flags, outgoing.timestamp, &outgoing.payload);
        }
        let packet = DataPacket {
            seq: outgoing.seq,
            message: outgoing.message,
            timestamp: outgoing.timestamp,
            destination: self.peer_id,
            payload: Bytes::new(),
        };
        Some(Transmit::data(packet.header(), outgoing.payload))
    }

    fn control(&mut self, body: &Control, timestamp: u32, now: Mono) -> Transmit {
        self.sent_at = now;
        Transmit::control(body, timestamp, self.peer_id)
    }

    /// A control packet of the connection has left.
    pub(super) fn sent(&mut self, now: Mono) {
        self.sent_at = now;
    }

    fn nak_period(&self) -> Duration {
        (self.rtt.timeout() / 2).max(NAK_PERIOD_MIN)
    }

    /// A key that is not confirmed is sent again after this.
    fn key_period(&self) -> Duration {
        self.rtt.timeout().max(Duration::from_millis(50))
    }

    pub(super) fn due(&self, idle_timeout: Duration) -> Mono {
        let key = self.crypto.as_ref();
        let parity = self.filter_sender.as_ref();
        let due = [
            parity.and_then(|filter| filter.is_ready().then_some(Mono(0))),
            self.acks.due(),
            self.receiver.report_due(),
            self.receiver.deliver_due(),
            self.sender.send_due(),
            self.sender.drop_due(),
            self.sender.probe_due(self.rtt.timeout()),
            key.and_then(|crypto| crypto.repeat_due(self.key_period())),
            Some(self.sent_at + KEEP_ALIVE),
        ];
        let idle = self.heard_at + idle_timeout;
        due.into_iter().flatten().fold(idle, Mono::min)
    }

    pub(super) fn is_idle(&self, idle_timeout: Duration, now: Mono) -> bool {
        self.heard_at + idle_timeout <= now
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.crypto.as_ref().is_some_and(Crypto::is_exhausted)
    }

    /// What is due but not asked for by the poll functions. Returns what is to be sent.
    pub(super) fn handle_timeout(&mut self, now: Mono) -> Option<Control> {
        let is_due = |due: Option<Mono>| due.is_some_and(|due| due <= now);
        if is_due(self.sender.drop_due())
            && let Some(gone) = self.sender.drop_late(now)
        {
            return Some(drop_request(gone));
        }
        if is_due(self.sender.probe_due(self.rtt.timeout())) {
            self.sender.probe(now);
        }
        let period = self.key_period();
        if let Some(crypto) = &mut self.crypto
            && is_due(crypto.repeat_due(period))
            && let Some(content) = crypto.repeat(now)
        {
            return Some(Control::KeyMaterial {
                request: true,
                content,
            });
        }
        (self.sent_at + KEEP_ALIVE <= now).then_some(Control::KeepAlive)
    }

    pub(super) fn stats(&self) -> Stats {
        let (send, receive) = (&self.sender.counts, &self.receiver.counts);
        let filter = self.filter_receiver.as_ref();
        let (send_packets, send_bytes) = self.sender.buffered();
        let (receive_packets, receive_bytes) = self.receiver.buffered();
        Stats {
            sent_packets: send.sent_packets,
            sent_bytes: send.sent_bytes,
            retransmitted_packets: send.retransmitted_packets,
            retransmitted_bytes: send.retransmitted_bytes,
            send_lost_packets: send.lost_packets,
            send_dropped_packets: send.dropped_packets,
            send_dropped_bytes: send.dropped_bytes,
            received_packets: receive.received_packets,
            received_bytes: receive.received_bytes,
            receive_lost_packets: receive.lost_packets,
            receive_retransmitted_packets: self.counts.retransmitted,
            receive_dropped_packets: receive.dropped_packets,
            belated_packets: receive.belated_packets,
            duplicate_packets: receive.duplicate_packets,
            beyond_packets: receive.beyond_packets,
            filter_rebuilt_packets: filter.map_or(0, |filter| filter.rebuilt_packets),
            undecrypted_packets: self.counts.undecrypted,
            malformed_packets: self.counts.malformed,
            sent_acks: self.acks.sent,
            received_acks: self.counts.received_acks,
            sent_naks: self.counts.sent_naks,
            received_naks: self.counts.received_naks,
            rtt: Duration::from_micros(u64::from(self.rtt.smoothed_us())),
            rtt_variance: Duration::from_micros(u64::from(self.rtt.variance_us())),
            flight_packets: self.sender.in_flight() as u64,
            send_buffer_packets: send_packets as u64,
            send_buffer_bytes: send_bytes as u64,
            send_buffer_time: self.sender.buffered_time(),
            receive_buffer_packets: receive_packets as u64,
            receive_buffer_bytes: receive_bytes as u64,
            receive_buffer_time: self.receiver.buffered_time(),
            receive_latency: self.receiver.tsbpd.latency(),
            send_latency: self.send_latency,
            max_bytes_per_s: self.sender.bytes_per_s(),
        }
    }
}

/// What fits into the peer's packets, with its headers and those of parity.
fn payload_max(mtu: u32, has_filter: bool) -> usize {
    let parity = if has_filter { FEC_HEADER_BYTES } else { 0 };
    let mtu = usize::try_from(mtu).unwrap_or(usize::MAX);
    let room = mtu.saturating_sub(LOWER_HEADERS_BYTES + HEADER_BYTES);
    room.min(PAYLOAD_BYTES_MAX).saturating_sub(parity)
}

fn drop_request((first, last): (Seq, Seq)) -> Control {
    Control::DropRequest {
        message: 0,
        first,
        last,
    }
}
