//! What is to be sent.

use crate::packet::{Control, HEADER_BYTES, SocketId};
use bytes::{Bytes, BytesMut};

/// Longest head: a header and a full acknowledgement.
const HEAD_BYTES_MAX: usize = 48;

/// One datagram: a head, and a payload that is not copied.
#[derive(Debug, Clone)]
pub struct Transmit {
    head: [u8; HEAD_BYTES_MAX],
    head_len: u8,
    payload: Bytes,
}

impl Transmit {
    pub(crate) fn data(header: [u8; HEADER_BYTES], payload: Bytes) -> Self {
        let mut head = [0; HEAD_BYTES_MAX];
        head[..HEADER_BYTES].copy_from_slice(&header);
        Self {
            head,
            head_len: HEADER_BYTES as u8,
            payload,
        }
    }

    pub(crate) fn control(body: &Control, timestamp: u32, destination: SocketId) -> Self {
        let mut content = Vec::new();
        let transmit = Self::data(body.header(timestamp, destination), Bytes::new());
        if let Control::Nak(losses) = body {
            return transmit.with_content(&losses.0);
        }
        body.write_content(&mut content);
        if content.is_empty() {
            // libsrt sends a word where the draft has nothing, and since 1.5.4 complains of less.
            content.extend_from_slice(&[0; 4]);
        }
        transmit.with_content(&content)
    }

    /// Content that fits is put into the head.
    fn with_content(mut self, content: &[u8]) -> Self {
        if let Some(room) = self
            .head
            .get_mut(HEADER_BYTES..HEADER_BYTES + content.len())
        {
            room.copy_from_slice(content);
            self.head_len = (HEADER_BYTES + content.len()) as u8;
        } else {
            self.payload = Bytes::copy_from_slice(content);
        }
        self
    }

    /// First bytes of the datagram.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    /// What follows the head; may be empty.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Length of the datagram, in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is always a header")]
    pub fn len(&self) -> usize {
        usize::from(self.head_len) + self.payload.len()
    }

    /// The datagram in one piece.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.len());
        bytes.extend_from_slice(self.head());
        bytes.extend_from_slice(&self.payload);
        bytes.freeze()
    }
}
