//! Whether somebody may publish or play, and which stream.

use crate::access::Access;
use crate::error::{Error, Refusal};
use crate::key::{KeyHash, Secret};
use crate::limits::{INPUTS_MAX, PUBLISH_PATH_BYTES_MAX, SIGNING_KEYS_MAX};
use crate::sign::Claim;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use weir_http::target::Query;
use weir_media::{StreamName, Utc};

/// One thing that may be published, and what opens it.
#[derive(Debug, Clone)]
pub struct Input {
    /// The stream that it feeds.
    pub name: StreamName,
    /// The hash of its key, if it has one.
    pub key: Option<KeyHash>,
    /// Keys that sign push URLs of our form ([`crate::sign`]); any of them does.
    pub signing_keys: Vec<Secret>,
    /// The same for Tencent's form.
    pub tencent_keys: Vec<Secret>,
    /// Which addresses may publish it.
    pub publish: Access,
    /// Which addresses may play it.
    pub play: Access,
}

impl Input {
    /// An input that its key opens, from any address.
    #[must_use]
    pub fn with_key(name: StreamName, key: KeyHash) -> Self {
        Self {
            name,
            key: Some(key),
            signing_keys: Vec::new(),
            tencent_keys: Vec::new(),
            publish: Access::default(),
            play: Access::default(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let signing = self.signing_keys.len().max(self.tencent_keys.len());
        if signing > SIGNING_KEYS_MAX {
            return Err(Error::TooManySigningKeys(self.name.clone()));
        }
        if signing == 0 && self.key.is_none() {
            return Err(Error::NoKey(self.name.clone()));
        }
        Ok(())
    }
}

/// A request to publish or play, as the protocol took it apart.
///
/// `app` and `key` are the application and stream key of RTMP; protocols with one path leave
/// the other empty. `query` is what followed a `?`, where the protocol has split it off
/// already; a `?` in `key` or `app` is found by the policy.
#[derive(Debug, Clone, Copy)]
pub struct StreamRequest<'a> {
    /// Application.
    pub app: &'a str,
    /// Stream key, or name of the stream to play.
    pub key: &'a str,
    /// Query.
    pub query: Option<&'a str>,
    /// Who asks.
    pub address: IpAddr,
    /// When.
    pub now: Utc,
}

/// That something may be published, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The stream.
    pub name: StreamName,
    /// What opened it.
    pub by: GrantedBy,
}

/// What lets somebody publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantedBy {
    /// The input's key.
    Key,
    /// A signed URL.
    Signature,
    /// The policy is open: nothing was proved.
    Open,
}

/// What may be published and played: an immutable snapshot, shared in an `Arc`.
#[derive(Debug, Clone)]
pub struct Policy {
    open: bool,
    inputs: Vec<Input>,
    applications: Vec<String>,
    publish: Access,
    play: Access,
    /// Where in `inputs` those stand that not everybody may play: it is asked for each request.
    restricted: HashMap<StreamName, usize>,
}

impl Default for Policy {
    /// Nobody may publish.
    fn default() -> Self {
        Self {
            open: false,
            inputs: Vec::new(),
            applications: vec!["live".into()],
            publish: Access::default(),
            play: Access::default(),
            restricted: HashMap::new(),
        }
    }
}

impl Policy {
    /// A policy of these inputs. With `open`, whoever comes may also publish under any name,
    /// the names of inputs included.
    ///
    /// # Errors
    /// [`Error::DuplicateName`], [`Error::DuplicateKey`], [`Error::TooManyInputs`],
    /// [`Error::NoKey`], [`Error::TooManySigningKeys`]
    pub fn new(open: bool, inputs: Vec<Input>) -> Result<Self, Error> {
        if inputs.len() > INPUTS_MAX {
            return Err(Error::TooManyInputs);
        }
        let (mut names, mut keys) = (HashSet::new(), HashSet::new());
        for input in &inputs {
            input.check()?;
            if !names.insert(input.name.as_str()) {
                return Err(Error::DuplicateName(input.name.clone()));
            }
            if input.key.is_some_and(|key| !keys.insert(*key.as_bytes())) {
                return Err(Error::DuplicateKey(input.name.clone()));
            }
        }
        let restricted = inputs.iter().enumerate();
        let restricted = restricted.filter(|(_, input)| !input.play.is_everybody());
        let restricted = restricted.map(|(i, input)| (input.name.clone(), i));
        Ok(Self {
            open,
            restricted: restricted.collect(),
            inputs,
            ..Self::default()
        })
    }

