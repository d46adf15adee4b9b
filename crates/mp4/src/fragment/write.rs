//! Writing the head of a fragment.

use crate::boxes::{sample_flags, tfhd, trun};
use crate::limits::FRAGMENT_SAMPLES_MAX;
use bytes::{BufMut, BytesMut};
use weir_media::{Sample, SampleFlags, TrackId};

/// Bytes of `mfhd`.
const MFHD_BYTES: usize = 16;
/// Bytes of `tfdt` version 1.
const TFDT_BYTES: usize = 20;
/// Bytes of `tfhd` without defaults.
const TFHD_BYTES_MIN: usize = 16;
/// Bytes of `trun` with a data offset and no samples.
const TRUN_BYTES_MIN: usize = 20;
/// Bytes of a box header with a 32-bit size.
const HEADER_BYTES: usize = 8;

/// Appends `moof` and the header of `mdat` for `samples`, whose payloads must follow in the
/// same order with nothing between.
///
/// `decode_time` is the decoding time of the first sample in the track's timescale.
/// `sequence_number` has to rise from fragment to fragment of a track (ISO/IEC 14496-12
/// §8.8.5). Fields in which all samples agree are written once.
///
/// `samples` holds at most [`FRAGMENT_SAMPLES_MAX`]; a chunk of any real stream has a few
/// hundred at most. Nothing is allocated but the room in `out`.
pub fn fragment_head(
    out: &mut BytesMut,
    track: TrackId,
    sequence_number: u32,
    decode_time: u64,
    samples: &[Sample],
) {
    debug_assert!(samples.len() <= FRAGMENT_SAMPLES_MAX);
    let shape = Shape::of(samples);
    let trun_bytes = shape.trun_bytes(samples.len());
    let traf = HEADER_BYTES + shape.tfhd_bytes() + TFDT_BYTES + trun_bytes;
    let moof = HEADER_BYTES + MFHD_BYTES + traf;
    let mdat_header = if shape.has_small_payload() { 8 } else { 16 };
    out.reserve(moof + mdat_header);

    header(out, moof, b"moof");
    header(out, MFHD_BYTES, b"mfhd");
    out.put_u32(0);
    out.put_u32(sequence_number);

    header(out, traf, b"traf");
    shape.write_tfhd(out, track);
    header(out, TFDT_BYTES, b"tfdt");
    out.put_u32(1 << 24);
    out.put_u64(decode_time);

    header(out, trun_bytes, b"trun");
    out.put_u32(1 << 24 | shape.trun_flags);
    out.put_u32(samples.len() as u32);
    out.put_u32((moof + mdat_header) as u32);
    shape.write_samples(out, samples);

    shape.write_mdat_header(out);
}

/// What the samples of a fragment have in common, and with it the form of `tfhd` and `trun`.
struct Shape {
    tfhd_flags: u32,
    trun_flags: u32,
    default_duration: u32,
    default_size: u32,
    default_flags: u32,
    first_flags: u32,
    payload_len: u64,
}

impl Shape {
    fn of(samples: &[Sample]) -> Self {
        let first = samples.first().copied().unwrap_or_default();
        let rest = samples.get(1).copied().unwrap_or(first);
        let (mut durations, mut sizes, mut flags, mut offsets) = (0, 0, 0, 0);
        let mut payload_len = 0u64;
        for s in samples {
            durations |= s.duration ^ first.duration;
            sizes |= s.size ^ first.size;
            offsets |= s.composition_offset;
            payload_len += u64::from(s.size);
        }
        for s in samples.iter().skip(1) {
            flags |= (s.flags.0 ^ rest.flags.0) & SampleFlags::KEY.0;
        }
        let mut shape = Self {
            tfhd_flags: tfhd::DEFAULT_BASE_IS_MOOF,
            trun_flags: trun::DATA_OFFSET,
            default_duration: first.duration,
            default_size: first.size,
            default_flags: flags_of(&rest),
            first_flags: flags_of(&first),
            payload_len,
        };
        shape.share(
            durations == 0,
            tfhd::DEFAULT_SAMPLE_DURATION,
            trun::SAMPLE_DURATION,
        );
        shape.share(sizes == 0, tfhd::DEFAULT_SAMPLE_SIZE, trun::SAMPLE_SIZE);
        shape.share(flags == 0, tfhd::DEFAULT_SAMPLE_FLAGS, trun::SAMPLE_FLAGS);
        if flags == 0 && shape.first_flags != shape.default_flags {
            shape.trun_flags |= trun::FIRST_SAMPLE_FLAGS;
        }
        if offsets != 0 {
            shape.trun_flags |= trun::SAMPLE_COMPOSITION_TIME_OFFSETS;
        }
        shape
    }

