//! Sections of the standard's own examples (SCTE 35 2023r1 §14), and what is wrong with others.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// §14.1, "time_signal – Placement Opportunity Start".
const PLACEMENT_START: &str = "FC3034000000000000FFFFF00506FE72BD0050001E021C435545494800008E7FCF0001A599B00808000000002CA0A18A3402009AC9D17E";
/// §14.2, "splice_insert".
const INSERT: &str = "FC302F000000000000FFFFF014054800008F7FEFFE7369C02EFE0052CCF500000000000A0008435545490000013562DBA30A";
/// §14.3, "time_signal – Placement Opportunity End".
const PLACEMENT_END: &str = "FC302F000000000000FFFFF00506FE746290A000190217435545494800008E7F9F0808000000002CA0A18A350200A9CC6758";

#[test]
fn examples_of_the_standard() {
    let insert = Section::parse(&hex(INSERT)).unwrap();
    let Command::Insert(Insert { event_id, splice }) = insert.command else {
        panic!("{insert:?}");
    };
    assert_eq!(event_id, 0x4800_008f);
    assert_eq!(
        splice,
        Some(Splice {
            out_of_network: true,
            time: Some(0x7369_c02e),
            break_duration: Some(BreakDuration {
                auto_return: true,
                ticks: 0x52_ccf5,
            }),
        })
    );
    let start = Section::parse(&hex(PLACEMENT_START)).unwrap();
    assert_eq!(start.time(), Some(0x72bd_0050));
    let segment = start.segmentations[0].segment.unwrap();
    assert_eq!(start.segmentations[0].event_id, 0x4800_008e);
    assert_eq!((segment.type_id, segment.is_out()), (0x34, Some(true)));
    assert_eq!(segment.duration, Some(0x01a5_99b0));
    let end = Section::parse(&hex(PLACEMENT_END)).unwrap();
    let segment = end.segmentations[0].segment.unwrap();
    assert_eq!((segment.type_id, segment.is_out()), (0x35, Some(false)));
    assert_eq!(segment.duration, None);
}

/// A section around a command and descriptors, with its lengths and CRC.
fn section(adjustment: u64, command_type: u8, command: &[u8], descriptors: &[u8]) -> Vec<u8> {
    let mut out = vec![TABLE_ID, 0x30, 0, 0];
    out.push((adjustment >> 32) as u8 & 1);
    out.extend((adjustment as u32).to_be_bytes());
    out.extend([
        0,
        0xff,
        0xf0 | (command.len() >> 8) as u8,
        command.len() as u8,
    ]);
    out.push(command_type);
    out.extend(command);
    out.extend((descriptors.len() as u16).to_be_bytes());
    out.extend(descriptors);
    out[2] = (out.len() + 4 - 3) as u8;
    let crc = crc32(&out);
    out.extend(crc.to_be_bytes());
    out
}

#[test]
fn adjustment_is_added_modulo_33_bits_and_unwrapped_near_a_time() {
    let signal = [0xfe | 1, 0xff, 0xff, 0xff, 0xf0];
    let section = Section::parse(&section(0x20, 6, &signal, &[])).unwrap();
    assert_eq!(section.time(), Some(0x10));
    assert_eq!(section.time_near(5), 0x10);
    assert_eq!(section.time_near((1 << 33) - 5), (1 << 33) + 0x10);
    assert_eq!(section.time_near((1 << 33) + 50), (1 << 33) + 0x10);
    assert_eq!(section.time_near(-5), 0x10);
    assert_eq!(section.time_near(3 << 40), (3 << 40) + 0x10);
}

#[test]
fn at_once_and_cancelled() {
    let immediate = [0, 0, 0, 9, 0x7f, 0b1101_1111, 0, 1, 0, 0];
    let found = Section::parse(&section(0, 5, &immediate, &[])).unwrap();
    let splice = Splice {
        out_of_network: true,
        time: None,
        break_duration: None,
    };
    let insert = |splice| {
        Command::Insert(Insert {
            event_id: 9,
            splice,
        })
    };
    assert_eq!(found.command, insert(Some(splice)));
    assert_eq!(found.time_near(77), 77);
    let cancelled = Section::parse(&section(0, 5, &[0, 0, 0, 9, 0xff], &[])).unwrap();
    assert_eq!(cancelled.command, insert(None));
    assert!(cancelled.is_event());
    assert!(!Section::parse(&section(0, 0, &[], &[])).unwrap().is_event());
}

#[test]
fn components_have_the_first_ones_time() {
    let mut command = vec![0, 0, 0, 9, 0x7f, 0b1000_1111, 2];
    command.extend([1, 0xfe, 0, 0, 0, 7, 2, 0xfe, 0, 0, 0, 9]);
    command.extend([0, 1, 0, 0]);
    let found = Section::parse(&section(0, 5, &command, &[])).unwrap();
    assert_eq!(found.time(), Some(7));
}

#[test]
fn a_command_of_unknown_length_tells_it_itself() {
    let mut bytes = hex(INSERT);
    (bytes[11], bytes[12]) = (bytes[11] | 0x0f, 0xff);
    let at = bytes.len() - 4;
    let crc = crc32(&bytes[..at]);
    bytes[at..].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(Section::parse(&bytes), Section::parse(&hex(INSERT)));
}

#[test]
fn an_encrypted_section_is_not_looked_into() {
    let mut bytes = section(0, 5, &[1, 2, 3], &[]);
    bytes[4] |= 0x80;
    let at = bytes.len() - 4;
    let crc = crc32(&bytes[..at]);
    bytes[at..].copy_from_slice(&crc.to_be_bytes());
    let found = Section::parse(&bytes).unwrap();
    assert_eq!(found.command, Command::Encrypted);
}

#[test]
fn every_cut_and_every_flip_is_an_error() {
    for text in [INSERT, PLACEMENT_START, PLACEMENT_END] {
        let whole = hex(text);
        for len in 0..whole.len() {
            assert!(Section::parse(&whole[..len]).is_err());
        }
        for at in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            // The two bits of section syntax and the reserved ones are covered by the CRC too.
            assert!(Section::parse(&flipped).is_err(), "{at}");
        }
        assert!(Section::parse(&[&whole[..], &[0]].concat()).is_err());
    }
}

/// Lengths that lie, under a right checksum.
#[test]
fn false_lengths_are_errors() {
    let with_crc = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = hex(PLACEMENT_START);
        bytes.truncate(bytes.len() - 4);
        edit(&mut bytes);
        let crc = crc32(&bytes);
        bytes.extend(crc.to_be_bytes());
        Section::parse(&bytes)
    };
    let fault = |field| Err(Error::Field(field));
    assert!(with_crc(&|_| {}).is_ok());
    assert_eq!(with_crc(&|b| b[12] = 0xfe), fault("splice_command_length"));
    assert_eq!(with_crc(&|b| b[20] = 0xff), fault("descriptor_loop_length"));
    assert_eq!(with_crc(&|b| b[22] = 0xff), fault("descriptor_length"));
    let cut = Err(Error::Truncated("segmentation_upid"));
    assert_eq!(with_crc(&|b| b[39] = 0xff), cut);
    assert_eq!(with_crc(&|b| b[0] = 0xfb), fault("table_id"));
    let version = Err(Error::Version("splice_info_section", 1));
    assert_eq!(with_crc(&|b| b[3] = 1), version);
}
