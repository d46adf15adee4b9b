//! Other servers, from the settings.

use crate::config::{Place, PullEntry, PushEntry, Settings};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use weir_live::limits::OUTPUTS_MAX;
use weir_live::{Origin, Output, Remote, Remotes, Source, Target};
use weir_media::StreamName;
use weir_net::tls::Connector;
use weir_net::{Dialer, Reach};
use weir_rtmp::Url;

/// How long after its last viewer a stream is given up that is pulled on demand.
const IDLE_DEFAULT: Duration = Duration::from_secs(30);

/// Streams that one program pulls: each may hold a connection and its stream.
const PULLS_MAX: usize = 1024;

/// What is wrong with the settings, without a look at the files that they name.
///
/// # Errors
/// A text for the operator.
pub fn check(settings: &Settings) -> Result<(), String> {
    if settings.pulls.len() > PULLS_MAX {
        return Err(format!("there are more than {PULLS_MAX} [[pull]]"));
    }
    let (mut names, mut ports) = (HashSet::new(), HashSet::new());
    for entry in &settings.pulls {
        let (name, within) = (&entry.name.0, format!("[[pull]] {:?}", entry.name.0));
        if !names.insert(name.as_str()) {
            return Err(format!("two [[pull]] have the name {name:?}"));
        }
        match place(&within, entry)? {
            Place::Rtmp(url) => {
                reachable(settings, &url.host).map_err(|e| format!("{within}: {e}"))?;
                if entry.program.is_some() {
                    return Err(format!("{within}: program is for transport streams"));
                }
            }
            Place::Srt(remote) => {
                reachable(settings, &remote.host).map_err(|e| format!("{within}: {e}"))?;
                if entry.tls_ca.is_some() {
                    return Err(format!("{within}: tls_ca is for rtmps://"));
                }
            }
            Place::Listen(listen) => {
                if entry.tls_ca.is_some() {
                    return Err(format!("{within}: tls_ca is for rtmps://"));
                }
                // Two would share what comes to a group, and only one may have another port.
                let unicast = !listen.to.address.ip().is_multicast();
                let port = listen.to.address.port();
                let own: &[u16] = if listen.rtp { &[0, 2, 4] } else { &[0] };
                if unicast && !own.iter().all(|n| ports.insert(port.saturating_add(*n))) {
                    return Err(format!(
                        "{within}: another [[pull]] has the port of {listen}"
                    ));
                }
            }
        }
        let idle = entry.idle.map_or(IDLE_DEFAULT, |idle| idle.0);
        if !(Duration::from_secs(5)..=Duration::from_secs(86_400)).contains(&idle) {
            return Err(format!("{within}: idle is outside 5s to 1d"));
        }
        if entry.on_demand && !entry.push.is_empty() {
            return Err(format!("{within}: what is pushed cannot be on_demand"));
        }
    }
    for (name, pushes) in pushes(settings) {
        if pushes.len() > OUTPUTS_MAX {
            return Err(format!("{name:?} has more than {OUTPUTS_MAX} push"));
        }
        let mut names = HashSet::new();
        for entry in pushes {
            let within = within(name, entry);
            if !names.insert(entry.name.0.as_str()) {
                return Err(format!("{within}: the name is there twice"));
            }
            let place = entry.url.place(entry.key.as_deref());
            let host = match place.map_err(|e| format!("{within}: {e}"))? {
                Place::Rtmp(url) => url.host,
                Place::Srt(remote) => remote.host,
                Place::Listen(_) => {
                    return Err(format!("{within}: the address is none to push to"));
                }
            };
            reachable(settings, &host).map_err(|e| format!("{within}: {e}"))?;
        }
    }
    Ok(())
}

fn pushes(settings: &Settings) -> impl Iterator<Item = (&StreamName, &[PushEntry])> {
    let inputs = settings.inputs.iter().map(|i| (&i.name.0, &i.push[..]));
    inputs.chain(settings.pulls.iter().map(|p| (&p.name.0, &p.push[..])))
}

fn within(name: &StreamName, entry: &PushEntry) -> String {
    format!("push {:?} of {name:?}", entry.name.0)
}

