//! A run of messages that is sent together.

use super::setup::Setup;
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, OnceLock};
use weir_media::Frame;
use weir_rtmp::flv;
use weir_rtmp::limits::CHUNK_SIZE_PLAY;
use weir_rtmp::mux::Body;

/// Message stream of the muxed RTMP form: the first that a connection creates.
pub const MESSAGE_STREAM: u32 = 1;

/// Number of a stream's first piece.
pub(super) const FIRST_PIECE: u64 = 1;

/// How pieces are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// RTMP chunks of [`CHUNK_SIZE_PLAY`] on [`MESSAGE_STREAM`].
    Rtmp,
    /// FLV tags.
    Flv,
}

/// A run of messages. Immutable, shared by all viewers on all workers.
#[derive(Debug)]
pub struct Piece {
    pub(super) number: u64,
    /// Bytes of all pieces before it.
    pub(super) offset: u64,
    pub(super) starts: bool,
    pub(super) setup: Arc<Setup>,
    pub(super) messages: Vec<Body>,
    pub(super) frames: Vec<Frame>,
    pub(super) len: usize,
    /// Time of the first message in milliseconds, not wrapped.
    pub(super) time_ms: i64,
    rtmp: Muxed,
    flv: Muxed,
}

/// One form of a piece: what introduces it to a new viewer, and itself.
#[derive(Debug, Default)]
struct Muxed {
    intro: OnceLock<Bytes>,
    body: OnceLock<Bytes>,
}

impl Piece {
    /// A piece of these messages, of which there is at least one.
    pub(super) fn new(
        (number, offset): (u64, u64),
        starts: bool,
        setup: Arc<Setup>,
        (messages, frames): (Vec<Body>, Vec<Frame>),
        time_ms: i64,
    ) -> Self {
        let len = messages.iter().map(Body::len).sum();
        Self {
            number,
            offset,
            starts,
            setup,
            messages,
            frames,
            len,
            time_ms,
            rtmp: Muxed::default(),
            flv: Muxed::default(),
        }
    }

    /// Counts the pieces of a stream, without a gap.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether a viewer may begin here: at a random access point, or anywhere where there is no
    /// video.
    #[must_use]
    pub fn starts(&self) -> bool {
        self.starts
    }

    /// The tracks that it needs.
    #[must_use]
    pub fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// Its messages: bodies of FLV tags, which RTMP messages are too.
    #[must_use]
    pub fn messages(&self) -> &[Body] {
        &self.messages
    }

    /// What its messages were made of, at its place in the stream: for a format that is no FLV.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Bytes of its messages' bodies.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.len
    }

    /// Time of its first message as the wire has it: milliseconds, modulo 2^32.
    #[must_use]
    pub fn timestamp(&self) -> u32 {
        self.time_ms as u32
    }

    /// What a viewer whose last setup was another gets before the piece: metadata and sequence
    /// headers, at the piece's time.
    pub fn intro(&self, format: Format) -> Bytes {
        let muxed = self.muxed(format);
        let make = || write(format, self.setup.messages(self.timestamp()));
        muxed.intro.get_or_init(make).clone()
    }

    /// The piece itself.
    pub fn body(&self, format: Format) -> Bytes {
        let muxed = self.muxed(format);
        let make = || write(format, self.messages.iter());
        muxed.body.get_or_init(make).clone()
    }

    /// The file header of an FLV that begins here.
    #[must_use]
    pub fn flv_header(&self) -> [u8; flv::FILE_HEADER_BYTES] {
        let (video, audio) = (self.setup.video(), self.setup.audio());
        flv::file_header(audio.is_some(), video.is_some())
    }

    fn muxed(&self, format: Format) -> &Muxed {
        match format {
            Format::Rtmp => &self.rtmp,
            Format::Flv => &self.flv,
        }
    }
}

/// Muxes messages into one buffer: a send of one buffer costs each viewer less than a gather of
/// many, and the copy is made once.
fn write<B: std::borrow::Borrow<Body>>(format: Format, messages: impl Iterator<Item = B>) -> Bytes {
    let mut out = BytesMut::new();
    for body in messages {
        match format {
            Format::Rtmp => body
                .borrow()
                .put_message(MESSAGE_STREAM, CHUNK_SIZE_PLAY, &mut out),
            Format::Flv => body.borrow().put_tag(&mut out),
        }
    }
    out.freeze()
}
