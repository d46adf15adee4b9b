//! MP4 and QuickTime files, and CMAF segments in memory, by [`weir_mp4::Reader`].

use super::fault::{FaultKind, Faults};
use super::io_error;
use super::meter::{Meter, Unit};
use super::report::{Container, Details, Kind, Report, Track};
use crate::error::Error;
use crate::limits::SAMPLE_BYTES_MAX;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use weir_media::{CodecConfig, av1, avc, hevc, vp9};
use weir_mp4::limits::TOP_LEVEL_BOXES_MAX;
use weir_mp4::{Description, FileSample, FourCc, Movie, Output, Reader};

/// Bytes that are read at least: a header, and with luck a whole `moof`.
const READ_BYTES_MIN: usize = 4096;

/// Where the bytes of samples are.
pub(super) trait Source {
    /// Reads `buf.len()` bytes from `offset` on.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Source for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buf, offset)
    }
}

impl Source for [u8] {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.get(from..).and_then(|b| b.get(..buf.len()));
        buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

pub(super) fn probe(file: &File, bytes: u64, path: &Path) -> Result<Report, Error> {
    let mut reader = Reader::new(bytes);
    let mut buffer = Vec::new();
    while let Output::Need { offset, len } = reader.poll_output() {
        let room = usize::try_from(bytes - offset).unwrap_or(usize::MAX);
        buffer.resize(len.max(READ_BYTES_MIN).min(room), 0);
        file.read_exact_at(&mut buffer, offset)
            .map_err(io_error(path))?;
        reader.handle_bytes(&buffer).map_err(Error::Mp4)?;
    }
    drop(buffer);
    let movie = reader.into_movie().map_err(Error::Mp4)?;
    let tracks = tracks(&movie, file, bytes).map_err(io_error(path))?;
    let mut report = Report {
        container: Container::Mp4 {
            major_brand: movie.major_brand.map(|b| b.to_string()),
            fragmented: movie.fragmented,
        },
        bytes: None,
        duration_us: tracks.iter().map(|t| t.duration_us).max(),
        tracks,
        playlists: Vec::new(),
        faults: Faults::default(),
    };
    if report.tracks.is_empty() {
        report.faults.add(FaultKind::NoFrames, || "file".to_owned());
    }
    if let Some(fault) = movie.fault {
        report
            .faults
            .add(FaultKind::Unreadable, || fault.to_string());
    }
    if !movie.fragmented {
        // The reader has gone over the whole of a fragmented file, and no other.
        let faults = &mut report.faults;
        top_level(file, bytes, faults).map_err(io_error(path))?;
    }
    for track in &mut report.tracks {
        if track.kind == Kind::Video && track.frames > 0 && !track.starts_with_key {
            let place = || "frame 0".to_owned();
            track.faults.add(FaultKind::StartsWithoutKey, place);
        }
    }
    Ok(report)
}

/// Goes over the top-level boxes by their sizes (ISO/IEC 14496-12 §4.2): a file that was cut
/// off, by a full disk or in a download, ends inside one.
fn top_level(file: &File, bytes: u64, faults: &mut Faults) -> io::Result<()> {
    let mut at = 0;
    for _ in 0..TOP_LEVEL_BOXES_MAX {
        let room = bytes - at;
        // QuickTime ends lists with four zeros, some writers the file too.
        if room < 8 {
            return Ok(());
        }
        let mut header = [0; 16];
        let (short, large) = header.split_at_mut(8);
        file.read_exact_at(short, at)?;
        let claimed = u32::from_be_bytes([short[0], short[1], short[2], short[3]]);
        let name = FourCc([short[4], short[5], short[6], short[7]]);
        let size = match claimed {
            0 => return Ok(()),
            1 if room >= 16 => {
                file.read_exact_at(large, at + 8)?;
                large.iter().fold(0, |n, b| n << 8 | u64::from(*b))
            }
            n => u64::from(n),
        };
        if size < 8 || size > room {
            faults.add(FaultKind::CutShort, || {
                format!("{name} at byte {at} claims {size} bytes, {room} are left")
            });
            return Ok(());
        }
        at += size;
    }
    faults.add(FaultKind::Unreadable, || {
        format!("more than {TOP_LEVEL_BOXES_MAX} boxes")
    });
    Ok(())
}

/// The tracks of a movie whose samples are in `source`, of `bytes` bytes.
pub(super) fn tracks(
    movie: &Movie,
    source: &(impl Source + ?Sized),
    bytes: u64,
) -> io::Result<Vec<Track>> {
    // Samples that do not overlap fit the file together. The bound keeps a damaged table
    // from making the probe read the same bytes over and over.
    let mut budget = bytes;
    let mut all = Vec::new();
    for track in &movie.tracks {
        all.push(self::track(track, source, &mut budget)?);
    }
    Ok(all)
}

/// Facts of a configuration that are shown.
pub(super) fn details(config: &CodecConfig) -> Option<Details> {
    if let Some(picture) = config.picture() {
        return Some(Details::Video {
            width: picture.width,
            height: picture.height,
        });
    }
    config.sound().map(|sound| Details::Audio {
        sample_rate: sound.sample_rate,
        channels: u32::from(sound.channels),
    })
}

fn track(
    track: &weir_mp4::Track,
    source: &(impl Source + ?Sized),
    budget: &mut u64,
) -> io::Result<Track> {
    let kind = match track.kind {
        weir_mp4::Kind::Video => Kind::Video,
        weir_mp4::Kind::Audio => Kind::Audio,
        weir_mp4::Kind::Other(_) => Kind::Other,
    };
    let mut meter = Meter::new(kind, track.timescale);
    let mut buffer = Vec::new();
    for sample in track.samples() {
        let unit = Unit {
            dts: sample.dts,
            pts: sample.pts(),
            duration: Some(sample.duration),
            bytes: sample.size as usize,
            key: sample.sync,
        };
        if sample.offset.is_none() {
            let place = meter.place();
            meter.faults.add(FaultKind::OutOfFile, || place.to_string());
        }
        if let Some(config) = readable(track, &sample) {
            look_inside(&sample, config, source, (&mut meter, budget), &mut buffer)?;
        }
        meter.push(unit);
    }
    let without_chunk = track.summary().faults.without_chunk;
    meter
        .faults
        .add_many(FaultKind::WithoutChunk, without_chunk, || {
            "track".to_owned()
        });
    for description in &track.descriptions {
        if let Some(Err(error)) = &description.config {
            meter
                .faults
                .add(FaultKind::MalformedConfig, || error.to_string());
        }
    }
    let first = track.descriptions.first();
    Ok(Track {
        id: track.id,
        codec: first.map_or_else(|| other_codec(track), codec),
        details: first.and_then(description_details),
        protection: first.and_then(|d| d.protection).map(|p| p.to_string()),
        config_changes: track.descriptions.len().saturating_sub(1) as u64,
        ..meter.finish()
    })
}

/// A track without description is named by its handler.
fn other_codec(track: &weir_mp4::Track) -> String {
    match track.kind {
        weir_mp4::Kind::Other(handler) => handler.to_string(),
        _ => "unknown".to_owned(),
    }
}

fn codec(description: &Description) -> String {
    match (&description.config, description.details) {
        (Some(Ok(config)), _) => config.codec_string(),
        (
            _,
            weir_mp4::Details::Audio {
                object_type_indication: Some(oti),
                ..
            },
        ) => format!("{}.{oti:02x}", description.format),
        _ => description.format.to_string(),
    }
}

fn description_details(description: &Description) -> Option<Details> {
    if let Some(Ok(config)) = &description.config {
        return details(config);
    }
    match description.details {
        weir_mp4::Details::Video { width, height } => Some(Details::Video {
            width: width.into(),
            height: height.into(),
        }),
        weir_mp4::Details::Audio {
            channels,
            sample_rate,
            ..
        } => Some(Details::Audio {
            sample_rate,
            channels,
        }),
        weir_mp4::Details::Other => None,
    }
}

/// Configuration of a sample that can be looked into: of a video codec, in the clear.
fn readable<'a>(track: &'a weir_mp4::Track, sample: &FileSample) -> Option<&'a CodecConfig> {
    let index = usize::try_from(sample.description_index).ok()?;
    let description = track.descriptions.get(index.checked_sub(1)?)?;
    match (&description.config, description.protection) {
        (Some(Ok(config)), None) if config.picture().is_some() => Some(config),
        _ => None,
    }
}

