//! What a stream shows while nobody publishes: a clip, over and over, in real time.
//!
//! The clip is published like a stream of its own, with its own codecs and size, so that all outputs
//! and viewers stay: they see one discontinuity when it begins, and one when the publisher is back.

use crate::clock;
use crate::limits::{SLATE_BYTES_MAX, SLATE_LENGTH_MIN};
use crate::stream::LiveStream;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tracing::info;
use weir_hub::Announced;
use weir_media::codec::VIDEO_TIMESCALE;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};
use weir_ring::Either;
use weir_rtmp::demux::{Demuxer, Media};
use weir_rtmp::flv::{Reader, TagKind};

/// Microseconds: the clock that frames are due by.
const MICROS: u32 = 1_000_000;

/// A clip, and for how long it is shown.
#[derive(Clone)]
pub struct Slate {
    clip: Arc<Clip>,
    /// How long at most it is shown each time.
    pub most: Duration,
}

/// A clip in memory: at most [`SLATE_BYTES_MAX`], and 100 bytes for each frame.
struct Clip {
    configs: Vec<CodecConfig>,
    /// In the order of their times, which count from 0.
    frames: Vec<Frame>,
    /// Length of one round, in ticks of that many a second.
    length: (i64, u32),
}

impl Slate {
    /// Reads an FLV file, whose codecs may be any that can be published.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(file: &Path, most: Duration) -> Result<Self, String> {
        let failed = |why: &dyn fmt::Display| format!("slate {}: {why}", file.display());
        let opened = std::fs::File::open(file).map_err(|e| failed(&e))?;
        let mut bytes = Vec::new();
        let mut bounded = opened.take(SLATE_BYTES_MAX + 1);
        bounded.read_to_end(&mut bytes).map_err(|e| failed(&e))?;
        if bytes.len() as u64 > SLATE_BYTES_MAX {
            return Err(failed(&"it is longer than 64 MiB"));
        }
        let clip = Arc::new(Clip::read(&bytes).map_err(|e| failed(&e))?);
        Ok(Self { clip, most })
    }
}

impl fmt::Debug for Slate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frames = self.clip.frames.len();
        write!(f, "slate of {frames} frames")
    }
}

impl Clip {
    fn read(mut bytes: &[u8]) -> Result<Self, String> {
        let (mut reader, mut demuxer) = (Reader::new(), Demuxer::new());
        let (mut configs, mut frames) = (Vec::new(), Vec::new());
        while let Some(tag) = reader.next_tag(&mut bytes).map_err(|e| e.to_string())? {
            match tag.kind {
                TagKind::Video => demuxer.handle_video(tag.timestamp, tag.body, Mono(0)),
                TagKind::Audio => demuxer.handle_audio(tag.timestamp, tag.body, Mono(0)),
                _ => {}
            }
            while let Some(media) = demuxer.poll_media() {
                match media {
                    Media::Config { track, config } if track == TrackId::source(config.kind()) => {
                        if configs
                            .iter()
                            .any(|c: &CodecConfig| c.kind() == config.kind())
                        {
                            return Err("its codec configuration changes".into());
                        }
                        configs.push(config);
                    }
                    Media::Frame(frame) if frame.track == TrackId::source(frame.kind) => {
                        frames.push(frame);
                    }
                    Media::Fault(fault) => return Err(fault.to_string()),
                    _ => {}
                }
            }
        }
        Self::new(configs, &frames)
    }

