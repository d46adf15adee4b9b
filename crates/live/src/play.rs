//! What one RTMP connection plays: up to a few message streams, each a place in a live stream.

use crate::admit::Admitted;
use crate::counters::{Counters, Viewer};
use crate::feed::Subscription;
use crate::reasons::{Protocol, ViewerClosed};
use bytes::{Bytes, BytesMut};
use std::task::{Context, Poll};
use weir_http::target::Query;
use weir_hub::fanout::{Format, MESSAGE_STREAM, Part, Read, Setup, Start};
use weir_media::{CodecConfig, StreamName, TrackKind};
use weir_rtmp::flv::TagKind;
use weir_rtmp::limits::CHUNK_SIZE_PLAY;
use weir_rtmp::mux::Body;
use weir_rtmp::session::Capabilities;

/// Where a player wants to begin: `start=live` in the query is the least delay.
pub(crate) fn start(query: Option<&str>) -> Start {
    let live = Query::new(query).first("start");
    match live {
        Ok(Some(value)) if value == "live" => Start::Live,
        _ => Start::Cached,
    }
}

/// The streams that a connection plays.
#[derive(Default)]
pub(crate) struct Plays {
    all: Vec<Play>,
}

struct Play {
    /// Goes with the play: its end tells the hook.
    admitted: Admitted,
    subscription: Subscription,
    /// What the player says that it takes.
    capabilities: Capabilities,
    view: View,
    viewer: Viewer,
}

/// Which of a stream's messages a player wants, and under which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct View {
    stream_id: u32,
    audio: bool,
    video: bool,
}

/// A play that goes no further.
pub(crate) struct Over {
    pub(crate) stream_id: u32,
    pub(crate) name: StreamName,
    pub(crate) why: ViewerClosed,
}

impl Plays {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Begins to play; what played on that message stream makes way.
    pub(crate) fn add(
        &mut self,
        stream_id: u32,
        admitted: Admitted,
        subscription: Subscription,
        capabilities: Capabilities,
        counters: &Counters,
    ) {
        self.remove(stream_id);
        // Nearly all play one.
        self.all.reserve_exact(1);
        self.all.push(Play {
            admitted,
            subscription,
            capabilities,
            view: View {
                stream_id,
                audio: true,
                video: true,
            },
            viewer: counters.viewer(Protocol::Rtmp),
        });
    }

    pub(crate) fn remove(&mut self, stream_id: u32) {
        self.all.retain(|play| play.view.stream_id != stream_id);
    }

    pub(crate) fn set_paused(&mut self, stream_id: u32, paused: bool) {
        if let Some(play) = self.find(stream_id) {
            play.subscription.set_paused(paused);
        }
    }

    pub(crate) fn set_wanted(&mut self, stream_id: u32, kind: TrackKind, wanted: bool) {
        if let Some(play) = self.find(stream_id) {
            match kind {
                TrackKind::Audio => play.view.audio = wanted,
                TrackKind::Video => {
                    if wanted && !play.view.video {
                        // Pictures begin at a random access point.
                        play.subscription.set_paused(true);
                        play.subscription.set_paused(false);
                    }
                    play.view.video = wanted;
                }
            }
        }
    }

    fn find(&mut self, stream_id: u32) -> Option<&mut Play> {
        let mut all = self.all.iter_mut();
        all.find(|play| play.view.stream_id == stream_id)
    }

    /// Ready when [`Plays::read`] has something to do.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ready = Poll::Pending;
        for play in &mut self.all {
            if play.subscription.poll_ready(cx).is_ready() {
                ready = Poll::Ready(());
            }
        }
        ready
    }

    /// Takes what is next of each stream, and those that are over.
    pub(crate) fn read(&mut self, out: &mut Vec<Bytes>) -> Vec<Over> {
        let mut over = Vec::new();
        self.all.retain_mut(|play| match play.read(out) {
            None => true,
            Some(why) => {
                play.viewer.closed(why);
                over.push(Over {
                    stream_id: play.view.stream_id,
                    name: play.admitted.name.clone(),
                    why,
                });
                false
            }
        });
        over
    }
}

impl Play {
    fn read(&mut self, out: &mut Vec<Bytes>) -> Option<ViewerClosed> {
        let view = self.view;
        let before = out.len();
        let (capabilities, mut taken) = (self.capabilities, true);
        let read = self.subscription.read(|part| {
            if let Part::Setup(piece) = part {
                taken = takes(capabilities, piece.setup());
            }
            if taken {
                view.take(part, out);
            }
        });
        self.viewer.skipped(self.subscription.take_skips());
        let bytes = out.get(before..).unwrap_or_default();
        self.viewer.sent(bytes.iter().map(Bytes::len).sum());
        match read {
            _ if !taken => Some(ViewerClosed::Codec),
            Read::TooSlow => Some(ViewerClosed::Slow),
            Read::Nothing if self.subscription.is_over() => Some(ViewerClosed::Ended),
            _ => None,
        }
    }
}

/// Whether a player can take these tracks: any takes what FLV had from the beginning, the rest is
/// for those that say so (Enhanced RTMP).
fn takes(capabilities: Capabilities, setup: &Setup) -> bool {
    let takes = |config: &CodecConfig| match config {
        CodecConfig::H264(_) | CodecConfig::Aac(_) | CodecConfig::Mp3(_) => true,
        // It has no number and no name there.
        CodecConfig::Mp2(_) => false,
        other => capabilities.decodes(other.four_cc()),
    };
    [setup.video(), setup.audio()]
        .into_iter()
        .flatten()
        .all(takes)
}

impl View {
    /// The part as this player gets it: the bytes that all share, unless it wants less or under
    /// another number.
    fn take(self, part: Part<'_>, out: &mut Vec<Bytes>) {
        if self.audio && self.video && self.stream_id == MESSAGE_STREAM {
            out.push(part.bytes(Format::Rtmp));
            return;
        }
        let mut own = BytesMut::new();
        part.each(|body| {
            if self.wants(body) {
                body.put_message(self.stream_id, CHUNK_SIZE_PLAY, &mut own);
            }
        });
        if !own.is_empty() {
            out.push(own.freeze());
        }
    }

    fn wants(self, body: &Body) -> bool {
        match body.kind {
            TagKind::Audio => self.audio,
            TagKind::Video => self.video,
            _ => true,
        }
    }
}