    /// The same for these addresses only, whatever an input says.
    #[must_use]
    pub fn restricted(self, publish: Access, play: Access) -> Self {
        Self {
            publish,
            play,
            ..self
        }
    }

    /// The same with these applications (`rtmp://HOST/APPLICATION`) instead of `live`. All lead
    /// to the same streams.
    #[must_use]
    pub fn with_applications(self, applications: Vec<String>) -> Self {
        Self {
            applications,
            ..self
        }
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
    /// Application and key joined by `/` are the path, from which a first segment that is an
    /// application is dropped. What remains is one of
    ///
    /// - the key of an input, which alone tells which one is meant,
    /// - `NAME` with `key=KEY` in the query, the key of that input,
    /// - `NAME` with a signature in the query ([`crate::sign`]) by a key of that input,
    /// - in an open policy, any other valid `NAME`.
    ///
    /// # Errors
    /// [`Refusal`], to be sent to the publisher in words of the protocol.
    pub fn authorise_publish(&self, request: &StreamRequest<'_>) -> Result<Grant, Refusal> {
        let StreamRequest { app, key, .. } = *request;
        if self.inputs.is_empty() && !self.open {
            return Err(Refusal::NotAllowed);
        }
        if !self.publish.admits(request.address) {
            return Err(Refusal::Address);
        }
        if app.len().saturating_add(key.len()) > PUBLISH_PATH_BYTES_MAX {
            return Err(Refusal::BadName("is too long"));
        }
        let (app, app_query) = split_query(app);
        let (key, key_query) = split_query(key);
        let path = self.path(app, key);
        let path = path.as_ref();
        let queries = || [key_query, request.query, app_query].into_iter().flatten();

        let claimed =
            queries().find_map(|query| Query::new(Some(query)).first("key").ok().flatten());
        let found = self.find(claimed.as_deref().unwrap_or(path));
        let found = found.filter(|input| claimed.is_none() || input.name.as_str() == path);
        let mut refusal = Refusal::BadKey;
        let by = if found.is_some() {
            GrantedBy::Key
        } else if let Some(claim) = queries().find_map(Claim::parse) {
            match self.check(&claim, path, request.now) {
                Ok(()) => GrantedBy::Signature,
                Err(why) => {
                    refusal = why;
                    GrantedBy::Open
                }
            }
        } else {
            GrantedBy::Open
        };
        if by == GrantedBy::Open && !self.open {
            return Err(refusal);
        }
        let name = match found {
            Some(input) => input.name.clone(),
            None => StreamName::parse(path).map_err(bad_name)?,
        };
        self.admits_publisher(name.as_str(), request.address)?;
        Ok(Grant { name, by })
    }

    /// Decides whether `address` may publish a stream, whatever opens it.
    ///
    /// # Errors
    /// [`Refusal::Address`]
    pub fn admits_publisher(&self, name: &str, address: IpAddr) -> Result<(), Refusal> {
        let admits = |input: &Input| input.publish.admits(address);
        if self.publish.admits(address) && self.input(name).is_none_or(admits) {
            Ok(())
        } else {
            Err(Refusal::Address)
        }
    }

    /// Decides on a play request. The path is made as of a publish request, and is the name.
    ///
    /// # Errors
    /// [`Refusal`], to be sent to the player in words of the protocol.
    pub fn authorise_play(&self, request: &StreamRequest<'_>) -> Result<StreamName, Refusal> {
        let StreamRequest { app, key, .. } = *request;
        if app.len().saturating_add(key.len()) > PUBLISH_PATH_BYTES_MAX {
            return Err(Refusal::BadName("is too long"));
        }
        let (app, _) = split_query(app);
        let (key, _) = split_query(key);
        let path = self.path(app, key);
        // Whoever plays the address that they publish to would have their key logged as a name.
        if self.find(path.as_ref()).is_some() {
            return Err(Refusal::BadName("is a stream key; play the stream's name"));
        }
        let name = StreamName::parse(path.as_ref()).map_err(bad_name)?;
        self.admits_player(name.as_str(), request.address)?;
        Ok(name)
    }

    /// Whether there is a stream that not everybody may play.
    #[must_use]
    pub fn restricts_players(&self) -> bool {
        !self.play.is_everybody() || !self.restricted.is_empty()
    }

    /// Decides whether `address` may play a stream, by whatever protocol.
    ///
    /// # Errors
    /// [`Refusal::Address`]
    pub fn admits_player(&self, name: &str, address: IpAddr) -> Result<(), Refusal> {
        let input = self.restricted.get(name).and_then(|&i| self.inputs.get(i));
        if self.play.admits(address) && input.is_none_or(|i| i.play.admits(address)) {
            Ok(())
        } else {
            Err(Refusal::Address)
        }
    }

    fn input(&self, name: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.name.as_str() == name)
    }

