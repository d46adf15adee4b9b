//! Other servers, from the settings.

use crate::config::{PullEntry, Settings};
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;
use weir_live::{Remote, Remotes, Source};
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
    let mut names = HashSet::new();
    for entry in &settings.pulls {
        let name = &entry.name.0;
        if !names.insert(name.as_str()) {
            return Err(format!("two [[pull]] have the name {name:?}"));
        }
        let url = url(entry)?;
        reachable(settings, &url).map_err(|e| format!("[[pull]] {name:?}: {e}"))?;
        let idle = entry.idle.map_or(IDLE_DEFAULT, |idle| idle.0);
        if !(Duration::from_secs(5)..=Duration::from_secs(86_400)).contains(&idle) {
            return Err(format!("[[pull]] {name:?}: idle is outside 5s to 1d"));
        }
    }
    Ok(())
}

/// A literal address can be looked at before any connection is made.
fn reachable(settings: &Settings, url: &Url) -> Result<(), String> {
    let Ok(address) = url.host.parse() else {
        return Ok(());
    };
    match Reach::new(settings.private_targets.0.clone()).allows(address) {
        true => Ok(()),
        false => Err(format!(
            "{address} is a private address; private_targets must name its network"
        )),
    }
}

fn url(entry: &PullEntry) -> Result<Url, String> {
    let url = entry.url.with_key(entry.key.as_deref());
    url.map_err(|e| format!("[[pull]] {:?}: {e}", entry.name.0))
}

/// Connections to other servers, as the settings have them. It reads files.
///
/// # Errors
/// A text for the operator.
pub fn remotes(settings: &Settings) -> Result<Remotes, String> {
    let mut trust = Trust::default();
    let mut sources = Vec::new();
    for entry in &settings.pulls {
        let url = url(entry)?;
        let tls = trust.of(&url, entry.tls_ca.as_deref())?;
        let idle = entry.idle.map_or(IDLE_DEFAULT, |idle| idle.0);
        sources.push(Source {
            name: entry.name.0.clone(),
            remote: Remote { url, tls },
            on_demand: entry.on_demand.then_some(idle),
        });
    }
    let reach = Reach::new(settings.private_targets.0.clone());
    Ok(Remotes::new(Dialer::new(reach), sources))
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
