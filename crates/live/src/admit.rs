//! The one place that asks whether a session may publish or play: first the policy, which
//! answers at once, then the hook, which somebody else's program answers.

use crate::clock;
use crate::reasons::{PlayRefused, Refused};
use crate::worker::Shared;
use std::fmt;
use std::net::IpAddr;
use weir_auth::hook::{Answer, Client, Facts, Permit, Wish};
use weir_auth::{GrantedBy, Refusal, StreamRequest};
use weir_media::StreamName;
use weir_rtmp::session::Target;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) address: IpAddr,
    pub(crate) connection: u64,
    pub(crate) client: &'a Client,
}

/// A stream that may be published or played, and the permit that is kept as long as it is.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) name: StreamName,
    pub(crate) permit: Permit,
}

/// Why not.
#[derive(Debug)]
pub(crate) enum Denied {
    Policy(Refusal),
    Hook(Answer),
}

impl Denied {
    /// The reason of a refused publish.
    pub(crate) fn reason(&self) -> Refused {
        match self {
            Self::Policy(Refusal::BadKey) => Refused::Key,
            Self::Policy(Refusal::BadName(_)) => Refused::Name,
            Self::Policy(Refusal::BadSignature) => Refused::Signature,
            Self::Policy(Refusal::Expired) => Refused::Expired,
            Self::Policy(Refusal::Address) => Refused::Address,
            Self::Policy(_) => Refused::Denied,
            Self::Hook(Answer::Fail(_)) => Refused::HookFailed,
            Self::Hook(_) => Refused::Hook,
        }
    }
}

impl Denied {
    /// The reason of a refused play.
    pub(crate) fn play_reason(&self) -> PlayRefused {
        match self {
            Self::Policy(Refusal::BadName(_)) => PlayRefused::Name,
            Self::Policy(_) => PlayRefused::Denied,
            Self::Hook(Answer::Fail(_)) => PlayRefused::HookFailed,
            Self::Hook(_) => PlayRefused::Hook,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(refusal) => refusal.fmt(f),
            Self::Hook(Answer::Fail(why)) => f.write_str(why),
            Self::Hook(_) => f.write_str("the hook refuses"),
        }
    }
}

/// Whether `asker` may publish. With a hook this waits for its answer, at most its timeout.
pub(crate) async fn publish(
    shared: &Shared,
    asker: Asker<'_>,
    target: &Target,
    kind: String,
) -> Result<Admitted, Denied> {
    let grant = shared
        .policy
        .load()
        .authorise_publish(&request(asker, target));
    let grant = grant.map_err(Denied::Policy)?;
    let mut facts = facts(asker, &grant.name, target);
    facts.kind = kind;
    if grant.by != GrantedBy::Open {
        facts.without_secrets();
        // An encoder that puts the whole path into the application has the key there.
        facts.client.app.clone_from(&target.app);
        let url = facts.client.tc_url.trim_end_matches('/');
        if let Some(before) = url.strip_suffix(&format!("/{}", target.key)) {
            facts.client.tc_url = before.to_owned();
        }
    }
    let admitted = admit(shared, Wish::Publish, grant.name, facts).await?;
    if admitted.permit.renamed().is_some() {
        let policy = shared.policy.load();
        let admits = policy.admits_publisher(admitted.name.as_str(), asker.address);
        admits.map_err(Denied::Policy)?;
    }
    Ok(admitted)
}

/// Whether `asker` may play, as [`publish`] is asked.
pub(crate) async fn play(
    shared: &Shared,
    asker: Asker<'_>,
    target: &Target,
) -> Result<Admitted, Denied> {
    let allowed = shared.policy.load().authorise_play(&request(asker, target));
    let name = allowed.map_err(Denied::Policy)?;
    let facts = facts(asker, &name, target);
    let admitted = admit(shared, Wish::Play, name, facts).await?;
    if admitted.permit.renamed().is_some() {
        let policy = shared.policy.load();
        let admits = policy.admits_player(admitted.name.as_str(), asker.address);
        admits.map_err(Denied::Policy)?;
    }
    Ok(admitted)
}

async fn admit(
    shared: &Shared,
    wish: Wish,
    name: StreamName,
    facts: Facts,
) -> Result<Admitted, Denied> {
    let permit = shared.hooks.permit(wish, facts).await;
    let permit = permit.map_err(Denied::Hook)?;
    let name = permit.renamed().cloned().unwrap_or(name);
    Ok(Admitted { name, permit })
}

fn request<'a>(asker: Asker<'_>, target: &'a Target) -> StreamRequest<'a> {
    StreamRequest {
        app: &target.app,
        key: &target.key,
        query: target.query.as_deref(),
        address: asker.address,
        now: clock::now().utc,
    }
}

fn facts(asker: Asker<'_>, name: &StreamName, target: &Target) -> Facts {
    Facts {
        client: asker.client.clone(),
        query: target.query.clone().unwrap_or_default(),
        ..Facts::new(name, asker.address, asker.connection)
    }
}
