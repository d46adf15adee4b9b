//! The PES packet header (ISO/IEC 13818-1 §2.4.3.6), with a PTS and, where it differs, a
//! DTS.
//!
//! ```text
//! 00 00 01 | stream_id | PES_packet_length 16 | 10 .. data_alignment_indicator | PTS_DTS_flags
//!          | PES_header_data_length 8 | PTS 40 | DTS 40
//! ```

use crate::limits::PES_LENGTH_MAX;

/// `stream_id` of the first video stream, table 2-22.
pub(crate) const STREAM_ID_VIDEO: u8 = 0xe0;
/// `stream_id` of the first audio stream.
pub(crate) const STREAM_ID_AUDIO: u8 = 0xc0;

/// Bytes of a header with a PTS alone.
pub(crate) const HEADER_BYTES_PTS: usize = 14;
/// Bytes of a header with PTS and DTS.
pub(crate) const HEADER_BYTES_PTS_DTS: usize = 19;

/// Bytes up to and including `PES_packet_length`, which it does not count.
const BYTES_BEFORE_COUNT: usize = 6;

/// A header; the array is its longest form.
pub(crate) struct Header {
    bytes: [u8; HEADER_BYTES_PTS_DTS],
    len: usize,
}

impl Header {
    /// Header of a PES packet of `pes_len` bytes, header included. Times are 90 kHz ticks,
    /// of which the low 33 bits are kept. The length is stated as 0, unbounded, where it
    /// does not fit, which only video may have (§2.4.3.7).
    pub(crate) fn new(stream_id: u8, pes_len: usize, pts: i64, dts: Option<i64>) -> Self {
        let counted = pes_len.saturating_sub(BYTES_BEFORE_COUNT);
        let stated = if counted > PES_LENGTH_MAX { 0 } else { counted };
        let mut bytes = [0; HEADER_BYTES_PTS_DTS];
        bytes[2] = 1;
        bytes[3] = stream_id;
        bytes[4..6].copy_from_slice(&(stated as u16).to_be_bytes());
        bytes[6] = 0x84;
        let len = match dts {
            None => {
                bytes[7..9].copy_from_slice(&[0x80, 5]);
                bytes[9..14].copy_from_slice(&time_stamp(0x2, pts));
                HEADER_BYTES_PTS
            }
            Some(dts) => {
                bytes[7..9].copy_from_slice(&[0xc0, 10]);
                bytes[9..14].copy_from_slice(&time_stamp(0x3, pts));
                bytes[14..19].copy_from_slice(&time_stamp(0x1, dts));
                HEADER_BYTES_PTS_DTS
            }
        };
        Self { bytes, len }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The low 33 bits of a count of 90 kHz ticks: how time is written in a transport stream.
pub(crate) fn wrap33(ticks: i64) -> u64 {
    ticks as u64 & ((1 << 33) - 1)
}

/// 33 bits in groups of 3, 15 and 15, each followed by a marker bit, after four bits that
/// tell PTS from DTS.
fn time_stamp(prefix: u8, ticks: i64) -> [u8; 5] {
    let t = wrap33(ticks);
    [
        prefix << 4 | (t >> 29) as u8 & 0x0e | 1,
        (t >> 22) as u8,
        (t >> 14) as u8 | 1,
        (t >> 7) as u8,
        (t << 1) as u8 | 1,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_33_bits_stand_at_their_place() {
        assert_eq!(time_stamp(2, -1), [0x2f, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(time_stamp(3, 0), [0x31, 0, 1, 0, 1]);
        assert_eq!(time_stamp(1, 1 << 32), [0x19, 0, 1, 0, 1]);
        assert_eq!(time_stamp(2, 900_000), [0x21, 0, 0x37, 0x77, 0x41]);
        assert_eq!(time_stamp(2, 1 << 33), time_stamp(2, 0));
    }

    #[test]
    fn length_is_stated_up_to_sixteen_bits() {
        let stated = |n| Header::new(STREAM_ID_VIDEO, n, 0, None).as_slice()[4..6].to_vec();
        assert_eq!(stated(6 + 0xffff), [0xff, 0xff]);
        assert_eq!(stated(6 + 0x1_0000), [0, 0]);
    }
}
