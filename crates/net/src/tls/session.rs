//! The TLS machine of one connection: bytes in, bytes out, no socket.
//!
//! rustls works in our buffers (its unbuffered interface), so that a connection which waits holds
//! no more than its keys, and what it received of an incomplete record.

use crate::limits::{
    CONTROL_BYTES_MAX, FRUITLESS_BYTES_MAX, RECEIVED_BYTES_MAX, RECORD_BYTES_MAX,
    RECORD_OVERHEAD_MAX,
};
use crate::tls::pool::{Sealed, with_scratch};
use bytes::Bytes;
use rustls::client::{ClientConfig, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConfig, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError};
use rustls::{CommonState, ProtocolVersion};
use std::io;
use std::sync::Arc;

/// Which end of the connection we are.
enum Machine {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

impl Machine {
    fn common(&self) -> &CommonState {
        match self {
            Self::Server(connection) => connection,
            Self::Client(connection) => connection,
        }
    }
}

/// The same for both ends, whose types have nothing in common but their methods.
macro_rules! either {
    ($machine:expr, $connection:ident => $do:expr) => {
        match $machine {
            Machine::Server($connection) => $do,
            Machine::Client($connection) => $do,
        }
    };
}

/// What is to be sealed.
enum Outgoing<'a> {
    Data(&'a [u8]),
    CloseNotify,
}

pub(crate) struct Session {
    machine: Machine,
    /// Received and not yet understood: part of a record, or of a handshake message.
    received: Vec<u8>,
    /// Decrypted and not yet taken.
    plaintext: Vec<u8>,
    /// Handshake messages and alerts to be sent before anything else.
    control: Vec<u8>,
    /// Bytes received since plaintext came of them.
    fruitless: usize,
    /// The peer said that it sends no more (`close_notify`).
    is_ended: bool,
}

impl Session {
    pub(crate) fn server(config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = UnbufferedServerConnection::new(config).map_err(invalid)?;
        Ok(Self::new(Machine::Server(Box::new(connection))))
    }

    /// A client's end. Its first message waits in [`Session::take_control`].
    pub(crate) fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let connection = UnbufferedClientConnection::new(config, name).map_err(invalid)?;
        let mut session = Self::new(Machine::Client(Box::new(connection)));
        session.handle_received(&[])?;
        Ok(session)
    }

