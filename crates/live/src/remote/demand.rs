//! Whether anybody wants a stream that is pulled on demand.

use crate::clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use weir_media::Mono;
use weir_ring::{Receiver, Sender};

/// What viewers of all workers tell the one who pulls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Demand(Arc<Shared>);

struct Shared {
    /// When it was last asked for, in microseconds of [`Mono`], from 1 on; 0 is never.
    asked: AtomicU64,
    /// Viewers that are there without asking again and again.
    watching: AtomicUsize,
    idle: Duration,
    bell: Sender<()>,
}

impl Demand {
    /// A stream that nobody wants yet, and that nobody wants `idle` after the last sign of a
    /// viewer; and what rings when one comes.
    pub(crate) fn new(idle: Duration) -> (Self, Receiver<()>) {
        let (bell, rung) = weir_ring::channel(1);
        let shared = Shared {
            asked: AtomicU64::new(0),
            watching: AtomicUsize::new(0),
            idle,
            bell,
        };
        (Self(Arc::new(shared)), rung)
    }

    /// A viewer asks for the stream.
    pub(crate) fn ask(&self) {
        self.ask_at(clock::now().mono);
        // One ring is enough: a full queue is one that was not heard yet.
        let _ = self.0.bell.try_send(());
    }

    /// A viewer stays, for as long as the value lives.
    pub(crate) fn watch(&self) -> Watching {
        self.0.watching.fetch_add(1, Ordering::Relaxed);
        self.ask();
        Watching(self.clone())
    }

    fn ask_at(&self, now: Mono) {
        self.0.asked.fetch_max(now.0.max(1), Ordering::Relaxed);
    }

    pub(crate) fn is_wanted(&self, now: Mono) -> bool {
        let asked = self.0.asked.load(Ordering::Relaxed);
        let recently = asked > 0 && now.since(Mono(asked)) < self.0.idle;
        recently || self.0.watching.load(Ordering::Relaxed) > 0
    }
}

/// A viewer that stays.
pub(crate) struct Watching(Demand);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.ask_at(clock::now().mono);
        self.0.0.watching.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_wanted_for_a_while() {
        let (demand, _bell) = Demand::new(Duration::from_secs(10));
        assert!(!demand.is_wanted(Mono(0)) && !demand.is_wanted(Mono(5_000_000)));
        demand.ask_at(Mono(0));
        assert!(demand.is_wanted(Mono(9_000_000)));
        demand.ask_at(Mono(5_000_000));
        // Another worker's clock may be read a little earlier.
        demand.ask_at(Mono(4_000_000));
        assert!(demand.is_wanted(Mono(14_000_000)));
        assert!(!demand.is_wanted(Mono(15_000_001)));
        let far = Mono(100_000_000_000);
        let (one, other) = (demand.watch(), demand.watch());
        assert!(demand.is_wanted(far));
        drop(one);
        assert!(demand.is_wanted(far));
        drop(other);
        assert!(!demand.is_wanted(far));
    }
}
