//! Viewers who get live frames as an FLV file without an end.

use crate::admit::{self, Admitted, Asker};
use crate::counters::Viewer;
use crate::feed::Subscription;
use crate::limits::PLAY_WAIT;
use crate::reasons::{PlayRefused, Protocol, ViewerClosed};
use crate::worker::Live;
use bytes::Bytes;
use std::net::IpAddr;
use std::task::{Context, Poll};
use tracing::info;
use weir_auth::hook::Client;
use weir_hub::fanout::{Format, Part, Read};
use weir_rtmp::session::Target;

/// One viewer. Dropping it lets it go.
pub struct FlvViewer {
    subscription: Subscription,
    viewer: Viewer,
    begun: bool,
    /// Goes with the viewer: its end tells the hook.
    _admitted: Admitted,
}

impl Live {
    /// A viewer of the stream `id`, once it is live; waits up to [`PLAY_WAIT`] for that, beside
    /// the hook. `query` is what came with the request from `address`.
    ///
    /// # Errors
    /// Why not; it is counted.
    pub async fn play_flv(
        &self,
        id: &str,
        query: Option<&str>,
        address: IpAddr,
        protocol: Protocol,
    ) -> Result<FlvViewer, PlayRefused> {
        let counters = &self.shared().counters;
        let target = Target {
            app: String::new(),
            key: id.to_owned(),
            query: query.map(str::to_owned),
        };
        let asker = Asker {
            address,
            connection: self.shared().connection(),
            client: &Client::default(),
        };
        let admitted = match admit::play(self.shared(), asker, &target).await {
            Ok(admitted) => admitted,
            Err(denied) => {
                let reason = denied.play_reason();
                counters.refuse_play(reason);
                info!(peer = %address, "play refused: {denied}");
                return Err(reason);
            }
        };
        let start = crate::play::start(query);
        let subscription = self.subscribe(&admitted.name, start, PLAY_WAIT).await;
        let Some(subscription) = subscription else {
            counters.refuse_play(PlayRefused::NotFound);
            return Err(PlayRefused::NotFound);
        };
        Ok(FlvViewer {
            subscription,
            viewer: counters.viewer(protocol),
            begun: false,
            _admitted: admitted,
        })
    }
}

impl FlvViewer {
    /// Ready when [`FlvViewer::read`] has something, or the end.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.subscription.poll_ready(cx).map(drop)
    }

    /// Appends what is next of the file; false when nothing follows it.
    pub fn read(&mut self, out: &mut Vec<Bytes>) -> bool {
        let before = out.len();
        let begun = &mut self.begun;
        let read = self.subscription.read(|part| {
            if let (Part::Setup(piece), false) = (part, *begun) {
                *begun = true;
                out.push(Bytes::copy_from_slice(&piece.flv_header()));
            }
            out.push(part.bytes(Format::Flv));
        });
        self.viewer.skipped(self.subscription.take_skips());
        let bytes = out.get(before..).unwrap_or_default();
        self.viewer.sent(bytes.iter().map(Bytes::len).sum());
        let over = match read {
            Read::TooSlow => Some(ViewerClosed::Slow),
            Read::Nothing if self.subscription.is_over() => Some(ViewerClosed::Ended),
            _ => None,
        };
        if let Some(why) = over {
            self.viewer.closed(why);
        }
        over.is_none()
    }

    /// Notes that the viewer took nothing for so long that it is let go.
    pub fn stalled(&self) {
        self.viewer.closed(ViewerClosed::Stalled);
    }
}
