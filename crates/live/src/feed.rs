//! What viewers of live frames read: one window per stream and worker, and places in it.
//!
//! The worker that owns a stream has its [`Relay`] beside the stream. Another worker makes one
//! when its first viewer comes, asks the owner for pieces, and gets them through a queue; the
//! relay goes with its last viewer. A [`Subscription`] is one viewer's place, whichever it is.

use crate::clock;
use crate::limits::FEED_QUEUED_MAX;
use crate::remote::Watching;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use weir_hub::fanout::{Cursor, Part, Piece, Read, Start, Window};
use weir_media::Mono;
use weir_ring::{Notified, Notify, Receiver, Sender};

/// A stream's window on one worker.
pub(crate) struct Relay {
    window: RefCell<Window>,
    news: Notify,
    viewers: Cell<usize>,
    ended: Cell<bool>,
    /// The window is what the owner has.
    synced: Cell<bool>,
    /// Told when a viewer comes and when the last one leaves.
    pub(crate) watched: Notify,
}

/// What the owner sends to a worker with viewers. The end of the queue is the stream's.
pub(crate) enum FeedItem {
    /// What viewers who lag may need, and the number of the first piece where one may begin.
    Window(Vec<Arc<Piece>>, u64),
    /// What came.
    Piece(Arc<Piece>),
    /// The publisher is gone.
    Pause,
}

impl Relay {
    /// The relay beside a stream, or, with `remote`, of another worker.
    pub(crate) fn new(remote: bool) -> Rc<Self> {
        Rc::new(Self {
            window: RefCell::new(Window::new()),
            synced: Cell::new(!remote),
            news: Notify::new(),
            viewers: Cell::new(0),
            ended: Cell::new(false),
            watched: Notify::new(),
        })
    }

    /// A place for a new viewer.
    pub(crate) fn subscribe(self: &Rc<Self>, start: Start) -> Subscription {
        self.viewers.set(self.viewers.get() + 1);
        self.watched.notify_all();
        let synced = self.synced.get();
        Subscription {
            cursor: synced.then(|| self.window.borrow().join(start)),
            start,
            relay: self.clone(),
            waiting: None,
            paused: false,
            watching: None,
        }
    }

    /// Whether anybody watches here.
    pub(crate) fn is_watched(&self) -> bool {
        self.viewers.get() > 0
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Adds a piece; viewers are told by [`Relay::tell`]. `watched` as [`Window::push`] has it.
    pub(crate) fn push(&self, piece: Arc<Piece>, watched: bool) {
        self.window.borrow_mut().push(piece, watched);
    }

    /// Wakes the viewers.
    pub(crate) fn tell(&self) {
        self.news.notify_all();
    }

    /// The publisher is gone: who comes now gets what comes, not a picture that stands still.
    pub(crate) fn pause(&self) {
        let mut window = self.window.borrow_mut();
        let all = window.end();
        window.forget_starts(all);
    }

    /// The stream is over: viewers get what is left.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.tell();
    }

    /// The window, for another worker.
    pub(crate) fn snapshot(&self) -> FeedItem {
        let window = self.window.borrow();
        FeedItem::Window(window.pieces().cloned().collect(), window.first_start())
    }

    /// Takes pieces from the owner until the stream ends or nobody watches.
    pub(crate) async fn run(&self, mut feed: Receiver<FeedItem>) {
        loop {
            let watched = self.watched.notified();
            if !self.is_watched() {
                break;
            }
            match weir_ring::select(feed.recv(), watched).await {
                weir_ring::Either::Left(Some(item)) => {
                    self.apply(item);
                    // What came with it is told of with it.
                    while let Some(item) = feed.try_recv() {
                        self.apply(item);
                    }
                    self.tell();
                }
                weir_ring::Either::Left(None) => break,
                weir_ring::Either::Right(()) => {}
            }
        }
        self.end();
    }

    fn apply(&self, item: FeedItem) {
        match item {
            FeedItem::Window(pieces, first_start) => {
                for piece in pieces {
                    self.push(piece, true);
                }
                self.window.borrow_mut().forget_starts(first_start);
                self.synced.set(true);
            }
            FeedItem::Piece(piece) => self.push(piece, true),
            FeedItem::Pause => self.pause(),
        }
    }
}