    fn new(configs: Vec<CodecConfig>, frames: &[Frame]) -> Result<Self, String> {
        let of = |kind| frames.iter().filter(move |f| f.kind == kind);
        let (video, video_length) = pictures(of(TrackKind::Video));
        let audio_config = configs.iter().find(|c| c.kind() == TrackKind::Audio);
        let (mut audio, mut length) = (Vec::new(), (video_length, VIDEO_TIMESCALE));
        if let Some(config) = audio_config {
            let rate = config.timescale();
            let most = match video.is_empty() {
                true => i64::MAX,
                false => rescale(video_length, VIDEO_TIMESCALE, rate),
            };
            let (sounds, sound_length, last) = sounds(of(TrackKind::Audio), config, most);
            // Whole frames of sound, if they fill the round: then there is no gap between rounds.
            if video.is_empty() || sound_length.saturating_add(last) >= most {
                length = (sound_length, rate);
            }
            audio = sounds;
        }
        if rescale(length.0, length.1, MICROS)
            < i64::try_from(SLATE_LENGTH_MIN.as_micros()).unwrap_or(0)
        {
            return Err("it is shorter than a second, or has nothing of use".into());
        }
        let rate = audio_config.map_or(1, CodecConfig::timescale);
        let at = |f: &Frame| rescale(f.dts, scale(f.kind, rate), MICROS);
        let mut frames = [video, audio].concat();
        frames.sort_by_key(at);
        Ok(Self {
            configs,
            frames,
            length,
        })
    }

    /// Ticks per second of a kind of track.
    fn scale(&self, kind: TrackKind) -> u32 {
        let config = self.configs.iter().find(|c| c.kind() == kind);
        scale(kind, config.map_or(1, CodecConfig::timescale))
    }

    /// A frame of a round, and when it is due, from the beginning of the first.
    fn frame(&self, index: usize, round: i64) -> Option<(Duration, Frame)> {
        let mut frame = self.frames.get(index)?.clone();
        let scale = self.scale(frame.kind);
        let (ticks, of) = (self.length.0.saturating_mul(round), self.length.1);
        let due = rescale(frame.dts, scale, MICROS).saturating_add(rescale(ticks, of, MICROS));
        let offset = rescale(ticks, of, scale);
        frame.dts = frame.dts.saturating_add(offset);
        frame.pts = frame.pts.saturating_add(offset);
        Some((
            Duration::from_micros(u64::try_from(due).unwrap_or(0)),
            frame,
        ))
    }
}

fn scale(kind: TrackKind, audio: u32) -> u32 {
    match kind {
        TrackKind::Video => VIDEO_TIMESCALE,
        TrackKind::Audio => audio,
    }
}

/// Pictures from the first keyframe on, whose times count from 0, and the length of them all.
fn pictures<'a>(frames: impl Iterator<Item = &'a Frame>) -> (Vec<Frame>, i64) {
    let mut pictures: Vec<Frame> = frames.skip_while(|f| !f.key).cloned().collect();
    let (Some(first), Some(last)) = (pictures.first(), pictures.last()) else {
        return (pictures, 0);
    };
    let (first, span) = (first.dts, last.dts - first.dts);
    let intervals = i64::try_from(pictures.len() - 1).unwrap_or(i64::MAX).max(1);
    for frame in &mut pictures {
        frame.dts -= first;
        frame.pts -= first;
    }
    (pictures, span.saturating_add(span / intervals))
}

/// Sound without gaps, from 0 on until `most` ticks are filled, and its length; also that of its
/// last frame.
fn sounds<'a>(
    frames: impl Iterator<Item = &'a Frame>,
    config: &CodecConfig,
    most: i64,
) -> (Vec<Frame>, i64, i64) {
    let (mut sounds, mut length, mut last) = (Vec::new(), 0_i64, 0);
    for frame in frames {
        if length >= most {
            break;
        }
        let mut frame = frame.clone();
        (frame.dts, frame.pts) = (length, length);
        last = config.samples_of(&frame.payload).map_or(0, i64::from);
        length = length.saturating_add(last);
        sounds.push(frame);
    }
    (sounds, length, last)
}

