//! Makes the calls of [`weir_auth::hook`] over HTTP, on the control plane's runtime.
//!
//! A question has one try within its timeout, the wait for its turn included; it fails closed.
//! What is only told has four tries, unless the receiver answers with something other than 429
//! or 5xx. Redirects are answers and are not followed. Nothing is kept between calls: they are as
//! rare as sessions, and a connection of its own has no stale state.

mod client;
mod count;
mod url;

pub use count::Counters;
pub use url::Url;

use crate::limits::{
    HOOK_ASKS_MAX, HOOK_ASKS_QUEUED_MAX, HOOK_RETRY_WAITS, HOOK_TELLS_MAX, HOOK_TELLS_QUEUED_MAX,
};
use client::{Client, Failed};
use count::Outcome;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};
use weir_auth::Secret;
use weir_auth::hook::{Answer, Call, Hooks, Task, encode};

/// How the body of a call is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/x-www-form-urlencoded`, as nginx-rtmp.
    Form,
    /// `application/json`.
    Json,
}

/// What is called, and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// The calls that are made.
    pub urls: Vec<(Call, Url)>,
    /// How the body is written.
    pub format: Format,
    /// Longest time for a question, or for one try to tell something.
    pub timeout: Duration,
    /// Signs every call, so that the receiver can tell who calls: the field `Webhook-Signature`
    /// is `time=SECONDS,sig1=HEX`, HMAC-SHA-256 of `SECONDS.BODY`.
    pub secret: Option<Secret>,
}

/// The end of [`Hooks`] that runs on the control plane.
#[derive(Debug)]
pub struct Runner {
    caller: Arc<Caller>,
    asks: mpsc::Receiver<Queued>,
    tells: mpsc::Receiver<Queued>,
}

/// Tells when nothing is left to be told.
#[derive(Debug, Clone)]
pub struct Pending(watch::Receiver<usize>);

#[derive(Debug)]
struct Caller {
    urls: Vec<(Call, Url)>,
    client: Client,
    timeout: Duration,
    counters: Counters,
    /// When the program began, in seconds since 1970: sessions are numbered from 1 in each run.
    run: u64,
    /// What is to be told and is not yet.
    pending: watch::Sender<usize>,
}

#[derive(Debug)]
struct Queued {
    task: Task,
    since: Instant,
}

impl Runner {
    /// The hooks for the sessions, and what makes their calls once it is run.
    ///
    /// # Errors
    /// A text for the operator: the system has no certificates of authorities for `https://`.
    pub fn new(config: Config, counters: Counters) -> Result<(Arc<Hooks>, Self), String> {
        let calls: Vec<Call> = config.urls.iter().map(|(call, _)| *call).collect();
        let client = Client::new(&config)?;
        let (asking, asks) = mpsc::channel(HOOK_ASKS_QUEUED_MAX);
        let (telling, tells) = mpsc::channel(HOOK_TELLS_QUEUED_MAX);
        let pending = watch::Sender::new(0);
        let (counted, lost) = (pending.clone(), counters.clone());
        let carry = move |task: Task| {
            let (asks, call) = (task.reply.is_some(), task.call);
            let queue = if asks { &asking } else { &telling };
            let since = Instant::now();
            // Before it is queued: it may be done before the call returns.
            if !asks {
                counted.send_modify(|n| *n += 1);
            }
            match queue.try_send(Queued { task, since }) {
                Ok(()) => Ok(()),
                Err(refused) => {
                    if !asks {
                        counted.send_modify(|n| *n -= 1);
                    }
                    lost.count(call, Outcome::Dropped);
                    Err(refused.into_inner().task)
                }
            }
        };
        let caller = Arc::new(Caller {
            urls: config.urls,
            client,
            timeout: config.timeout,
            counters,
            run: client::seconds(),
            pending,
        });
        let hooks = Hooks::new(&calls, Box::new(carry));
        Ok((
            hooks,
            Self {
                caller,
                asks,
                tells,
            },
        ))
    }

    /// For whoever ends the program.
    #[must_use]
    pub fn pending(&self) -> Pending {
        Pending(self.caller.pending.subscribe())
    }

