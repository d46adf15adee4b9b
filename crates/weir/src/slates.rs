//! What streams show while nobody publishes, from the settings.

use crate::config::{Settings, Span};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use weir_live::Slate;
use weir_media::StreamName;

/// For how long a slate is shown at most, unless it is said.
const TIME_DEFAULT: Duration = Duration::from_secs(3600);

type Entry<'a> = (&'a StreamName, Option<&'a PathBuf>, Option<Span>);

fn entries(settings: &Settings) -> impl Iterator<Item = Entry<'_>> {
    let inputs = settings.inputs.iter();
    let inputs = inputs.map(|i| (&i.name.0, i.slate.as_ref(), i.slate_time));
    let pulls = settings.pulls.iter();
    inputs.chain(pulls.map(|p| (&p.name.0, p.slate.as_ref(), p.slate_time)))
}

/// What is wrong with the settings, without a look at the files that they name.
///
/// # Errors
/// A text for the operator.
pub fn check(settings: &Settings) -> Result<(), String> {
    let idle = settings
        .pulls
        .iter()
        .find(|p| p.on_demand && p.slate.is_some());
    if let Some(pull) = idle {
        let name = &pull.name;
        return Err(format!(
            "{name:?} is pulled on_demand and has a slate: it would be shown whenever nobody watches"
        ));
    }
    for (name, slate, time) in entries(settings) {
        let Some(time) = time else { continue };
        if slate.is_none() {
            return Err(format!("{name:?} has a slate_time without a slate"));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(30 * 86_400)).contains(&time.0) {
            return Err(format!("slate_time of {name:?} is outside 1s to 30d"));
        }
    }
    Ok(())
}

/// The slates of all streams that have one. It reads files, each once.
///
/// # Errors
/// A text for the operator.
pub fn load(settings: &Settings) -> Result<HashMap<StreamName, Slate>, String> {
    let mut known: HashMap<&Path, Slate> = HashMap::new();
    let mut slates = HashMap::new();
    for (name, file, time) in entries(settings) {
        let Some(file) = file else { continue };
        let most = time.map_or(TIME_DEFAULT, |time| time.0);
        let mut slate = match known.get(file.as_path()) {
            Some(slate) => slate.clone(),
            None => Slate::load(file, most)?,
        };
        known.insert(file, slate.clone());
        slate.most = most;
        slates.insert(name.clone(), slate);
    }
    Ok(slates)
}
