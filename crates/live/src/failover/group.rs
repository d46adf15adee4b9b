//! One stream's inputs, on the worker that owns the stream.

use super::{Failover, FailoverStatus};
use crate::budget::Budget;
use crate::clock;
use crate::limits::CONFIG_CHANGES_BURST;
use crate::owners::Claim;
use crate::reasons::SwitchReason;
use crate::stream::StreamLease;
use crate::worker::Live;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tracing::{info, warn};
use weir_hub::failover::{Reason, Selector, Switch, Verdict};
use weir_hub::limits::TRACKS_MAX;
use weir_media::{CodecConfig, Datum, Frame, StreamName, TrackId};
use weir_ring::{Notified, Notify};
use weir_rtmp::Metadata;

/// See the module. It is there while somebody sends an input.
pub(crate) struct Group {
    failover: Arc<Failover>,
    live: Live,
    /// The stream's name stays with this worker while its inputs do.
    _claim: Claim,
    state: RefCell<State>,
}

struct State {
    selector: Selector,
    inputs: Vec<Feeder>,
    /// The stream, fed by the shown input; none while that is away.
    stream: Option<StreamLease>,
}

/// Who sends an input, and what it said: all that is kept of one in standby.
#[derive(Default)]
struct Feeder {
    /// Number of the newest session.
    session: u64,
    /// Wakes it, so that it makes way; none if nobody sends.
    publisher: Option<Notify>,
    metadata: Option<Metadata>,
    /// At most one per track of a stream.
    configs: Vec<(TrackId, CodecConfig)>,
}

/// The right of one publish session to feed an input.
pub(crate) struct InputLease {
    group: Rc<Group>,
    input: usize,
    session: u64,
    config_changes: Budget,
}

impl Group {
    pub(crate) fn new(failover: Arc<Failover>, live: Live, claim: Claim) -> Rc<Self> {
        let now = clock::now().mono;
        let count = failover.inputs.len();
        let state = State {
            selector: Selector::new(failover.rules, count, now),
            inputs: (0..count).map(|_| Feeder::default()).collect(),
            stream: None,
        };
        Rc::new(Self {
            failover,
            live,
            _claim: claim,
            state: RefCell::new(state),
        })
    }

    /// The stream that is fed.
    pub(crate) fn stream(&self) -> &StreamName {
        &self.failover.inputs[0]
    }

    /// Whether somebody sends an input.
    pub(crate) fn is_sent(&self, input: usize) -> bool {
        let state = self.state.borrow();
        state
            .inputs
            .get(input)
            .is_some_and(|i| i.publisher.is_some())
    }

    /// Begins a session of an input; one that is there makes way.
    pub(crate) fn publish(self: &Rc<Self>, input: usize) -> (InputLease, Notified) {
        let notify = Notify::new();
        let evicted = notify.notified();
        let now = clock::now().mono;
        let mut state = self.state.borrow_mut();
        let feeder = &mut state.inputs[input];
        feeder.session += 1;
        let session = feeder.session;
        feeder.metadata = None;
        feeder.configs.clear();
        if let Some(previous) = feeder.publisher.replace(notify) {
            info!(stream = %self.stream(), input = %self.failover.inputs[input], "a newer publisher takes the input over");
            previous.notify_all();
        }
        state.selector.handle_open(input, now);
        if state.selector.shown() == Some(input) {
            self.feed(&mut state, input);
        }
        self.tell(&state, None);
        let lease = InputLease {
            group: self.clone(),
            input,
            session,
            config_changes: Budget::new(CONFIG_CHANGES_BURST, now),
        };
        (lease, evicted)
    }

    /// Looks at the inputs. Called every [`crate::limits::STREAM_TICK`].
    pub(crate) fn tick(&self) {
        let mut state = self.state.borrow_mut();
        state.selector.handle_timeout(clock::now().mono);
        self.tell(&state, None);
    }

    /// The worker stops: all make way.
    pub(crate) fn stop(&self) {
        let mut state = self.state.borrow_mut();
        state.stream = None;
        for feeder in &mut state.inputs {
            feeder.session += 1;
            if let Some(publisher) = feeder.publisher.take() {
                publisher.notify_all();
            }
        }
    }

    fn handle_frame(&self, input: usize, frame: Frame) {
        let mut state = self.state.borrow_mut();
        let verdict = state
            .selector
            .handle_frame(input, &frame, clock::now().mono);
        match verdict {
            Verdict::Drop => return,
            Verdict::Switch(switch) => self.switch(&mut state, switch),
            // The broadcast before was just being sealed when it began.
            Verdict::Show if state.stream.is_none() && frame.key => self.feed(&mut state, input),
            _ => {}
        }
        if let Some(stream) = &state.stream {
            stream.frame(frame);
        }
    }

