//! CMAF chunks as `mp4-atom` reads them. ffprobe reports a guess for the durations of
//! packets that have composition offsets; what is written stands here.

use mp4_atom::{Decode, Header, Moof};

/// One sample of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Decoding time in ticks of the track.
    pub dts: u64,
    /// Duration in ticks of the track.
    pub duration: u32,
    /// Bytes.
    pub size: u32,
}

/// The samples of a segment, in order.
///
/// # Panics
/// If the segment is not a sequence of `moof` and `mdat` with all that CMAF demands, or its
/// `mdat`s are not as long as their samples together.
pub fn samples(segment: &[u8]) -> Vec<Sample> {
    let mut rest = segment;
    let mut samples = Vec::new();
    while !rest.is_empty() {
        let moof = Moof::decode(&mut rest).unwrap();
        let [traf] = &moof.traf[..] else {
            panic!("a chunk has one traf: {moof:?}")
        };
        let mut dts = traf
            .tfdt
            .as_ref()
            .expect("a tfdt in every traf")
            .base_media_decode_time;
        let mut bytes = 0;
        for entry in traf.trun.iter().flat_map(|t| t.samples.iter()) {
            let duration = entry
                .duration
                .or(traf.tfhd.default_sample_duration)
                .unwrap();
            let size = entry.size.or(traf.tfhd.default_sample_size).unwrap();
            samples.push(Sample {
                dts,
                duration,
                size,
            });
            dts += u64::from(duration);
            bytes += size as usize;
        }
        let mdat = Header::decode(&mut rest).unwrap();
        assert_eq!(
            mdat.size,
            Some(bytes),
            "mdat holds its samples and nothing else"
        );
        rest = &rest[bytes..];
    }
    samples
}
