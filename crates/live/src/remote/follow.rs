//! Redirects.

use super::link::Failure;
use crate::limits::REDIRECTS_MAX;
use tracing::debug;
use weir_rtmp::Url;

/// Calls `attempt` with `state` for `url` and wherever servers send it, at most [`REDIRECTS_MAX`]
/// times more; why it ended.
pub(crate) async fn follow<S>(
    url: &Url,
    state: &mut S,
    attempt: impl AsyncFn(&mut S, Url) -> Failure,
) -> Failure {
    let mut url = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        match attempt(state, url.clone()).await {
            Failure::Redirected(to) => match url.redirected(&to) {
                Ok(elsewhere) => {
                    debug!(from = %url, to = %elsewhere, "redirected");
                    url = elsewhere;
                }
                Err(why) => return Failure::Redirects(why),
            },
            failure => return failure,
        }
    }
    Failure::Redirects("leads in a loop")
}
