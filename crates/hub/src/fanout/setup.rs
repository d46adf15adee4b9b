//! What a viewer needs before the first frame: metadata and configurations.

use weir_media::{CodecConfig, TrackId, TrackKind};
use weir_rtmp::Metadata;
use weir_rtmp::mux::{self, Body};

/// The tracks of a stream from some piece on. Immutable; another takes its place when a track
/// comes, goes or changes its configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Setup {
    number: u64,
    metadata: Metadata,
    video: Option<CodecConfig>,
    audio: Option<CodecConfig>,
}

impl Setup {
    /// The setup that comes after this one. `said` is what the publisher said of its stream;
    /// where the configurations know better, they win.
    pub(super) fn next(
        &self,
        said: &Metadata,
        video: Option<CodecConfig>,
        audio: Option<CodecConfig>,
    ) -> Self {
        let mut metadata = said.clone();
        metadata.has_video = Some(video.is_some());
        metadata.has_audio = Some(audio.is_some());
        if video.is_none() {
            metadata.width = None;
            metadata.height = None;
            metadata.frame_rate = None;
            metadata.video_codec_id = None;
            metadata.video_data_rate = None;
        }
        if audio.is_none() {
            metadata.audio_codec_id = None;
            metadata.audio_data_rate = None;
            metadata.audio_channels = None;
            metadata.audio_sample_rate = None;
        }
        if let Some(CodecConfig::H264(avc)) = &video {
            metadata.width = Some(avc.info.width.into());
            metadata.height = Some(avc.info.height.into());
        }
        if let Some(config) = &audio {
            metadata.audio_sample_rate = Some(config.timescale().into());
        }
        Self {
            number: self.number + 1,
            metadata,
            video,
            audio,
        }
    }

    /// Says the same as another setup, but for the metadata.
    pub(super) fn keep_number_of(&mut self, other: &Self) {
        self.number = other.number;
    }

    /// Counts the setups of a stream from 1; 0 is before the first.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The configuration of the source video, if there is video.
    #[must_use]
    pub fn video(&self) -> Option<&CodecConfig> {
        self.video.as_ref()
    }

    /// The configuration of the source audio, if there is audio.
    #[must_use]
    pub fn audio(&self) -> Option<&CodecConfig> {
        self.audio.as_ref()
    }

    /// The configuration of a kind of track.
    #[must_use]
    pub fn track(&self, kind: TrackKind) -> Option<&CodecConfig> {
        match kind {
            TrackKind::Video => self.video(),
            TrackKind::Audio => self.audio(),
        }
    }

    /// `onMetaData` of what there is.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Metadata and sequence headers as messages of this time, in milliseconds. Metadata has the
    /// time 0: at any other ffmpeg takes it for a track of text.
    pub fn messages(&self, timestamp: u32) -> impl Iterator<Item = Body> + '_ {
        let headers = [&self.video, &self.audio].into_iter().flatten();
        let headers = headers.filter_map(move |config| {
            let track = TrackId::source(config.kind());
            mux::sequence_header(track, config, timestamp)
        });
        std::iter::once(mux::metadata(&self.metadata, 0)).chain(headers)
    }
}
