//! Sound: frames out of PES packets, which hold several, or parts.
//!
//! A frame that begins in a PES packet has that packet's time if it is the first to begin there,
//! and else follows the one before. What a program map calls a stream is believed as long as its
//! frames are found; if they are not, the frames of another codec are looked for.

mod split;

pub(super) use split::{Coding, Found, Splitter};

use super::arena::Arena;
use super::pes::Stamp;
use super::{Fault, FaultReason, Media, Output};
use crate::limits::AUDIO_PES_BYTES_MAX;
use bytes::Bytes;
use weir_media::time::rescale;
use weir_media::{Frame, TrackId, TrackKind};

/// Ticks per second of PTS and DTS.
const TIMESCALE: u32 = 90_000;

/// An audio track.
#[derive(Debug)]
pub(super) struct AudioTrack {
    pub(super) id: TrackId,
    pid: u16,
    splitter: Splitter,
    arena: Arena,
    /// Bytes at the front of what is open that belong to an earlier PES packet.
    carried: usize,
    /// Presentation time of the first frame that begins behind these.
    pts: Option<i64>,
    /// That of the frame which these bytes begin, if it was the first of its PES packet.
    carried_pts: Option<i64>,
    /// Bytes from which what is open holds something to be read.
    needed: usize,
    /// Ticks per second of the track, once there is a configuration.
    timescale: Option<u32>,
    /// Where the next frame begins, in ticks of the track, if that is known.
    next: Option<i64>,
    /// Bytes were lost from this PES packet.
    skips: bool,
    told: Option<FaultReason>,
}

impl AudioTrack {
    pub(super) fn new(id: TrackId, pid: u16, splitter: Splitter) -> Self {
        Self {
            id,
            pid,
            splitter,
            arena: Arena::default(),
            carried: 0,
            pts: None,
            carried_pts: None,
            needed: 0,
            timescale: None,
            next: None,
            skips: false,
            told: None,
        }
    }

    pub(super) fn begin(&mut self, stamp: Option<Stamp>, out: &mut Output<'_>) {
        self.end(out);
        self.skips = false;
        self.pts = stamp.map(|s| out.clock.advance(s.pts));
    }

    pub(super) fn push(&mut self, payload: &[u8]) {
        if self.arena.open.is_empty() {
            self.arena.prepare();
        }
        // What never ends is cut; its frames are found again at the next start.
        if self.skips {
            return;
        }
        if self.arena.open.len() + payload.len() <= AUDIO_PES_BYTES_MAX {
            self.arena.open.extend_from_slice(payload);
        } else {
            self.skips = true;
            self.forget();
        }
    }

    /// Bytes are missing here: what came before is used, and a part of a frame dropped.
    pub(super) fn lose(&mut self, out: &mut Output<'_>) {
        self.end(out);
        out.stats.dropped_frames += u64::from(!self.arena.open.is_empty());
        self.forget();
        // How many frames are missing is not known, so what follows in the PES packet has no time.
        self.next = None;
        self.pts = None;
        self.skips = true;
        self.splitter.lose();
    }

    /// Nothing comes any more: a frame that is not whole never will be.
    pub(super) fn finish(&mut self, out: &mut Output<'_>) {
        self.end(out);
        self.forget();
    }

    fn forget(&mut self) {
        self.arena.open.clear();
        self.carried = 0;
        self.carried_pts = None;
        self.needed = 0;
    }

    /// The PES packet is over.
    pub(super) fn end(&mut self, out: &mut Output<'_>) {
        let len = self.arena.open.len();
        if len == self.carried || len < self.needed {
            // Nothing is copied for a frame that comes in many small PES packets.
            self.carried = len;
            return;
        }
        self.needed = 0;
        let bytes = self.arena.take();
        self.splitter.detect(&bytes);
        let mut at = 0;
        let left = loop {
            let rest = bytes.slice(at..);
            match self.splitter.next(&rest, at == 0) {
                Found::Frame {
                    frame,
                    used,
                    is_new,
                } => {
                    if is_new {
                        self.configure(out);
                    }
                    self.frame(at, frame, out);
                    at += used;
                }
                Found::Unknown { used } => {
                    out.stats.dropped_frames += 1;
                    // The time was that of this one.
                    self.pts = self.pts.filter(|_| at < self.carried);
                    at += used;
                }
                Found::Nothing { used } => at += used,
                Found::Fault(error) => {
                    self.fault(FaultReason::Frame(error), out);
                    break Bytes::new();
                }
                Found::Partial { needed } => {
                    self.needed = needed;
                    break rest;
                }
            }
        };
        if !left.is_empty() && at >= self.carried {
            self.carried_pts = self.pts.take();
        }
        self.carried = left.len();
        if !left.is_empty() {
            self.arena.prepare();
            self.arena.open.extend_from_slice(&left);
        }
    }

    /// The frames that follow have another configuration.
    fn configure(&mut self, out: &mut Output<'_>) {
        if let Some(config) = self.splitter.config() {
            let rate = config.timescale();
            let before = self.timescale.replace(rate).unwrap_or(rate);
            self.next = self.next.map(|t| rescale(t, before, rate));
            out.config(self.id, config.clone());
        }
    }

    /// Gives out a frame that begins at an offset.
    fn frame(&mut self, at: usize, frame: Bytes, out: &mut Output<'_>) {
        let pts = match at >= self.carried {
            true => self.pts.take(),
            false => self.carried_pts.take(),
        };
        if let (Some(pts), Some(timescale)) = (pts, self.timescale) {
            self.next = Some(rescale(pts, TIMESCALE, timescale));
        }
        let samples = self.splitter.config().and_then(|c| c.samples_of(&frame));
        let (Some(dts), Some(samples), false) = (self.next, samples, frame.is_empty()) else {
            out.stats.dropped_frames += 1;
            return;
        };
        self.next = Some(dts.saturating_add(samples.into()));
        self.told = None;
        out.frame(Frame {
            track: self.id,
            kind: TrackKind::Audio,
            dts,
            pts: dts,
            key: true,
            received_at: out.now,
            payload: frame,
        });
    }

    /// Told once, until a frame is sound again.
    fn fault(&mut self, reason: FaultReason, out: &mut Output<'_>) {
        out.stats.dropped_frames += 1;
        if self.told.replace(reason) != Some(reason) {
            out.media.push_back(Media::Fault(Fault {
                pid: self.pid,
                reason,
            }));
        }
    }
}
