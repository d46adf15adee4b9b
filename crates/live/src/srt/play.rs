//! Players over SRT: a stream as a transport stream, muxed once per worker for all of them.
//!
//! A player has no queue here: what it is sent waits in its connection, which gives up what would
//! come too late. One whose connection has no room goes on at the next random access point.

use super::board::Shown;
use super::line::{Line, Over, Work};
use crate::admit::Admitted;
use crate::counters::Viewer;
use crate::feed::Subscription;
use crate::limits::{SRT_END_WAIT, SRT_RELAY_BYTES_MAX};
use crate::reasons::{Protocol, ViewerClosed};
use crate::remote::Failure;
use crate::worker::Live;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tracing::{info, warn};
use weir_hub::fanout::{Part, Piece, Start};
use weir_media::{Mono, StreamName, TrackId, TrackKind};
use weir_ring::{Either, Notified, Notify};
use weir_srt::{Connection, SendError, Stats};
use weir_ts::live::{Muxer, Stream, carries};

/// A stream as SRT has it, on one worker: what came since the last random access point.
#[derive(Default)]
pub(crate) struct Relay {
    blocks: RefCell<VecDeque<Rc<Block>>>,
    /// Number of the next block.
    next: Cell<u64>,
    bytes: Cell<usize>,
    news: Notify,
    players: Cell<usize>,
    /// Told when a player leaves.
    left: Notify,
    ended: Cell<bool>,
}

/// A piece of the stream.
struct Block {
    number: u64,
    /// A player may begin here.
    starts: bool,
    payloads: Vec<Bytes>,
    bytes: usize,
}

/// A player's place.
pub(crate) struct Seat {
    relay: Rc<Relay>,
    next: u64,
    /// Nothing before the next start is of use.
    wants_start: bool,
    waiting: Option<Notified>,
}

/// A place in a live stream; waits up to `wait` for it to be there.
pub(crate) async fn relay(
    live: &Live,
    name: &StreamName,
    start: Start,
    wait: Duration,
) -> Option<Seat> {
    if let Some(relay) = live.ts_relay(name) {
        return Some(relay.sit());
    }
    let subscription = live.subscribe(name, start, wait).await?;
    // Somebody else may have waited too.
    if let Some(relay) = live.ts_relay(name) {
        return Some(relay.sit());
    }
    let relay = Rc::new(Relay::default());
    live.add_ts_relay(name, relay.clone());
    let seat = relay.sit();
    let (live, name) = (live.clone(), name.clone());
    weir_ring::spawn(async move {
        relay.run(&name, subscription).await;
        live.remove_ts_relay(&name, &relay);
    });
    Some(seat)
}

impl Relay {
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    fn sit(self: &Rc<Self>) -> Seat {
        self.players.set(self.players.get() + 1);
        let blocks = self.blocks.borrow();
        let start = blocks.iter().rev().find(|b| b.starts);
        Seat {
            relay: self.clone(),
            next: start.map_or(self.next.get(), |b| b.number),
            wants_start: true,
            waiting: None,
        }
    }

    /// Muxes until the stream ends or the last player has left.
    async fn run(&self, name: &StreamName, mut subscription: Subscription) {
        let (mut muxer, mut suits) = (PieceMuxer::new(), true);
        loop {
            let left = self.left.notified();
            if self.players.get() == 0 {
                break;
            }
            match weir_ring::select(subscription.ready(), left).await {
                Either::Left(false) => break,
                Either::Left(true) => {
                    subscription.read(|part| {
                        if let Part::Piece(piece) = part {
                            match muxer.mux(name, piece) {
                                Some(payloads) => self.push(payloads, piece.starts()),
                                None => suits = false,
                            }
                        }
                    });
                    self.news.notify_all();
                    if !suits {
                        break;
                    }
                }
                Either::Right(()) => {}
            }
        }
        self.ended.set(true);
        self.news.notify_all();
    }

