//! What an elementary stream holds, by `stream_type` and descriptors (ISO/IEC 13818-1 table
//! 2-34; ETSI TS 101 154; ATSC A/52 annex A; SCTE 35 §8; Blu-ray's own numbers).

use super::audio;
use super::tables::ElementaryStream;
use weir_media::TrackKind;
use weir_media::in_band::NalCoding;

/// What an elementary stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// H.264.
    H264,
    /// HEVC.
    Hevc,
    /// AAC in ADTS.
    Adts,
    /// AAC in LATM.
    Latm,
    /// MPEG audio of any layer.
    MpegAudio,
    /// AC-3 or Enhanced AC-3.
    Ac3,
    /// Opus.
    Opus,
    /// Splice information sections.
    Splice,
    /// ID3 tags.
    Id3,
    /// Pictures or sound in a codec that is not taken.
    Unsupported,
    /// Anything else, such as teletext, which is passed over.
    Other,
}

impl Content {
    /// By what a program map says. Frames may yet tell otherwise, within audio.
    pub(super) fn of(stream: &ElementaryStream) -> Self {
        let registration = stream.registration.as_ref();
        let is_blu_ray = registration == Some(b"HDMV");
        match stream.stream_type {
            0x1b => Self::H264,
            0x24 => Self::Hevc,
            0x0f => Self::Adts,
            0x11 => Self::Latm,
            0x03 | 0x04 => Self::MpegAudio,
            0x15 if registration.is_none_or(|r| r != b"KLVA") => Self::Id3,
            // ATSC and Blu-ray agree on AC-3. What both call 0x87 is never anything else.
            0x81 | 0x87 => Self::Ac3,
            0x84 if is_blu_ray => Self::Ac3,
            0x86 if !is_blu_ray => Self::Splice,
            0x06 => match registration {
                Some(b"Opus") => Self::Opus,
                Some(b"AC-3" | b"EAC3") => Self::Ac3,
                Some(b"HEVC") => Self::Hevc,
                Some(b"ID3 ") => Self::Id3,
                Some(b"CUEI") => Self::Other,
                _ if stream.ac3 || stream.eac3 => Self::Ac3,
                _ if stream.dvb_aac => Self::Adts,
                Some(b"AV01" | b"VVC " | b"BSSD" | b"mlpa") => Self::Unsupported,
                _ => Self::Other,
            },
            // MPEG-1 and MPEG-2 video, MPEG-4 visual, layers and views of H.264 and HEVC,
            // JPEG 2000, AVS, VVC, VC-1.
            0x01
            | 0x02
            | 0x10
            | 0x1f
            | 0x20
            | 0x21
            | 0x25
            | 0x28..=0x2b
            | 0x32..=0x35
            | 0x42
            | 0xd1
            | 0xd2
            | 0xd4
            | 0xea => Self::Unsupported,
            0x80 | 0x82 | 0x83 | 0x85 | 0x86 if is_blu_ray => Self::Unsupported,
            _ => Self::Other,
        }
    }

    /// Kind of track that comes out of it.
    #[must_use]
    pub fn kind(self) -> Option<TrackKind> {
        match self {
            Self::H264 | Self::Hevc => Some(TrackKind::Video),
            Self::Adts | Self::Latm | Self::MpegAudio | Self::Ac3 | Self::Opus => {
                Some(TrackKind::Audio)
            }
            _ => None,
        }
    }

    pub(super) fn video(self) -> Option<NalCoding> {
        match self {
            Self::H264 => Some(NalCoding::Avc),
            Self::Hevc => Some(NalCoding::Hevc),
            _ => None,
        }
    }

    pub(super) fn audio(self, stream: &ElementaryStream) -> Option<audio::Coding> {
        match self {
            Self::Adts => Some(audio::Coding::Adts),
            Self::Latm => Some(audio::Coding::Latm),
            Self::MpegAudio => Some(audio::Coding::Mpeg),
            Self::Ac3 => Some(audio::Coding::Ac3),
            Self::Opus => Some(audio::Coding::Opus(stream.opus_channels)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stream_type: u8, registration: Option<&[u8; 4]>) -> Content {
        Content::of(&ElementaryStream {
            stream_type,
            registration: registration.copied(),
            ..ElementaryStream::default()
        })
    }

    #[test]
    fn numbers_mean_what_their_makers_say() {
        assert_eq!(of(0x86, None), Content::Splice);
        assert_eq!(of(0x86, Some(b"CUEI")), Content::Splice);
        assert_eq!(of(0x86, Some(b"HDMV")), Content::Unsupported);
        assert_eq!(of(0x06, Some(b"Opus")), Content::Opus);
        assert_eq!(of(0x06, None), Content::Other);
        assert_eq!(of(0x02, None).kind(), None);
        assert_eq!(of(0x24, None).kind(), Some(TrackKind::Video));
        assert_eq!(of(0x15, Some(b"KLVA")), Content::Other);
        let dvb = ElementaryStream {
            stream_type: 6,
            eac3: true,
            ..ElementaryStream::default()
        };
        assert_eq!(Content::of(&dvb), Content::Ac3);
    }
}
