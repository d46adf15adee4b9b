//! Streams with several inputs, of which one is shown.
//!
//! An input is a name that is published or pulled, like any other; all of a stream's are fed on the
//! worker that owns the stream. `group.rs` passes the shown one's frames on to the stream, by the
//! word of [`weir_hub::failover::Selector`]. To viewers and outputs a switch is a publisher who
//! takes over: one discontinuity.

mod group;

pub(crate) use group::{Group, InputLease};

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;
use weir_hub::failover::{InputState, Reason, Rules};
use weir_media::{StreamName, Utc};

/// A stream and its inputs. The first has the stream's own name, and is preferred to the second.
#[derive(Debug)]
pub struct Failover {
    /// Names of the inputs, the preferred first; that is the stream's.
    pub inputs: Vec<StreamName>,
    /// When they fail, and come back.
    pub rules: Rules,
    status: ArcSwap<FailoverStatus>,
}

/// How the inputs of a stream are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailoverStatus {
    /// Place of the input that is shown.
    pub shown: Option<usize>,
    /// Since when, and why.
    pub since: Option<(Utc, Reason)>,
    /// Times that another input was taken.
    pub switches: u64,
    /// By place; empty while nobody sends any.
    pub states: Vec<InputState>,
}

impl Failover {
    /// The stream that is named by the first of `inputs`, at least two names.
    #[must_use]
    pub fn new(inputs: Vec<StreamName>, rules: Rules) -> Self {
        Self {
            inputs,
            rules,
            status: ArcSwap::default(),
        }
    }

    /// How the inputs are.
    #[must_use]
    pub fn status(&self) -> Arc<FailoverStatus> {
        self.status.load_full()
    }
}

/// All of them, by the names of their inputs.
#[derive(Debug, Default)]
pub struct Failovers(HashMap<StreamName, (Arc<Failover>, usize)>);

impl Failovers {
    /// What the settings say. A name is an input of one stream only: of several the last counts.
    #[must_use]
    pub fn new(all: Vec<Arc<Failover>>) -> Self {
        let mut by_input = HashMap::new();
        for failover in all {
            for (place, name) in failover.inputs.iter().enumerate() {
                by_input.insert(name.clone(), (failover.clone(), place));
            }
        }
        Self(by_input)
    }

    /// The stream that a name is an input of, and which.
    pub(crate) fn find(&self, name: &StreamName) -> Option<(&Arc<Failover>, usize)> {
        let (failover, place) = self.0.get(name)?;
        Some((failover, *place))
    }

    /// The fail-over of a stream.
    #[must_use]
    pub fn of_stream(&self, name: &str) -> Option<&Arc<Failover>> {
        let (failover, place) = self.0.get(name)?;
        (*place == 0).then_some(failover)
    }

    /// All streams with several inputs.
    pub fn streams(&self) -> impl Iterator<Item = &Arc<Failover>> {
        let firsts = self.0.values().filter(|(_, place)| *place == 0);
        firsts.map(|(failover, _)| failover)
    }
}