/// A queue from a stream's owner to another worker.
pub(crate) fn feed() -> (Sender<FeedItem>, Receiver<FeedItem>) {
    weir_ring::channel(FEED_QUEUED_MAX)
}

/// One reader's place in a live stream: wait with [`Subscription::ready`], then take with
/// [`Subscription::read`].
///
/// It lives on the worker that made it. Reading copies nothing: pieces, their messages and
/// their muxed bytes are shared. A reader that lags skips to the last random access point, and
/// is given up when that does not help; the publisher and other readers never wait for it.
pub struct Subscription {
    relay: Rc<Relay>,
    /// None until the window is there.
    cursor: Option<Cursor>,
    start: Start,
    waiting: Option<Notified>,
    paused: bool,
    /// Keeps the source going, if it is one that is pulled on demand.
    watching: Option<Watching>,
}

impl Subscription {
    /// Waits until the window is there. False if the stream ended before.
    pub(crate) fn synced(&mut self) -> impl Future<Output = bool> + '_ {
        poll_fn(|cx| {
            loop {
                if self.relay.synced.get() || self.relay.has_ended() {
                    return Poll::Ready(self.relay.synced.get());
                }
                if self.poll_news(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
    }

    /// Waits until there is something to read. False when the stream has ended and all was
    /// read. Loses nothing when dropped.
    pub fn ready(&mut self) -> impl Future<Output = bool> + '_ {
        poll_fn(|cx| self.poll_ready(cx))
    }

    /// As [`Subscription::ready`], for use beside other futures.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if !self.paused && self.has_news() {
                return Poll::Ready(true);
            }
            if self.relay.has_ended() {
                return Poll::Ready(false);
            }
            if self.poll_news(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = self
            .waiting
            .get_or_insert_with(|| self.relay.news.notified());
        let told = Pin::new(waiting).poll(cx);
        if told.is_ready() {
            self.waiting = None;
        }
        told
    }

    fn has_news(&mut self) -> bool {
        let window = self.relay.window.borrow();
        if self.cursor.is_none() && self.relay.synced.get() {
            self.cursor = Some(window.join(self.start));
        }
        let cursor = self.cursor.as_ref();
        cursor.is_some_and(|cursor| !cursor.is_at_end(&window))
    }

    /// Gives what is next to `take`, as [`Window::read`] says.
    pub fn read(&mut self, take: impl FnMut(Part<'_>)) -> Read {
        self.read_at(clock::now().mono, take)
    }

    fn read_at(&mut self, now: Mono, take: impl FnMut(Part<'_>)) -> Read {
        let window = self.relay.window.borrow();
        match &mut self.cursor {
            Some(cursor) if !self.paused => window.read(cursor, now, take),
            _ => Read::Nothing,
        }
    }

    /// Whether the stream has ended and all was read that the reader wants.
    #[must_use]
    pub fn is_over(&mut self) -> bool {
        self.relay.has_ended() && (self.paused || !self.has_news())
    }

    /// Keeps a source going for as long as this reader is there.
    pub(crate) fn keep(mut self, watching: Option<Watching>) -> Self {
        self.watching = watching;
        self
    }

    /// Times that this reader was moved on since this was last called.
    pub fn take_skips(&mut self) -> u64 {
        self.cursor.as_mut().map_or(0, Cursor::take_skips)
    }

    /// Begins anew, with all that a new reader gets.
    pub(crate) fn rejoin(&mut self) {
        self.cursor = None;
    }

    /// Stops the stream for this reader, or lets it go on at the last random access point.
    pub fn set_paused(&mut self, paused: bool) {
        if let Some(cursor) = &mut self.cursor
            && self.paused
            && !paused
        {
            cursor.resume(&self.relay.window.borrow());
        }
        self.paused = paused;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let viewers = self.relay.viewers.get().saturating_sub(1);
        self.relay.viewers.set(viewers);
        if viewers == 0 {
            self.relay.watched.notify_all();
        }
    }
}
