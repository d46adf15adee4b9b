//! What belongs to one publish session only.

use crate::config::Announced;
use crate::limits::NO_KEYFRAME_SECONDS;
use crate::pending::Pending;
use crate::places::OTHERS;
use weir_media::{CodecConfig, Mono};

/// One publisher's stay.
#[derive(Debug)]
pub(crate) struct Session {
    pub announced: Announced,
    /// By place; see [`Session::config`].
    pub configs: Vec<Option<CodecConfig>>,
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
            configs: vec![None; OTHERS],
            pending: Some(Pending::default()),
            same_clock: false,
            keyframes: KeyframeWatch::default(),
        }
    }

    /// The configuration of the track in a place.
    pub(crate) fn config(&self, slot: usize) -> Option<&CodecConfig> {
        self.configs.get(slot)?.as_ref()
    }

    /// Keeps the configuration of the track in a place.
    pub(crate) fn set_config(&mut self, slot: usize, config: CodecConfig) {
        if self.configs.len() <= slot {
            self.configs.resize(slot + 1, None);
        }
        self.configs[slot] = Some(config);
    }

    /// Places of the tracks beyond the first of each kind that have a configuration.
    pub(crate) fn others(&self) -> impl Iterator<Item = usize> + '_ {
        (OTHERS..self.configs.len()).filter(|slot| self.configs[*slot].is_some())
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
