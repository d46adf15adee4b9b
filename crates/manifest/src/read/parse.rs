//! The line by line reader.

use super::attributes::Attributes;
use super::{
    ByteRange, MapRead, MediaRead, MultivariantRead, Playlist, RenditionRead, SegmentRead,
    VariantRead,
};
use crate::error::{Error, Fault};
use crate::limits::{READ_BYTES_MAX, READ_LINES_MAX};
use crate::media::PlaylistType;
use std::str::FromStr;
use std::time::Duration;

pub(super) fn parse(bytes: &[u8]) -> Result<Playlist<'_>, Error> {
    let at = |line, fault| Error::Read { line, fault };
    if bytes.len() > READ_BYTES_MAX {
        return Err(at(1, Fault::TooLong));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(at(1, Fault::ByteOrderMark));
    }
    let text = str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + good.iter().filter(|&&b| b == b'\n').count();
        at(line, Fault::Utf8)
    })?;
    let mut reader = Reader::default();
    let mut last = 1;
    for (i, line) in text.lines().enumerate() {
        last = i + 1;
        if last > READ_LINES_MAX {
            return Err(at(last, Fault::TooManyLines));
        }
        let line = line.trim_end();
        let result = match i {
            0 if line == "#EXTM3U" => Ok(()),
            0 => Err(Fault::Header),
            _ => reader.line(line),
        };
        result.map_err(|fault| at(last, fault))?;
    }
    if text.is_empty() {
        return Err(at(1, Fault::Header));
    }
    reader.finish().map_err(|fault| at(last, fault))
}

