//! A report for people: one thing per line, faults marked, a verdict at the end.

use super::fault::Faults;
use super::report::{Container, Details, Kind, Media, Playlist, Report, Role, Segment, Track};
use std::fmt;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.container)?;
        if let Some(us) = self.duration_us {
            write!(f, ", {}", Length(us))?;
        }
        if let Some(bytes) = self.bytes {
            write!(f, ", {}", Size(bytes))?;
        }
        writeln!(f)?;
        for track in &self.tracks {
            write_track(f, track, "  ")?;
        }
        for playlist in &self.playlists {
            write_playlist(f, playlist)?;
        }
        write_faults(f, &self.faults, "  ")?;
        match self.fault_count() {
            0 => write!(f, "no faults found"),
            1 => write!(f, "1 fault found"),
            n => write!(f, "{n} faults found"),
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flv => f.write_str("FLV"),
            Self::Mp4 {
                major_brand,
                fragmented,
            } => {
                f.write_str(match major_brand.as_deref() {
                    Some("qt  ") | None => "QuickTime",
                    Some(_) => "MP4",
                })?;
                if let Some(brand) = major_brand {
                    write!(f, " (brand {})", brand.trim_end())?;
                }
                f.write_str(if *fragmented { ", fragmented" } else { "" })
            }
            Self::Hls { multivariant: true } => f.write_str("HLS, multivariant playlist"),
            Self::Hls { .. } => f.write_str("HLS, media playlist"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Other => "other",
        })
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video { width, height } => write!(f, "{width}x{height}"),
            Self::Audio {
                sample_rate,
                channels,
            } => {
                write!(f, "{sample_rate} Hz")?;
                match channels {
                    0 => Ok(()),
                    1 => f.write_str(", mono"),
                    2 => f.write_str(", stereo"),
                    n => write!(f, ", {n} channels"),
                }
            }
        }
    }
}

fn write_track(f: &mut fmt::Formatter<'_>, t: &Track, indent: &str) -> fmt::Result {
    let codec = if t.codec.is_empty() {
        "unknown codec"
    } else {
        &t.codec
    };
    write!(f, "{indent}{} (track {}): {codec}", t.kind, t.id)?;
    if let Some(details) = &t.details {
        write!(f, ", {details}")?;
    }
    if let Some(scheme) = &t.protection {
        write!(f, ", encrypted ({scheme})")?;
    }
    if t.config_changes > 0 {
        write!(f, ", configuration changes {} times", t.config_changes)?;
    }
    writeln!(f)?;
    write!(f, "{indent}  {} frames", t.frames)?;
    // Rates over less than a millisecond mean nothing.
    if t.duration_us >= 1000 {
        let seconds = t.duration_us as f64 / 1e6;
        if t.kind == Kind::Video {
            write!(f, ", {:.2} per second", t.frames as f64 / seconds)?;
        }
        let rate = t.bytes as f64 * 8.0 / 1e3 / seconds;
        write!(f, ", {}, {rate:.0} kbit/s", Length(t.duration_us))?;
    }
    writeln!(f)?;
    if let (Some((first, last)), Some((earliest, latest))) = (t.dts_us, t.pts_us) {
        writeln!(
            f,
            "{indent}  decoded {} to {} s, presented {} to {} s",
            Seconds(first),
            Seconds(last),
            Seconds(earliest),
            Seconds(latest),
        )?;
    }
    if t.kind == Kind::Video {
        write_gop(f, t, indent)?;
    }
    write_faults(f, &t.faults, &format!("{indent}  "))
}

fn write_gop(f: &mut fmt::Formatter<'_>, t: &Track, indent: &str) -> fmt::Result {
    let s = if t.key_frames == 1 { "" } else { "s" };
    write!(f, "{indent}  {} keyframe{s}", t.key_frames)?;
    if let Some(gop) = t.gop {
        let longest = Length(gop.us_max);
        match (gop.frames_min, gop.us_min) {
            (Some(frames), Some(us)) => write!(
                f,
                ", every {frames} to {} frames, {} to {longest}",
                gop.frames_max,
                Length(us)
            )?,
            _ => write!(f, ", {} frames to the end, {longest}", gop.frames_max)?,
        }
    }
    writeln!(f)
}

