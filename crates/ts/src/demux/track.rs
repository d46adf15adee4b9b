//! What the PES packets of a PID become.

use super::Output;
use super::audio::AudioTrack;
use super::id3::Id3Track;
use super::pes::Stamp;
use super::video::VideoTrack;

/// An elementary stream in PES packets.
#[derive(Debug)]
pub(super) enum Track {
    Video(Box<VideoTrack>),
    Audio(Box<AudioTrack>),
    Id3(Id3Track),
}

impl Track {
    /// Whether its PES packets may be longer than they can state.
    pub(super) fn may_be_long(&self) -> bool {
        matches!(self, Self::Video(_))
    }

    /// A PES packet begins. `first` is what its first packet holds of its payload, which is
    /// given to [`Track::push`] too.
    pub(super) fn begin(
        &mut self,
        stamp: Option<Stamp>,
        random_access: bool,
        first: &[u8],
        out: &mut Output<'_>,
    ) {
        match self {
            Self::Video(track) => track.begin(stamp, random_access, first, out),
            Self::Audio(track) => track.begin(stamp, out),
            Self::Id3(track) => track.begin(stamp, out),
        }
    }

    /// The next bytes of the PES packet's payload.
    pub(super) fn push(&mut self, payload: &[u8], out: &mut Output<'_>) {
        match self {
            Self::Video(track) => track.push(payload, out),
            Self::Audio(track) => track.push(payload),
            Self::Id3(track) => track.push(payload),
        }
    }

    /// The PES packet has its stated length.
    pub(super) fn end(&mut self, out: &mut Output<'_>) {
        match self {
            Self::Video(track) => track.end(out),
            Self::Audio(track) => track.end(out),
            Self::Id3(track) => track.end(out),
        }
    }

    /// Packets of the PES packet were lost.
    pub(super) fn lose(&mut self, out: &mut Output<'_>) {
        match self {
            Self::Video(track) => track.lose(),
            Self::Audio(track) => track.lose(out),
            Self::Id3(track) => track.lose(),
        }
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self, out: &mut Output<'_>) {
        match self {
            Self::Video(track) => track.finish(out),
            Self::Audio(track) => track.finish(out),
            Self::Id3(track) => track.end(out),
        }
    }
}