    /// Puts a field into `tfhd` if all samples agree in it, else into `trun`.
    fn share(&mut self, agree: bool, in_tfhd: u32, in_trun: u32) {
        if agree {
            self.tfhd_flags |= in_tfhd;
        } else {
            self.trun_flags |= in_trun;
        }
    }

    fn tfhd_bytes(&self) -> usize {
        let defaults = self.tfhd_flags
            & (tfhd::DEFAULT_SAMPLE_DURATION
                | tfhd::DEFAULT_SAMPLE_SIZE
                | tfhd::DEFAULT_SAMPLE_FLAGS);
        TFHD_BYTES_MIN + 4 * defaults.count_ones() as usize
    }

    fn trun_bytes(&self, samples: usize) -> usize {
        let first = if self.has(trun::FIRST_SAMPLE_FLAGS) {
            4
        } else {
            0
        };
        // The flags from 0x100 up each stand for four bytes of every sample.
        let each = 4 * (self.trun_flags >> 8).count_ones() as usize;
        TRUN_BYTES_MIN + first + each * samples
    }

    fn has(&self, trun_flag: u32) -> bool {
        self.trun_flags & trun_flag != 0
    }

    /// Whether a 32-bit size can hold `mdat`.
    fn has_small_payload(&self) -> bool {
        self.payload_len <= u64::from(u32::MAX) - HEADER_BYTES as u64
    }

    fn write_tfhd(&self, out: &mut BytesMut, track: TrackId) {
        header(out, self.tfhd_bytes(), b"tfhd");
        out.put_u32(self.tfhd_flags);
        out.put_u32(u32::from(track.0));
        if self.tfhd_flags & tfhd::DEFAULT_SAMPLE_DURATION != 0 {
            out.put_u32(self.default_duration);
        }
        if self.tfhd_flags & tfhd::DEFAULT_SAMPLE_SIZE != 0 {
            out.put_u32(self.default_size);
        }
        if self.tfhd_flags & tfhd::DEFAULT_SAMPLE_FLAGS != 0 {
            out.put_u32(self.default_flags);
        }
    }

    fn write_samples(&self, out: &mut BytesMut, samples: &[Sample]) {
        if self.has(trun::FIRST_SAMPLE_FLAGS) {
            out.put_u32(self.first_flags);
        }
        if self.trun_flags >> 8 == 0 {
            return;
        }
        for s in samples {
            if self.has(trun::SAMPLE_DURATION) {
                out.put_u32(s.duration);
            }
            if self.has(trun::SAMPLE_SIZE) {
                out.put_u32(s.size);
            }
            if self.has(trun::SAMPLE_FLAGS) {
                out.put_u32(flags_of(s));
            }
            if self.has(trun::SAMPLE_COMPOSITION_TIME_OFFSETS) {
                out.put_i32(s.composition_offset);
            }
        }
    }

    fn write_mdat_header(&self, out: &mut BytesMut) {
        if self.has_small_payload() {
            header(out, HEADER_BYTES + self.payload_len as usize, b"mdat");
        } else {
            out.put_u32(1);
            out.put_slice(b"mdat");
            out.put_u64(self.payload_len + 2 * HEADER_BYTES as u64);
        }
    }
}

fn flags_of(sample: &Sample) -> u32 {
    if sample.flags.contains(SampleFlags::KEY) {
        sample_flags::SYNC
    } else {
        sample_flags::NON_SYNC
    }
}

fn header(out: &mut BytesMut, size: usize, four_cc: &[u8; 4]) {
    out.put_u32(size as u32);
    out.put_slice(four_cc);
}