    /// Checks a signature by the keys of the input called `name`; of one that is not there,
    /// with the same answer, by none.
    fn check(&self, claim: &Claim, name: &str, now: Utc) -> Result<(), Refusal> {
        let input = self.input(name).ok_or(Refusal::BadSignature)?;
        let keys = (&input.signing_keys[..], &input.tencent_keys[..]);
        claim.check(keys, &input.name, now)
    }

    /// The input that `candidate` is the key of. Every input is looked at, so that the time
    /// does not tell which one it was.
    fn find(&self, candidate: &str) -> Option<&Input> {
        let hash = KeyHash::of(candidate);
        let mut found = u64::MAX;
        for (i, input) in (0_u64..).zip(&self.inputs) {
            if let Some(key) = &input.key {
                found.conditional_assign(&i, key.ct_eq(&hash));
            }
        }
        self.inputs.get(usize::try_from(found).ok()?)
    }

    /// Application and key as one path, without an application that is ours and without slashes
    /// around it. Some encoders put the whole path into one of the two.
    fn path<'a>(&self, app: &'a str, key: &'a str) -> Cow<'a, str> {
        let is_ours = |app: &str| self.applications.iter().any(|a| a == app);
        let strip = |path: &'a str| match path.split_once('/') {
            Some((first, rest)) if is_ours(first) => rest.trim_start_matches('/'),
            _ => path,
        };
        match (app.trim_matches('/'), key.trim_matches('/')) {
            (app, key) if is_ours(app) && !app.is_empty() => Cow::Borrowed(key),
            ("", path) | (path, "") => Cow::Borrowed(strip(path)),
            (app, key) => Cow::Owned(format!("{}/{key}", strip(app))),
        }
    }
}

