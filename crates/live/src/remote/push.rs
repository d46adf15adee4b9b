//! A stream that goes to another server: one task for each output of each broadcast, on the worker
//! that owns the stream.
//!
//! It reads the stream like a viewer, and so it never holds the source or other outputs up: one that
//! lags skips to the last keyframe, and one that does not catch up is connected anew.

use super::backoff::Backoff;
use super::follow::follow;
use super::link::{Failure, Link, Step};
use super::output::{Output, OutputState};
use super::pull::random;
use super::{Remote, SrtRemote, Target};
use crate::clock;
use crate::feed::Subscription;
use crate::limits::{OUTPUT_ANSWER_WAIT, STABLE_AFTER};
use crate::srt::call::{self, Progress};
use crate::srt::play;
use crate::stream::LiveStream;
use crate::worker::Live;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};
use weir_hub::fanout::{Part, Read, Start};
use weir_media::Mono;
use weir_ring::Either;
use weir_rtmp::Url;
use weir_rtmp::session::client::{Event, Mode};

/// Pushes a stream to an output for as long as the stream is there.
pub(crate) async fn run(live: Live, stream: Rc<LiveStream>, output: Arc<Output>) {
    let task = output.begin();
    output.set(task, OutputState::Idle);
    let mut backoff = Backoff::default();
    loop {
        let mut subscription = stream.relay().subscribe(Start::Cached);
        // Without frames there is nothing to connect for.
        if !subscription.ready().await {
            break;
        }
        output.set(task, OutputState::Connecting);
        let (to, name) = (&output.target, &output.name);
        let (failure, began) = match to {
            Target::Rtmp(remote) => {
                let mut push = Push {
                    live: &live,
                    output: &output,
                    remote,
                    task,
                    subscription,
                    base: None,
                    began: None,
                };
                let failure = follow(&remote.url, &mut push, Push::run).await;
                (failure, push.began)
            }
            Target::Srt(remote) => {
                drop(subscription);
                over_srt(&live, &stream, &output, task, remote).await
            }
        };
        let stable = began.is_some_and(|b| clock::now().mono.since(b) >= STABLE_AFTER);
        if matches!(failure, Failure::Unwanted) {
            break;
        }
        if stable {
            backoff.reset();
        }
        output.failed(task, &failure);
        live.shared().counters.output_failed(&failure);
        let pause = backoff.next(random());
        let pause_ms = pause.as_millis();
        warn!(stream = %stream.name, output = name, %to, pause_ms, "push: {failure}");
        weir_ring::sleep(pause).await;
    }
    output.set(task, OutputState::Idle);
}

/// One attempt over SRT; why it ended, and when the server began to take the stream.
async fn over_srt(
    live: &Live,
    stream: &LiveStream,
    output: &Output,
    task: u64,
    remote: &SrtRemote,
) -> (Failure, Option<Mono>) {
    let seat = play::relay(live, &stream.name, Start::Cached, Duration::ZERO).await;
    let Some(seat) = seat else {
        return (Failure::Unwanted, None);
    };
    let began = Cell::new(None);
    let progress = Progress {
        began: &began,
        sent: &|bytes, skips| output.sent(bytes, skips),
        taken: &|| output.set(task, OutputState::Live),
    };
    let failure = call::push(live, &stream.name, remote, seat, progress).await;
    (failure, began.get())
}

/// One attempt, over redirects.
struct Push<'a> {
    live: &'a Live,
    output: &'a Output,
    remote: &'a Remote,
    task: u64,
    subscription: Subscription,
    /// Time of the first message, which is 0 there.
    base: Option<u32>,
    /// When it began to take the stream.
    began: Option<Mono>,
}

impl Push<'_> {
    async fn run(&mut self, url: Url) -> Failure {
        let Some(remotes) = self.live.shared().remotes.get() else {
            return Failure::Unwanted;
        };
        let mode = Mode::Publish;
        let mut link = match Link::open(&remotes.dialer, self.remote, &url, mode).await {
            Ok(link) => link,
            Err(failure) => return failure,
        };
        // Another connection knows nothing of what an earlier one, which redirected, was sent.
        self.subscription.rejoin();
        self.base = None;
        let failure = match self.wait(&mut link).await {
            Ok(()) => self.forward(&mut link).await,
            Err(failure) => failure,
        };
        weir_ring::spawn(link.close());
        failure
    }

    /// Waits until the server takes the stream.
    async fn wait(&mut self, link: &mut Link) -> Result<(), Failure> {
        loop {
            match link.step().await? {
                Step::Event(Event::Publishing) => return Ok(()),
                Step::Event(_) => {}
                Step::Idle(deadline) => link.receive(deadline, OUTPUT_ANSWER_WAIT).await?,
            }
        }
    }

    /// Forwards the stream; why that ended.
    async fn forward(&mut self, link: &mut Link) -> Failure {
        self.output.set(self.task, OutputState::Live);
        self.began = Some(clock::now().mono);
        info!(output = self.output.name, to = %self.output.target, "pushing");
        loop {
            let deadline = match link.step().await {
                Ok(Step::Event(_)) => continue,
                Ok(Step::Idle(deadline)) => deadline,
                Err(failure) => return failure,
            };
            let heard = link.receive(deadline, Duration::from_secs(3600));
            match weir_ring::select(self.subscription.ready(), heard).await {
                Either::Right(Ok(())) if link.talks_too_much() => {
                    return Failure::Media("the server talks too much");
                }
                Either::Right(Ok(())) => {}
                Either::Right(Err(failure)) => return failure,
                Either::Left(false) => return Failure::Unwanted,
                Either::Left(true) => {
                    if !self.read(link) {
                        return Failure::Stalled;
                    }
                }
            }
        }
    }

    /// Hands on what is next of the stream; false if the server is too slow.
    fn read(&mut self, link: &mut Link) -> bool {
        let (base, mut bytes) = (&mut self.base, 0);
        let read = self.subscription.read(|part| {
            let piece = match part {
                Part::Setup(piece) => {
                    link.send_metadata(piece.setup().metadata());
                    piece
                }
                Part::Piece(piece) => piece,
            };
            let base = *base.get_or_insert(piece.timestamp());
            part.each(|body| {
                bytes += body.len();
                link.send(body, base);
            });
        });
        self.output.sent(bytes, self.subscription.take_skips());
        read != Read::TooSlow
    }
}
