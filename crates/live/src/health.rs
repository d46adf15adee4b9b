//! What the doctor says of each stream: to the log, to the metrics and to whoever asks.
//!
//! The worker that owns a stream publishes an immutable [`Health`] once a second; nobody asks a
//! worker. The board is locked when a stream begins or ends and when somebody looks it up, never
//! for a frame.

use crate::counters::Counters;
use crate::limits::{HEALTH_TICK, HEALTH_TOLD_AGAIN};
use arc_swap::ArcSwap;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::{info, warn};
use weir_hub::doctor::{Doctor, Fault, Health, Promise, Severity};
use weir_media::{CodecConfig, Frame, Mono, StreamName, TrackId};

type Cell = Arc<ArcSwap<Health>>;

/// The newest [`Health`] of every stream with a broadcast.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<StreamName, Cell>>);

impl Board {
    /// How a stream is; `None` if it has no broadcast.
    #[must_use]
    pub fn health(&self, name: &StreamName) -> Option<Arc<Health>> {
        self.lock().get(name).map(|cell| cell.load_full())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamName, Cell>> {
        // Nothing runs under the lock that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file of a stream whose segments are this long.
    pub(crate) fn open(
        &self,
        name: &StreamName,
        segment: Duration,
        counters: &Counters,
    ) -> Examination {
        let cell = Cell::default();
        self.lock().insert(name.clone(), cell.clone());
        Examination {
            name: name.clone(),
            segment,
            cell,
            counters: counters.clone(),
            doctor: None,
            due: Mono::default(),
            found: [None; Fault::ALL.len()],
        }
    }

    pub(crate) fn close(&self, name: &StreamName) {
        self.lock().remove(name);
    }
}

/// One stream's doctor, and what it said last.
#[derive(Debug)]
pub(crate) struct Examination {
    name: StreamName,
    segment: Duration,
    cell: Cell,
    counters: Counters,
    /// `None` while nobody publishes.
    doctor: Option<Doctor>,
    /// When the next report is due.
    due: Mono,
    /// For each fault whether it is there now, and when it was told last.
    found: [Option<Told>; Fault::ALL.len()],
}

#[derive(Debug, Clone, Copy)]
struct Told {
    present: bool,
    at: Mono,
}

impl Examination {
    /// A publish session begins.
    pub(crate) fn begin(&mut self, now: Mono) {
        self.leave();
        self.doctor = Some(Doctor::new(self.segment, now));
        self.due = now + HEALTH_TICK;
        self.cell.store(Arc::new(Health {
            publishing: true,
            ..Health::default()
        }));
    }

    pub(crate) fn promise(&mut self, promise: Promise) {
        if let Some(doctor) = &mut self.doctor {
            doctor.handle_promise(promise);
        }
    }

    pub(crate) fn config(&mut self, track: TrackId, config: &CodecConfig) {
        if let Some(doctor) = &mut self.doctor {
            doctor.handle_config(track, config);
        }
    }

    pub(crate) fn frame(&mut self, frame: &Frame, now: Mono) {
        if let Some(doctor) = &mut self.doctor {
            doctor.handle_frame(frame, now);
        }
    }

    /// Reports, once a second.
    pub(crate) fn tick(&mut self, now: Mono) {
        if now < self.due {
            return;
        }
        let Some(doctor) = &mut self.doctor else {
            return;
        };
        self.due = now + HEALTH_TICK;
        let health = doctor.health(now);
        self.tell(&health, now);
        self.cell.store(Arc::new(health));
    }

    /// The publish session is over; what it was like is still to be seen, its faults are gone.
    pub(crate) fn leave(&mut self) {
        if self.doctor.take().is_none() {
            return;
        }
        for fault in Fault::ALL {
            self.clear(fault);
        }
        let last = Health {
            publishing: false,
            ..(**self.cell.load()).clone()
        };
        self.cell.store(Arc::new(last));
    }

    fn tell(&mut self, health: &Health, now: Mono) {
        for fault in Fault::ALL {
            let finding = health.findings.iter().find(|f| f.fault == fault);
            let Some(finding) = finding else {
                if self.clear(fault) {
                    info!(stream = %self.name, "no more {}", fault.as_str());
                }
                continue;
            };
            let known = self.found[fault as usize];
            if known.is_some_and(|told| told.present) {
                continue;
            }
            self.counters.fault(fault).inc();
            // What comes and goes is told once in a while only.
            let again = known.is_none_or(|told| now.since(told.at) >= HEALTH_TOLD_AGAIN);
            if again && finding.severity == Severity::Info {
                info!(stream = %self.name, "{finding}");
            } else if again {
                warn!(stream = %self.name, "{finding}");
            }
            let at = if again {
                now
            } else {
                known.map_or(now, |told| told.at)
            };
            self.found[fault as usize] = Some(Told { present: true, at });
        }
    }

    /// Notes that a fault is not there; tells whether it was.
    fn clear(&mut self, fault: Fault) -> bool {
        match &mut self.found[fault as usize] {
            Some(told) if told.present => {
                told.present = false;
                self.counters.fault(fault).dec();
                true
            }
            _ => false,
        }
    }
}

impl Drop for Examination {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A fault of a publisher as the label `finding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultLabel(pub Fault);

impl EncodeLabelSet for FaultLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("finding", self.0.as_str())].encode(encoder)
    }
}

impl FaultLabel {
    /// One for each fault.
    pub(crate) const ALL: [Self; Fault::ALL.len()] = {
        let mut all = [Self(Fault::BFrames); Fault::ALL.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = Self(Fault::ALL[i]);
            i += 1;
        }
        all
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use weir_media::TrackKind;

    #[test]
    fn findings_come_and_go_with_their_session() {
        let (board, counters) = (Board::default(), Counters::default());
        let name = StreamName::parse("cam").unwrap();
        assert!(board.health(&name).is_none());
        let mut exam = board.open(&name, Duration::from_secs(4), &counters);
        let speed = || counters.fault(Fault::UploadSlow).get();
        exam.begin(Mono(0));
        let frame = Frame {
            track: TrackId::SOURCE_AUDIO,
            kind: TrackKind::Audio,
            dts: 0,
            pts: 0,
            key: true,
            received_at: Mono(0),
            payload: Bytes::from_static(b"x"),
        };
        exam.frame(&frame, Mono(0));
        exam.tick(Mono(900_000));
        assert!(board.health(&name).unwrap().publishing);
        exam.tick(Mono(11_000_000));
        exam.tick(Mono(12_000_000));
        let health = board.health(&name).unwrap();
        assert_eq!(health.findings[0].fault, Fault::UploadSlow);
        assert_eq!(speed(), 1);
        // A newcomer takes over: a new file.
        exam.begin(Mono(13_000_000));
        assert_eq!(speed(), 0);
        assert_eq!(board.health(&name).unwrap().findings, []);
        exam.tick(Mono(30_000_000));
        assert_eq!(speed(), 1);
        exam.leave();
        let health = board.health(&name).unwrap();
        assert!(!health.publishing && health.findings.len() == 1);
        drop(exam);
        assert_eq!(speed(), 0);
        board.close(&name);
        assert!(board.health(&name).is_none());
    }
}
