//! The policy that the settings describe, whom to ask besides, and URLs signed by its keys.

use crate::config::{HOOK_TIMEOUT, HooksEntry, InputEntry, Networks, Settings, Span};
use weir_api::hooks::{Config, Format};
use weir_auth::hook::Call;
use weir_auth::policy::{Input, Policy};
use weir_auth::secrets::DEMO_INPUT;
use weir_auth::{Access, Secret, sign};
use weir_media::{StreamName, Utc};

/// The publish policy of the settings, with `more` inputs.
///
/// # Errors
/// A text that names the input at fault.
pub fn policy(settings: &Settings, more: Vec<Input>) -> Result<Policy, String> {
    let mut inputs = more;
    for entry in &settings.inputs {
        let input = input(entry)?;
        // An input of the operator's replaces the one that the first start made.
        inputs.retain(|other| other.name != input.name || other.name.as_str() != DEMO_INPUT);
        inputs.push(input);
    }
    let all = &settings.access;
    let publish = access(&all.publish_allow, &all.publish_deny)?;
    let play = access(&all.play_allow, &all.play_deny)?;
    let policy = Policy::new(settings.open, inputs).map_err(|e| e.to_string())?;
    let policy = policy.with_applications(settings.applications.0.clone());
    Ok(policy.restricted(publish, play))
}

fn input(entry: &InputEntry) -> Result<Input, String> {
    let secrets = |keys: &[crate::config::InputSecret]| keys.iter().map(|k| k.0.clone()).collect();
    Ok(Input {
        name: entry.name.0.clone(),
        key: entry.key_hash.as_ref().map(|key| key.0),
        signing_keys: secrets(&entry.signing_keys),
        tencent_keys: secrets(&entry.tencent_keys),
        publish: access(&entry.publish_allow, &entry.publish_deny)?,
        play: access(&entry.play_allow, &entry.play_deny)?,
    })
}

fn access(allow: &Networks, deny: &Networks) -> Result<Access, String> {
    Access::new(allow.0.clone(), deny.0.clone()).map_err(|e| e.to_string())
}

/// The hooks that the settings describe; `None` if nobody is to be called.
pub fn hooks(entry: &HooksEntry) -> Option<Config> {
    let urls = [
        (Call::Publish, &entry.on_publish),
        (Call::Play, &entry.on_play),
        (Call::PublishDone, &entry.on_publish_done),
        (Call::PlayDone, &entry.on_play_done),
        (Call::Done, &entry.on_done),
    ];
    let urls = urls.into_iter();
    let urls: Vec<_> = urls
        .filter_map(|(call, url)| Some((call, url.as_ref()?.0.clone())))
        .collect();
    (!urls.is_empty()).then(|| Config {
        urls,
        format: entry.format.map_or(Format::Form, |format| format.0),
        timeout: entry.timeout.unwrap_or(HOOK_TIMEOUT).0,
        secret: entry.secret.as_ref().map(|secret| secret.0.clone()),
    })
}

/// What an encoder is given as its stream key: the name of an input and a signature of its first
/// key that lets publishing begin within `valid` of `now`.
///
/// # Errors
/// A text: there is no such input, or it has no key of this form.
pub fn signed_key(
    settings: &Settings,
    name: &StreamName,
    (valid, now): (Span, Utc),
    tencent: bool,
) -> Result<String, String> {
    let found = settings.inputs.iter().find(|input| input.name.0 == *name);
    let input = found.ok_or_else(|| format!("the configuration has no input {name}"))?;
    let expires = now.plus_us(i64::try_from(valid.0.as_micros()).unwrap_or(i64::MAX));
    let (keys, key_name) = match tencent {
        true => (&input.tencent_keys, "tencent_keys"),
        false => (&input.signing_keys, "signing_keys"),
    };
    let key: &Secret = match keys.first() {
        Some(key) => &key.0,
        None => return Err(format!("input {name} has no {key_name}")),
    };
    let query = match tencent {
        true => sign::tencent_query(key, name, expires)
            .ok_or("Tencent's form cannot say a time after February 2106")?,
        false => sign::query(key, name, expires),
    };
    Ok(format!("{name}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;
    use weir_auth::{GrantedBy, StreamRequest};

    fn load(text: &str, mode: u32) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weir.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let flags = Flags {
            config: Some(path),
            ..Flags::default()
        };
        Settings::load(&flags)
    }

    #[test]
    fn what_is_signed_here_is_granted_here() {
        let text = "[[input]]\nname = \"event\"\nsigning_keys = [\"0123456789abcdef\"]\n\
                    tencent_keys = [\"fedcba9876543210\"]\npublish_deny = \"10.0.0.0/8\"\n";
        let settings = load(text, 0o600).unwrap();
        let policy = policy(&settings, Vec::new()).unwrap();
        let event = StreamName::parse("event").unwrap();
        let (now, hour) = (Utc(1_790_000_000_000_000), Span(Duration::from_secs(3600)));
        for tencent in [false, true] {
            let key = signed_key(&settings, &event, (hour, now), tencent).unwrap();
            let ask = |address: &str, seconds: i64| {
                policy.authorise_publish(&StreamRequest {
                    app: "live",
                    key: &key,
                    query: None,
                    address: address.parse().unwrap(),
                    now: now.plus_us(seconds * 1_000_000),
                })
            };
            assert_eq!(ask("192.0.2.1", 0).unwrap().by, GrantedBy::Signature);
            assert!(ask("192.0.2.1", 3630).is_ok() && ask("192.0.2.1", 3631).is_err());
            assert!(ask("10.0.0.1", 0).is_err());
        }
        let none = StreamName::parse("none").unwrap();
        assert!(signed_key(&settings, &none, (hour, now), false).is_err());
    }

    #[test]
    fn a_file_with_signing_keys_is_the_owners_alone() {
        let text = "[[input]]\nname = \"event\"\nsigning_keys = [\"0123456789abcdef\"]\n";
        let e = load(text, 0o644).unwrap_err();
        assert!(e.contains("chmod 600"), "{e}");
        assert!(load("[[input]]\nname = \"event\"\n", 0o644).is_ok());
    }

    #[test]
    fn an_input_without_any_key_is_named() {
        let settings = load("[[input]]\nname = \"event\"\n", 0o644).unwrap();
        let e = policy(&settings, Vec::new()).unwrap_err();
        assert!(e.contains("event") && e.contains("key_hash"), "{e}");
    }
}
