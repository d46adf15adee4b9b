//! Writing program association and program map sections (ISO/IEC 13818-1 §2.4.4) of one program.

use crate::packet::put_section;
use weir_media::scte35::crc32;

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
pub(crate) const STREAM_TYPE_H264: u8 = 0x1b;
pub(crate) const STREAM_TYPE_ADTS: u8 = 0x0f;

/// Packets that [`put_psi`] writes.
pub(crate) const PSI_PACKETS: usize = 2;

/// An entry of a program map: `stream_type`, PID and descriptors.
pub(crate) type Entry<'a> = (u8, u16, &'a [u8]);

/// Writes PAT and PMT of a segment. Each takes one packet, so `sequence` is their counter.
///
/// The PMT's version number says which tracks it lists (bit 0 video, bit 1 audio): a section
/// with other content has another version, without state.
pub(crate) fn put_psi(out: &mut Vec<u8>, sequence: u64, video: bool, audio: bool) {
    let (mut pat_counter, mut pmt_counter) = (sequence, sequence);
    put_section(out, PAT_PID, &mut pat_counter, &pat());
    let pcr_pid = if video { VIDEO_PID } else { AUDIO_PID };
    let listed = [
        (video, (STREAM_TYPE_H264, VIDEO_PID, &[][..])),
        (audio, (STREAM_TYPE_ADTS, AUDIO_PID, &[])),
    ];
    let entries = listed.into_iter().filter(|l| l.0).map(|l| l.1);
    let version = u8::from(video) | u8::from(audio) << 1;
    let pmt = pmt(version, pcr_pid, &[], entries);
    put_section(out, PMT_PID, &mut pmt_counter, &pmt);
}

/// The program association section of one program.
pub(crate) fn pat() -> Vec<u8> {
    let [a, b] = PROGRAM_NUMBER.to_be_bytes();
    let [c, d] = (0xe000 | PMT_PID).to_be_bytes();
    section(0, TRANSPORT_STREAM_ID, 0, &[a, b, c, d])
}

/// The program map section, with descriptors of the program and its elementary streams, at most
/// 1,021 bytes.
pub(crate) fn pmt<'a>(
    version: u8,
    pcr_pid: u16,
    program_info: &[u8],
    entries: impl Iterator<Item = Entry<'a>>,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(64);
    body.extend((0xe000 | pcr_pid).to_be_bytes());
    body.extend((0xf000 | program_info.len() as u16).to_be_bytes());
    body.extend(program_info);
    for (stream_type, pid, descriptors) in entries {
        body.push(stream_type);
        body.extend((0xe000 | pid).to_be_bytes());
        body.extend((0xf000 | descriptors.len() as u16).to_be_bytes());
        body.extend(descriptors);
    }
    section(2, PROGRAM_NUMBER, version, &body)
}

/// A section by table id, its extension and version, and the body between the section numbers
/// and the CRC.
fn section(table_id: u8, extension: u16, version: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 12);
    out.push(table_id);
    // section_syntax_indicator 1; the length counts five bytes before the body and the CRC
    out.extend((0xb000 | (body.len() as u16 + 9)).to_be_bytes());
    out.extend(extension.to_be_bytes());
    // current_next_indicator 1, section_number and last_section_number 0
    out.extend([0xc1 | (version & 0x1f) << 1, 0, 0]);
    out.extend(body);
    let crc = crc32(&out);
    out.extend(crc.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PACKET_BYTES;

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
