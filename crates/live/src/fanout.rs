//! The owner's part of live fan-out: from the hub's output to the windows of all workers.

use crate::feed::{FeedItem, Relay};
use std::rc::Rc;
use weir_hub::Output;
use weir_hub::fanout::{FanoutConfig, Muxer};
use weir_media::Mono;
use weir_ring::{Sender, TrySendError};
use weir_rtmp::Metadata;

/// Muxes a stream's frames and hands the pieces to those who relay them.
pub(crate) struct Fanout {
    muxer: Muxer,
    local: Rc<Relay>,
    /// One for each other worker with viewers.
    remote: Vec<Sender<FeedItem>>,
    /// When the task that waits for the muxer's timeout looks again, if it does.
    armed: Option<Mono>,
}

impl Fanout {
    pub(crate) fn new(config: FanoutConfig, local: Rc<Relay>) -> Self {
        Self {
            muxer: Muxer::new(config),
            local,
            remote: Vec::new(),
            armed: None,
        }
    }

    /// Takes what concerns viewers of the hub's output.
    pub(crate) fn handle(&mut self, output: &Output) {
        match output {
            Output::Track(config) => self.muxer.handle_track(config),
            Output::Settled => self.muxer.handle_settled(),
            Output::Frame(frame) => self.muxer.handle_frame(frame, frame.received_at),
            _ => {}
        }
    }

    pub(crate) fn handle_publish(&mut self) {
        self.muxer.handle_publish();
    }

    pub(crate) fn handle_metadata(&mut self, metadata: &Metadata) {
        self.muxer.handle_metadata(metadata);
    }

    pub(crate) fn handle_timeout(&mut self, now: Mono) {
        self.muxer.handle_timeout(now);
        self.flush();
    }

    /// The publisher left.
    pub(crate) fn handle_unpublish(&mut self) {
        self.muxer.handle_unpublish();
        self.flush();
        self.local.pause();
        // One that is too far behind to be told finds a gap soon, and forgets all there was.
        self.remote
            .retain(|to| !matches!(to.try_send(FeedItem::Pause), Err(TrySendError::Closed(_))));
    }

    /// When [`Fanout::handle_timeout`] is due, if anybody watches. Whoever asks comes back then,
    /// or when `watched` of the relay tells that it is sooner.
    pub(crate) fn due(&mut self) -> Option<Mono> {
        let due = self.muxer.poll_timeout().filter(|_| self.is_watched());
        self.armed = due;
        due
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.local.is_watched() || !self.remote.is_empty()
    }

    /// Feeds another worker from now on.
    pub(crate) fn add(&mut self, to: Sender<FeedItem>) {
        if to.try_send(self.local.snapshot()).is_ok() {
            self.remote.push(to);
        }
    }

    /// Hands on the pieces that may leave.
    pub(crate) fn flush(&mut self) {
        let mut any = false;
        while let Some(piece) = self.muxer.poll_piece() {
            any = true;
            self.remote
                .retain(|to| match to.try_send(FeedItem::Piece(piece.clone())) {
                    // A worker that is that far behind finds a gap in the numbers, and its
                    // viewers skip over it.
                    Ok(()) | Err(TrySendError::Full(_)) => true,
                    Err(TrySendError::Closed(_)) => false,
                });
            let watched = self.is_watched();
            self.local.push(piece, watched);
        }
        if any {
            self.local.tell();
        }
        let sooner = |due| self.armed.is_none_or(|armed| due < armed);
        if self.muxer.poll_timeout().is_some_and(sooner) && self.is_watched() {
            self.local.watched.notify_all();
        }
    }

    /// The stream is over.
    pub(crate) fn end(&mut self) {
        self.remote.clear();
        self.local.end();
        self.local.watched.notify_all();
    }
}
