//! What a caller is told who may not publish or play: the codes of SRT's access control.

use crate::admit::Denied;
use crate::reasons::{PlayRefused, Refused};
use weir_rtmp::session::Target;
use weir_srt::{Mode, Reason, StreamId};

/// What a caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) publish: bool,
    pub(super) target: Target,
}

/// What a stream ID asks for. A plain name publishes: most encoders have one field for it.
pub(super) fn wanted(id: Option<StreamId>) -> Result<Wanted, Reason> {
    let id = id.ok_or(Reason::BAD_REQUEST)?;
    let is_stream = id.kind.as_deref().is_none_or(|kind| kind == "stream");
    let publish = match id.mode {
        _ if id.unknown_mode || !is_stream => return Err(Reason::BAD_MODE),
        Some(Mode::Bidirectional) => return Err(Reason::BAD_MODE),
        Some(Mode::Request) => false,
        Some(Mode::Publish) | None => true,
    };
    let (key, own) = match id.resource.split_once('?') {
        Some((key, query)) => (key, Some(query)),
        None => (&*id.resource, None),
    };
    if key.trim_matches('/').is_empty() {
        return Err(Reason::BAD_REQUEST);
    }
    let queries: Vec<&str> = own.into_iter().chain(id.query.as_deref()).collect();
    Ok(Wanted {
        publish,
        target: Target {
            app: String::new(),
            key: key.trim_matches('/').to_owned(),
            query: (!queries.is_empty()).then(|| queries.join("&")),
        },
    })
}

/// The answer to a publish that was denied.
pub(super) fn publish_denied(denied: &Denied) -> Reason {
    match denied.reason() {
        Refused::Key | Refused::Signature | Refused::Expired => Reason::UNAUTHORIZED,
        Refused::Name => Reason::BAD_REQUEST,
        Refused::Busy | Refused::Rate => Reason::OVERLOAD,
        Refused::Store | Refused::HookFailed => Reason(1500),
        _ => Reason::FORBIDDEN,
    }
}

/// The answer to a play that was denied.
pub(super) fn play_denied(denied: &Denied) -> Reason {
    match denied.play_reason() {
        PlayRefused::Name => Reason::BAD_REQUEST,
        _ => Reason::FORBIDDEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(bool, String, Option<String>), Reason> {
        let Wanted { publish, target } = wanted(StreamId::parse(text))?;
        assert_eq!(target.app, "");
        Ok((publish, target.key, target.query))
    }

    #[test]
    fn every_form_is_understood() {
        let some = |publish, key: &str| Ok((publish, key.to_owned(), None));
        let with =
            |publish, key: &str, query: &str| Ok((publish, key.to_owned(), Some(query.to_owned())));
        for (text, expected) in [
            ("cam", some(true, "cam")),
            ("/live/cam/", some(true, "live/cam")),
            ("publish:cam", some(true, "cam")),
            ("publish:live/cam#feedbackplay", some(true, "live/cam")),
            (
                "publish:cam:me:secret:a=1&b=2",
                with(true, "cam", "a=1&b=2"),
            ),
            ("read:cam", some(false, "cam")),
            ("#!::r=cam", some(false, "cam")),
            ("#!::m=request,r=live/cam", some(false, "live/cam")),
            (
                "#!::u=me,r=cam,h=host,s=1234,t=stream,m=publish",
                some(true, "cam"),
            ),
            ("cam?key=12", with(true, "cam", "key=12")),
            (
                "#!::r=cam?a=b&sig=ab,m=publish",
                with(true, "cam", "a=b&sig=ab"),
            ),
            // A name with a colon, which the policy will not like.
            ("other:cam", some(true, "other:cam")),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for (text, why) in [
            ("", Reason::BAD_REQUEST),
            ("/", Reason::BAD_REQUEST),
            ("publish:", Reason::BAD_REQUEST),
            ("read:?a=b", Reason::BAD_REQUEST),
            ("#!::", Reason::BAD_REQUEST),
            ("#!::m=publish", Reason::BAD_REQUEST),
            ("cam\0", Reason::BAD_REQUEST),
            ("#!::r=cam,m=bidirectional", Reason::BAD_MODE),
            ("#!::r=cam,m=steal", Reason::BAD_MODE),
            ("#!::r=cam,t=file", Reason::BAD_MODE),
        ] {
            assert_eq!(of(text), Err(why), "{text:?}");
        }
    }
}
