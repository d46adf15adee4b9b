//! Frames as publishers send them.

use weir_media::TrackKind;
use weir_media::time::rescale;

/// Small seeded generator (xorshift).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }
}

/// One frame to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shot {
    pub kind: TrackKind,
    pub id: u32,
    /// In ticks of its track.
    pub dts: i64,
    pub pts: i64,
    pub key: bool,
    /// Microseconds after the start at which it arrives.
    pub at: u64,
}

#[derive(Debug, Clone, Copy)]
pub enum Rate {
    /// Frames per second as a fraction.
    Fixed(u64, u64),
    /// Between these many milliseconds from frame to frame.
    Variable(u64, u64),
}

#[derive(Debug, Clone, Copy)]
pub enum Gop {
    Frames(u64),
    /// Between these many frames.
    Irregular(u64, u64),
    Never,
    /// Only the first frame.
    Once,
}

#[derive(Debug, Clone)]
pub struct Clip {
    pub seconds: u64,
    pub video: Option<Rate>,
    pub gop: Gop,
    pub bframes: bool,
    pub audio: Option<u32>,
    /// Times in whole milliseconds, as RTMP has them.
    pub whole_ms: bool,
    /// Added to all times sent, in milliseconds.
    pub base_ms: i64,
    /// Audio is this much later (or earlier) than video, in milliseconds.
    pub audio_shift_ms: i64,
    /// Audio arrives this much after it was due, in milliseconds.
    pub audio_delay_ms: u64,
    pub seed: u64,
}

impl Default for Clip {
    fn default() -> Self {
        Self {
            seconds: 20,
            video: Some(Rate::Fixed(30, 1)),
            gop: Gop::Frames(60),
            bframes: false,
            audio: Some(48_000),
            whole_ms: true,
            base_ms: 0,
            audio_shift_ms: 0,
            audio_delay_ms: 0,
            seed: 1,
        }
    }
}

impl Clip {
    /// All frames in order of arrival.
    pub fn shots(&self) -> Vec<Shot> {
        let mut shots = self.video_shots();
        shots.extend(self.audio_shots());
        shots.sort_by_key(|s| s.at);
        shots
    }

    fn ticks(&self, us: i64, rate: u32) -> i64 {
        if self.whole_ms {
            rescale(us.div_euclid(1000) + self.base_ms, 1000, rate)
        } else {
            rescale(us + self.base_ms * 1000, 1_000_000, rate)
        }
    }

    fn video_shots(&self) -> Vec<Shot> {
        let Some(rate) = self.video else {
            return Vec::new();
        };
        let mut rng = Rng(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut shots = Vec::new();
        let mut us = 0;
        let mut until_key = 0;
        for i in 0u64.. {
            if us >= self.seconds * 1_000_000 {
                break;
            }
            let key = match self.gop {
                Gop::Never => false,
                Gop::Once => i == 0,
                Gop::Frames(_) | Gop::Irregular(..) => until_key == 0,
            };
            if key {
                until_key = match self.gop {
                    Gop::Frames(n) => n,
                    Gop::Irregular(low, high) => rng.range(low, high),
                    _ => 0,
                };
            }
            until_key = until_key.saturating_sub(1);
            let dts = self.ticks(us as i64, 90_000);
            let reorder = if self.bframes {
                [2, 4, 1, 1][(i % 4) as usize]
            } else {
                0
            };
            shots.push(Shot {
                kind: TrackKind::Video,
                id: 0,
                dts,
                pts: dts + reorder * 3000,
                key,
                at: us,
            });
            us = match rate {
                Rate::Fixed(n, d) => (i + 1) * 1_000_000 * d / n,
                Rate::Variable(low, high) => us + rng.range(low, high) * 1000,
            };
        }
        shots
    }

    fn audio_shots(&self) -> Vec<Shot> {
        let Some(rate) = self.audio else {
            return Vec::new();
        };
        let frames = self.seconds * u64::from(rate) / 1024;
        let shot = |i: u64| {
            let us = i * 1024 * 1_000_000 / u64::from(rate);
            let dts = self.ticks(us as i64 + self.audio_shift_ms * 1000, rate);
            Shot {
                kind: TrackKind::Audio,
                id: 0,
                dts,
                pts: dts,
                key: true,
                at: us + self.audio_delay_ms * 1000,
            }
        };
        (0..frames).map(shot).collect()
    }
}
