//! The newest pieces, and the places of viewers in them.

use super::piece::{FIRST_PIECE, Format, Piece};
use crate::limits::{
    FANOUT_BATCH_BYTES_MAX, FANOUT_BEHIND_MAX, FANOUT_GOP_BYTES_MAX, FANOUT_GOP_MESSAGES_MAX,
    FANOUT_GOP_MS_MAX, FANOUT_LAG_BYTES_MAX, FANOUT_LAG_MS_MAX,
};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use weir_media::Mono;
use weir_rtmp::mux::Body;

/// Where a viewer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// At the last random access point: a picture at once, some of it late.
    #[default]
    Cached,
    /// At the next random access point: least delay.
    Live,
}

/// The newest pieces of a stream, in order and without a gap.
#[derive(Debug)]
pub struct Window {
    pieces: VecDeque<Arc<Piece>>,
    /// Numbers of the pieces where a viewer may begin.
    starts: VecDeque<u64>,
    messages: usize,
    bytes: usize,
    /// Number of the next piece.
    end: u64,
}

/// A viewer's place. It costs nothing but itself.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// Number of the next piece.
    next: u64,
    /// Nothing before the next start is of use.
    wants_start: bool,
    /// Number of the setup that the viewer has.
    setup: u64,
    /// Since when it has been behind, if it is.
    behind_since: Option<Mono>,
    /// Times that it was moved on to a later start.
    skips: u64,
}