    /// Makes calls for as long as the [`Hooks`] are there.
    pub async fn run(self) {
        let Self {
            caller,
            mut asks,
            mut tells,
        } = self;
        let asking = async {
            let turns = Arc::new(Semaphore::new(HOOK_ASKS_MAX));
            while let Some(Queued { task, since }) = asks.recv().await {
                // The first in the queue has the first deadline: nobody behind it waits too long.
                let deadline = since + caller.timeout;
                let turn = timeout_at(deadline, turns.clone().acquire_owned()).await;
                let Ok(Ok(turn)) = turn else {
                    caller.overdue(task);
                    continue;
                };
                let caller = caller.clone();
                tokio::spawn(async move {
                    caller.ask(task, deadline).await;
                    drop(turn);
                });
            }
        };
        let telling = async {
            let turns = Arc::new(Semaphore::new(HOOK_TELLS_MAX));
            while let Some(Queued { task, .. }) = tells.recv().await {
                let Ok(turn) = turns.clone().acquire_owned().await else {
                    break;
                };
                let caller = caller.clone();
                tokio::spawn(async move {
                    caller.tell(&task).await;
                    caller.pending.send_modify(|n| *n = n.saturating_sub(1));
                    drop(turn);
                });
            }
        };
        tokio::join!(asking, telling);
    }
}

impl Pending {
    /// Waits until nothing is left to be told.
    pub async fn none(mut self) {
        // An error says that the runner is gone, and with it what was to be told.
        let _ = self.0.wait_for(|n| *n == 0).await;
    }
}

impl Caller {
    fn url(&self, call: Call) -> Option<&Url> {
        let found = self.urls.iter().find(|(c, _)| *c == call);
        found.map(|(_, url)| url)
    }

    fn overdue(&self, task: Task) {
        self.counters.count(task.call, Outcome::Failed);
        if let Some(reply) = task.reply {
            reply.send(Answer::Fail("the hook did not answer in time".into()));
        }
    }

    async fn ask(&self, mut task: Task, deadline: Instant) {
        let Some(reply) = task.reply.take() else {
            return;
        };
        // Whoever asked may have left while it waited.
        if !reply.is_awaited() {
            return;
        }
        let answer = match self.call(&task, deadline).await {
            Ok((status, location)) => Answer::of(status, location.as_deref()),
            Err(failed) => Answer::Fail(format!("the hook failed: {failed}")),
        };
        let outcome = match &answer {
            Answer::Allow | Answer::Rename(_) => Outcome::Ok,
            Answer::Refuse => Outcome::Refused,
            Answer::Fail(_) => Outcome::Failed,
        };
        self.counters.count(task.call, outcome);
        reply.send(answer);
    }

    async fn tell(&self, task: &Task) {
        let mut waits = HOOK_RETRY_WAITS.iter();
        loop {
            let deadline = Instant::now() + self.timeout;
            let why = match self.call(task, deadline).await {
                Ok((429 | 500.., _)) => Failed::Status,
                Ok(_) => return self.counters.count(task.call, Outcome::Ok),
                Err(failed) => failed,
            };
            let call = task.call.as_str();
            let Some(wait) = waits.next() else {
                self.counters.count(task.call, Outcome::Failed);
                warn!(
                    call,
                    stream = task.facts.name,
                    "the hook was not told: {why}"
                );
                return;
            };
            debug!(call, "the hook is told again in {wait:?}: {why}");
            tokio::time::sleep(*wait).await;
        }
    }

    /// Makes one call; gives the status and the `Location`.
    async fn call(&self, task: &Task, deadline: Instant) -> Result<(u16, Option<Vec<u8>>), Failed> {
        let url = self.url(task.call).ok_or(Failed::Status)?;
        let body = match self.client.format {
            Format::Form => encode::form(task.call, &task.facts),
            Format::Json => encode::json(task.call, &task.facts),
        };
        let id = format!("{}-{}-{}", self.run, task.session, task.call.as_str());
        match timeout_at(deadline, self.client.post(url, &id, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failed::Timeout),
        }
    }
}

#[cfg(test)]
mod tests;
