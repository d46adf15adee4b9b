//! Reads what a stream gives out and holds it to its promises.

use super::id_of;
use bytes::Bytes;
use std::collections::HashMap;
use weir_hub::limits::CHUNK_BYTES_MAX;
use weir_hub::{Output, Resume, StreamConfig};
use weir_media::time::rescale;
use weir_media::{Now, Sample, SampleFlags, TrackId, Utc};

/// One sample that came out.
#[derive(Debug, Clone, Copy)]
pub struct Got {
    pub id: u32,
    pub dts: i64,
    pub duration: u32,
    pub composition_offset: i32,
    pub key: bool,
    pub media_sequence: u64,
}

/// One segment or gap that came out.
#[derive(Debug, Clone, Copy)]
pub struct GotSegment {
    pub media_sequence: u64,
    pub gap: bool,
    pub init: u32,
    pub decode_time: i64,
    pub duration: u64,
    pub independent: bool,
    pub discontinuity: bool,
    pub discontinuity_sequence: u64,
    pub utc: Utc,
    pub parts: u32,
}

#[derive(Default)]
struct TrackState {
    scale: u32,
    init: Option<u32>,
    next: Option<u64>,
    /// End of the last sample; none where a new run starts.
    end: Option<i64>,
    /// Decode time, duration and bytes.
    parts: Vec<(i64, u64, usize)>,
    open: Option<(u64, bool, u64, Utc)>,
    fragment: u32,
    utc: Option<Utc>,
    samples: Vec<Got>,
    segments: Vec<GotSegment>,
}

/// See the module.
pub struct Reader {
    config: StreamConfig,
    pub target: Option<u32>,
    tracks: HashMap<TrackId, TrackState>,
    /// Number: discontinuity, discontinuity sequence.
    sequence: HashMap<u64, (bool, u64)>,
    first: u64,
    first_discontinuity: u64,
    resumed: bool,
    pub settled: usize,
    /// Pauses longer than a segment are allowed to leave holes.
    pub holes_allowed: bool,
    pub holes: usize,
    /// Frames come faster than in real time, so that times must go ahead of the clock.
    pub burst: bool,
}

impl Reader {
    pub fn new(config: StreamConfig, first: u64, first_discontinuity: u64) -> Self {
        Self {
            config,
            target: None,
            tracks: HashMap::new(),
            sequence: HashMap::new(),
            first,
            first_discontinuity,
            resumed: false,
            settled: 0,
            holes_allowed: false,
            holes: 0,
            burst: false,
        }
    }

    pub fn resume(&mut self, resume: &Resume) {
        self.resumed = true;
        self.target = resume.target_duration;
        for track in &resume.tracks {
            let state = self.tracks.entry(track.id).or_default();
            state.scale = track.config.timescale();
            state.init = Some(track.init_number);
            state.next = Some(resume.media_sequence);
            state.utc = resume.program_date_time;
        }
    }

    pub fn samples(&self, track: TrackId) -> impl Iterator<Item = &Got> {
        self.tracks.get(&track).into_iter().flat_map(|t| &t.samples)
    }

    pub fn segments(&self, track: TrackId) -> &[GotSegment] {
        self.tracks.get(&track).map_or(&[], |t| &t.segments)
    }

    pub fn init(&self, track: TrackId) -> Option<u32> {
        self.tracks.get(&track)?.init
    }

    /// Seconds of a track's segments.
    pub fn seconds(&self, track: TrackId) -> Vec<f64> {
        let scale = f64::from(self.tracks[&track].scale);
        let segments = self.segments(track).iter();
        segments.map(|s| s.duration as f64 / scale).collect()
    }

    pub fn discontinuities(&self) -> usize {
        self.sequence.values().filter(|s| s.0).count()
    }

    pub fn take(&mut self, output: Output, now: Now) {
        match output {
            Output::Init {
                track,
                number,
                config,
                data,
                ..
            } => {
                let state = self.tracks.entry(track).or_default();
                assert_eq!(number, state.init.map_or(0, |n| n + 1));
                assert!(state.open.is_none(), "init within a segment");
                assert!(data.len() > 100);
                state.init = Some(number);
                if state.scale != config.timescale() {
                    let end = |e| rescale(e, state.scale, config.timescale());
                    state.end = state.end.map(end);
                    state.scale = config.timescale();
                }
            }
            Output::Chunk { .. } => self.chunk(output, now),
            Output::Segment { .. } => self.segment(output, now),
            Output::Gap { .. } => self.gap(output, now),
            Output::Settled => self.settled += 1,
            _ => {}
        }
    }

