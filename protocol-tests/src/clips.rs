//! Clips to publish, made by ffmpeg once and kept in the target directory under a name that
//! changes with the recipe.

use crate::process::run;
use crate::tools;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

/// A recipe: a name, and ffmpeg's arguments up to the output.
#[derive(Debug, Clone, Copy)]
pub struct Clip {
    name: &'static str,
    recipe: &'static str,
}

const fn clip(name: &'static str, recipe: &'static str) -> Clip {
    Clip { name, recipe }
}

/// 1280x720 at 30 fps, High profile with B-frames, a keyframe every 2 s; AAC at 48 kHz: 12 s.
pub const MAIN: Clip = clip(
    "main",
    "-f lavfi -i testsrc2=size=1280x720:rate=30:duration=12 \
     -f lavfi -i sine=frequency=440:sample_rate=48000:duration=12 \
     -c:v libx264 -preset superfast -bf 2 -b_strategy 0 -g 60 -keyint_min 60 -sc_threshold 0 \
     -b:v 1500k -pix_fmt yuv420p -c:a aac -ac 2 -b:a 96k",
);

/// A small picture for tests that last: 640x360 at 30 fps, a keyframe every second, 48 kHz
/// AAC: 60 s.
pub const LONG: Clip = clip(
    "long",
    "-f lavfi -i testsrc2=size=640x360:rate=30:duration=60 \
     -f lavfi -i sine=frequency=330:sample_rate=48000:duration=60 \
     -c:v libx264 -preset ultrafast -bf 0 -g 30 -keyint_min 30 -sc_threshold 0 \
     -b:v 400k -pix_fmt yuv420p -c:a aac -ac 2 -b:a 64k",
);

/// Another size and rate than [`LONG`], to return with: 320x240 at 25 fps: 20 s.
pub const SMALL: Clip = clip(
    "small",
    "-f lavfi -i testsrc2=size=320x240:rate=25:duration=20 \
     -f lavfi -i sine=frequency=550:sample_rate=44100:duration=20 \
     -c:v libx264 -preset ultrafast -bf 0 -g 25 -keyint_min 25 -sc_threshold 0 \
     -b:v 200k -pix_fmt yuv420p -c:a aac -ac 1 -b:a 64k",
);

/// 25 fps with B-frames and 44.1 kHz: 8 s.
pub const PAL: Clip = clip(
    "pal",
    "-f lavfi -i testsrc2=size=640x360:rate=25:duration=8 \
     -f lavfi -i sine=frequency=440:sample_rate=44100:duration=8 \
     -c:v libx264 -preset superfast -bf 3 -g 50 -keyint_min 50 -sc_threshold 0 \
     -pix_fmt yuv420p -c:a aac -ac 2 -b:a 96k",
);

/// 30000/1001 fps: 8 s.
pub const NTSC: Clip = clip(
    "ntsc",
    "-f lavfi -i testsrc2=size=640x360:rate=30000/1001:duration=8 \
     -f lavfi -i sine=frequency=440:sample_rate=48000:duration=8 \
     -c:v libx264 -preset superfast -bf 2 -g 60 -keyint_min 60 -sc_threshold 0 \
     -pix_fmt yuv420p -c:a aac -ac 2 -b:a 96k",
);

/// Constrained Baseline, no B-frames: 6 s.
pub const BASELINE: Clip = clip(
    "baseline",
    "-f lavfi -i testsrc2=size=640x360:rate=30:duration=6 \
     -f lavfi -i sine=frequency=440:sample_rate=48000:duration=6 \
     -c:v libx264 -profile:v baseline -preset superfast -g 60 -keyint_min 60 -sc_threshold 0 \
     -pix_fmt yuv420p -c:a aac -ac 1 -b:a 64k",
);

/// Audio without video: 12 s.
pub const AUDIO_ONLY: Clip = clip(
    "audio-only",
    "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=12 -c:a aac -ac 2 -b:a 96k",
);

/// Video without audio: 8 s.
pub const VIDEO_ONLY: Clip = clip(
    "video-only",
    "-f lavfi -i testsrc2=size=640x360:rate=30:duration=8 -c:v libx264 -preset superfast \
     -bf 2 -g 60 -keyint_min 60 -sc_threshold 0 -pix_fmt yuv420p",
);

/// One frame per second, a keyframe every 2 s: 20 s.
pub const SLOW: Clip = clip(
    "slow",
    "-f lavfi -i testsrc2=size=640x360:rate=1:duration=20 \
     -f lavfi -i sine=frequency=440:sample_rate=48000:duration=20 \
     -c:v libx264 -preset superfast -bf 0 -g 2 -keyint_min 2 -sc_threshold 0 \
     -pix_fmt yuv420p -c:a aac -ac 1 -b:a 64k",
);

/// A keyframe every 30 s: 65 s.
pub const LONG_GOP: Clip = clip(
    "long-gop",
    "-f lavfi -i testsrc2=size=320x240:rate=30:duration=65 \
     -f lavfi -i sine=frequency=440:sample_rate=48000:duration=65 \
     -c:v libx264 -preset ultrafast -bf 0 -g 900 -keyint_min 900 -sc_threshold 0 \
     -b:v 200k -pix_fmt yuv420p -c:a aac -ac 1 -b:a 64k",
);

