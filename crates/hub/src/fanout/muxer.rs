//! Frames in, pieces out.

use super::piece::{FIRST_PIECE, Piece};
use super::setup::Setup;
use crate::limits::{
    AUDIO_LEAD_90K, FANOUT_AUDIO_WAIT, FANOUT_INTERVAL_MAX, FANOUT_MERGE_MAX,
    FANOUT_PIECE_BYTES_MAX, FANOUT_PIECE_MESSAGES_MAX, FANOUT_VIDEO_GONE_FRAMES, STREAM_TIMESCALE,
    TIME_ORIGIN_90K,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, Mono, TrackKind};
use weir_rtmp::Metadata;
use weir_rtmp::mux::{self, Body};

/// Time in the stream that viewers see as 0: what may come before the first frame stays positive.
const BASE_90K: i64 = TIME_ORIGIN_90K - AUDIO_LEAD_90K;

/// How frames are merged into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FanoutConfig {
    /// How long a frame may wait for others, up to [`FANOUT_MERGE_MAX`]; 0 sends each at once. A
    /// frame waits only if another picture is due within that time; audio may wait for the next
    /// picture, at most [`FANOUT_AUDIO_WAIT`].
    pub merge: Duration,
}

impl Default for FanoutConfig {
    fn default() -> Self {
        Self {
            merge: Duration::from_millis(35),
        }
    }
}

/// Makes the pieces of one stream. Feed it with the `handle_…` methods and then drain
/// [`Muxer::poll_piece`]; call [`Muxer::handle_timeout`] at [`Muxer::poll_timeout`].
#[derive(Debug)]
pub struct Muxer {
    merge: Duration,
    setup: Arc<Setup>,
    said: Metadata,
    /// Kinds of tracks whose configuration came since the tracks were last settled.
    seen: Vec<TrackKind>,
    open: Vec<Body>,
    open_frames: Vec<Frame>,
    open_bytes: usize,
    open_starts: bool,
    open_time_ms: i64,
    /// When the open piece is to leave.
    due: Option<Mono>,
    /// Complete pieces that wait with the open one.
    closed: VecDeque<Arc<Piece>>,
    /// How many of `closed` may leave.
    ready: usize,
    next: (u64, u64),
    last_ms: i64,
    pictures: Pictures,
}

/// The rhythm of the pictures.
#[derive(Debug, Default)]
struct Pictures {
    last: Option<Mono>,
    interval: Duration,
    /// Audio frames since the last picture.
    silent: u32,
    /// Pictures are missing: they come back with a random access point.
    gone: bool,
}

impl Muxer {
    /// A muxer of a stream without tracks.
    #[must_use]
    pub fn new(config: FanoutConfig) -> Self {
        Self {
            merge: config.merge.min(FANOUT_MERGE_MAX),
            setup: Arc::default(),
            said: Metadata::default(),
            seen: Vec::new(),
            open: Vec::new(),
            open_frames: Vec::new(),
            open_bytes: 0,
            open_starts: false,
            open_time_ms: 0,
            due: None,
            closed: VecDeque::new(),
            ready: 0,
            next: (FIRST_PIECE, 0),
            last_ms: 0,
            pictures: Pictures::default(),
        }
    }

    /// What the publisher says of its stream. New viewers get it, and all from the next change
    /// of a track on.
    pub fn handle_metadata(&mut self, metadata: &Metadata) {
        if self.said == *metadata {
            return;
        }
        self.said = metadata.clone();
        let (video, audio) = (self.setup.video().cloned(), self.setup.audio().cloned());
        if video.is_some() || audio.is_some() {
            // The same number: nobody who has this setup needs it again.
            let mut setup = self.setup.next(&self.said, video, audio);
            setup.keep_number_of(&self.setup);
            self.setup = Arc::new(setup);
        }
    }

    /// A publisher comes. Tracks that joined an earlier session late are not of this one.
    pub fn handle_publish(&mut self) {
        self.seen.clear();
    }

    /// A track goes on with this configuration ([`crate::Output::Track`]).
    pub fn handle_track(&mut self, config: &CodecConfig) {
        let kind = config.kind();
        self.seen.push(kind);
        if self.setup.track(kind) == Some(config) {
            return;
        }
        let (mut video, mut audio) = (self.setup.video().cloned(), self.setup.audio().cloned());
        match kind {
            TrackKind::Video => video = Some(config.clone()),
            TrackKind::Audio => audio = Some(config.clone()),
        }
        self.change(video, audio);
    }

    /// The tracks of the session are those that were named since the last time
    /// ([`crate::Output::Settled`]).
    pub fn handle_settled(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        let keep = |config: Option<&CodecConfig>| {
            let config = config.filter(|config| seen.contains(&config.kind()));
            config.cloned()
        };
        let (video, audio) = (keep(self.setup.video()), keep(self.setup.audio()));
        if video.as_ref() != self.setup.video() || audio.as_ref() != self.setup.audio() {
            self.change(video, audio);
        }
        self.pictures = Pictures::default();
    }