    fn push(&self, payloads: Vec<Bytes>, starts: bool) {
        let len: usize = payloads.iter().map(Bytes::len).sum();
        if len == 0 {
            return;
        }
        let mut blocks = self.blocks.borrow_mut();
        let number = self.next.get();
        self.next.set(number + 1);
        let mut bytes = self.bytes.get() + len;
        blocks.push_back(Rc::new(Block {
            number,
            starts,
            payloads,
            bytes: len,
        }));
        // What is before the last start is kept for one turn: players are told after it.
        let keep_from = blocks
            .iter()
            .rev()
            .filter(|b| b.starts)
            .nth(1)
            .map(|b| b.number);
        while let Some(oldest) = blocks.front()
            && (keep_from.is_some_and(|from| oldest.number < from) || bytes > SRT_RELAY_BYTES_MAX)
            && blocks.len() > 1
        {
            bytes -= oldest.bytes;
            blocks.pop_front();
        }
        self.bytes.set(bytes);
    }

    fn block(&self, number: u64) -> Option<Rc<Block>> {
        let blocks = self.blocks.borrow();
        let first = blocks.front()?.number;
        let at = usize::try_from(number.saturating_sub(first)).ok()?;
        blocks.get(at).cloned()
    }
}

impl Seat {
    /// Ready when there is a block, or none will come.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.next < self.relay.next.get() || self.relay.has_ended() {
                return Poll::Ready(());
            }
            let news = || self.relay.news.notified();
            let waiting = self.waiting.get_or_insert_with(news);
            if Pin::new(waiting).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.waiting = None;
        }
    }

    /// The next block that is of use, if it is there.
    fn take(&mut self) -> Option<Rc<Block>> {
        while let Some(block) = self.relay.block(self.next) {
            // Some may have been thrown away meanwhile: then pictures are missing.
            self.wants_start |= block.number != self.next;
            self.next = block.number + 1;
            if !self.wants_start || block.starts {
                self.wants_start = false;
                return Some(block);
            }
        }
        None
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.relay
            .players
            .set(self.relay.players.get().saturating_sub(1));
        self.relay.left.notify_all();
    }
}

/// Writes pieces as MPEG-TS.
struct PieceMuxer {
    muxer: Muxer,
    /// Number of the setup whose tracks are carried.
    setup: u64,
    carried: Vec<TrackKind>,
    refused: bool,
}

impl PieceMuxer {
    fn new() -> Self {
        Self {
            muxer: Muxer::new(None),
            setup: 0,
            carried: Vec::new(),
            refused: false,
        }
    }

    /// The packets of a piece, in the payloads of messages; `None` if MPEG-TS carries none of the
    /// stream's codecs.
    fn mux(&mut self, name: &StreamName, piece: &Piece) -> Option<Vec<Bytes>> {
        let setup = piece.setup();
        if setup.number() != self.setup {
            self.setup = setup.number();
            let tracks = [setup.video(), setup.audio()].into_iter().flatten();
            let (carried, left_out): (Vec<_>, Vec<_>) = tracks.partition(|c| carries(c));
            for config in left_out {
                let codec = config.codec_string();
                warn!(stream = %name, codec, "MPEG-TS cannot carry it: SRT players miss it");
            }
            let mut streams: Vec<_> = carried
                .iter()
                .map(|config| Stream {
                    track: TrackId::source(config.kind()),
                    config,
                    language: None,
                })
                .collect();
            while let Err(e) = self.muxer.set_streams(&streams, false, false) {
                // A kind of AAC that ADTS cannot say does not cost the picture.
                warn!(stream = %name, "SRT players miss something: {e}");
                streams.pop()?;
            }
            self.carried = streams.iter().map(|s| s.config.kind()).collect();
        }
        if piece.starts() {
            self.muxer.begin_tables();
        }
        for frame in piece
            .frames()
            .iter()
            .filter(|f| self.carried.contains(&f.kind))
        {
            if let Err(e) = self.muxer.handle_frame(frame)
                && !std::mem::replace(&mut self.refused, true)
            {
                warn!(stream = %name, "a frame is left out for SRT players: {e}");
            }
        }
        self.muxer.flush();
        let datagrams = std::iter::from_fn(|| self.muxer.poll_datagram());
        Some(datagrams.map(|datagram| datagram.bytes).collect())
    }
}

