//! Joins HTTP delivery to live frames: neither crate knows the other.

use bytes::Bytes;
use std::task::{Context, Poll};
use weir_live::{FlvViewer, Live, PlayRefused, Protocol};
use weir_serve::{LiveBody, LiveRefusal, LiveRequest, LiveSource, Opening};

/// One worker's live streams, as HTTP delivery sees them.
pub struct LiveFlv(pub Live);

impl LiveSource for LiveFlv {
    fn open(&self, request: LiveRequest) -> Opening {
        let live = self.0.clone();
        Box::pin(async move {
            let query = request.query.as_deref();
            let protocol = match request.websocket {
                true => Protocol::WsFlv,
                false => Protocol::Flv,
            };
            let viewer = live.play_flv(&request.id, query, request.client, protocol);
            match viewer.await {
                Ok(viewer) => Ok(Box::new(Body(viewer)) as Box<dyn LiveBody>),
                Err(PlayRefused::NotFound | PlayRefused::Name) => Err(LiveRefusal::NotFound),
                Err(PlayRefused::HookFailed) => Err(LiveRefusal::Unavailable),
                Err(_) => Err(LiveRefusal::Denied),
            }
        })
    }
}

struct Body(FlvViewer);

impl LiveBody for Body {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_ready(cx)
    }

    fn read(&mut self, out: &mut Vec<Bytes>) -> bool {
        self.0.read(out)
    }

    fn stalled(&mut self) {
        self.0.stalled();
    }
}
