//! Whether somebody may publish, and as which stream.

use crate::error::{Error, Refusal};
use crate::key::KeyHash;
use crate::limits::{INPUTS_MAX, PUBLISH_PATH_BYTES_MAX};
use std::borrow::Cow;
use std::collections::HashSet;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use weir_http::target::Query;
use weir_media::StreamName;

/// One thing that may be published, and the key that opens it.
#[derive(Debug, Clone)]
pub struct Input {
    /// The stream that it feeds.
    pub name: StreamName,
    /// The hash of its key.
    pub key: KeyHash,
}

/// What may be published: an immutable snapshot, shared in an `Arc`.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    open: bool,
    inputs: Vec<Input>,
}

impl Policy {
    /// A policy of these inputs. With `open`, whoever comes may also publish under any name,
    /// the names of inputs included.
    ///
    /// # Errors
    /// [`Error::DuplicateName`], [`Error::DuplicateKey`], [`Error::TooManyInputs`]
    pub fn new(open: bool, inputs: Vec<Input>) -> Result<Self, Error> {
        if inputs.len() > INPUTS_MAX {
            return Err(Error::TooManyInputs);
        }
        let (mut names, mut keys) = (HashSet::new(), HashSet::new());
        for input in &inputs {
            if !names.insert(input.name.as_str()) {
                return Err(Error::DuplicateName(input.name.clone()));
            }
            if !keys.insert(input.key.as_bytes()) {
                return Err(Error::DuplicateKey(input.name.clone()));
            }
        }
        Ok(Self { open, inputs })
    }

    /// Whether any name may be published.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// The inputs.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Decides on a publish request.
    ///
    /// `app` and `key` are the application and stream key of RTMP; protocols with one path
    /// leave the other empty. Joined by `/` they are the path, from which a first segment
    /// `live` is dropped. `query` is what followed a `?`, where the protocol has split it
    /// off already; a `?` in `key` or `app` is found here. What remains is one of
    ///
    /// - the key of an input, which alone tells which one is meant,
    /// - `NAME` with `key=KEY` in the query, the key of that input,
    /// - in an open policy, any other valid `NAME`.
    ///
    /// # Errors
    /// [`Refusal`], to be sent to the publisher in words of the protocol.
    pub fn authorise_publish(
        &self,
        app: &str,
        key: &str,
        query: Option<&str>,
    ) -> Result<StreamName, Refusal> {
        if self.inputs.is_empty() && !self.open {
            return Err(Refusal::NotAllowed);
        }
        if app.len().saturating_add(key.len()) > PUBLISH_PATH_BYTES_MAX {
            return Err(Refusal::BadName("is too long"));
        }
        let (app, app_query) = split_query(app);
        let (key, key_query) = split_query(key);
        let path = join(app, key);
        let path = path.as_ref();

        let claimed = [key_query, query, app_query]
            .into_iter()
            .flatten()
            .find_map(|query| Query::new(Some(query)).first("key").ok().flatten());
        let found = self.find(claimed.as_deref().unwrap_or(path));
        match (found, claimed.is_some()) {
            (Some(input), false) => return Ok(input.name.clone()),
            (Some(input), true) if input.name.as_str() == path => return Ok(input.name.clone()),
            _ => {}
        }
        if !self.open {
            return Err(Refusal::BadKey);
        }
        StreamName::parse(path).map_err(|error| match error {
            weir_media::Error::Name(why) => Refusal::BadName(why),
            _ => Refusal::BadName("is malformed"),
        })
    }

