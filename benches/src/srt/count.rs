//! Counts what a transport stream holds (ISO/IEC 13818-1 §2.4.3).

/// Bytes of a packet.
pub const PACKET_BYTES: usize = 188;

const SYNC: u8 = 0x47;

/// What was seen so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// Payload bytes of the PID that has the most: the video, its PES headers included.
    pub video: u64,
}

/// Reads a stream in pieces.
#[derive(Debug)]
pub struct Counter {
    /// By PID.
    payload: Vec<u64>,
    /// The start of a packet whose end is still to come.
    rest: Vec<u8>,
}

impl Counter {
    pub fn new() -> Self {
        Self {
            payload: vec![0; 1 << 13],
            rest: Vec::new(),
        }
    }

    /// Takes the next bytes. What is between packets is passed over.
    pub fn take(&mut self, bytes: &[u8]) -> Count {
        let joined;
        let mut bytes = bytes;
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.rest);
            bytes = &joined;
        }
        while let Some(at) = bytes.iter().position(|b| *b == SYNC) {
            bytes = &bytes[at..];
            let Some((packet, tail)) = bytes.split_at_checked(PACKET_BYTES) else {
                break;
            };
            self.packet(packet);
            bytes = tail;
        }
        self.rest = bytes.to_vec();
        Count {
            video: self.payload.iter().copied().max().unwrap_or(0),
        }
    }

    fn packet(&mut self, packet: &[u8]) {
        let pid = usize::from(packet[1] & 0x1f) << 8 | usize::from(packet[2]);
        let adaptation = match packet[3] >> 4 & 3 {
            1 => 0,
            3 => 1 + usize::from(packet[4]),
            _ => return,
        };
        // Null packets are nobody's.
        if pid != 0x1fff {
            self.payload[pid] += (PACKET_BYTES - 4).saturating_sub(adaptation) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_counted_by_pid_in_any_pieces() {
        let packet = |pid: u16, control: u8, adaptation: u8| {
            let mut packet = vec![0xff; PACKET_BYTES];
            packet[0] = SYNC;
            packet[1..3].copy_from_slice(&pid.to_be_bytes());
            packet[3] = control << 4;
            packet[4] = adaptation;
            packet
        };
        let mut stream = vec![0; 5];
        stream.extend(packet(256, 1, 0));
        stream.extend(packet(256, 3, 7));
        stream.extend(packet(257, 1, 0));
        stream.extend(packet(256, 2, 183));
        stream.extend(packet(0x1fff, 1, 0));
        for size in [1, 7, 188, 1000] {
            let mut counter = Counter::new();
            let counts = stream.chunks(size).map(|piece| counter.take(piece));
            assert_eq!(counts.last().unwrap().video, 184 + 176);
        }
    }
}
