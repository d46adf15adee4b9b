//! What belongs to one publish session only.

use crate::config::Announced;
use crate::limits::NO_KEYFRAME_SECONDS;
use crate::pending::Pending;
use weir_media::{CodecConfig, Mono};

/// One publisher's stay.
#[derive(Debug)]
pub(crate) struct Session {
    pub announced: Announced,
    pub configs: [Option<CodecConfig>; 2],
    /// Frames that wait for the tracks to settle; none once they have.
    pub pending: Option<Pending>,
    /// The publisher's clock goes on: the session settles again because a configuration
    /// changed.
    pub same_clock: bool,
    pub keyframes: KeyframeWatch,
}

impl Session {
    pub(crate) fn new(announced: Announced) -> Self {
        Self {
            announced,
            configs: [None, None],
            pending: Some(Pending::default()),
            same_clock: false,
            keyframes: KeyframeWatch::default(),
        }
    }
}

/// Notices when random access points stay away.
#[derive(Debug, Default)]
pub(crate) struct KeyframeWatch {
    since: Option<Mono>,
    reports: u64,
}

impl KeyframeWatch {
    /// Looks at a video frame; whole seconds without a random access point, each
    /// [`NO_KEYFRAME_SECONDS`].
    pub(crate) fn see(&mut self, key: bool, now: Mono) -> Option<u64> {
        if key {
            *self = Self {
                since: Some(now),
                reports: 0,
            };
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let seconds = now.since(since).as_secs();
        let due = seconds / NO_KEYFRAME_SECONDS > self.reports;
        due.then(|| {
            self.reports = seconds / NO_KEYFRAME_SECONDS;
            seconds
        })
    }
}
