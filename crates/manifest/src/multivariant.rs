//! The multivariant playlist: which renditions there are (rfc8216bis §4.4.6).
//!
//! Nothing in it needs a version. With audio groups it says 4, as §8 advises, since older
//! clients would play such a variant without sound.

use crate::error::Error;
use crate::text::{all_or_nothing, put_decimal, put_quoted, put_uri_line};
use std::fmt::Write;
use weir_media::picture::VideoRange;

/// A multivariant playlist. Fields may be added: end literals with `..Default::default()`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Multivariant {
    /// Variants in the order in which a player should prefer them at the start.
    pub variants: Vec<Variant>,
    /// Audio renditions.
    pub audio: Vec<Rendition>,
    /// `EXT-X-INDEPENDENT-SEGMENTS`, for all media playlists.
    pub independent_segments: bool,
}

/// `EXT-X-STREAM-INF` (§4.4.6.2). Fields may be added: end literals with
/// `..Default::default()`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Variant {
    /// Media playlist, relative to this one.
    pub uri: String,
    /// Peak bit rate of the variant with the heaviest rendition of its group, in bit/s.
    pub bandwidth: u64,
    /// Average bit rate, likewise.
    pub average_bandwidth: Option<u64>,
    /// RFC 6381 strings of all formats in the variant and its group.
    pub codecs: Vec<String>,
    /// Width and height in pixels.
    pub resolution: Option<(u32, u32)>,
    /// Highest frame rate, in frames per second; positive.
    pub frame_rate: Option<f64>,
    /// `VIDEO-RANGE`; written unless it is SDR, which its absence means.
    pub video_range: VideoRange,
    /// `GROUP-ID` of its audio renditions.
    pub audio_group: Option<String>,
}

/// `EXT-X-MEDIA` with `TYPE=AUDIO` (§4.4.6.1). Fields may be added: end literals with
/// `..Default::default()`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendition {
    /// Group that variants name.
    pub group_id: String,
    /// What a player shows; unique within the group.
    pub name: String,
    /// BCP 47 language tag.
    pub language: Option<String>,
    /// Played unless the viewer chooses; at most one of a group.
    pub default: bool,
    /// Chosen by the player's environment, such as its language. A default one always is.
    pub autoselect: bool,
    /// Number of channels.
    pub channels: Option<u8>,
    /// Media playlist, relative to this one; none where the sound is in the variant itself.
    pub uri: Option<String>,
}

impl Multivariant {
    /// Appends the playlist's text.
    ///
    /// # Errors
    /// A string that cannot be written, a frame rate that is none, a group without
    /// renditions, or renditions that cannot be told apart; `out` is then as it was.
    pub fn write(&self, out: &mut String) -> Result<(), Error> {
        all_or_nothing(out, |out| {
            self.check_groups()?;
            out.push_str("#EXTM3U\n");
            if !self.audio.is_empty() {
                out.push_str("#EXT-X-VERSION:4\n");
            }
            if self.independent_segments {
                out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
            }
            self.audio.iter().try_for_each(|r| r.put(out))?;
            self.variants.iter().try_for_each(|v| v.put(out))
        })
    }

    fn check_groups(&self) -> Result<(), Error> {
        for (i, a) in self.audio.iter().enumerate() {
            let mut earlier = self
                .audio
                .iter()
                .take(i)
                .filter(|b| a.group_id == b.group_id);
            if earlier.any(|b| a.name == b.name || a.default && b.default) {
                return Err(Error::Rendition);
            }
        }
        let exists = |group: &String| self.audio.iter().any(|r| r.group_id == *group);
        let mut groups = self.variants.iter().filter_map(|v| v.audio_group.as_ref());
        if groups.all(exists) {
            Ok(())
        } else {
            Err(Error::AudioGroup)
        }
    }
}

impl Rendition {
    fn put(&self, out: &mut String) -> Result<(), Error> {
        out.push_str("#EXT-X-MEDIA:TYPE=AUDIO,");
        put_quoted(out, "GROUP-ID", &self.group_id)?;
        out.push(',');
        put_quoted(out, "NAME", &self.name)?;
        if let Some(language) = &self.language {
            out.push(',');
            put_quoted(out, "LANGUAGE", language)?;
        }
        if self.default {
            out.push_str(",DEFAULT=YES");
        }
        if self.autoselect || self.default {
            out.push_str(",AUTOSELECT=YES");
        }
        if let Some(channels) = self.channels {
            out.push_str(",CHANNELS=\"");
            put_decimal(out, u64::from(channels), 1);
            out.push('"');
        }
        if let Some(uri) = &self.uri {
            out.push(',');
            put_quoted(out, "URI", uri)?;
        }
        out.push('\n');
        Ok(())
    }
}

impl Variant {
    fn put(&self, out: &mut String) -> Result<(), Error> {
        out.push_str("#EXT-X-STREAM-INF:BANDWIDTH=");
        put_decimal(out, self.bandwidth, 1);
        if let Some(average) = self.average_bandwidth {
            out.push_str(",AVERAGE-BANDWIDTH=");
            put_decimal(out, average, 1);
        }
        if !self.codecs.is_empty() {
            out.push(',');
            put_quoted(out, "CODECS", &self.codecs.join(","))?;
        }
        if let Some((width, height)) = self.resolution {
            out.push_str(",RESOLUTION=");
            put_decimal(out, u64::from(width), 1);
            out.push('x');
            put_decimal(out, u64::from(height), 1);
        }
        if let Some(rate) = self.frame_rate {
            // Also false for what is not a number.
            if !(rate >= 0.001 && rate.is_finite()) {
                return Err(Error::FrameRate);
            }
            // Writing to a String cannot fail.
            let _ = write!(out, ",FRAME-RATE={rate:.3}");
        }
        out.push_str(match self.video_range {
            VideoRange::Sdr => "",
            VideoRange::Hlg => ",VIDEO-RANGE=HLG",
            VideoRange::Pq => ",VIDEO-RANGE=PQ",
        });
        if let Some(group) = &self.audio_group {
            out.push(',');
            put_quoted(out, "AUDIO", group)?;
        }
        out.push('\n');
        put_uri_line(out, &self.uri)
    }
}
