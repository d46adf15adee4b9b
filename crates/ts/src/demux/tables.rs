//! Reading the program association and program map tables (ISO/IEC 13818-1 §2.4.4) and the
//! descriptors that say what an elementary stream is (§2.6; ETSI EN 300 468 §6).

use crate::limits::ELEMENTARY_STREAMS_MAX;
use weir_media::scte35::crc32;

const PAT: u8 = 0;
const PMT: u8 = 2;
const CRC_BYTES: usize = 4;
/// Bytes of a long section before its body.
const HEAD_BYTES: usize = 8;

/// What a section with the long header holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table<'a> {
    /// `transport_stream_id` or `program_number`.
    pub(super) extension: u16,
    pub(super) version: u8,
    pub(super) number: u8,
    pub(super) last_number: u8,
    pub(super) body: &'a [u8],
}

/// Why a section is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The CRC is false.
    Crc,
    /// A length or a field cannot be.
    Malformed,
    /// Another table, or one that is not in force yet.
    Other,
}

/// Reads a section of the table `table_id`, and checks its CRC.
fn table(section: &[u8], table_id: u8) -> Result<Table<'_>, Unusable> {
    if section.first() != Some(&table_id) {
        return Err(Unusable::Other);
    }
    if crc32(section) != 0 {
        return Err(Unusable::Crc);
    }
    let end = section.len().saturating_sub(CRC_BYTES);
    let body = section.get(HEAD_BYTES..end).ok_or(Unusable::Malformed)?;
    if section[5] & 1 == 0 {
        return Err(Unusable::Other);
    }
    Ok(Table {
        extension: u16::from_be_bytes([section[3], section[4]]),
        version: section[5] >> 1 & 0x1f,
        number: section[6],
        last_number: section[7],
        body,
    })
}

/// A PAT section, and an iterator over its programs: number and PID of the PMT.
pub(super) fn pat(
    section: &[u8],
) -> Result<(Table<'_>, impl Iterator<Item = (u16, u16)>), Unusable> {
    let table = table(section, PAT)?;
    let (entries, rest) = table.body.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Unusable::Malformed);
    }
    let programs = entries.iter().map(|e| {
        let pid = u16::from_be_bytes([e[2], e[3]]) & 0x1fff;
        (u16::from_be_bytes([e[0], e[1]]), pid)
    });
    // Program 0 is the network PID.
    Ok((table, programs.filter(|(number, _)| *number != 0)))
}

/// A program map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pmt {
    pub(super) program: u16,
    pub(super) pcr_pid: u16,
    pub(super) streams: Vec<ElementaryStream>,
}

/// What a program map says of an elementary stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ElementaryStream {
    pub(super) pid: u16,
    pub(super) stream_type: u8,
    /// `format_identifier`, its own or that of the program.
    pub(super) registration: Option<[u8; 4]>,
    /// It has an AC-3 descriptor (tag 0x6a).
    pub(super) ac3: bool,
    /// It has an Enhanced AC-3 descriptor (tag 0x7a).
    pub(super) eac3: bool,
    /// It has an AAC descriptor of DVB (tag 0x7c).
    pub(super) dvb_aac: bool,
    /// `channel_config_code` of Opus.
    pub(super) opus_channels: Option<u8>,
    /// ISO 639-2 code.
    pub(super) language: Option<[u8; 3]>,
}

/// Reads a PMT section.
pub(super) fn pmt(section: &[u8]) -> Result<Pmt, Unusable> {
    let table = table(section, PMT)?;
    let (head, body) = table.body.split_first_chunk().ok_or(Unusable::Malformed)?;
    let [pcr_high, pcr_low, length_high, length_low] = *head;
    let pid = |high: u8, low: u8| u16::from_be_bytes([high, low]) & 0x1fff;
    let length = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]) & 0xfff);
    let (program_info, mut body) = body
        .split_at_checked(length(length_high, length_low))
        .ok_or(Unusable::Malformed)?;
    let mut of_program = ElementaryStream::default();
    descriptors(program_info, &mut of_program);
    let mut streams = Vec::new();
    while let Some((head, rest)) = body.split_first_chunk() {
        let [stream_type, pid_high, pid_low, length_high, length_low] = *head;
        let (info, rest) = rest
            .split_at_checked(length(length_high, length_low))
            .ok_or(Unusable::Malformed)?;
        body = rest;
        if streams.len() == ELEMENTARY_STREAMS_MAX {
            break;
        }
        let mut stream = ElementaryStream {
            pid: pid(pid_high, pid_low),
            stream_type,
            registration: of_program.registration,
            ..ElementaryStream::default()
        };
        descriptors(info, &mut stream);
        streams.push(stream);
    }
    Ok(Pmt {
        program: table.extension,
        pcr_pid: pid(pcr_high, pcr_low),
        streams,
    })
}