    fn note_sequence(&mut self, number: u64, discontinuity: bool, sequence: u64) {
        let known = self
            .sequence
            .entry(number)
            .or_insert((discontinuity, sequence));
        assert_eq!(*known, (discontinuity, sequence), "segment {number}");
        // A track may be ahead of the other, so that numbers come in any order.
        assert!(number >= self.first, "numbers start at the origin");
        if number == self.first {
            assert_eq!(discontinuity, self.resumed);
            let start = self.first_discontinuity + u64::from(discontinuity);
            assert_eq!(sequence, start);
        }
        for (a, b) in [(number.wrapping_sub(1), number), (number, number + 1)] {
            if let (Some(a), Some(b)) = (self.sequence.get(&a), self.sequence.get(&b)) {
                assert_eq!(b.1, a.1 + u64::from(b.0), "segment {number}");
            }
        }
    }

    /// No number was left out.
    pub fn assert_all_numbers(&self) {
        for number in self.first..self.first + self.sequence.len() as u64 {
            assert!(self.sequence.contains_key(&number), "{number}");
        }
    }

    fn chunk(&mut self, output: Output, now: Now) {
        let Output::Chunk {
            track,
            media_sequence,
            part,
            init,
            head,
            payload,
            samples,
            decode_time,
            duration,
            independent,
            received_at,
            discontinuity,
            discontinuity_sequence,
            program_date_time,
        } = output
        else {
            unreachable!()
        };
        self.note_sequence(media_sequence, discontinuity, discontinuity_sequence);
        let part_max = self.config.part.as_micros() as i64;
        let (holes_allowed, burst) = (self.holes_allowed, self.burst);
        let state = self.tracks.get_mut(&track).expect("init first");
        assert_eq!(Some(init), state.init);
        assert!(received_at <= now.mono);
        let open = (
            media_sequence,
            discontinuity,
            discontinuity_sequence,
            program_date_time,
        );
        if part == 0 {
            assert!(state.open.is_none() && state.parts.is_empty());
            assert!(burst || program_date_time <= now.utc, "ahead of now");
            state.open = Some(open);
        }
        assert_eq!(state.open, Some(open));
        assert_eq!(part as usize, state.parts.len());

        assert!(!samples.is_empty() && samples.len() == payload.len());
        let sum: u64 = samples.iter().map(|s| u64::from(s.duration)).sum();
        assert_eq!(sum, duration);
        assert!(samples.iter().all(|s| s.duration > 0));
        let key = |s: &Sample| s.flags.contains(SampleFlags::KEY);
        assert_eq!(independent, samples.iter().any(key));
        let first = part == 0 && discontinuity;
        let hole = state.continues(decode_time, duration, first);
        self.holes += usize::from(hole);
        assert!(holes_allowed || !hole, "hole in {track:?}");
        state.part_is_full(part_max, decode_time, &samples, hole);
        check_head(&head, &payload, decode_time, &mut state.fragment);

        state.keep(decode_time, &samples, &payload, media_sequence);
    }

    fn segment(&mut self, output: Output, _now: Now) {
        let Output::Segment {
            track,
            media_sequence,
            init,
            decode_time,
            duration,
            independent,
            discontinuity,
            discontinuity_sequence,
            program_date_time,
            target_duration,
        } = output
        else {
            unreachable!()
        };
        self.same_target(target_duration);
        let state = self.tracks.get_mut(&track).expect("init first");
        let open = (
            media_sequence,
            discontinuity,
            discontinuity_sequence,
            program_date_time,
        );
        assert_eq!(
            state.open.take(),
            Some(open),
            "chunks belong to their segment"
        );
        assert_eq!(state.init, Some(init));
        let parts = std::mem::take(&mut state.parts);
        assert_eq!(parts[0].0, decode_time);
        assert_eq!(parts.iter().map(|p| p.1).sum::<u64>(), duration);
        let rounded = (duration * 2 + u64::from(state.scale)) / (2 * u64::from(state.scale));
        assert!(rounded <= u64::from(target_duration), "{duration} ticks");
        let first = state
            .samples
            .iter()
            .find(|s| s.media_sequence == media_sequence)
            .unwrap();
        assert_eq!(first.key, independent);
        let segment = GotSegment {
            media_sequence,
            gap: false,
            init,
            decode_time,
            duration,
            independent,
            discontinuity,
            discontinuity_sequence,
            utc: program_date_time,
            parts: parts.len() as u32,
        };
        state.list(segment);
    }

    fn gap(&mut self, output: Output, now: Now) {
        let Output::Gap {
            track,
            media_sequence,
            decode_time,
            duration,
            discontinuity,
            discontinuity_sequence,
            program_date_time,
            target_duration,
        } = output
        else {
            unreachable!()
        };
        self.note_sequence(media_sequence, discontinuity, discontinuity_sequence);
        self.same_target(target_duration);
        let state = self.tracks.get_mut(&track).expect("init first");
        assert!(state.open.is_none(), "a gap has no chunks");
        assert!(self.burst || program_date_time <= now.utc, "ahead of now");
        assert!(duration > 0);
        let rounded = (duration * 2 + u64::from(state.scale)) / (2 * u64::from(state.scale));
        assert!(rounded <= u64::from(target_duration));
        state.end = None;
        let segment = GotSegment {
            media_sequence,
            gap: true,
            init: state.init.unwrap(),
            decode_time,
            duration,
            independent: false,
            discontinuity,
            discontinuity_sequence,
            utc: program_date_time,
            parts: 0,
        };
        state.list(segment);
    }

