//! Other servers: streams that are pulled from them, and streams that are pushed to them.
//!
//! A connection is made on the worker that owns the stream, and lives there: `link`. Each source
//! is one task for as long as the program runs: `pull`. Each output is one for as long as its
//! stream is there: `push`. What goes wrong is followed by a pause that grows: `backoff`.

mod backoff;
mod demand;
mod follow;
mod intake;
mod link;
mod listening;
mod output;
pub(crate) mod pull;
pub(crate) mod push;
mod receive;
mod srt_remote;

pub(crate) use demand::{Demand, Watching};
pub(crate) use intake::Intake;
pub(crate) use link::Failure;
pub use listening::Listen;
pub use output::{Output, OutputState, OutputStatus};
pub use srt_remote::SrtRemote;

use crate::limits::OUTPUTS_MAX;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use weir_media::StreamName;
use weir_net::Dialer;
use weir_net::tls::Connector;
use weir_rtmp::Url;

/// A stream on another server.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where it is.
    pub url: Url,
    /// Who is trusted under TLS. Without it `rtmps` is not spoken.
    pub tls: Option<Connector>,
}

/// Where a stream comes from. [`fmt::Display`] shows nothing that may be secret.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Origin {
    /// Another server, over RTMP.
    Rtmp(Remote),
    /// Whoever sends a transport stream to a port here.
    Listen(Listen),
    /// Another server, over SRT.
    Srt(SrtRemote),
}

/// Where a stream is pushed to. [`fmt::Display`] shows nothing that may be secret.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Target {
    /// Another server, over RTMP.
    Rtmp(Remote),
    /// Another server, over SRT.
    Srt(SrtRemote),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtmp(remote) => remote.url.fmt(f),
            Self::Srt(remote) => remote.fmt(f),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtmp(remote) => remote.url.fmt(f),
            Self::Listen(listen) => listen.fmt(f),
            Self::Srt(remote) => remote.fmt(f),
        }
    }
}

/// A stream that comes from another server.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name here.
    pub name: StreamName,
    /// Where it comes from.
    pub origin: Origin,
    /// `None` if it is pulled always; else how long after the last viewer it is given up.
    pub on_demand: Option<Duration>,
}

/// All that has to do with other servers.
pub struct Remotes {
    pub(crate) dialer: Dialer,
    pub(crate) demands: HashMap<StreamName, Demand>,
    outputs: HashMap<StreamName, Vec<Arc<Output>>>,
    /// Taken by the workers when they start.
    waiting: Mutex<Vec<pull::Puller>>,
}

impl Remotes {
    /// Pulls `sources` and pushes to `outputs`, at most [`OUTPUTS_MAX`] of each stream, over
    /// connections of `dialer`. Of two sources of one name the later counts.
    #[must_use]
    pub fn new(
        dialer: Dialer,
        sources: Vec<Source>,
        mut outputs: HashMap<StreamName, Vec<Arc<Output>>>,
    ) -> Self {
        for outputs in outputs.values_mut() {
            outputs.truncate(OUTPUTS_MAX);
        }
        let (mut demands, mut waiting) = (HashMap::new(), HashMap::new());
        for source in sources {
            let name = source.name.clone();
            let bell = source.on_demand.map(|idle| {
                let (demand, bell) = Demand::new(idle);
                demands.insert(name.clone(), demand.clone());
                (demand, bell)
            });
            waiting.insert(name, pull::Puller::new(Arc::new(source), bell));
        }
        Self {
            dialer,
            demands,
            outputs,
            waiting: Mutex::new(waiting.into_values().collect()),
        }
    }

    /// The outputs of a stream, live or not.
    #[must_use]
    pub fn outputs(&self, name: &str) -> &[Arc<Output>] {
        self.outputs.get(name).map_or(&[], Vec::as_slice)
    }

    /// All outputs, by stream.
    pub fn all_outputs(&self) -> impl Iterator<Item = (&StreamName, &Arc<Output>)> {
        let each = |(name, outputs)| {
            let outputs: &Vec<_> = outputs;
            outputs.iter().map(move |output| (name, output))
        };
        self.outputs.iter().flat_map(each)
    }

    /// The pullers of one of `workers` workers; the last one takes what is left.
    pub(crate) fn take(&self, index: usize, workers: usize) -> Vec<pull::Puller> {
        // Nothing that the lock guards can panic midway.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let left = workers.saturating_sub(index).max(1);
        let share = waiting.len().div_ceil(left);
        waiting.drain(..share).collect()
    }
}
