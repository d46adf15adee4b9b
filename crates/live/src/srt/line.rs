//! One connection and its datagrams, whoever's socket they come by.

use super::bell::Bell;
use crate::clock;
use crate::limits::{RECEIVES_PER_TURN, SRT_TICK};
use bytes::Bytes;
use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use weir_media::Mono;
use weir_ring::Alarm;
use weir_ring::net::{Datagrams, UdpSocket};
use weir_srt::{CloseReason, Connection, Event, Stats};

/// One connection.
pub(crate) struct Line {
    connection: RefCell<Connection>,
    socket: Rc<UdpSocket>,
    /// Rung when something came; none if the socket is this connection's alone.
    bell: Option<Bell>,
}

/// Why a connection goes no further.
#[derive(Debug)]
pub(crate) enum Over {
    /// It ended.
    Closed(CloseReason),
    /// Its socket failed.
    Socket(io::Error),
    /// Its work is done, or cannot be done.
    Work(crate::remote::Failure),
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => reason.fmt(f),
            Self::Socket(e) => write!(f, "the socket failed: {e}"),
            Self::Work(failure) => failure.fmt(f),
        }
    }
}

impl From<crate::remote::Failure> for Over {
    fn from(failure: crate::remote::Failure) -> Self {
        Self::Work(failure)
    }
}

impl From<Over> for crate::remote::Failure {
    fn from(over: Over) -> Self {
        match over {
            Over::Work(failure) => failure,
            Over::Socket(e) => Self::Socket(e),
            Over::Closed(CloseReason::HandshakeTimeout) => {
                Self::Dial(io::ErrorKind::TimedOut.into())
            }
            Over::Closed(CloseReason::Refused(r) | CloseReason::NotAccepted(r)) => {
                Self::Refused(r.to_string())
            }
            Over::Closed(CloseReason::Idle) => Self::Stalled,
            Over::Closed(_) => Self::Closed,
        }
    }
}

/// What is done over a connection.
pub(crate) trait Work {
    /// The peer accepted our call.
    fn connected(&mut self) {}

    /// A message came.
    fn message(&mut self, payload: &Bytes, now: Mono) -> Result<(), Over>;

    /// Ready when [`Work::run`] has something to do.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Does it; what is to be sent goes to `connection`.
    fn run(&mut self, connection: &mut Connection, now: Mono) -> Result<(), Over>;

    /// Looks at the clock, once in a while.
    fn tick(&mut self, stats: &Stats, now: Mono) -> Result<(), Over>;
}

impl Line {
    /// A connection over a port of many, whose owner calls [`Line::handle`].
    pub(super) fn shared(connection: Connection, socket: Rc<UdpSocket>) -> Rc<Self> {
        Rc::new(Self {
            connection: RefCell::new(connection),
            socket,
            bell: Some(Bell::default()),
        })
    }

    /// A connection with a socket of its own.
    pub(crate) fn alone(connection: Connection, socket: UdpSocket) -> Self {
        Self {
            connection: RefCell::new(connection),
            socket: Rc::new(socket),
            bell: None,
        }
    }

    /// Takes a datagram that came for it.
    pub(super) fn handle(&self, datagram: Bytes, from: SocketAddr, now: Mono) {
        self.connection.borrow_mut().handle(datagram, from, now);
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.connection.borrow().stats()
    }

    /// Works until the connection is over, and says good-bye if it is not the peer that ended it.
    pub(crate) async fn run(&self, work: &mut impl Work) -> Over {
        let over = self.work(work).await;
        let now = clock::now().mono;
        let mut connection = self.connection.borrow_mut();
        connection.close(now);
        self.transmit(&mut connection, now);
        over
    }

    async fn work(&self, work: &mut impl Work) -> Over {
        let mut alarm = Alarm::default();
        let mut tick = clock::now().mono;
        loop {
            let now = clock::now().mono;
            if let Err(over) = self.pump(work, now) {
                return over;
            }
            if tick <= now {
                tick = now + crate::limits::PULL_TICK;
                let stats = self.stats();
                if let Err(over) = work.tick(&stats, now) {
                    return over;
                }
            }
            // Timers need not be finer: what is due meanwhile leaves and is delivered together.
            let next = self.connection.borrow().next_timeout();
            let due = next.unwrap_or(now).max(now + SRT_TICK).min(tick);
            let deadline = weir_ring::now() + clock::until(due);
            let waited = poll_fn(|cx| {
                if let Poll::Ready(received) = self.poll_received(cx) {
                    return Poll::Ready(received.map(|()| false));
                }
                if work.poll(cx).is_ready() {
                    return Poll::Ready(Ok(true));
                }
                alarm.poll_at(cx, deadline).map(|()| Ok(false))
            });
            let done = match waited.await {
                Ok(false) => Ok(()),
                Ok(true) => {
                    let mut connection = self.connection.borrow_mut();
                    work.run(&mut connection, clock::now().mono)
                }
                Err(e) => Err(Over::Socket(e)),
            };
            if let Err(over) = done {
                return over;
            }
        }
    }

    /// Ready when something came. What a socket of our own has is taken here, as much as one turn
    /// may.
    fn poll_received(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(bell) = &self.bell {
            return bell.poll(cx).map(Ok);
        }
        let now = clock::now().mono;
        for taken in 0..RECEIVES_PER_TURN {
            match self.socket.poll_recv(cx) {
                Poll::Ready(Ok(datagrams)) => {
                    each(&datagrams, |datagram| {
                        self.handle(datagram, datagrams.source(), now)
                    });
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(())),
            }
        }
        // There may be more: others first.
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }

    /// Does what is due: what came goes to `work`, what is to be sent to the socket.
    fn pump(&self, work: &mut impl Work, now: Mono) -> Result<(), Over> {
        let mut connection = self.connection.borrow_mut();
        if connection.next_timeout().is_some_and(|due| due <= now) {
            connection.handle_timeout(now);
        }
        let mut done = Ok(());
        while done.is_ok()
            && let Some(message) = connection.recv(now)
        {
            done = work.message(&message.payload, now);
        }
        self.transmit(&mut connection, now);
        while let Some(event) = connection.poll_event() {
            match event {
                Event::Connected => work.connected(),
                Event::Closed(reason) => done = done.and(Err(Over::Closed(reason))),
                _ => {}
            }
        }
        done
    }

    fn transmit(&self, connection: &mut Connection, now: Mono) {
        let to = connection.peer();
        while let Some(transmit) = connection.poll_transmit(now) {
            self.socket
                .queue(to, &[transmit.head(), transmit.payload()]);
        }
        self.socket.flush();
    }
}

/// The datagrams of one receive, in memory of their own: copied once together.
pub(super) fn each(datagrams: &Datagrams, mut take: impl FnMut(Bytes)) {
    let all = Bytes::copy_from_slice(datagrams.bytes());
    let mut at = 0;
    for datagram in datagrams.iter() {
        take(all.slice(at..at + datagram.len()));
        at += datagram.len();
    }
}