    /// The input that `candidate` is the key of. Every input is looked at, so that the time
    /// does not tell which one it was.
    fn find(&self, candidate: &str) -> Option<&Input> {
        let hash = KeyHash::of(candidate);
        let mut found = u64::MAX;
        for (i, input) in (0_u64..).zip(&self.inputs) {
            found.conditional_assign(&i, input.key.ct_eq(&hash));
        }
        self.inputs.get(usize::try_from(found).ok()?)
    }
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

/// Application and key as one path, without the application `live` and without slashes
/// around it. Some encoders put the whole path into one of the two.
fn join<'a>(app: &'a str, key: &'a str) -> Cow<'a, str> {
    match (app.trim_matches('/'), key.trim_matches('/')) {
        ("live", key) => Cow::Borrowed(key),
        ("", path) | (path, "") => {
            let rest = path.strip_prefix("live/").unwrap_or(path);
            Cow::Borrowed(rest.trim_start_matches('/'))
        }
        (app, key) => {
            let app = app.strip_prefix("live/").unwrap_or(app);
            Cow::Owned(format!("{app}/{key}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "8f14e45fceea167a5a36dedd4bea2543";
    const OTHER: &str = "c9f0f895fb98ab9159f51fd0297e236d";

    fn input(name: &str, key: &str) -> Input {
        Input {
            name: StreamName::parse(name).unwrap(),
            key: KeyHash::of(key),
        }
    }

    fn closed() -> Policy {
        Policy::new(false, vec![input("demo", KEY), input("news", OTHER)]).unwrap()
    }

    fn open() -> Policy {
        Policy::new(true, vec![input("demo", KEY)]).unwrap()
    }

    /// The name that is granted, or the refusal.
    fn ask(policy: &Policy, app: &str, key: &str, query: Option<&str>) -> Result<String, Refusal> {
        policy
            .authorise_publish(app, key, query)
            .map(|name| name.to_string())
    }

    #[test]
    fn the_key_alone_tells_the_input() {
        let policy = closed();
        for (app, key) in [
            ("live", KEY),
            ("live/", KEY),
            ("/live", KEY),
            ("", KEY),
            (KEY, ""),
            (&format!("live/{KEY}"), ""),
            ("", &format!("live/{KEY}")),
        ] {
            assert_eq!(
                ask(&policy, app, key, None),
                Ok("demo".to_owned()),
                "{app} {key}"
            );
        }
        assert_eq!(ask(&policy, "live", OTHER, None), Ok("news".to_owned()));
        // A query of the encoder's own does not spoil the key.
        let key = format!("{KEY}?bandwidthtest=1");
        assert_eq!(ask(&policy, "live", &key, None), Ok("demo".to_owned()));
    }

    #[test]
    fn a_name_needs_the_key_of_its_own_input() {
        let policy = closed();
        let with = |key: &str| format!("key={key}");
        for (app, key, query) in [
            ("live", "demo", Some(with(KEY))),
            ("live/demo", "", Some(with(KEY))),
            ("live", &*format!("demo?a=b&key={KEY}"), None),
            (&*format!("live?key={KEY}"), "demo", None),
            ("live", "demo", Some(with(&KEY.replace('8', "%38")))),
        ] {
            let got = ask(&policy, app, key, query.as_deref());
            assert_eq!(got, Ok("demo".to_owned()), "{app} {key} {query:?}");
        }
        for (name, key) in [
            ("demo", OTHER),
            ("news", KEY),
            ("demo", ""),
            ("", KEY),
            ("none", KEY),
        ] {
            let got = ask(&policy, "live", name, Some(&with(key)));
            assert_eq!(got, Err(Refusal::BadKey), "{name} {key}");
        }
    }

    #[test]
    fn without_a_key_nothing_is_granted_or_told() {
        let policy = closed();
        for name in [
            "",
            "demo",
            "none",
            "../demo",
            "a b",
            "demo?key",
            "demo?key=%zz",
            "?",
        ] {
            assert_eq!(
                ask(&policy, "live", name, None),
                Err(Refusal::BadKey),
                "{name}"
            );
        }
        // The hash that is kept is not itself a key.
        let hash = KeyHash::of(KEY).to_string();
        assert_eq!(ask(&policy, "live", &hash, None), Err(Refusal::BadKey));
        assert_eq!(ask(&policy, "other", KEY, None), Err(Refusal::BadKey));
    }

    #[test]
    fn an_open_policy_grants_any_name() {
        let policy = open();
        assert_eq!(ask(&policy, "live", "cam1", None), Ok("cam1".to_owned()));
        assert_eq!(ask(&policy, "live/cam1", "", None), Ok("cam1".to_owned()));
        assert_eq!(ask(&policy, "cam1", "", None), Ok("cam1".to_owned()));
        assert_eq!(ask(&policy, "live", "demo", None), Ok("demo".to_owned()));
        assert_eq!(
            ask(&policy, "live", "cam1", Some("key=x")),
            Ok("cam1".to_owned())
        );
        // A key still opens its input, and does not become a name.
        assert_eq!(ask(&policy, "live", KEY, None), Ok("demo".to_owned()));
        for bad in ["", "s", "..", "a/b", "live/x", "a b", "é"] {
            let got = ask(&policy, "live", bad, None);
            assert!(matches!(got, Err(Refusal::BadName(_))), "{bad}");
        }
        // The application is not a name, but a stream may be called so.
        assert_eq!(ask(&policy, "live", "live", None), Ok("live".to_owned()));
        assert_eq!(ask(&policy, "", "live", None), Ok("live".to_owned()));
        assert!(matches!(
            ask(&policy, "a", "b", None),
            Err(Refusal::BadName(_))
        ));
    }

    #[test]
    fn a_policy_without_inputs_grants_nothing() {
        assert_eq!(
            ask(&Policy::default(), "live", "x", None),
            Err(Refusal::NotAllowed)
        );
    }

    #[test]
    fn long_requests_are_refused_before_they_are_hashed() {
        let long = "x".repeat(PUBLISH_PATH_BYTES_MAX + 1);
        for policy in [open(), closed()] {
            assert_eq!(
                ask(&policy, "", &long, None),
                Err(Refusal::BadName("is too long"))
            );
        }
    }

    #[test]
    fn ambiguous_policies_are_refused() {
        let names = Policy::new(false, vec![input("a", KEY), input("a", OTHER)]);
        assert!(matches!(names, Err(Error::DuplicateName(name)) if name.as_str() == "a"));
        let keys = Policy::new(false, vec![input("a", KEY), input("b", KEY)]);
        assert!(matches!(keys, Err(Error::DuplicateKey(name)) if name.as_str() == "b"));
        let many = (0..=INPUTS_MAX).map(|n| input(&n.to_string(), &n.to_string()));
        assert!(matches!(
            Policy::new(false, many.collect()),
            Err(Error::TooManyInputs)
        ));
    }

    #[test]
    fn a_policy_can_be_shared_and_shows_no_key() {
        fn shared<T: Send + Sync + 'static>(_: &T) {}
        let policy = closed();
        shared(&policy);
        let shown = format!("{policy:?}");
        assert!(shown.contains("demo"), "{shown}");
        assert!(
            !shown.contains(&KeyHash::of(KEY).to_string()[7..]),
            "{shown}"
        );
    }
}