fn bad_name(error: weir_media::Error) -> Refusal {
    match error {
        weir_media::Error::Name(why) => Refusal::BadName(why),
        _ => Refusal::BadName("is malformed"),
    }
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign;

    const KEY: &str = "8f14e45fceea167a5a36dedd4bea2543";
    const NOW: Utc = Utc(1_790_000_000_000_000);
    const OTHER: &str = "c9f0f895fb98ab9159f51fd0297e236d";

    fn input(name: &str, key: &str) -> Input {
        Input::with_key(StreamName::parse(name).unwrap(), KeyHash::of(key))
    }

    fn closed() -> Policy {
        Policy::new(false, vec![input("demo", KEY), input("news", OTHER)]).unwrap()
    }

    fn open() -> Policy {
        Policy::new(true, vec![input("demo", KEY)]).unwrap()
    }

    /// The name that is granted, or the refusal.
    fn ask(policy: &Policy, app: &str, key: &str, query: Option<&str>) -> Result<String, Refusal> {
        ask_from(policy, "192.0.2.7", app, key, query).map(|grant| grant.name.to_string())
    }

    fn ask_from(
        policy: &Policy,
        address: &str,
        app: &str,
        key: &str,
        query: Option<&str>,
    ) -> Result<Grant, Refusal> {
        policy.authorise_publish(&StreamRequest {
            app,
            key,
            query,
            address: address.parse().unwrap(),
            now: NOW,
        })
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

    /// An input `event` that only signatures open.
    fn signed(open: bool) -> (Policy, Secret, Secret) {
        let (ours, tencents) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        let mut event = input("event", KEY);
        event.key = None;
        event.signing_keys = vec![Secret::generate().unwrap(), ours.clone()];
        event.tencent_keys = vec![tencents.clone()];
        let inputs = vec![event, input("news", OTHER)];
        (Policy::new(open, inputs).unwrap(), ours, tencents)
    }

    #[test]
    fn a_signed_url_publishes_its_stream() {
        let (policy, ours, tencents) = signed(false);
        let event = StreamName::parse("event").unwrap();
        let (later, past) = (NOW.plus_us(60_000_000), NOW.plus_us(-60_000_000));
        for query in [
            sign::query(&ours, &event, later),
            sign::tencent_query(&tencents, &event, later).unwrap(),
        ] {
            let granted = Ok(Grant {
                name: event.clone(),
                by: GrantedBy::Signature,
            });
            let from = "192.0.2.7";
            assert_eq!(
                ask_from(&policy, from, "live", "event", Some(&query)),
                granted
            );
            let key = format!("event?{query}");
            assert_eq!(ask_from(&policy, from, "live", &key, None), granted);
            for name in ["news", "none", "", "../event"] {
                let got = ask(&policy, "live", name, Some(&query));
                assert_eq!(got, Err(Refusal::BadSignature), "{name}");
            }
        }
        let over = sign::query(&ours, &event, past);
        assert_eq!(
            ask(&policy, "live", "event", Some(&over)),
            Err(Refusal::Expired)
        );
        assert_eq!(ask(&policy, "live", "event", None), Err(Refusal::BadKey));
        // The keys are those of one form each.
        let swapped = sign::query(&tencents, &event, later);
        let got = ask(&policy, "live", "event", Some(&swapped));
        assert_eq!(got, Err(Refusal::BadSignature));
        let (open, ..) = signed(true);
        assert_eq!(ask(&open, "live", "event", Some(&over)), Ok("event".into()));
    }

    #[test]
    fn addresses_are_refused_for_one_input_or_for_all() {
        let here = |network: &str| Access::new(vec![network.parse().unwrap()], vec![]).unwrap();
        let mut demo = input("demo", KEY);
        demo.publish = here("192.0.2.0/24");
        demo.play = here("10.0.0.0/8");
        let policy = Policy::new(true, vec![demo]).unwrap();
        let ask = |policy: &Policy, from, key| ask_from(policy, from, "live", key, None);
        assert!(ask(&policy, "192.0.2.7", KEY).is_ok());
        assert_eq!(ask(&policy, "192.0.3.7", KEY), Err(Refusal::Address));
        // An open policy does not lead around it.
        assert_eq!(ask(&policy, "192.0.3.7", "demo"), Err(Refusal::Address));
        assert!(ask(&policy, "192.0.3.7", "cam").is_ok());
        let play =
            |policy: &Policy, name, from: &str| policy.admits_player(name, from.parse().unwrap());
        assert_eq!(play(&policy, "demo", "10.1.1.1"), Ok(()));
        assert_eq!(play(&policy, "demo", "192.0.2.7"), Err(Refusal::Address));
        assert_eq!(play(&policy, "cam", "192.0.2.7"), Ok(()));
        assert!(policy.restricts_players() && !open().restricts_players());
        let policy = policy.restricted(here("192.0.3.0/24"), here("192.0.3.0/24"));
        assert_eq!(ask(&policy, "192.0.2.7", "cam"), Err(Refusal::Address));
        assert_eq!(play(&policy, "cam", "192.0.2.7"), Err(Refusal::Address));
        assert_eq!(play(&policy, "cam", "192.0.3.7"), Ok(()));
    }

    #[test]
    fn applications_are_dropped_from_the_path() {
        let policy = open().with_applications(vec!["tv".into(), "radio".into()]);
        for (app, key) in [
            ("tv", "a"),
            ("radio", "a"),
            ("tv/a", ""),
            ("", "radio/a"),
            ("a", ""),
        ] {
            assert_eq!(ask(&policy, app, key, None), Ok("a".into()), "{app} {key}");
        }
        assert!(matches!(
            ask(&policy, "live", "a", None),
            Err(Refusal::BadName(_))
        ));
    }

    #[test]
    fn whoever_comes_may_play_what_has_a_name() {
        let policy = closed();
        let play = |app, key| {
            policy.authorise_play(&StreamRequest {
                app,
                key,
                query: Some("start=live"),
                address: IpAddr::from([192, 0, 2, 7]),
                now: NOW,
            })
        };
        for (app, name) in [("live", "demo"), ("live/demo", ""), ("", "live/demo?x=1")] {
            assert_eq!(play(app, name).unwrap().as_str(), "demo", "{app} {name}");
        }
        for (app, name) in [("live", "../demo"), ("live", ""), ("other", "demo")] {
            let got = play(app, name);
            assert!(matches!(got, Err(Refusal::BadName(_))), "{app} {name}");
        }
        assert!(play("live", &"x".repeat(5000)).is_err());
    }

    #[test]
    fn inputs_that_nobody_can_publish_are_refused() {
        let mut closed = input("a", KEY);
        closed.key = None;
        let made = Policy::new(false, vec![closed.clone()]);
        assert!(matches!(made, Err(Error::NoKey(name)) if name.as_str() == "a"));
        closed.tencent_keys = vec![Secret::generate().unwrap(); SIGNING_KEYS_MAX + 1];
        let made = Policy::new(false, vec![closed]);
        assert!(matches!(made, Err(Error::TooManySigningKeys(_))));
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
