//! A paced transport stream into `srt-live-transmit`, which publishes it.

use super::count::{Count, Counter};
use super::peer::Transmit;
use crate::Result;
use crate::clip::{AAC_FRAME, Clip, FRAME_RATE, SAMPLE_RATE};
use bytes::Bytes;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use weir_media::{Frame, Sample, SampleFlags};
use weir_ts::{TrackSegment, mux_segment, payload_packets};

/// What a datagram of SRT carries: seven packets.
const CHUNK_BYTES: usize = 7 * 188;

/// Part of a stream's bits that are pictures.
const VIDEO_PERCENT: u64 = 96;

/// The publisher; it ends with this value.
#[derive(Debug)]
pub struct Source {
    /// Ended first, so that a write to it ends too.
    transmit: Option<Transmit>,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Source {
    /// Publishes `bit_rate` bits per second to `uri`.
    pub fn start(bit_rate: u64, uri: &str) -> Result<Self> {
        let video_rate = bit_rate / 100 * VIDEO_PERCENT;
        let clip = Clip::new(video_rate, 1).map_err(|e| e.to_string())?;
        let mut transmit = Transmit::start("file://con", uri)?;
        let mut pipe = transmit.stdin()?;
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (stopped, count): (_, Arc<AtomicU64>) = (stop.clone(), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let (mut muxer, mut counter) = (Muxer::new(clip), Counter::new());
            let (start, mut second) = (Instant::now(), 0u32);
            while !stopped.load(Ordering::Relaxed) {
                let bytes = muxer.second();
                let chunks = bytes.chunks(CHUNK_BYTES);
                let total = chunks.len() as u32;
                for (i, chunk) in (0..).zip(chunks) {
                    // Evenly over the second, as a multiplexer of constant rate would.
                    let due =
                        Duration::from_secs(second.into()) + Duration::from_secs(1) * i / total;
                    let early = due.saturating_sub(start.elapsed());
                    if early >= Duration::from_millis(1) {
                        std::thread::sleep(early);
                    }
                    if pipe.write_all(chunk).is_err() {
                        return;
                    }
                    count.store(counter.take(chunk).video, Ordering::Relaxed);
                }
                second += 1;
            }
        });
        Ok(Self {
            transmit: Some(transmit),
            stop,
            sent,
            thread: Some(thread),
        })
    }

    /// What it has sent.
    pub fn count(&self) -> Count {
        Count {
            video: self.sent.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.transmit = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Muxes a clip, second by second.
struct Muxer {
    clip: Clip,
    seconds: u64,
    /// Transport stream packets of each track so far, and frames of sound.
    packets: [u64; 2],
    sounds: u64,
    out: Vec<u8>,
}

impl Muxer {
    fn new(clip: Clip) -> Self {
        Self {
            clip,
            seconds: 0,
            packets: [0; 2],
            sounds: 0,
            out: Vec::new(),
        }
    }

    fn second(&mut self) -> &[u8] {
        let first = self.seconds * FRAME_RATE;
        let pictures: Vec<Frame> = (first..first + FRAME_RATE)
            .map(|i| self.clip.picture(i))
            .collect();
        let until = (self.seconds + 1) * SAMPLE_RATE / AAC_FRAME;
        let sounds: Vec<Frame> = (self.sounds..until).map(|i| self.clip.sound(i)).collect();
        let times = [
            pictures.first().map_or(0, |f| f.dts) + 900_000,
            sounds.first().map_or(0, |f| f.dts) + 480_000,
        ];
        let samples = [samples(&pictures, 3000), samples(&sounds, AAC_FRAME as u32)];
        let payloads = [&pictures, &sounds].map(|frames| {
            frames
                .iter()
                .map(|f| f.payload.clone())
                .collect::<Vec<Bytes>>()
        });
        let configs = [self.clip.video(), self.clip.audio()];
        let tracks = [0, 1].map(|i| TrackSegment {
            config: configs[i],
            decode_time: times[i],
            packets_before: self.packets[i],
            samples: &samples[i],
            payload: &payloads[i],
        });
        self.out.clear();
        // The clip is what the muxer takes: its own tests say so.
        if let Err(e) = mux_segment(self.seconds, &tracks, &mut self.out) {
            eprintln!("VOID: the source cannot be muxed: {e}");
        }
        for i in [0, 1] {
            self.packets[i] += payload_packets(configs[i], &samples[i]);
        }
        self.seconds += 1;
        self.sounds = until;
        &self.out
    }
}

fn samples(frames: &[Frame], duration: u32) -> Vec<Sample> {
    let of = |frame: &Frame| Sample {
        size: frame.payload.len() as u32,
        duration,
        composition_offset: 0,
        flags: SampleFlags::of(frame.key, false, false),
    };
    frames.iter().map(of).collect()
}