/// Something that a viewer gets.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// The setup of this piece, which follows: metadata and configurations.
    Setup(&'a Arc<Piece>),
    /// The piece itself.
    Piece(&'a Arc<Piece>),
}

impl Part<'_> {
    /// Its bytes, shared with all who ask for the same format.
    #[must_use]
    pub fn bytes(&self, format: Format) -> Bytes {
        match self {
            Self::Setup(piece) => piece.intro(format),
            Self::Piece(piece) => piece.body(format),
        }
    }

    /// Its messages, one by one: for a reader that muxes them itself.
    pub fn each(&self, mut take: impl FnMut(&Body)) {
        match self {
            Self::Setup(piece) => {
                let setup = piece.setup().messages(piece.timestamp());
                setup.for_each(|body| take(&body));
            }
            Self::Piece(piece) => piece.messages().iter().for_each(take),
        }
    }
}

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many pieces were given.
    Some(usize),
    /// There is nothing for the viewer now.
    Nothing,
    /// The viewer was behind for too long, and is to be closed.
    TooSlow,
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pieces: VecDeque::new(),
            starts: VecDeque::new(),
            messages: 0,
            bytes: 0,
            end: FIRST_PIECE,
        }
    }

    /// Adds a piece. What precedes a gap in the numbers is of no use and is forgotten. With
    /// `watched`, pieces stay for viewers that lag; without, only what a new viewer would get.
    pub fn push(&mut self, piece: Arc<Piece>, watched: bool) {
        if piece.number != self.end {
            self.clear();
        }
        self.end = piece.number + 1;
        self.messages += piece.messages.len();
        self.bytes += piece.len;
        if piece.starts {
            self.starts.push_back(piece.number);
        }
        self.pieces.push_back(piece);
        self.trim(watched);
    }

    /// Forgets all pieces. Viewers go on with what comes.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.starts.clear();
        self.messages = 0;
        self.bytes = 0;
    }

    /// Lets nobody begin before the piece of this number: the publisher of what precedes it is
    /// gone.
    pub fn forget_starts(&mut self, before: u64) {
        self.starts.retain(|start| *start >= before);
    }

    /// Number of the first piece where a viewer may begin; that of the next one, if there is none.
    #[must_use]
    pub fn first_start(&self) -> u64 {
        self.starts.front().copied().unwrap_or(self.end)
    }

    /// Number of the next piece.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    fn trim(&mut self, watched: bool) {
        let Some(newest) = self.pieces.back().map(|piece| piece.time_ms) else {
            return;
        };
        while self.pieces.len() > 1
            && let Some(oldest) = self.pieces.front()
        {
            let age_ms = newest.saturating_sub(oldest.time_ms);
            let is_cached = self.starts.back().is_some_and(|s| *s <= oldest.number);
            let beyond_gop = self.messages > FANOUT_GOP_MESSAGES_MAX
                || self.bytes > FANOUT_GOP_BYTES_MAX
                || age_ms > FANOUT_GOP_MS_MAX;
            let beyond_lag =
                !watched || self.bytes as u64 > FANOUT_LAG_BYTES_MAX || age_ms > FANOUT_LAG_MS_MAX;
            if !(beyond_gop || (beyond_lag && !is_cached)) {
                break;
            }
            self.messages -= oldest.messages.len();
            self.bytes -= oldest.len;
            if self.starts.front() == Some(&oldest.number) {
                self.starts.pop_front();
            }
            self.pieces.pop_front();
        }
    }

    /// All pieces, oldest first.
    pub fn pieces(&self) -> impl Iterator<Item = &Arc<Piece>> {
        self.pieces.iter()
    }

    /// The newest piece.
    #[must_use]
    pub fn newest(&self) -> Option<&Arc<Piece>> {
        self.pieces.back()
    }

    /// Bytes of the pieces' bodies.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A place for a new viewer.
    #[must_use]
    pub fn join(&self, start: Start) -> Cursor {
        let cached = self.starts.back().filter(|_| start == Start::Cached);
        Cursor {
            next: cached.copied().unwrap_or(self.end),
            wants_start: true,
            setup: 0,
            behind_since: None,
            skips: 0,
        }
    }

    /// Gives a viewer what is next, at most [`FANOUT_BATCH_BYTES_MAX`] and one piece more.
    ///
    /// One that lags more than [`FANOUT_LAG_BYTES_MAX`] or [`FANOUT_LAG_MS_MAX`] skips to the
    /// last start, if that is ahead of it; one that was behind for [`FANOUT_BEHIND_MAX`] is
    /// [`Read::TooSlow`].
    pub fn read(&self, cursor: &mut Cursor, now: Mono, mut take: impl FnMut(Part<'_>)) -> Read {
        self.skip(cursor, now);
        if let Some(since) = cursor.behind_since
            && now.since(since) >= FANOUT_BEHIND_MAX
        {
            return Read::TooSlow;
        }
        let mut given = 0;
        let mut bytes = 0;
        while bytes < FANOUT_BATCH_BYTES_MAX
            && let Some(piece) = self.piece(cursor.next)
        {
            cursor.next += 1;
            if cursor.wants_start && !piece.starts {
                continue;
            }
            cursor.wants_start = false;
            if cursor.setup != piece.setup.number() {
                cursor.setup = piece.setup.number();
                take(Part::Setup(piece));
            }
            take(Part::Piece(piece));
            given += 1;
            bytes += piece.len;
        }
        if cursor.next >= self.end {
            cursor.behind_since = None;
        }
        match given {
            0 => Read::Nothing,
            given => Read::Some(given),
        }
    }

    /// Moves a viewer on that is too far behind.
    fn skip(&self, cursor: &mut Cursor, now: Mono) {
        let Some(oldest) = self.pieces.front() else {
            if cursor.next < self.end {
                self.restart(cursor, self.end);
            }
            return;
        };
        let last_start = self.starts.back().copied();
        if cursor.next < oldest.number {
            cursor.behind_since.get_or_insert(now);
            return self.restart(cursor, last_start.unwrap_or(self.end));
        }
        let (Some(here), Some(newest)) = (self.piece(cursor.next), self.newest()) else {
            return;
        };
        let bytes = newest.offset - here.offset;
        let ms = newest.time_ms.saturating_sub(here.time_ms);
        if bytes <= FANOUT_LAG_BYTES_MAX && ms <= FANOUT_LAG_MS_MAX {
            return;
        }
        cursor.behind_since.get_or_insert(now);
        if let Some(start) = last_start.filter(|start| *start > cursor.next) {
            self.restart(cursor, start);
        }
    }

    fn restart(&self, cursor: &mut Cursor, at: u64) {
        cursor.next = at;
        cursor.wants_start = true;
        cursor.skips += 1;
    }

    fn piece(&self, number: u64) -> Option<&Arc<Piece>> {
        let oldest = self.pieces.front()?.number;
        let index = usize::try_from(number.checked_sub(oldest)?).ok()?;
        self.pieces.get(index)
    }
}

impl Cursor {
    /// Whether the viewer has all there is.
    #[must_use]
    pub fn is_at_end(&self, window: &Window) -> bool {
        self.next >= window.end
    }

    /// Takes the number of times that the viewer was moved on since this was last called.
    pub fn take_skips(&mut self) -> u64 {
        std::mem::take(&mut self.skips)
    }

    /// Begins anew at the last start that is not before the viewer's place, or at the next one:
    /// after a pause.
    pub fn resume(&mut self, window: &Window) {
        let start = window.starts.back().copied().unwrap_or(window.end);
        self.next = start.max(self.next);
        self.wants_start = true;
        self.behind_since = None;
    }
}