    fn new(machine: Machine) -> Self {
        Self {
            machine,
            received: Vec::new(),
            plaintext: Vec::new(),
            control: Vec::new(),
            fruitless: 0,
            is_ended: false,
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.machine.common().is_handshaking()
    }

    pub(crate) fn is_tls13(&self) -> bool {
        self.machine.common().protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.machine.common().alpn_protocol()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// True in the midst of a record.
    pub(crate) fn is_partial(&self) -> bool {
        !self.received.is_empty()
    }

    pub(crate) fn has_plaintext(&self) -> bool {
        !self.plaintext.is_empty()
    }

    /// Decrypted bytes, in order.
    pub(crate) fn take_plaintext(&mut self) -> Option<Bytes> {
        match self.plaintext.is_empty() {
            true => None,
            false => Some(std::mem::take(&mut self.plaintext).into()),
        }
    }

    /// What is to be sent before anything else.
    pub(crate) fn take_control(&mut self) -> Option<Bytes> {
        match self.control.is_empty() {
            true => None,
            false => Some(std::mem::take(&mut self.control).into()),
        }
    }

    /// Takes bytes from the peer. What comes of them waits in [`Session::take_plaintext`] and
    /// [`Session::take_control`], in case of an error too: the alert.
    ///
    /// # Errors
    /// `InvalidData` with the peer's fault. The session is over.
    pub(crate) fn handle_received(&mut self, bytes: &[u8]) -> io::Result<()> {
        let established = !self.is_handshaking();
        with_scratch(|buffer| {
            buffer.extend_from_slice(&self.received);
            buffer.extend_from_slice(bytes);
            self.received = Vec::new();
            let used = self.process(buffer).map_err(invalid)?;
            let rest = buffer.get(used..).unwrap_or_default();
            if rest.len() > RECEIVED_BYTES_MAX {
                return Err(invalid_text("a TLS message in too many pieces"));
            }
            self.received.extend_from_slice(rest);
            Ok(())
        })?;
        self.fruitless = match self.plaintext.is_empty() {
            true => self.fruitless.saturating_add(bytes.len()),
            false => 0,
        };
        if self.fruitless > FRUITLESS_BYTES_MAX {
            return Err(invalid_text("too many TLS messages without data"));
        }
        // All that TLS 1.2 ever answers by itself is the refusal of a new handshake.
        if established && !self.is_tls13() && !self.control.is_empty() {
            return Err(invalid_text("a new TLS handshake, which is not supported"));
        }
        Ok(())
    }

    /// Processes whole records; the count of bytes that are done with.
    fn process(&mut self, buffer: &mut [u8]) -> Result<usize, rustls::Error> {
        let mut used = 0;
        loop {
            let rest = buffer.get_mut(used..).unwrap_or_default();
            let (discard, go_on) = either!(&mut self.machine, connection => {
                let status = connection.process_tls_records(rest);
                let go_on = match status.state {
                    Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                        while let Some(record) = traffic.next_record() {
                            self.plaintext.extend_from_slice(record?.payload);
                        }
                        Ok(true)
                    }
                    Ok(ConnectionState::EncodeTlsData(mut message)) => {
                        encode(&mut self.control, |room| message.encode(room))?;
                        Ok(true)
                    }
                    Ok(ConnectionState::TransmitTlsData(transmit)) => {
                        transmit.done();
                        Ok(true)
                    }
                    Ok(ConnectionState::PeerClosed) => {
                        self.is_ended = true;
                        Ok(true)
                    }
                    Ok(_) => Ok(false),
                    Err(error) => Err(error),
                };
                (status.discard, go_on)
            });
            if go_on.is_err() {
                self.collect_alert();
            }
            used += discard;
            if !go_on? {
                return Ok(used);
            }
        }
    }

    /// Takes the alert that rustls has queued with its error.
    fn collect_alert(&mut self) {
        while self.machine.common().wants_write() {
            let encoded = either!(&mut self.machine, connection => {
                let status = connection.process_tls_records(&mut []);
                match status.state {
                    Ok(ConnectionState::EncodeTlsData(mut message)) => {
                        encode(&mut self.control, |room| message.encode(room)).is_ok()
                    }
                    _ => false,
                }
            });
            if !encoded {
                return;
            }
        }
    }

    /// Seals `plaintext` into records of at most [`RECORD_BYTES_MAX`], appended to `out`, which has
    /// [`sealed_len`] bytes of room.
    ///
    /// # Errors
    /// `NotConnected` when the session cannot send; `InvalidData` when its keys are used up.
    pub(crate) fn seal(&mut self, plaintext: &[u8], out: &mut Sealed) -> io::Result<()> {
        self.write(out, &Outgoing::Data(plaintext))
    }

    /// Seals the `close_notify` alert.
    ///
    /// # Errors
    /// As [`Session::seal`].
    pub(crate) fn seal_close_notify(&mut self, out: &mut Sealed) -> io::Result<()> {
        self.write(out, &Outgoing::CloseNotify)
    }

    /// Brings the connection to where it can send, and seals into the room of `out`. A key update
    /// that is due is written there too, as it has its place between two records.
    fn write(&mut self, out: &mut Sealed, what: &Outgoing<'_>) -> io::Result<()> {
        loop {
            // All whole records were processed when they came, so this stops at once, unless a
            // message of ours waits. rustls wants to see the rest again all the same.
            let discard = either!(&mut self.machine, connection => {
                let status = connection.process_tls_records(&mut self.received);
                let discard = status.discard;
                match status.state.map_err(invalid)? {
                    ConnectionState::EncodeTlsData(mut message) => {
                        let len = message.encode(out.spare()).map_err(unsendable)?;
                        out.filled(len);
                    }
                    ConnectionState::TransmitTlsData(transmit) => transmit.done(),
                    ConnectionState::PeerClosed => self.is_ended = true,
                    ConnectionState::WriteTraffic(mut traffic) => {
                        let room = out.spare();
                        let len = match what {
                            Outgoing::Data(plaintext) => traffic.encrypt(plaintext, room),
                            Outgoing::CloseNotify => traffic.queue_close_notify(room),
                        };
                        out.filled(len.map_err(unsendable)?);
                        return Ok(());
                    }
                    _ => return Err(io::ErrorKind::NotConnected.into()),
                }
                discard
            });
            self.received.drain(..discard.min(self.received.len()));
        }
    }
}

/// Bytes that `len` bytes of plaintext take at most when sealed, key updates included.
pub(crate) const fn sealed_len(len: usize) -> usize {
    len + len.div_ceil(RECORD_BYTES_MAX) * RECORD_OVERHEAD_MAX + CONTROL_BYTES_MAX
}

/// Appends a message of the machine to `control`.
fn encode(
    control: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), rustls::Error> {
    let start = control.len();
    let mut room = 0;
    loop {
        match encode(control.get_mut(start..).unwrap_or_default()) {
            Ok(len) => {
                control.truncate(start + len);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size;
                control.resize(start + room, 0);
            }
            Err(error) => return Err(rustls::Error::General(error.to_string())),
        }
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn unsendable(error: impl std::error::Error) -> io::Error {
    invalid_text(&error.to_string())
}

fn invalid_text(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