/// What was read so far. Both kinds of playlist are filled until the end tells which it is.
#[derive(Default)]
struct Reader<'a> {
    multivariant: MultivariantRead<'a>,
    is_multivariant: bool,
    segments: Vec<SegmentRead<'a>>,
    is_media: bool,
    version: Option<u32>,
    target_duration: Option<u32>,
    media_sequence: u64,
    discontinuity_sequence: u64,
    playlist_type: Option<PlaylistType>,
    end: bool,
    /// `EXT-X-STREAM-INF` whose URI has yet to come.
    variant: Option<VariantRead<'a>>,
    /// Tags of the next segment.
    duration: Option<Duration>,
    byte_range: Option<(u64, Option<u64>)>,
    discontinuity: bool,
    gap: bool,
    /// In force until changed.
    map: Option<MapRead<'a>>,
    encrypted: bool,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a str) -> Result<(), Fault> {
        if line.is_empty() {
            return Ok(());
        }
        let Some(tag) = line.strip_prefix('#') else {
            return self.uri(line);
        };
        if !tag.starts_with("EXT") {
            return Ok(());
        }
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "EXT-X-VERSION" => self.version = Some(number(value, "EXT-X-VERSION")?),
            "EXT-X-INDEPENDENT-SEGMENTS" => self.multivariant.independent_segments = true,
            "EXT-X-STREAM-INF" => {
                self.multivariant()?;
                self.variant = Some(variant(value)?);
            }
            "EXT-X-MEDIA" => {
                self.multivariant()?;
                self.multivariant.renditions.push(rendition(value)?);
            }
            _ => return self.media_tag(name, value),
        }
        Ok(())
    }

    fn media_tag(&mut self, name: &'a str, value: &'a str) -> Result<(), Fault> {
        match name {
            "EXTINF" => self.duration = Some(duration(value)?),
            "EXT-X-TARGETDURATION" => {
                self.target_duration = Some(number(value, "EXT-X-TARGETDURATION")?);
            }
            "EXT-X-MEDIA-SEQUENCE" => {
                self.media_sequence = number(value, "EXT-X-MEDIA-SEQUENCE")?;
            }
            "EXT-X-DISCONTINUITY-SEQUENCE" => {
                self.discontinuity_sequence = number(value, "EXT-X-DISCONTINUITY-SEQUENCE")?;
            }
            "EXT-X-PLAYLIST-TYPE" => {
                self.playlist_type = Some(match value {
                    "EVENT" => PlaylistType::Event,
                    "VOD" => PlaylistType::Vod,
                    _ => return Err(Fault::Tag("EXT-X-PLAYLIST-TYPE")),
                });
            }
            "EXT-X-ENDLIST" => self.end = true,
            "EXT-X-DISCONTINUITY" => self.discontinuity = true,
            "EXT-X-GAP" => self.gap = true,
            "EXT-X-BYTERANGE" => {
                let range = byte_range(value).ok_or(Fault::Tag("EXT-X-BYTERANGE"))?;
                self.byte_range = Some(range);
            }
            "EXT-X-MAP" => self.map = Some(map(value)?),
            "EXT-X-KEY" => {
                let method = attribute(value, "EXT-X-KEY", "METHOD")?;
                self.encrypted = method.ok_or(Fault::MissingAttribute("METHOD"))? != "NONE";
            }
            // Unknown, or of either kind: says nothing about the playlist.
            _ => return Ok(()),
        }
        self.is_media = true;
        if self.is_multivariant {
            return Err(Fault::Mixed);
        }
        Ok(())
    }

    /// Notes a tag of the multivariant playlist.
    fn multivariant(&mut self) -> Result<(), Fault> {
        self.is_multivariant = true;
        if self.is_media {
            return Err(Fault::Mixed);
        }
        Ok(())
    }

    fn uri(&mut self, uri: &'a str) -> Result<(), Fault> {
        if let Some(variant) = self.variant.take() {
            self.multivariant
                .variants
                .push(VariantRead { uri, ..variant });
            return Ok(());
        }
        let duration = self.duration.take().ok_or(Fault::UriWithoutTag)?;
        let byte_range = match self.byte_range.take() {
            Some((len, Some(offset))) => Some(ByteRange { offset, len }),
            Some((len, None)) => Some(self.continued(uri, len).ok_or(Fault::ByteRange)?),
            None => None,
        };
        if byte_range.is_some_and(|r| r.offset.checked_add(r.len).is_none()) {
            return Err(Fault::ByteRange);
        }
        self.segments.push(SegmentRead {
            uri,
            duration,
            discontinuity: std::mem::take(&mut self.discontinuity),
            gap: std::mem::take(&mut self.gap),
            encrypted: self.encrypted,
            byte_range,
            map: self.map,
        });
        Ok(())
    }

    /// A byte range without offset starts where that of the segment before it ended.
    fn continued(&self, uri: &str, len: u64) -> Option<ByteRange> {
        let before = self.segments.last().filter(|s| s.uri == uri)?.byte_range?;
        let offset = before.offset.checked_add(before.len)?;
        Some(ByteRange { offset, len })
    }

    fn finish(self) -> Result<Playlist<'a>, Fault> {
        if self.variant.is_some() {
            return Err(Fault::TagWithoutUri("EXT-X-STREAM-INF"));
        }
        if self.duration.is_some() {
            return Err(Fault::TagWithoutUri("EXTINF"));
        }
        if self.is_multivariant {
            return Ok(Playlist::Multivariant(self.multivariant));
        }
        let missing = Fault::MissingTag("EXT-X-TARGETDURATION");
        Ok(Playlist::Media(MediaRead {
            version: self.version.unwrap_or(1),
            target_duration: self.target_duration.ok_or(missing)?,
            media_sequence: self.media_sequence,
            discontinuity_sequence: self.discontinuity_sequence,
            independent_segments: self.multivariant.independent_segments,
            playlist_type: self.playlist_type,
            end: self.end,
            segments: self.segments,
        }))
    }
}