    fn same_target(&mut self, target: u32) {
        assert!((1..=10).contains(&target));
        assert_eq!(*self.target.get_or_insert(target), target);
    }

    /// All tracks list the same segments; audio begins where video does, or just after, from
    /// segment `from` on: where it came early, its first is shortened to fit the target.
    pub fn assert_aligned(&self, from: usize) {
        let (video, audio) = (self.segments(super::VIDEO), self.segments(super::AUDIO));
        assert_eq!(video.len(), audio.len());
        let rate = i128::from(self.tracks[&super::AUDIO].scale);
        for (v, a) in video.iter().zip(audio).skip(from) {
            assert_eq!(v.media_sequence, a.media_sequence);
            if a.gap || v.gap {
                continue;
            }
            let late = i128::from(a.decode_time) * 90_000 - i128::from(v.decode_time) * rate;
            assert!(
                late >= 0,
                "segment {}: audio cuts before the boundary",
                v.media_sequence
            );
            assert!(
                late < 1024 * 90_000 + 90_000 * rate / 1000,
                "audio cuts late"
            );
        }
    }
}

impl TrackState {
    /// A chunk follows the one before; `true` if it left a hole. After a discontinuity it
    /// may.
    fn continues(&mut self, decode_time: i64, duration: u64, discontinuity: bool) -> bool {
        let end = self.end.replace(decode_time + duration as i64);
        let end = end.unwrap_or(decode_time);
        assert!(decode_time >= end, "overlap of {}", end - decode_time);
        decode_time > end && !discontinuity
    }

    /// All parts but the last of a segment are full, or the next frame did not fit.
    fn part_is_full(&mut self, part_us: i64, decode_time: i64, samples: &[Sample], hole: bool) {
        let part = rescale(part_us, 1_000_000, self.scale);
        let duration: u64 = samples.iter().map(|s| u64::from(s.duration)).sum();
        let single = samples.len() == 1;
        assert!(duration as i64 <= part || single, "part too long");
        if let Some(&(_, before, bytes_before)) = self.parts.last() {
            let next = i64::from(samples[0].duration);
            let large = bytes_before + samples[0].size as usize > CHUNK_BYTES_MAX;
            let full = before as i64 * 100 >= part * 85 || before as i64 + next > part;
            assert!(full || large || hole, "part of {before}");
        }
        let bytes = samples.iter().map(|s| s.size as usize).sum();
        self.parts.push((decode_time, duration, bytes));
    }

    fn keep(&mut self, mut dts: i64, samples: &[Sample], payload: &[Bytes], segment: u64) {
        for (sample, bytes) in samples.iter().zip(payload) {
            assert_eq!(sample.size as usize, bytes.len());
            self.samples.push(Got {
                id: id_of(bytes),
                dts,
                duration: sample.duration,
                composition_offset: sample.composition_offset,
                key: sample.flags.contains(SampleFlags::KEY),
                media_sequence: segment,
            });
            dts += i64::from(sample.duration);
        }
    }

    fn list(&mut self, segment: GotSegment) {
        if let Some(next) = self.next {
            assert_eq!(segment.media_sequence, next, "numbers are consecutive");
        }
        self.next = Some(segment.media_sequence + 1);
        if let Some(before) = self.utc {
            assert!(segment.utc > before, "program date-time went back");
        }
        self.utc = Some(segment.utc);
        self.segments.push(segment);
    }
}

/// `moof` and `mdat` as ISO/IEC 14496-12 has them, as far as it matters here.
fn check_head(head: &[u8], payload: &[Bytes], decode_time: i64, fragment: &mut u32) {
    let word = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
    let moof = word(0) as usize;
    assert_eq!(&head[4..8], b"moof");
    assert_eq!(&head[12..16], b"mfhd");
    assert!(word(20) > *fragment, "sequence_number rises");
    *fragment = word(20);
    let size: usize = payload.iter().map(Bytes::len).sum();
    assert_eq!(word(moof) as usize, size + 8);
    assert_eq!(&head[moof + 4..moof + 8], b"mdat");
    assert_eq!(head.len(), moof + 8);
    let tfdt = head.windows(4).position(|w| w == b"tfdt").unwrap();
    let time = head[tfdt + 8..tfdt + 16].try_into().unwrap();
    assert_eq!(u64::from_be_bytes(time), decode_time as u64);
}
