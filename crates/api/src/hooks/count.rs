//! What is counted of the hooks.

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::fmt;
use weir_auth::hook::Call;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// Allowed, or told.
    Ok,
    /// Refused by the hook.
    Refused,
    /// No answer, or none that makes sense.
    Failed,
    /// Not called: too many were waiting.
    Dropped,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Ok, Self::Refused, Self::Failed, Self::Dropped];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Labels {
    call: Call,
    outcome: Outcome,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let labels = [
            ("call", self.call.as_str()),
            ("outcome", self.outcome.as_str()),
        ];
        labels.encode(encoder)
    }
}

/// Counters of the calls. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Counters(Family<Labels, Counter>);

impl Counters {
    /// Registers `weir_hook_calls`, each call and outcome at zero.
    pub fn register(&self, registry: &mut Registry) {
        for call in Call::ALL {
            for outcome in Outcome::ALL {
                drop(self.0.get_or_create(&Labels { call, outcome }));
            }
        }
        let help = "Calls to the authorisation hook";
        registry.register("hook_calls", help, self.0.clone());
    }

    pub(super) fn count(&self, call: Call, outcome: Outcome) {
        self.0.get_or_create(&Labels { call, outcome }).inc();
    }
}
