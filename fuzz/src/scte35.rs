//! Splice information sections, and the date ranges of a playlist that they make.

use std::collections::BTreeSet;
use weir_manifest::splice::{Cue, SpliceRange, ranges};
use weir_manifest::{DateRange, MediaPlaylist, Segment};
use weir_media::Utc;
use weir_media::limits::{SCTE35_DESCRIPTORS_MAX, SCTE35_SECTION_BYTES_MAX};
use weir_media::scte35::{Section, crc32};

/// As it is; then as sections one behind another, of which each has its right length and checksum,
/// a byte in front that says how long it is and one that says how long after the last it applies.
pub fn sections(data: &[u8]) {
    look(data);
    let mut found = Vec::new();
    let (mut rest, mut at) = (data, 0i64);
    while let [len, after, tail @ ..] = rest {
        let (body, tail) = tail.split_at(tail.len().min(usize::from(*len)));
        rest = tail;
        at += (i64::from(*after) - 40) * 200_000;
        found.push((Utc(at), mended(body)));
    }
    let cues = (1..).zip(&found).map(|(number, (at, section))| Cue {
        number,
        at: *at,
        section,
    });
    listed(&ranges(cues), found.len());
}

/// A section with the table, length and checksum that it should have.
fn mended(body: &[u8]) -> Vec<u8> {
    let mut section = vec![0xfc, 0x30, 0];
    section.extend_from_slice(&body[..body.len().min(SCTE35_SECTION_BYTES_MAX - 7)]);
    let len = section.len() + 1;
    section[1] |= (len >> 8) as u8;
    section[2] = len as u8;
    section.extend(crc32(&section).to_be_bytes());
    look(&section);
    section
}

fn look(section: &[u8]) {
    let Ok(found) = Section::parse(section) else {
        return;
    };
    assert!(found.segmentations.len() <= SCTE35_DESCRIPTORS_MAX);
    assert!(found.time().is_none_or(|t| t < 1 << 33));
    for near in [0, -1, 1 << 33, i64::MAX, i64::MIN] {
        let time = found.time_near(near);
        assert!(time.abs_diff(near) <= 1 << 32);
        let apart = i128::from(time) - i128::from(found.time().unwrap_or(0).cast_signed());
        let saturated = near.unsigned_abs() > 1 << 62;
        assert!(found.time().is_none() || saturated || apart % (1 << 33) == 0);
    }
}

/// A playlist can list them, and no number stands for two.
fn listed(found: &[SpliceRange<'_>], sections: usize) {
    assert!(found.len() <= sections * SCTE35_DESCRIPTORS_MAX);
    let mut tags: Vec<DateRange<'_>> = found.iter().flat_map(SpliceRange::tags).collect();
    let ids: BTreeSet<&str> = tags.iter().map(|t| t.id).collect();
    assert_eq!(ids.len(), found.len());
    for tag in &tags {
        assert!(tag.end.is_none_or(|end| end >= tag.start));
    }
    tags.sort_by_key(|t| t.at);
    let segment = Segment {
        uri: "0.m4s",
        duration: 4,
        timescale: 1,
        program_date_time: Some(Utc(0)),
        ..Segment::default()
    };
    let playlist = MediaPlaylist {
        target_duration: 4,
        segments: &[segment],
        date_ranges: &tags,
        ..MediaPlaylist::default()
    };
    let mut text = String::new();
    assert_eq!(playlist.write(&mut text), Ok(()));
    assert_eq!(text.matches("EXT-X-DATERANGE").count(), tags.len());
}
