//! What both ends of a connection do alike: chunks, control messages, acknowledgement, and
//! the watch over silence.

use super::timer::{Timer, Timers};
use crate::chunk::{Header, Reader, Writer, csid};
use crate::error::Fault;
use crate::gather::Gather;
use crate::handshake::Handshake;
use crate::limits::{ACK_WINDOW_DEFAULT, ACK_WINDOW_MIN};
use crate::message::{
    Acknowledgement, Command, Data, LimitType, Message, SetChunkSize, SetPeerBandwidth, TypeId,
    UserControl, WindowAckSize,
};
use bytes::Bytes;
use std::time::Duration;
use weir_media::Mono;

/// One end of a connection below its commands.
#[derive(Debug)]
pub(super) struct Link {
    /// `None` once it is done.
    handshake: Option<Handshake>,
    reader: Reader,
    writer: Writer,
    pub(super) out: Gather,
    /// Bytes consumed from the connection.
    pub(super) received: u64,
    /// `received` at the last acknowledgement.
    acknowledged: u64,
    /// After how many bytes to acknowledge.
    ack_window: u32,
    /// The last window that we announced.
    announced_window: u32,
    /// The last bandwidth limit of the peer was hard, so that a dynamic one counts.
    hard_limit: bool,
    last_input: Mono,
    pinged: bool,
}

impl Link {
    pub(super) fn new(handshake: Handshake, out: Gather, now: Mono) -> Self {
        Self {
            handshake: Some(handshake),
            reader: Reader::new(),
            writer: Writer::new(),
            out,
            received: 0,
            acknowledged: 0,
            ack_window: ACK_WINDOW_DEFAULT,
            announced_window: 0,
            hard_limit: false,
            last_input: now,
            pinged: false,
        }
    }

    pub(super) fn is_handshake_done(&self) -> bool {
        self.handshake.is_none()
    }

    pub(super) fn chunk_size_in(&self) -> u32 {
        self.reader.chunk_size()
    }

    /// Gives memory back that is not in use.
    pub(super) fn shrink(&mut self) {
        self.reader.shrink();
    }

    /// Marks the peer as alive.
    pub(super) fn heard(&mut self, now: Mono) {
        self.last_input = now;
        self.pinged = false;
    }

    /// Reads the next message off the front of `input`, through the handshake at first.
    /// `None` means that the handshake was just completed or that all was read.
    #[inline]
    pub(super) fn next_message(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Fault> {
        let before = input.len();
        let message = self.read(input);
        self.received += (before - input.len()) as u64;
        message
    }

    #[inline]
    fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Fault> {
        if let Some(handshake) = &mut self.handshake {
            handshake.handle_input(input, &mut self.out)?;
            if handshake.is_done() {
                self.handshake = None;
            }
            return Ok(None);
        }
        self.reader.next_message(input)
    }

    /// Acknowledges what was read, at most once for each input.
    pub(super) fn acknowledge(&mut self) {
        if self.received - self.acknowledged < u64::from(self.ack_window) {
            return;
        }
        self.acknowledged = self.received;
        let ack = Acknowledgement {
            // The counter wraps (§5.4.3).
            sequence_number: self.received as u32,
        };
        self.control(TypeId::ACKNOWLEDGEMENT, &ack.encode());
    }

    /// Obeys a control message. A user control event that is not a ping is handed back.
    pub(super) fn handle_control(
        &mut self,
        message: &Message,
    ) -> Result<Option<UserControl>, Fault> {
        let body = &message.payload[..];
        match message.type_id {
            TypeId::ACKNOWLEDGEMENT => {
                // We never wait for it.
                Acknowledgement::parse(body)?;
            }
            TypeId::WINDOW_ACK_SIZE => {
                self.ack_window = WindowAckSize::parse(body)?.0.max(ACK_WINDOW_MIN);
            }
            TypeId::SET_PEER_BANDWIDTH => {
                let limit = SetPeerBandwidth::parse(body)?;
                self.limit(limit);
            }
            TypeId::USER_CONTROL => match UserControl::parse(body)? {
                UserControl::PingRequest(time) => {
                    self.user_control(UserControl::PingResponse(time));
                }
                other => return Ok(Some(other)),
            },
            _ => {}
        }
        Ok(None)
    }

    fn limit(&mut self, limit: SetPeerBandwidth) {
        let window = match limit.limit_type {
            LimitType::Hard => limit.window,
            LimitType::Soft if self.announced_window == 0 => limit.window,
            LimitType::Soft => limit.window.min(self.announced_window),
            LimitType::Dynamic if self.hard_limit => limit.window,
            LimitType::Dynamic => return,
        };
        if limit.limit_type != LimitType::Dynamic {
            self.hard_limit = limit.limit_type == LimitType::Hard;
        }
        if window != self.announced_window {
            self.window_ack_size(window);
        }
    }

    /// Announces after how many bytes we want an acknowledgement.
    pub(super) fn window_ack_size(&mut self, window: u32) {
        self.announced_window = window;
        self.control(TypeId::WINDOW_ACK_SIZE, &WindowAckSize(window).encode());
    }

    /// Announces and uses a chunk size for what we send.
    pub(super) fn set_chunk_size(&mut self, size: u32) {
        let message = SetChunkSize::new(size);
        self.control(TypeId::SET_CHUNK_SIZE, &message.encode());
        self.writer.set_chunk_size(message.size());
    }

    pub(super) fn control(&mut self, type_id: TypeId, body: &[u8]) {
        self.put(csid::CONTROL, type_id, 0, body);
    }

    pub(super) fn user_control(&mut self, event: UserControl) {
        self.control(TypeId::USER_CONTROL, &event.encode());
    }

    pub(super) fn command(&mut self, stream_id: u32, command: &Command) {
        self.put(
            csid::COMMAND,
            TypeId::COMMAND_AMF0,
            stream_id,
            &command.encode(),
        );
    }

    /// Sends a data message on the commands' chunk stream: that of data is the fan-out's, whose
    /// headers this writer does not know.
    pub(super) fn data(&mut self, stream_id: u32, data: &Data) {
        let body = data.encode(false);
        self.put(csid::COMMAND, TypeId::DATA_AMF0, stream_id, &body);
    }

    fn put(&mut self, csid: u32, type_id: TypeId, stream_id: u32, body: &[u8]) {
        let header = Header {
            csid,
            timestamp: 0,
            type_id,
            stream_id,
        };
        self.write(header, body, &Bytes::new());
    }

    /// Writes any message.
    pub(super) fn write(&mut self, header: Header, prefix: &[u8], payload: &Bytes) {
        self.writer.write(header, prefix, payload, &mut self.out);
    }

    /// Looks whether the peer is silent, when [`Timer::Idle`] fires: pings at half of
    /// `idle`, gives up at `idle`.
    pub(super) fn check_idle(
        &mut self,
        idle: Duration,
        timers: &mut Timers,
        now: Mono,
    ) -> Result<(), Fault> {
        let silent = now.since(self.last_input);
        if silent >= idle {
            return Err(Fault::IdleTimeout);
        }
        if silent < idle / 2 {
            timers.set(Timer::Idle, self.last_input + idle / 2);
            return Ok(());
        }
        if !self.pinged {
            self.pinged = true;
            // The time is only handed back; milliseconds of our clock, as §7.1.7 has it.
            let time = (now.0 / 1000) as u32;
            self.user_control(UserControl::PingRequest(time));
        }
        timers.set(Timer::Idle, self.last_input + idle);
        Ok(())
    }
}
