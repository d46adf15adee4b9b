//! Program association and program map sections (ISO/IEC 13818-1 §2.4.4), each in one
//! packet. One program, no descriptors.

use crate::crc::crc32;
use crate::packet::{PACKET_BYTES, SYNC_BYTE};

/// PID of the program association section.
pub const PAT_PID: u16 = 0;
/// PID of the program map section.
pub const PMT_PID: u16 = 0x1000;
/// PID of the video track.
pub const VIDEO_PID: u16 = 0x100;
/// PID of the audio track.
pub const AUDIO_PID: u16 = 0x101;

const PROGRAM_NUMBER: u16 = 1;
const TRANSPORT_STREAM_ID: u16 = 1;

/// `stream_type` values, ISO/IEC 13818-1 table 2-34.
const STREAM_TYPE_H264: u8 = 0x1b;
const STREAM_TYPE_ADTS: u8 = 0x0f;

/// Packets that [`put_psi`] writes.
pub(crate) const PSI_PACKETS: usize = 2;

/// Writes PAT and PMT. Each takes one packet per segment, so `sequence` is their counter.
///
/// The PMT's version number says which tracks it lists (bit 0 video, bit 1 audio): a section
/// with other content has another version, without state.
pub(crate) fn put_psi(out: &mut Vec<u8>, sequence: u64, video: bool, audio: bool) {
    let mut section = Vec::with_capacity(32);
    section.extend(PROGRAM_NUMBER.to_be_bytes());
    section.extend((0xe000 | PMT_PID).to_be_bytes());
    put_section(
        out,
        PAT_PID,
        sequence,
        (0, TRANSPORT_STREAM_ID, 0),
        &section,
    );

    section.clear();
    let pcr_pid = if video { VIDEO_PID } else { AUDIO_PID };
    section.extend((0xe000 | pcr_pid).to_be_bytes());
    section.extend(0xf000u16.to_be_bytes()); // program_info_length 0
    let listed = [
        (video, STREAM_TYPE_H264, VIDEO_PID),
        (audio, STREAM_TYPE_ADTS, AUDIO_PID),
    ];
    for (_, stream_type, pid) in listed.into_iter().filter(|t| t.0) {
        section.push(stream_type);
        section.extend((0xe000 | pid).to_be_bytes());
        section.extend(0xf000u16.to_be_bytes()); // ES_info_length 0
    }
    let version = u8::from(video) | u8::from(audio) << 1;
    put_section(
        out,
        PMT_PID,
        sequence,
        (2, PROGRAM_NUMBER, version),
        &section,
    );
}

/// One packet with one section: table id, its extension and version, and the body between
/// the section numbers and the CRC.
fn put_section(out: &mut Vec<u8>, pid: u16, sequence: u64, id: (u8, u16, u8), body: &[u8]) {
    let (table_id, extension, version) = id;
    let end = out.len() + PACKET_BYTES;
    let [pid_high, pid_low] = (0x4000 | pid).to_be_bytes();
    // payload only; pointer_field 0
    out.extend([
        SYNC_BYTE,
        pid_high,
        pid_low,
        0x10 | (sequence & 15) as u8,
        0,
    ]);
    let start = out.len();
    out.push(table_id);
    // section_syntax_indicator 1; the length counts five bytes before the body and the CRC
    out.extend((0xb000 | (body.len() as u16 + 9)).to_be_bytes());
    out.extend(extension.to_be_bytes());
    // current_next_indicator 1, section_number and last_section_number 0
    out.extend([0xc1 | version << 1, 0, 0]);
    out.extend(body);
    let crc = crc32(&out[start..]);
    out.extend(crc.to_be_bytes());
    out.resize(end, 0xff);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_whole_and_versions_follow_the_tracks() {
        let mut versions = Vec::new();
        for (video, audio) in [(true, false), (false, true), (true, true)] {
            let mut out = Vec::new();
            put_psi(&mut out, 0x1f, video, audio);
            assert_eq!(out.len(), PSI_PACKETS * PACKET_BYTES);
            for packet in out.chunks(PACKET_BYTES) {
                assert_eq!(packet[3], 0x1f);
                let len = usize::from(u16::from_be_bytes([packet[6], packet[7]]) & 0xfff);
                assert_eq!(crc32(&packet[5..8 + len]), 0);
                assert!(packet[8 + len..].iter().all(|&b| b == 0xff));
            }
            versions.push(out[PACKET_BYTES + 10] >> 1 & 0x1f);
        }
        assert_eq!(versions, [1, 2, 3]);
    }
}