fn variant(list: &str) -> Result<VariantRead<'_>, Fault> {
    let mut variant = VariantRead::default();
    let mut bandwidth = None;
    for pair in Attributes::new(list, "EXT-X-STREAM-INF") {
        let (name, value) = pair?;
        match name {
            "BANDWIDTH" => bandwidth = Some(field(value, "BANDWIDTH")?),
            "AVERAGE-BANDWIDTH" => {
                variant.average_bandwidth = Some(field(value, "AVERAGE-BANDWIDTH")?);
            }
            "CODECS" => variant.codecs = Some(value),
            "RESOLUTION" => {
                let sides = value
                    .split_once('x')
                    .and_then(|(width, height)| Some((decimal(width)?, decimal(height)?)));
                variant.resolution = Some(sides.ok_or(Fault::Attribute("RESOLUTION"))?);
            }
            "FRAME-RATE" => {
                let rate = duration_of(value).ok_or(Fault::Attribute("FRAME-RATE"))?;
                variant.frame_rate = Some(rate.as_secs_f64());
            }
            "AUDIO" => variant.audio_group = Some(value),
            _ => {}
        }
    }
    variant.bandwidth = bandwidth.ok_or(Fault::MissingAttribute("BANDWIDTH"))?;
    Ok(variant)
}

fn rendition(list: &str) -> Result<RenditionRead<'_>, Fault> {
    let mut rendition = RenditionRead::default();
    for pair in Attributes::new(list, "EXT-X-MEDIA") {
        let (name, value) = pair?;
        match name {
            "TYPE" => rendition.media_type = value,
            "GROUP-ID" => rendition.group_id = value,
            "NAME" => rendition.name = value,
            "LANGUAGE" => rendition.language = Some(value),
            "DEFAULT" => rendition.default = value == "YES",
            "URI" => rendition.uri = Some(value),
            _ => {}
        }
    }
    for (name, value) in [
        ("TYPE", rendition.media_type),
        ("GROUP-ID", rendition.group_id),
        ("NAME", rendition.name),
    ] {
        if value.is_empty() {
            return Err(Fault::MissingAttribute(name));
        }
    }
    Ok(rendition)
}

fn map(list: &str) -> Result<MapRead<'_>, Fault> {
    let uri = attribute(list, "EXT-X-MAP", "URI")?.ok_or(Fault::MissingAttribute("URI"))?;
    let byte_range = match attribute(list, "EXT-X-MAP", "BYTERANGE")? {
        Some(text) => {
            let (len, offset) = byte_range(text).ok_or(Fault::Attribute("BYTERANGE"))?;
            let offset = offset.unwrap_or(0);
            offset.checked_add(len).ok_or(Fault::ByteRange)?;
            Some(ByteRange { offset, len })
        }
        None => None,
    };
    Ok(MapRead { uri, byte_range })
}

/// One attribute of a list, which is read to its end all the same.
fn attribute<'a>(list: &'a str, tag: &'static str, wanted: &str) -> Result<Option<&'a str>, Fault> {
    let mut found = None;
    for pair in Attributes::new(list, tag) {
        let (name, value) = pair?;
        if name == wanted {
            found = Some(value);
        }
    }
    Ok(found)
}

/// `length[@offset]`.
fn byte_range(text: &str) -> Option<(u64, Option<u64>)> {
    match text.split_once('@') {
        Some((len, offset)) => Some((decimal(len)?, Some(decimal(offset)?))),
        None => Some((decimal(text)?, None)),
    }
}

/// The duration before the comma of `EXTINF`; the title after it is not kept.
fn duration(value: &str) -> Result<Duration, Fault> {
    let number = value.split(',').next().unwrap_or_default();
    duration_of(number).ok_or(Fault::Tag("EXTINF"))
}

/// A decimal-floating-point (§4.2) as seconds, cut to nanoseconds.
fn duration_of(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = match whole {
        "" if !fraction.is_empty() => 0,
        _ => decimal::<u32>(whole)?,
    };
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
    Some(Duration::new(seconds.into(), nanos))
}

fn number<T: FromStr>(value: &str, tag: &'static str) -> Result<T, Fault> {
    decimal(value.trim()).ok_or(Fault::Tag(tag))
}

fn field<T: FromStr>(value: &str, attribute: &'static str) -> Result<T, Fault> {
    decimal(value).ok_or(Fault::Attribute(attribute))
}

/// A decimal-integer: digits only, so without the sign that Rust's own parser accepts.
fn decimal<T: FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}