/// Shows a slate on a stream that nobody publishes, until somebody does or the time is up.
pub(crate) async fn show(stream: Rc<LiveStream>, slate: Slate) {
    let Some((mut lease, mut evicted)) = stream.publish_slate() else {
        return;
    };
    info!(stream = %stream.name, "the slate is shown");
    let clip = slate.clip;
    let has = |kind| Some(clip.configs.iter().any(|c| c.kind() == kind));
    lease.announce(Announced {
        video: has(TrackKind::Video),
        audio: has(TrackKind::Audio),
    });
    for config in &clip.configs {
        let track = TrackId::source(config.kind());
        if !lease.config(track, config.clone()) {
            return;
        }
    }
    let began = clock::now().mono;
    for round in 0.. {
        for index in 0..clip.frames.len() {
            let Some((due, mut frame)) = clip.frame(index, round) else {
                break;
            };
            if due >= slate.most {
                info!(stream = %stream.name, "the slate was shown for long enough");
                return;
            }
            let wait = clock::until(began + due);
            if !wait.is_zero() {
                let sleep = weir_ring::sleep(wait);
                if let Either::Right(()) = weir_ring::select(sleep, &mut evicted).await {
                    return;
                }
            }
            frame.received_at = clock::now().mono;
            lease.frame(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use weir_media::aac::AacConfig;

    fn frame(kind: TrackKind, dts: i64, key: bool) -> Frame {
        Frame {
            track: TrackId::source(kind),
            kind,
            dts,
            pts: dts + 10,
            key,
            received_at: Mono(0),
            payload: Bytes::from_static(&[0]),
        }
    }

    fn aac() -> CodecConfig {
        // AAC-LC, 48 kHz, stereo.
        CodecConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap())
    }

    #[test]
    fn sound_goes_on_from_round_to_round_without_a_gap() {
        // Two seconds at 25 pictures a second, from 100 ms on; sound of 2.2 s, unevenly stamped.
        let mut frames: Vec<_> = (0..50)
            .map(|i| frame(TrackKind::Video, 9000 + i * 3600, i % 25 == 0))
            .collect();
        frames.insert(0, frame(TrackKind::Video, 5400, false));
        frames.extend((0..103).map(|i| frame(TrackKind::Audio, 4800 + i * 1024 + i % 3, true)));
        let clip = Clip::new(vec![aac()], &frames).unwrap();
        // 94 frames of 1024 are the first that fill two seconds.
        assert_eq!(clip.length, (94 * 1024, 48_000));
        let mut next_audio = 0;
        let mut last_due = Duration::ZERO;
        for round in 0..1000 {
            let mut pictures = 0;
            for index in 0..clip.frames.len() {
                let (due, frame) = clip.frame(index, round).unwrap();
                assert!(due >= last_due || frame.dts == 0, "in order");
                last_due = due;
                if frame.kind == TrackKind::Audio {
                    assert_eq!(frame.dts, next_audio);
                    next_audio += 1024;
                } else {
                    let start = rescale(94 * 1024 * round, 48_000, 90_000);
                    assert_eq!(frame.dts, start + pictures * 3600);
                    assert_eq!(frame.pts, frame.dts + 10);
                    pictures += 1;
                }
            }
            assert_eq!(pictures, 50);
        }
    }

    #[test]
    fn short_sound_leaves_the_rest_of_the_round_silent() {
        let mut frames: Vec<_> = (0..50)
            .map(|i| frame(TrackKind::Video, i * 3600, i == 0))
            .collect();
        frames.extend((0..40).map(|i| frame(TrackKind::Audio, i * 1024, true)));
        let clip = Clip::new(vec![aac()], &frames).unwrap();
        assert_eq!(clip.length, (180_000, 90_000));
    }

    #[test]
    fn clips_without_use_are_refused() {
        assert!(Clip::new(vec![], &[]).is_err());
        let still = [frame(TrackKind::Video, 0, true)];
        assert!(Clip::new(vec![], &still).is_err());
        let keyless: Vec<_> = (0..100)
            .map(|i| frame(TrackKind::Video, i * 3600, false))
            .collect();
        assert!(Clip::new(vec![], &keyless).is_err());
        assert!(Clip::read(b"GIF89a").is_err());
        assert!(Clip::read(b"").is_err());
    }
}
