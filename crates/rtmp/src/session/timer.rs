//! What can wake a session.

use weir_media::Mono;

/// A reason to wake up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The handshake must be complete.
    Handshake,
    /// `publish` or `play` must have come, or been answered.
    Command,
    /// The first audio or video must have come.
    FirstMedia,
    /// Look whether the peer is silent. It is not moved with each input, but set again when
    /// it fires.
    Idle,
}

/// One deadline for each timer.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Mono>; 4]);

impl Timers {
    pub(super) const ALL: [Timer; 4] = [
        Timer::Handshake,
        Timer::Command,
        Timer::FirstMedia,
        Timer::Idle,
    ];

    pub(super) fn set(&mut self, timer: Timer, at: Mono) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn clear_all(&mut self) {
        self.0 = Default::default();
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Mono> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes the timer that has passed, if any.
    pub(super) fn expired(&mut self, now: Mono) -> Option<Timer> {
        let timer = Self::ALL
            .into_iter()
            .find(|t| self.0[*t as usize].is_some_and(|at| at <= now))?;
        self.clear(timer);
        Some(timer)
    }
}
