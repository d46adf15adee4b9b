//! The samples of a track one by one, straight from the tables of the file.

use crate::boxes::run_length::RunLength;
use crate::boxes::stsc::SamplesPerChunk;
use crate::boxes::stss::SyncSamples;
use crate::moof::Run;
use crate::track::{Tables, Track};

/// One sample of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSample {
    /// Where its bytes begin in the file; `None` if not all of them lie inside the file.
    pub offset: Option<u64>,
    /// Size in bytes.
    pub size: u32,
    /// Decoding time in ticks of the track's timescale; saturated.
    pub dts: i64,
    /// Presentation minus decoding time, in ticks.
    pub composition_offset: i32,
    /// Time to the next sample, in ticks.
    pub duration: u32,
    /// Random access point.
    pub sync: bool,
    /// Which of the track's descriptions it is coded by, from 1.
    pub description_index: u32,
}

impl FileSample {
    /// Presentation time in ticks of the track's timescale; saturated.
    #[must_use]
    pub fn pts(&self) -> i64 {
        self.dts.saturating_add(i64::from(self.composition_offset))
    }
}

/// Iterator over the samples of a track. It allocates nothing and always ends.
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    tables: TableSamples<'a>,
    runs: std::slice::Iter<'a, Run>,
    run: Option<RunSamples<'a>>,
    file_len: u64,
}

impl<'a> Samples<'a> {
    pub(crate) fn new(track: &'a Track) -> Self {
        Self {
            tables: TableSamples::new(&track.tables),
            runs: track.runs.iter(),
            run: None,
            file_len: track.file_len,
        }
    }

    /// Decoding time after the last sample of the tables.
    pub(crate) fn end_of_tables(mut self) -> i64 {
        while self.tables.next().is_some() {}
        self.tables.dts
    }
}

impl Iterator for Samples<'_> {
    type Item = FileSample;

    fn next(&mut self) -> Option<FileSample> {
        let mut sample = self.tables.next();
        while sample.is_none() {
            sample = self.run.as_mut().and_then(RunSamples::next);
            if sample.is_none() {
                self.run = Some(self.runs.next()?.samples());
            }
        }
        let mut sample = sample?;
        sample.offset = sample.offset.filter(|start| {
            let end = start.checked_add(u64::from(sample.size));
            end.is_some_and(|end| end <= self.file_len)
        });
        Some(sample)
    }
}

/// The samples of `stbl`.
#[derive(Debug, Clone)]
struct TableSamples<'a> {
    tables: &'a Tables,
    per_chunk: SamplesPerChunk<'a>,
    durations: RunLength<'a>,
    composition_offsets: RunLength<'a>,
    sync: SyncSamples<'a>,
    index: u32,
    chunk: u32,
    left_in_chunk: u32,
    description_index: u32,
    /// `None` once a chunk reached past 64 bits.
    offset: Option<u64>,
    dts: i64,
}

impl<'a> TableSamples<'a> {
    fn new(tables: &'a Tables) -> Self {
        Self {
            tables,
            per_chunk: SamplesPerChunk::new(&tables.samples_per_chunk),
            durations: RunLength::new(&tables.durations),
            composition_offsets: RunLength::new(&tables.composition_offsets),
            sync: SyncSamples::new(tables.sync_samples.as_ref()),
            index: 0,
            chunk: 0,
            left_in_chunk: 0,
            description_index: 0,
            offset: None,
            dts: 0,
        }
    }

    fn next(&mut self) -> Option<FileSample> {
        let size = self.tables.sizes.size(self.index)?;
        while self.left_in_chunk == 0 {
            self.offset = Some(self.tables.chunk_offsets.offset(self.chunk)?);
            (self.left_in_chunk, self.description_index) = self.per_chunk.next_chunk();
            self.chunk += 1;
        }
        self.left_in_chunk -= 1;
        self.index += 1;
        let sample = FileSample {
            offset: self.offset,
            size,
            dts: self.dts,
            composition_offset: self.composition_offsets.next().unwrap_or(0) as i32,
            duration: self.durations.next().unwrap_or(0),
            sync: self.sync.contains(self.index),
            description_index: self.description_index,
        };
        self.offset = self.offset.and_then(|o| o.checked_add(u64::from(size)));
        self.dts = self.dts.saturating_add(i64::from(sample.duration));
        Some(sample)
    }
}

/// The samples of one run of a fragment.
#[derive(Debug, Clone)]
pub(crate) struct RunSamples<'a> {
    run: &'a Run,
    index: u32,
    /// `None` once the run reached past 64 bits.
    offset: Option<u64>,
    dts: i64,
}

impl Run {
    pub(crate) fn samples(&self) -> RunSamples<'_> {
        RunSamples {
            run: self,
            index: 0,
            offset: Some(self.data_offset),
            dts: self.decode_time,
        }
    }

    /// Data offset and decoding time after the last sample; no offset past 64 bits.
    pub(crate) fn end(&self) -> (Option<u64>, i64) {
        let mut samples = self.samples();
        if self.trun.is_uniform() {
            let count = u64::from(self.trun.sample_count);
            // Neither product of two 32-bit numbers overflows 64 bits.
            let bytes = count * u64::from(self.defaults.size);
            let ticks = count * u64::from(self.defaults.duration);
            return (
                self.data_offset.checked_add(bytes),
                self.decode_time.saturating_add_unsigned(ticks),
            );
        }
        while samples.next().is_some() {}
        (samples.offset, samples.dts)
    }
}

impl RunSamples<'_> {
    fn next(&mut self) -> Option<FileSample> {
        let s = self.run.trun.sample(self.index, self.run.defaults)?;
        let sample = FileSample {
            offset: self.offset,
            size: s.size,
            dts: self.dts,
            composition_offset: s.composition_offset,
            duration: s.duration,
            sync: s.sync,
            description_index: self.run.description_index,
        };
        self.index += 1;
        self.offset = self.offset.and_then(|o| o.checked_add(u64::from(s.size)));
        self.dts = self.dts.saturating_add(i64::from(s.duration));
        Some(sample)
    }
}