    fn switch(&self, state: &mut State, switch: Switch) {
        self.feed(state, switch.to);
        let counters = &self.live.shared().counters;
        let reason = SwitchReason(switch.reason);
        counters.input_switches.get_or_create(&reason).inc();
        let (stream, to) = (self.stream(), &self.failover.inputs[switch.to]);
        let why = switch.reason.as_str();
        match switch.from.and_then(|i| self.failover.inputs.get(i)) {
            Some(from) => warn!(%stream, input = %to, %from, why, "another input is shown"),
            None => info!(%stream, input = %to, why, "an input is shown"),
        }
        if let Some(stream) = &state.stream {
            stream.note_input(switch.to);
        }
        self.tell(state, Some(switch.reason));
    }

    /// Begins a publish session of the stream with what an input said so far.
    fn feed(&self, state: &mut State, input: usize) {
        let (mut lease, _) = match self.live.publish_stream(self.stream()) {
            Ok(lease) => lease,
            Err(e) => {
                warn!(stream = %self.stream(), "no input can be shown: {e}");
                state.stream = None;
                return;
            }
        };
        let feeder = &state.inputs[input];
        if let Some(metadata) = &feeder.metadata {
            lease.describe(metadata);
        }
        for (track, config) in &feeder.configs {
            // A new session has room for all of them.
            let _ = lease.config(*track, config.clone());
        }
        state.stream = Some(lease);
    }

    /// Shows how it is to whoever asks.
    fn tell(&self, state: &State, switched: Option<Reason>) {
        let selector = &state.selector;
        let before = self.failover.status.load();
        let mut now = FailoverStatus {
            shown: selector.shown().filter(|_| state.stream.is_some()),
            since: before.since,
            switches: before.switches,
            states: (0..self.failover.inputs.len())
                .filter_map(|i| selector.state(i))
                .collect(),
        };
        if let Some(reason) = switched {
            now.since = Some((clock::now().utc, reason));
            now.switches += 1;
        }
        if now != **before {
            self.failover.status.store(Arc::new(now));
        }
    }

    fn leave(&self, input: usize, session: u64) {
        let mut state = self.state.borrow_mut();
        let feeder = &mut state.inputs[input];
        if feeder.session != session || feeder.publisher.take().is_none() {
            return;
        }
        feeder.metadata = None;
        feeder.configs.clear();
        state.selector.handle_close(input, clock::now().mono);
        if state.selector.shown() == Some(input) {
            // The open segment is closed and listed at once.
            state.stream = None;
        }
        self.tell(&state, None);
        if state.inputs.iter().all(|i| i.publisher.is_none()) {
            self.live.forget_group(self.stream());
        }
    }
}

impl InputLease {
    /// What `feed` says, if this session is still the input's.
    fn with(&self, feed: impl FnOnce(&mut Feeder, Option<&mut StreamLease>)) {
        let mut state = self.group.state.borrow_mut();
        let state = &mut *state;
        let is_shown = state.selector.shown() == Some(self.input);
        let feeder = &mut state.inputs[self.input];
        if feeder.session == self.session {
            feed(feeder, state.stream.as_mut().filter(|_| is_shown));
        }
    }

    pub(crate) fn describe(&self, metadata: &Metadata) {
        self.with(|feeder, stream| {
            if let Some(stream) = stream {
                stream.describe(metadata);
            }
            feeder.metadata = Some(metadata.clone());
        });
    }

    #[must_use]
    pub(crate) fn config(&mut self, track: TrackId, config: CodecConfig) -> bool {
        if !self.config_changes.take(clock::now().mono) {
            return false;
        }
        let mut goes_on = true;
        self.with(|feeder, stream| {
            if let Some(stream) = stream {
                goes_on = stream.config(track, config.clone());
            }
            feeder.configs.retain(|known| known.0 != track);
            if feeder.configs.len() < TRACKS_MAX {
                feeder.configs.push((track, config));
            }
        });
        goes_on
    }

    pub(crate) fn frame(&self, frame: Frame) {
        let is_ours = self.group.state.borrow().inputs[self.input].session == self.session;
        if is_ours {
            self.group.handle_frame(self.input, frame);
        }
    }

    pub(crate) fn datum(&self, datum: Datum) {
        self.with(|_, stream| {
            if let Some(stream) = stream {
                stream.datum(datum);
            }
        });
    }

    pub(crate) fn is_watched(&self) -> bool {
        let mut is_watched = false;
        self.with(|_, stream| is_watched = stream.is_some_and(|s| s.is_watched()));
        is_watched
    }

    pub(crate) fn name(&self) -> &StreamName {
        &self.group.failover.inputs[self.input]
    }
}

impl Drop for InputLease {
    fn drop(&mut self) {
        self.group.leave(self.input, self.session);
    }
}