    fn change(&mut self, video: Option<CodecConfig>, audio: Option<CodecConfig>) {
        self.close();
        self.setup = Arc::new(self.setup.next(&self.said, video, audio));
    }

    /// A frame at its place in the stream ([`crate::Output::Frame`]).
    pub fn handle_frame(&mut self, frame: &Frame, now: Mono) {
        let setup = self.setup.clone();
        let Some(config) = setup.track(frame.kind) else {
            return;
        };
        let scale = config.timescale();
        if !self.pictures.see(frame, self.setup.video().is_some(), now) {
            return;
        }
        let base = rescale(BASE_90K, STREAM_TIMESCALE, scale);
        let original = frame.clone();
        let mut frame = frame.clone();
        frame.dts = frame.dts.saturating_sub(base);
        frame.pts = frame.pts.saturating_sub(base);
        let time_ms = rescale(frame.dts, scale, 1000).max(0);
        let mut body = mux::frame(&frame, config);
        body.timestamp = time_ms as u32;
        let starts = match frame.kind {
            TrackKind::Video => frame.key,
            TrackKind::Audio => self.pictures.gone || self.setup.video().is_none(),
        };
        let is_full = self.open.len() >= FANOUT_PIECE_MESSAGES_MAX
            || self.open_bytes >= FANOUT_PIECE_BYTES_MAX;
        if is_full || (starts && frame.kind == TrackKind::Video) {
            self.close();
        }
        if self.open.is_empty() {
            self.open_starts = starts;
            self.open_time_ms = time_ms;
        }
        self.open_bytes += body.len();
        self.open.push(body);
        self.open_frames.push(original);
        self.last_ms = self.last_ms.max(time_ms);
        self.schedule(frame.kind, now);
        self.flush(now);
    }

    /// Says when what is open has to leave.
    fn schedule(&mut self, kind: TrackKind, now: Mono) {
        let pictures = self.setup.video().is_some() && !self.pictures.gone;
        let latest = match kind {
            TrackKind::Audio if pictures => now + self.merge.max(FANOUT_AUDIO_WAIT),
            _ => now + self.merge,
        };
        let due = self.due.map_or(latest, |due| due.min(latest));
        // Who waits for a picture that will come too late waits in vain.
        let in_vain = kind == TrackKind::Video && now + self.pictures.interval > due;
        self.due = Some(if in_vain || self.merge.is_zero() {
            now
        } else {
            due
        });
    }

    /// The time of [`Muxer::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Mono) {
        self.flush(now);
    }

    /// When [`Muxer::handle_timeout`] is to be called next. It may be left out while nobody
    /// watches: what is due leaves with the next frame.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.due
    }

    /// The publisher left: nothing waits any more.
    pub fn handle_unpublish(&mut self) {
        self.due = Some(Mono(0));
        self.flush(Mono(0));
    }

    /// The next piece that may leave.
    pub fn poll_piece(&mut self) -> Option<Arc<Piece>> {
        self.ready = self.ready.checked_sub(1)?;
        self.closed.pop_front()
    }

    fn flush(&mut self, now: Mono) {
        if self.due.is_some_and(|due| due <= now) {
            self.close();
            self.due = None;
            self.ready = self.closed.len();
        }
    }

    /// Ends the open piece.
    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let messages = (
            std::mem::take(&mut self.open),
            std::mem::take(&mut self.open_frames),
        );
        let (starts, time_ms) = (self.open_starts, self.open_time_ms);
        let piece = Piece::new(self.next, starts, self.setup.clone(), messages, time_ms);
        self.next = (self.next.0 + 1, self.next.1 + piece.len as u64);
        self.open_bytes = 0;
        self.closed.push_back(Arc::new(piece));
    }
}

impl Pictures {
    /// Notes a frame; whether it may be shown.
    fn see(&mut self, frame: &Frame, expected: bool, now: Mono) -> bool {
        match frame.kind {
            TrackKind::Video => {
                if self.gone && !frame.key {
                    return false;
                }
                if let Some(last) = self.last {
                    let gap = now.since(last).min(FANOUT_INTERVAL_MAX);
                    // A burst of frames that were late says little of the rhythm.
                    self.interval = match self.interval.is_zero() {
                        true => gap,
                        false => (self.interval * 7 + gap) / 8,
                    };
                }
                self.last = Some(now);
                self.silent = 0;
                self.gone = false;
            }
            TrackKind::Audio if expected => {
                self.silent = self.silent.saturating_add(1);
                self.gone = self.gone || self.silent >= FANOUT_VIDEO_GONE_FRAMES;
            }
            TrackKind::Audio => {}
        }
        true
    }
}
