//! Transport stream segments (ISO/IEC 13818-1 §2.4.3 and §2.4.4): counts only.

use super::fault::{FaultKind, Faults};
use super::report::{ElementaryStream, TransportStream};
use crate::limits::ELEMENTARY_STREAMS_MAX;

const PACKET_BYTES: usize = 188;
const SYNC_BYTE: u8 = 0x47;
const PAT_PID: u16 = 0;
const PAT_TABLE: u8 = 0;
const PMT_TABLE: u8 = 2;

/// Bytes of a section from its `table_id` to its `last_section_number`.
const SECTION_HEADER_BYTES: usize = 8;
const CRC_BYTES: usize = 4;

/// Whether a segment is a transport stream, by its first byte.
pub(super) fn is_ts(bytes: &[u8]) -> bool {
    bytes.first() == Some(&SYNC_BYTE)
}

/// Counts what is in a segment.
pub(super) fn probe(bytes: &[u8], place: &str, faults: &mut Faults) -> TransportStream {
    let mut ts = TransportStream::default();
    let mut pmt_pid = None;
    let packets = bytes.chunks_exact(PACKET_BYTES);
    if !packets.remainder().is_empty() {
        faults.add(FaultKind::CutShort, || place.to_owned());
    }
    for packet in packets {
        ts.packets += 1;
        if packet.first() != Some(&SYNC_BYTE) {
            let n = ts.packets;
            faults.add(FaultKind::Sync, || format!("{place}, packet {n}"));
            continue;
        }
        let Some((pid, payload)) = unit_start(packet) else {
            continue;
        };
        if pid == PAT_PID {
            if let Some(body) = section(payload, PAT_TABLE) {
                ts.pats += 1;
                pmt_pid = program_map_pid(body).or(pmt_pid);
            }
        } else if Some(pid) == pmt_pid {
            if let Some(body) = section(payload, PMT_TABLE) {
                ts.pmts += 1;
                if ts.streams.is_empty() {
                    ts.streams = elementary_streams(body);
                }
            }
        } else if let Some(stream) = ts.streams.iter_mut().find(|s| s.pid == pid) {
            stream.pes_packets += 1;
        }
    }
    if ts.pats == 0 {
        faults.add(FaultKind::NoPat, || place.to_owned());
    } else if ts.pmts == 0 {
        faults.add(FaultKind::NoPmt, || place.to_owned());
    }
    ts
}

/// PID and payload of a packet in which a section or PES packet begins.
fn unit_start(packet: &[u8]) -> Option<(u16, &[u8])> {
    let &[_, flags_pid, pid, control, ..] = packet else {
        return None;
    };
    let adaptation_bytes = match control >> 4 & 3 {
        1 => 0,
        3 => 1 + usize::from(*packet.get(4)?),
        _ => return None,
    };
    let payload = packet.get(4 + adaptation_bytes..)?;
    let pid = u16::from(flags_pid & 0x1f) << 8 | u16::from(pid);
    (flags_pid & 0x40 != 0).then_some((pid, payload))
}

/// The body of the section of this table that begins in `payload`, as far as it is in this
/// packet; without its checksum.
fn section(payload: &[u8], table: u8) -> Option<&[u8]> {
    let pointer = usize::from(*payload.first()?);
    let section = payload.get(1 + pointer..)?;
    let &[table_id, high, low, ..] = section else {
        return None;
    };
    let end = 3 + (usize::from(high & 0xf) << 8 | usize::from(low));
    let section = section.get(..end).map_or(section, |whole| {
        whole.get(..end.saturating_sub(CRC_BYTES)).unwrap_or(whole)
    });
    (table_id == table)
        .then(|| section.get(SECTION_HEADER_BYTES..))
        .flatten()
}

/// PID of the first program's map.
fn program_map_pid(body: &[u8]) -> Option<u16> {
    body.chunks_exact(4)
        .find(|program| program.get(..2) != Some(&[0, 0]))
        .and_then(|program| pid_field(program.get(2..)?))
}

fn elementary_streams(body: &[u8]) -> Vec<ElementaryStream> {
    let mut streams = Vec::new();
    let program_info = length_field(body.get(2..).unwrap_or_default()).unwrap_or(0);
    let mut rest = body.get(4 + program_info..).unwrap_or_default();
    while let &[stream_type, _, _, ..] = rest
        && streams.len() < ELEMENTARY_STREAMS_MAX
    {
        let fields = rest.get(1..).unwrap_or_default();
        let (Some(pid), Some(info)) = (
            pid_field(fields),
            length_field(fields.get(2..).unwrap_or_default()),
        ) else {
            break;
        };
        streams.push(ElementaryStream {
            pid,
            stream_type,
            pes_packets: 0,
        });
        rest = rest.get(5 + info..).unwrap_or_default();
    }
    streams
}

/// The low 13 bits of two bytes.
fn pid_field(bytes: &[u8]) -> Option<u16> {
    let &[high, low, ..] = bytes else {
        return None;
    };
    Some(u16::from(high & 0x1f) << 8 | u16::from(low))
}

/// The low 12 bits of two bytes.
fn length_field(bytes: &[u8]) -> Option<usize> {
    let &[high, low, ..] = bytes else {
        return None;
    };
    Some(usize::from(high & 0xf) << 8 | usize::from(low))
}