/// Takes what is known of a descriptor loop; one that is cut ends it.
fn descriptors(mut bytes: &[u8], stream: &mut ElementaryStream) {
    while let [tag, length, rest @ ..] = bytes {
        let Some((body, rest)) = rest.split_at_checked(usize::from(*length)) else {
            return;
        };
        bytes = rest;
        match (tag, body) {
            (0x05, [a, b, c, d, ..]) => stream.registration = Some([*a, *b, *c, *d]),
            (0x0a, [a, b, c, ..]) if [a, b, c].iter().all(|l| l.is_ascii_alphabetic()) => {
                stream.language.get_or_insert([*a, *b, *c]);
            }
            (0x6a, _) => stream.ac3 = true,
            (0x7a, _) => stream.eac3 = true,
            (0x7c, _) => stream.dvb_aac = true,
            // The extension descriptor of DVB, in which Opus has the tag 0x80.
            (0x7f, [0x80, channels, ..]) => stream.opus_channels = Some(*channels),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(table_id: u8, extension: u16, flags: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![table_id];
        out.extend((0xb000 | (body.len() + 9) as u16).to_be_bytes());
        out.extend(extension.to_be_bytes());
        out.extend([flags, 0, 0]);
        out.extend(body);
        let crc = crc32(&out);
        out.extend(crc.to_be_bytes());
        out
    }

    #[test]
    fn programs_of_a_pat() {
        let body = [0, 0, 0xe0, 0x10, 0, 1, 0xf0, 0, 0x12, 0x34, 0xff, 0xfe];
        let whole = section(0, 7, 0xc3, &body);
        let (table, programs) = pat(&whole).unwrap();
        assert_eq!((table.extension, table.version), (7, 1));
        assert_eq!(
            programs.collect::<Vec<_>>(),
            [(1, 0x1000), (0x1234, 0x1ffe)]
        );
        let mut false_crc = whole.clone();
        false_crc[9] ^= 1;
        assert_eq!(pat(&false_crc).err(), Some(Unusable::Crc));
        let next = section(0, 7, 0xc2, &body);
        assert_eq!(pat(&next).err(), Some(Unusable::Other));
        let cut = section(0, 7, 0xc3, &body[1..]);
        assert_eq!(pat(&cut).err(), Some(Unusable::Malformed));
        assert_eq!(
            pat(&section(2, 7, 0xc3, &body)).err(),
            Some(Unusable::Other)
        );
    }

    #[test]
    fn streams_of_a_pmt() {
        let body = [
            &[0xe1, 0, 0xf0, 6, 5, 4][..],
            b"HDMV",
            &[0x1b, 0xe1, 0, 0xf0, 0],
            &[0x06, 0xe1, 1, 0xf0, 16, 5, 4],
            b"Opus",
            &[0x7f, 2, 0x80, 6, 0x0a, 4],
            b"deu\0",
            &[0x06, 0xe1, 2, 0xf0, 2, 0x7a, 0],
        ];
        let pmt = pmt(&section(2, 3, 0xc1, &body.concat())).unwrap();
        assert_eq!((pmt.program, pmt.pcr_pid), (3, 0x100));
        let [video, opus, eac3] = pmt.streams[..] else {
            panic!("{pmt:?}");
        };
        assert_eq!((video.pid, video.stream_type), (0x100, 0x1b));
        assert_eq!(video.registration, Some(*b"HDMV"));
        assert_eq!(opus.registration, Some(*b"Opus"));
        assert_eq!(
            (opus.opus_channels, opus.language),
            (Some(6), Some(*b"deu"))
        );
        assert!(eac3.eac3 && !eac3.ac3);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for body in [
            &[0xe1, 0, 0xf0][..],
            &[0xe1, 0, 0xf0, 1],
            &[0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 9, 1],
        ] {
            assert_eq!(pmt(&section(2, 1, 0xc1, body)), Err(Unusable::Malformed));
        }
        // A descriptor that is cut says nothing.
        let cut = [0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 3, 5, 4, b'x'];
        let found = pmt(&section(2, 1, 0xc1, &cut)).unwrap();
        assert_eq!(found.streams[0].registration, None);
    }
}