fn write_playlist(f: &mut fmt::Formatter<'_>, p: &Playlist) -> fmt::Result {
    match &p.role {
        Role::Single => {}
        Role::Variant {
            bandwidth,
            codecs,
            resolution,
        } => {
            write!(f, "variant of {} kbit/s", bandwidth / 1000)?;
            if let Some((width, height)) = resolution {
                write!(f, ", {width}x{height}")?;
            }
            writeln!(f, ", {}", codecs.as_deref().unwrap_or("no CODECS"))?;
        }
        Role::Rendition {
            media_type,
            group_id,
            name,
        } => writeln!(f, "rendition {media_type}, {name:?} of group {group_id:?}")?,
    }
    writeln!(f, "  {}", p.url)?;
    if let Some(media) = &p.media {
        write_media(f, media)?;
    }
    for segment in &p.segments {
        write_segment(f, segment)?;
    }
    write_faults(f, &p.faults, "  ")
}

fn write_media(f: &mut fmt::Formatter<'_>, m: &Media) -> fmt::Result {
    f.write_str(if m.end { "  ended" } else { "  live" })?;
    write!(f, ", {} segments from {}", m.segments, m.media_sequence)?;
    if let Some(max) = m.segment_max {
        let min = m.segment_min.unwrap_or(max).min(max);
        let (min, max) = (min.as_secs_f64(), max.as_secs_f64());
        write!(f, ", {min:.3} to {max:.3} s each")?;
    }
    let target = m.target_duration;
    writeln!(f, " (target {target} s), {} in all", LengthOf(m.duration))?;
    write!(f, "  version {}", m.version)?;
    if m.independent {
        f.write_str(", independent segments")?;
    }
    for (n, what) in [
        (m.discontinuities, "discontinuities"),
        (m.gaps, "gaps"),
        (m.encrypted, "encrypted segments (not looked into)"),
    ] {
        if n > 0 {
            write!(f, ", {n} {what}")?;
        }
    }
    if m.discontinuity_sequence > 0 {
        let sequence = m.discontinuity_sequence;
        write!(f, ", discontinuity sequence {sequence}")?;
    }
    writeln!(f)
}

fn write_segment(f: &mut fmt::Formatter<'_>, s: &Segment) -> fmt::Result {
    let seconds = s.duration.as_secs_f64();
    writeln!(
        f,
        "  segment {}: {seconds:.3} s, {}",
        s.media_sequence,
        Size(s.bytes)
    )?;
    if let Some(ts) = &s.transport_stream {
        let (packets, pats, pmts) = (ts.packets, ts.pats, ts.pmts);
        writeln!(f, "    MPEG-TS: {packets} packets, {pats} PAT, {pmts} PMT")?;
        for stream in &ts.streams {
            writeln!(
                f,
                "    PID {}: stream type {:#04x}, {} PES packets",
                stream.pid, stream.stream_type, stream.pes_packets
            )?;
        }
    }
    for track in &s.tracks {
        write_track(f, track, "    ")?;
    }
    Ok(())
}

fn write_faults(f: &mut fmt::Formatter<'_>, faults: &Faults, indent: &str) -> fmt::Result {
    for fault in faults.iter() {
        let what = fault.kind.as_str();
        match fault.count {
            1 => writeln!(f, "{indent}FAULT {what}: {}", fault.first)?,
            n => writeln!(f, "{indent}FAULT {what}: {n} times, first {}", fault.first)?,
        }
    }
    Ok(())
}

/// Microseconds as a length of time.
struct Length(u64);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to milliseconds, which is what people compare.
        let ms = self.0.saturating_add(500) / 1000;
        let (s, milli) = (ms / 1000, ms % 1000);
        match s {
            0..60 => write!(f, "{s}.{milli:03} s"),
            60..3600 => write!(f, "{}:{:02}.{milli:03} min", s / 60, s % 60),
            _ => write!(f, "{}:{:02}:{:02} h", s / 3600, s / 60 % 60, s % 60),
        }
    }
}

/// The same of a [`std::time::Duration`].
struct LengthOf(std::time::Duration);

impl fmt::Display for LengthOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Length(u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)).fmt(f)
    }
}

/// Microseconds as a place on a timeline, in seconds.
struct Seconds(i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0 as f64 / 1e6)
    }
}

/// Bytes.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n @ 0..10_000 => write!(f, "{n} bytes"),
            n @ 10_000..10_000_000 => write!(f, "{} kB", n / 1000),
            n => write!(f, "{:.1} MB", n as f64 / 1e6),
        }
    }
}