/// A stream on its way into a connection.
pub(super) struct Sending {
    seat: Seat,
    skips: u64,
    /// Since when there is nothing more to come.
    ended: Option<Mono>,
}

impl Sending {
    pub(super) fn new(seat: Seat) -> Self {
        Self {
            seat,
            skips: 0,
            ended: None,
        }
    }

    /// Ready when [`Sending::run`] has something to do.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.ended {
            Some(_) => Poll::Pending,
            None => self.seat.poll_ready(cx),
        }
    }

    /// Gives `connection` what came.
    pub(super) fn run(&mut self, connection: &mut Connection, now: Mono) {
        while let Some(block) = self.seat.take() {
            for payload in &block.payloads {
                match connection.send(payload.clone(), now) {
                    Ok(()) => {}
                    Err(SendError::Full) => {
                        self.seat.wants_start = true;
                        self.skips += 1;
                        break;
                    }
                    // Its end is told as an event.
                    Err(_) => return,
                }
            }
        }
        if self.seat.relay.has_ended() {
            self.ended = Some(now);
        }
    }

    /// Whether the stream has ended, and the peer has what there was of it.
    pub(super) fn is_over(&self, stats: &Stats, now: Mono) -> bool {
        let waited = |since| now.since(since) >= SRT_END_WAIT;
        let ended = self.ended;
        ended.is_some_and(|since| stats.send_buffer_packets == 0 || waited(since))
    }

    /// Times that it was moved on since this was last called.
    pub(super) fn take_skips(&mut self) -> u64 {
        std::mem::take(&mut self.skips)
    }
}

/// One player.
pub(super) struct Player {
    live: Live,
    connection: u64,
    /// Goes with the player: its end tells the hook.
    admitted: Admitted,
    sending: Sending,
    viewer: Viewer,
    shown: Shown,
}

impl Player {
    pub(super) fn new(
        live: Live,
        connection: u64,
        admitted: Admitted,
        seat: Seat,
        shown: Shown,
    ) -> Self {
        let viewer = live.shared().counters.viewer(Protocol::Srt);
        Self {
            live,
            connection,
            admitted,
            sending: Sending::new(seat),
            viewer,
            shown,
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn serve(mut self, line: &Line) {
        let over = line.run(&mut self).await;
        self.note(&line.stats());
        info!(connection = self.connection, stream = %self.admitted.name, "SRT player: {over}");
    }

    fn note(&mut self, stats: &Stats) {
        let before = self.shown.update(stats);
        self.live.shared().counters.srt.add(&before, stats);
        let sent = stats.sent_bytes.saturating_sub(before.sent_bytes);
        self.viewer
            .sent(usize::try_from(sent).unwrap_or(usize::MAX));
        self.viewer.skipped(self.sending.take_skips());
    }
}

impl Work for Player {
    /// A player has nothing to say.
    fn message(&mut self, _: &Bytes, _: Mono) -> Result<(), Over> {
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sending.poll(cx)
    }

    fn run(&mut self, connection: &mut Connection, now: Mono) -> Result<(), Over> {
        self.sending.run(connection, now);
        // There is no time to wait for what is on its way.
        match self.sending.ended.is_some() && self.live.is_stopping() {
            true => Err(Failure::Ended.into()),
            false => Ok(()),
        }
    }

    fn tick(&mut self, stats: &Stats, now: Mono) -> Result<(), Over> {
        self.note(stats);
        if self.sending.is_over(stats, now) {
            self.viewer.closed(ViewerClosed::Ended);
            return Err(Failure::Ended.into());
        }
        Ok(())
    }
}
