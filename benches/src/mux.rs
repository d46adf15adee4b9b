//! Muxing from frames in memory, on one core, by the processor time of the thread.

use crate::clip::{AAC_FRAME, Clip, FRAME_RATE, SAMPLE_RATE};
use crate::table::{Series, Table, verdict};
use crate::usage::thread_run;
use crate::{Result, cores};
use bytes::{Bytes, BytesMut};
use std::hint::black_box;
use std::time::Duration;
use weir_hub::{Announced, Origin, Stream, StreamConfig};
use weir_media::{Frame, Mono, Now, Sample, SampleFlags, TrackId, Utc};
use weir_mp4::fragment_head;
use weir_ts::{TrackSegment, mux_segment};

/// Gigabytes of payload per second, bytes per nanosecond, that the TS muxer promises.
const TS_MIN: f64 = 2.0;

/// Nanoseconds per frame that the fMP4 muxer promises at most.
const FMP4_MAX: f64 = 150.0;

/// Length of a muxed segment, in seconds.
const SEGMENT_SECONDS: u64 = 4;

const GOP_SECONDS: u64 = 2;

/// Measurements of each thing, and processor time of each at least.
const MEASUREMENTS: usize = 9;
const MEASUREMENT_MIN: Duration = Duration::from_millis(100);

/// Runs the benchmark and prints its table.
pub fn run() -> Result<()> {
    cores::pin(cores::server())?;
    let mut table = Table::new(&["what", "unit", "median (min..max)", "promise", ""]);
    for mbit in [5, 50] {
        let clip = Clip::new(mbit * 1_000_000, GOP_SECONDS).map_err(|e| e.to_string())?;
        transport_stream(&clip, mbit, &mut table)?;
    }
    let clip = Clip::new(5_000_000, GOP_SECONDS).map_err(|e| e.to_string())?;
    fragments(&mut table)?;
    hub(&clip, &mut table)?;
    table.print("mux: from frames in memory, one core");
    Ok(())
}

/// Nanoseconds of processor time that a call of `work` takes, several times.
fn measure(mut work: impl FnMut() -> Result<()>) -> Result<Series> {
    let mut series = Series::default();
    // Not measured: pages, caches and branches get warm.
    work()?;
    for _ in 0..MEASUREMENTS {
        let (start, mut calls) = (thread_run()?, 0u32);
        let mut used = Duration::ZERO;
        while used < MEASUREMENT_MIN {
            // The clock is a file: asked rarely.
            for _ in 0..8 {
                work()?;
            }
            calls += 8;
            used = thread_run()?.saturating_sub(start);
        }
        series.push(used.as_nanos() as f64 / f64::from(calls));
    }
    Ok(series)
}

/// A segment as the server muxes it when a viewer asks, beside a copy of its payload.
fn transport_stream(clip: &Clip, mbit: u64, table: &mut Table) -> Result<()> {
    let frames = SEGMENT_SECONDS * FRAME_RATE;
    let pictures: Vec<Frame> = (0..frames).map(|i| clip.picture(i)).collect();
    let sounds = SEGMENT_SECONDS * SAMPLE_RATE / AAC_FRAME;
    let sounds: Vec<Frame> = (0..sounds).map(|i| clip.sound(i)).collect();
    let payload = |frames: &[Frame]| frames.iter().map(|f| f.payload.clone()).collect::<Vec<_>>();
    let (video, audio) = (samples(&pictures, 3000), samples(&sounds, AAC_FRAME as u32));
    let (video_payload, audio_payload) = (payload(&pictures), payload(&sounds));
    let tracks = [
        TrackSegment {
            config: clip.video(),
            decode_time: 900_000,
            packets_before: 0,
            samples: &video,
            payload: &video_payload,
        },
        TrackSegment {
            config: clip.audio(),
            decode_time: 480_000,
            packets_before: 0,
            samples: &audio,
            payload: &audio_payload,
        },
    ];
    let payload = video_payload.iter().chain(&audio_payload);
    let bytes: usize = payload.map(Bytes::len).sum();
    let [used, new, copied] = mux_and_copy(&tracks)?;
    let mut row = |what: &str, nanoseconds: &Series, is_promised: bool| {
        let rate = nanoseconds.rate(bytes as f64);
        let (promise, word) = if is_promised {
            (format!(">= {TS_MIN:.1}"), verdict(rate.median() >= TS_MIN))
        } else {
            (String::new(), "")
        };
        let what = format!("TS, {mbit} Mbit/s, {what}");
        table.row(&[
            what,
            "GB/s of payload".into(),
            rate.show(2),
            promise,
            word.into(),
        ]);
    };
    row("into a used buffer", &used, true);
    row("into a new buffer", &new, false);
    row("payload copied only", &copied, false);
    Ok(())
}

