//! What can be told of a track only by walking all its samples.

use crate::track::Track;

/// Counts over the samples of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Samples.
    pub frames: u64,
    /// Random access points.
    pub key_frames: u64,
    /// Bytes of all samples.
    pub bytes: u64,
    /// Decoding time of the first sample, in ticks; `None` without samples.
    pub first_dts: Option<i64>,
    /// Decoding time of the last sample, in ticks.
    pub last_dts: Option<i64>,
    /// Earliest presentation time, in ticks.
    pub pts_min: Option<i64>,
    /// Fewest samples from one random access point to the next; `None` with fewer than two.
    pub gop_frames_min: Option<u64>,
    /// Most samples from one random access point to the next or to the end; `None` without.
    pub gop_frames_max: Option<u64>,
    /// Sum of the durations, in ticks; saturated.
    pub duration: u64,
    /// What is wrong.
    pub faults: Faults,
}

/// Samples that are not as they have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Samples decoded before the one in front of them.
    pub dts_back: u64,
    /// Samples decoded at the same time as the one in front of them.
    pub dts_repeated: u64,
    /// Samples that do not lie inside the file.
    pub out_of_file: u64,
    /// Samples that have a size, but no chunk.
    pub without_chunk: u64,
}

impl Summary {
    pub(crate) fn of(track: &Track) -> Self {
        let mut this = Self::default();
        let mut since_key = None;
        for sample in track.samples() {
            match this.last_dts {
                Some(last) if sample.dts < last => this.faults.dts_back += 1,
                Some(last) if sample.dts == last => this.faults.dts_repeated += 1,
                _ => {}
            }
            if sample.sync {
                this.key_frames += 1;
                this.close_gop(since_key, false);
                since_key = Some(0);
            }
            since_key = since_key.map(|n| n + 1);
            this.faults.out_of_file += u64::from(sample.offset.is_none());
            this.frames += 1;
            this.bytes += u64::from(sample.size);
            this.duration = this.duration.saturating_add(u64::from(sample.duration));
            this.first_dts.get_or_insert(sample.dts);
            this.last_dts = Some(sample.dts);
            let pts = sample.pts();
            this.pts_min = Some(this.pts_min.map_or(pts, |min| min.min(pts)));
        }
        this.close_gop(since_key, true);
        let in_fragments: u64 = track
            .runs
            .iter()
            .map(|r| u64::from(r.trun.sample_count))
            .sum();
        let claimed = u64::from(track.tables.sizes.count) + in_fragments;
        this.faults.without_chunk = claimed.saturating_sub(this.frames);
        this
    }

    /// Takes the length of a group of pictures in. The last may have been cut short: it says
    /// nothing about the minimum.
    fn close_gop(&mut self, frames: Option<u64>, last: bool) {
        if frames.is_none() {
            return;
        }
        self.gop_frames_max = self.gop_frames_max.max(frames);
        if !last {
            self.gop_frames_min = self.gop_frames_min.min(frames).or(frames);
        }
    }
}