/// A literal address can be looked at before any connection is made.
fn reachable(settings: &Settings, host: &str) -> Result<(), String> {
    let Ok(address) = host.parse() else {
        return Ok(());
    };
    match Reach::new(settings.private_targets.0.clone()).allows(address) {
        true => Ok(()),
        false => Err(format!(
            "{address} is a private address; private_targets must name its network"
        )),
    }
}

/// Where a stream is pulled from.
fn place(within: &str, entry: &PullEntry) -> Result<Place, String> {
    let place = entry.url.place(entry.key.as_deref());
    let mut place = place.map_err(|e| format!("{within}: {e}"))?;
    let program = entry.program.map(std::num::NonZeroU16::get);
    match &mut place {
        Place::Listen(listen) => listen.program = program.or(listen.program),
        Place::Srt(remote) => remote.program = program,
        Place::Rtmp(_) => {}
    }
    Ok(place)
}

/// Connections to other servers, as the settings have them. It reads files.
///
/// # Errors
/// A text for the operator.
pub fn remotes(settings: &Settings) -> Result<Remotes, String> {
    let mut trust = Trust::default();
    let mut sources = Vec::new();
    for entry in &settings.pulls {
        let within = format!("[[pull]] {:?}", entry.name.0);
        let origin = match place(&within, entry)? {
            Place::Rtmp(url) => {
                let tls = trust.of(&url, entry.tls_ca.as_deref())?;
                Origin::Rtmp(Remote { url, tls })
            }
            Place::Listen(listen) => Origin::Listen(listen),
            Place::Srt(remote) => Origin::Srt(remote),
        };
        let idle = entry.idle.map_or(IDLE_DEFAULT, |idle| idle.0);
        sources.push(Source {
            name: entry.name.0.clone(),
            origin,
            on_demand: entry.on_demand.then_some(idle),
        });
    }
    let mut outputs: HashMap<_, Vec<_>> = HashMap::new();
    for (name, pushes) in pushes(settings) {
        for entry in pushes {
            let within = within(name, entry);
            let place = entry.url.place(entry.key.as_deref());
            let target = match place.map_err(|e| format!("{within}: {e}"))? {
                Place::Rtmp(url) => {
                    let tls = trust.of(&url, entry.tls_ca.as_deref())?;
                    Target::Rtmp(Remote { url, tls })
                }
                Place::Srt(remote) => Target::Srt(remote),
                Place::Listen(_) => {
                    return Err(format!("{within}: the address is none to push to"));
                }
            };
            let (called, enabled) = (entry.name.0.to_string(), entry.enabled.unwrap_or(true));
            let output = Output::new(called, target, enabled);
            outputs
                .entry(name.clone())
                .or_default()
                .push(Arc::new(output));
        }
    }
    let reach = Reach::new(settings.private_targets.0.clone());
    Ok(Remotes::new(Dialer::new(reach), sources, outputs))
}

/// A stream's outputs, for the `api` listener; `None` if it has none.
pub fn outputs(remotes: &Remotes, name: &str) -> Option<serde_json::Value> {
    let outputs = remotes.outputs(name);
    (!outputs.is_empty()).then(|| outputs.iter().map(|output| describe(output)).collect())
}

fn describe(output: &Output) -> serde_json::Value {
    let status = output.status();
    let error = status.last_error.map(|(text, at, reason)| {
        serde_json::json!({ "text": text, "reason": reason.as_str(), "at": at.to_rfc3339() })
    });
    serde_json::json!({
        "name": output.name,
        // The rest of the address may be secret.
        "server": output.target.to_string(),
        "enabled": output.enabled,
        "state": status.state.as_str(),
        "since": status.since.to_rfc3339(),
        "lastError": error,
        "failures": status.failures,
        "sentBytes": status.sent,
        "skips": status.skips,
    })
}

/// Whom to trust. The system's authorities are read once, and only if they are needed.
#[derive(Default)]
struct Trust {
    system: Option<Connector>,
}

impl Trust {
    fn of(&mut self, url: &Url, file: Option<&Path>) -> Result<Option<Connector>, String> {
        match file {
            Some(file) => Connector::of(file).map(Some).map_err(|e| e.to_string()),
            None if !url.tls => Ok(None),
            None => {
                if self.system.is_none() {
                    self.system = Some(Connector::system().map_err(|e| e.to_string())?);
                }
                Ok(self.system.clone())
            }
        }
    }
}
