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
/// around it. Some encoders put the whole path into the application.
fn join<'a>(app: &'a str, key: &'a str) -> Cow<'a, str> {
    let (app, key) = (app.trim_matches('/'), key.trim_matches('/'));
    let app = match app.split_once('/') {
        Some(("live", rest)) => rest.trim_start_matches('/'),
        _ if app == "live" => "",
        _ => app,
    };
    match (app, key) {
        ("", key) => Cow::Borrowed(key),
        (app, "") => Cow::Borrowed(app),
        (app, key) => Cow::Owned(format!("{app}/{key}")),
    }
}