/// What a sample holds.
struct Seen {
    picture: bool,
    random_access: bool,
}

fn look(config: &CodecConfig, sample: &[u8]) -> Result<Seen, weir_media::Error> {
    Ok(match config {
        CodecConfig::H264(c) => {
            let unit = avc::inspect(sample, c.nal_length_size)?;
            Seen {
                picture: unit.slices,
                random_access: unit.idr || unit.recovery_point,
            }
        }
        CodecConfig::Hevc(c) => {
            let unit = hevc::inspect(sample, c.nal_length_size)?;
            Seen {
                picture: unit.slices,
                random_access: unit.random_access || unit.recovery_point,
            }
        }
        CodecConfig::Av1(c) => {
            let unit = av1::inspect(sample, Some(&c.info))?;
            Seen {
                picture: unit.frames,
                random_access: unit.key,
            }
        }
        _ => Seen {
            picture: true,
            random_access: vp9::key_frame(sample)?.is_some(),
        },
    })
}

/// Reads a sample and looks at what it holds.
fn look_inside(
    sample: &FileSample,
    config: &CodecConfig,
    source: &(impl Source + ?Sized),
    (meter, budget): (&mut Meter, &mut u64),
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let Some(offset) = sample.offset else {
        return Ok(());
    };
    let place = meter.place();
    if sample.size > SAMPLE_BYTES_MAX {
        meter.faults.add(FaultKind::MalformedFrame, || {
            format!("{place}: {} bytes", sample.size)
        });
        return Ok(());
    }
    let Some(left) = budget.checked_sub(u64::from(sample.size)) else {
        meter.faults.add(FaultKind::Overlap, || place.to_string());
        return Ok(());
    };
    *budget = left;
    buffer.resize(sample.size as usize, 0);
    source.read_at(buffer, offset)?;
    match look(config, buffer) {
        Err(error) => meter
            .faults
            .add(FaultKind::MalformedFrame, || format!("{place}: {error}")),
        Ok(seen) if !seen.picture => meter
            .faults
            .add(FaultKind::MalformedFrame, || format!("{place}: no picture")),
        Ok(seen) if sample.sync && !seen.random_access => {
            meter.faults.add(FaultKind::FalseKey, || place.to_string());
        }
        Ok(_) => {}
    }
    Ok(())
}
