//! Streams with several inputs, from the settings.

use crate::config::{BackWord, FailoverEntry, Settings, Span, TrackWord};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use weir_hub::failover::{Back, InputState, Rules};
use weir_live::{Failover, Failovers};
use weir_media::StreamName;

/// Inputs of a stream, its own name included.
const INPUTS_MAX: usize = 8;

/// How long a preferred input has to be healthy, unless it is said.
const STABLE_DEFAULT: Duration = Duration::from_secs(30);

fn entries(settings: &Settings) -> impl Iterator<Item = (&StreamName, &FailoverEntry)> {
    let inputs = settings.inputs.iter();
    let inputs = inputs.map(|i| (&i.name.0, i.failover.as_ref()));
    let pulls = settings.pulls.iter();
    let all = inputs.chain(pulls.map(|p| (&p.name.0, p.failover.as_ref())));
    all.filter_map(|(name, entry)| Some((name, entry?)))
}

/// What is wrong with the settings.
///
/// # Errors
/// A text for the operator.
pub fn check(settings: &Settings) -> Result<(), String> {
    let known: HashSet<&StreamName> = settings
        .inputs
        .iter()
        .map(|i| &i.name.0)
        .chain(settings.pulls.iter().map(|p| &p.name.0))
        .collect();
    let asks = settings.open || settings.hooks.on_publish.is_some();
    let mut taken = HashSet::new();
    for (name, entry) in entries(settings) {
        let wrong = |why: &dyn fmt::Display| Err(format!("failover of {name:?}: {why}"));
        if entry.inputs.is_empty() || entry.inputs.len() >= INPUTS_MAX {
            return wrong(&format!("inputs are 1 to {} names", INPUTS_MAX - 1));
        }
        for input in std::iter::once(name).chain(entry.inputs.iter().map(|i| &i.0)) {
            if !taken.insert(input) {
                return wrong(&format!("{input:?} is an input twice"));
            }
            if !known.contains(input) && !asks {
                return wrong(&format!("{input:?} is no [[input]] and no [[pull]]"));
            }
            let mut pulls = settings.pulls.iter();
            if pulls.any(|p| &p.name.0 == input && p.on_demand) {
                return wrong(&format!(
                    "{input:?} cannot be on_demand: it would not be there"
                ));
            }
        }
        for (key, span, min_ms) in [
            ("loss", entry.loss, 200),
            ("frozen", entry.frozen, 500),
            ("missing", entry.missing, 500),
            ("stable", entry.stable, 0),
        ] {
            let range = Duration::from_millis(min_ms)..=Duration::from_secs(3600);
            if span.is_some_and(|s| !range.contains(&s.0)) {
                return wrong(&format!("{key} is outside {min_ms}ms to 1h"));
            }
        }
        if entry.stable.is_some() && !matches!(entry.back, None | Some(BackWord::Stable)) {
            return wrong(&"stable is for back = \"stable\"");
        }
    }
    Ok(())
}

/// All of them.
pub fn load(settings: &Settings) -> Failovers {
    let all = entries(settings).map(|(name, entry)| {
        let others = entry.inputs.iter().map(|i| i.0.clone());
        let inputs = std::iter::once(name.clone()).chain(others).collect();
        Arc::new(Failover::new(inputs, rules(entry)))
    });
    Failovers::new(all.collect())
}

fn rules(entry: &FailoverEntry) -> Rules {
    let default = Rules::default();
    let or = |span: Option<Span>, default| span.map_or(default, |s| s.0);
    Rules {
        loss: or(entry.loss, default.loss),
        frozen: or(entry.frozen, default.frozen),
        missing: or(entry.missing, default.missing),
        needs_video: entry.require.contains(&TrackWord::Video),
        needs_audio: entry.require.contains(&TrackWord::Audio),
        back: match entry.back {
            Some(BackWord::Never) => Back::Never,
            Some(BackWord::AtOnce) => Back::AtOnce,
            Some(BackWord::Stable) | None => Back::Stable(or(entry.stable, STABLE_DEFAULT)),
        },
    }
}

/// How a stream's inputs are, for the `api` listener; `None` if it has not several.
pub fn inputs(failovers: &Failovers, name: &str) -> Option<serde_json::Value> {
    let failover = failovers.of_stream(name)?;
    let status = failover.status();
    let inputs = failover.inputs.iter().enumerate().map(|(place, name)| {
        let state = status.states.get(place).copied();
        serde_json::json!({
            "name": name.as_str(),
            "state": state.unwrap_or(InputState::Absent).as_str(),
            "shown": status.shown == Some(place),
        })
    });
    Some(serde_json::json!({
        "inputs": inputs.collect::<Vec<_>>(),
        "reason": status.since.map(|(_, reason)| reason.as_str()),
        "since": status.since.map(|(utc, _)| utc.to_rfc3339()),
        "switches": status.switches,
    }))
}

/// Registers which inputs are shown and healthy.
pub fn register(registry: &mut Registry, failovers: &Failovers) {
    let all = failovers.streams().cloned().collect();
    registry.register_collector(Box::new(Inputs(all)));
}

struct Inputs(Vec<Arc<Failover>>);

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inputs")
    }
}

impl Collector for Inputs {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name, help, value: &dyn Fn(&Failover, usize) -> bool| {
            let mut gauge = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for failover in &self.0 {
                for (place, input) in failover.inputs.iter().enumerate() {
                    let stream = failover.inputs[0].as_str();
                    let labels = [("stream", stream), ("input", input.as_str())];
                    let value = ConstGauge::new(i64::from(value(failover, place)));
                    value.encode(gauge.encode_family(&labels)?)?;
                }
            }
            Ok(())
        };
        gauge(
            "input_shown",
            "Whether the stream is this input",
            &|f, place| f.status().shown == Some(place),
        )?;
        let is_healthy =
            |f: &Failover, place: usize| f.status().states.get(place) == Some(&InputState::Healthy);
        gauge(
            "input_healthy",
            "Whether the input could be shown",
            &is_healthy,
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{FileConfig, Flags, Settings};

    #[test]
    fn what_cannot_be_is_named() {
        let wrong = |text: &str| {
            let file = FileConfig::parse(text, "f").unwrap();
            super::check(&Settings::of(&Flags::default(), file)).unwrap_err()
        };
        let with = |failover: &str| {
            format!(
                "[[input]]\nname = \"a\"\nfailover = {{ {failover} }}\n[[input]]\nname = \"b\"\n"
            )
        };
        assert!(wrong(&with("inputs = []")).contains("1 to 7"));
        assert!(wrong(&with("inputs = [\"c\"]")).contains("no [[input]]"));
        assert!(wrong(&with("inputs = [\"b\", \"b\"]")).contains("twice"));
        assert!(wrong(&with("inputs = [\"a\"]")).contains("twice"));
        assert!(wrong(&with("inputs = [\"b\"], loss = \"10ms\"")).contains("loss"));
        let never = with("inputs = [\"b\"], back = \"never\", stable = \"9s\"");
        assert!(wrong(&never).contains("stable"));
        let pull = "\n[[pull]]\nname = \"c\"\nurl = \"rtmp://h/live/c\"\non_demand = true\n";
        assert!(wrong(&(with("inputs = [\"c\"]") + pull)).contains("on_demand"));
    }
}