/// Nanoseconds of muxing into a buffer that is used again, into a new one, and of copying.
fn mux_and_copy(tracks: &[TrackSegment<'_, Bytes>]) -> Result<[Series; 3]> {
    let mut out = Vec::new();
    let copied = measure(|| {
        out.clear();
        for part in tracks.iter().flat_map(|t| t.payload) {
            out.extend_from_slice(part);
        }
        black_box(&out);
        Ok(())
    })?;
    let used = measure(|| {
        out.clear();
        mux_segment(1, tracks, &mut out).map_err(|e| e.to_string())?;
        black_box(&out);
        Ok(())
    })?;
    let new = measure(|| {
        let mut out = Vec::new();
        mux_segment(1, tracks, &mut out).map_err(|e| e.to_string())?;
        black_box(&out);
        Ok(())
    })?;
    Ok([used, new, copied])
}

fn samples(frames: &[Frame], duration: u32) -> Vec<Sample> {
    let sample = |frame: &Frame| Sample {
        size: frame.payload.len() as u32,
        duration,
        composition_offset: 0,
        flags: if frame.key {
            SampleFlags::KEY
        } else {
            SampleFlags::default()
        },
    };
    frames.iter().map(sample).collect()
}

/// Heads of chunks of half a second: B-frames and times in milliseconds, the dearest form;
/// and AAC.
fn fragments(table: &mut Table) -> Result<()> {
    let video: Vec<Sample> = (0..15u32)
        .map(|i| Sample {
            size: 20_000 + i * 37 % 1_000,
            duration: if i % 3 == 0 { 3_060 } else { 2_970 },
            composition_offset: [6_000, 15_000, 6_000, 0, 3_000][i as usize % 5],
            flags: SampleFlags(u32::from(i == 0)),
        })
        .collect();
    let audio: Vec<Sample> = (0..23u32)
        .map(|i| Sample {
            size: 340 + i * 7 % 40,
            duration: AAC_FRAME as u32,
            composition_offset: 0,
            flags: SampleFlags::KEY,
        })
        .collect();
    for (what, samples) in [("video", video), ("audio", audio)] {
        let mut out = BytesMut::with_capacity(4096);
        let chunk = measure(|| {
            for _ in 0..100 {
                out.clear();
                fragment_head(&mut out, TrackId(1), 7, 900_000, black_box(&samples));
                black_box(&out);
            }
            Ok(())
        })?;
        let frame = chunk.scaled(1.0 / (100 * samples.len()) as f64);
        table.row(&[
            format!("fMP4, {what}: head of a chunk"),
            "ns per frame".into(),
            frame.show(1),
            format!("<= {FMP4_MAX}"),
            verdict(frame.median() <= FMP4_MAX).into(),
        ]);
    }
    Ok(())
}

/// From the session's frame to the store's chunk: timeline, segmenter, fMP4.
fn hub(clip: &Clip, table: &mut Table) -> Result<()> {
    const SECONDS: u64 = 60;
    let mut frames: Vec<(u64, Frame)> = (0..SECONDS * FRAME_RATE)
        .map(|i| (i * 1_000_000 / FRAME_RATE, clip.picture(i)))
        .collect();
    let sounds = SECONDS * SAMPLE_RATE / AAC_FRAME;
    frames.extend((0..sounds).map(|i| (i * AAC_FRAME * 1_000_000 / SAMPLE_RATE, clip.sound(i))));
    frames.sort_by_key(|(time, _)| *time);
    let minute = measure(|| {
        let mut stream = Stream::new(StreamConfig::default(), Origin::default(), now(0));
        let announced = Announced {
            video: Some(true),
            audio: Some(true),
        };
        stream.handle_publish(announced, now(0));
        for config in [clip.video(), clip.audio()] {
            let track = TrackId::source(config.kind());
            stream.handle_config(track, config.clone(), now(0));
        }
        for (time, frame) in &frames {
            stream.handle_frame(frame.clone(), now(*time));
            while let Some(output) = stream.poll_output() {
                black_box(output);
            }
        }
        Ok(())
    })?;
    table.row(&[
        "hub: frame to chunk, fMP4 included".to_owned(),
        "ns per frame".into(),
        minute.scaled(1.0 / frames.len() as f64).show(1),
        String::new(),
        String::new(),
    ]);
    Ok(())
}

fn now(microseconds: u64) -> Now {
    Now {
        mono: Mono(microseconds),
        utc: Utc(1_795_214_761_250_000).plus_us(microseconds as i64),
    }
}