/// HEVC with B-frames, 640x360 at 30 fps, and AAC: 6 s.
pub const HEVC: Clip = clip(
    "hevc",
    "-f lavfi -i testsrc2=size=640x360:rate=30:duration=6 \
     -f lavfi -i sine=frequency=440:sample_rate=48000:duration=6 \
     -c:v libx265 -preset ultrafast -x265-params keyint=60:min-keyint=60:bframes=3:log-level=none \
     -pix_fmt yuv420p -c:a aac -ac 2 -b:a 96k",
);

/// HEVC Main 10 in BT.2020 and PQ, with the light of its master, and Enhanced AC-3: 4 s.
pub const HDR: Clip = clip(
    "hdr",
    "-f lavfi -i testsrc2=size=320x180:rate=25:duration=4 \
     -f lavfi -i sine=frequency=440:sample_rate=48000:duration=4 \
     -c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params \
     keyint=50:min-keyint=50:log-level=none:hdr10=1:colorprim=bt2020:transfer=smpte2084:\
     colormatrix=bt2020nc:max-cll=1000,400:\
     master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50) \
     -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -c:a eac3 -b:a 96k",
);

/// AV1 by SVT-AV1, 640x360 at 30 fps, and Opus: 12 s.
pub const AV1: Clip = clip(
    "av1",
    "-f lavfi -i testsrc2=size=640x360:rate=30:duration=12 \
     -f lavfi -i sine=frequency=440:sample_rate=48000:duration=12 \
     -c:v libsvtav1 -preset 12 -g 60 -svtav1-params scd=0 -pix_fmt yuv420p \
     -c:a libopus -ac 2 -b:a 64k",
);

/// AV1 by libaom, and AC-3 at 44.1 kHz: 3 s.
pub const AV1_AOM: Clip = clip(
    "av1-aom",
    "-f lavfi -i testsrc2=size=320x180:rate=25:duration=3 \
     -f lavfi -i sine=frequency=440:sample_rate=44100:duration=3 \
     -c:v libaom-av1 -cpu-used 8 -usage realtime -g 25 -pix_fmt yuv420p -c:a ac3 -b:a 96k",
);

/// VP9, 640x360 at 30 fps, and FLAC: 6 s.
pub const VP9: Clip = clip(
    "vp9",
    "-f lavfi -i testsrc2=size=640x360:rate=30:duration=6 \
     -f lavfi -i sine=frequency=440:sample_rate=44100:duration=6 \
     -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -b:v 500k -pix_fmt yuv420p \
     -c:a flac -strict -2",
);

/// H.264 and MP3 at 48 kHz: 4 s.
pub const MP3: Clip = clip(
    "mp3",
    "-f lavfi -i testsrc2=size=320x180:rate=25:duration=4 \
     -f lavfi -i sine=frequency=440:sample_rate=48000:duration=4 \
     -c:v libx264 -preset ultrafast -bf 0 -g 50 -pix_fmt yuv420p -c:a libmp3lame -b:a 96k",
);

/// Three renditions with the same keyframes, AAC and Opus: 8 s.
pub const LADDER: Clip = clip(
    "ladder",
    "-f lavfi -i testsrc2=size=640x360:rate=30:duration=8 \
     -f lavfi -i sine=frequency=440:sample_rate=48000:duration=8 \
     -f lavfi -i sine=frequency=880:sample_rate=48000:duration=8 \
     -filter_complex [0:v]split=3[a][b][c];[b]scale=320:180[b1];[c]scale=160:90[c1] \
     -map [a] -map [b1] -map [c1] -map 1:a -map 2:a -c:v libx264 -preset ultrafast -bf 0 -g 30 \
     -keyint_min 30 -sc_threshold 0 -pix_fmt yuv420p -c:a:0 aac -c:a:1 libopus",
);

impl Clip {
    /// The clip as an FLV file.
    ///
    /// # Panics
    /// If ffmpeg cannot make it.
    pub fn flv(self) -> PathBuf {
        self.file("flv")
    }

    /// The clip as an MP4 file, for codecs that FLV of the distribution's ffmpeg has no number
    /// for.
    ///
    /// # Panics
    /// If ffmpeg cannot make it.
    pub fn mp4(self) -> PathBuf {
        self.file("mp4")
    }

    fn file(self, format: &str) -> PathBuf {
        let mut hash = DefaultHasher::new();
        self.recipe.hash(&mut hash);
        let dir = tools::target_dir().join("protocol-clips");
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{}-{:016x}.{format}", self.name, hash.finish()));
        let lock = File::create(path.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        if !path.exists() {
            let beside = path.with_extension("part");
            let mut ffmpeg = tools::ffmpeg();
            ffmpeg
                .args(self.recipe.split_whitespace())
                .args(["-f", format])
                .arg(&beside);
            run(&mut ffmpeg, Duration::from_secs(120));
            std::fs::rename(&beside, &path).unwrap();
        }
        path
    }
}
