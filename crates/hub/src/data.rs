//! Data with a time on its way into the stream: it waits until the stream's timeline and wall
//! clock are known, which the first segment of a publish session tells.

use crate::limits::{DATA_KNOWN, DATA_PENDING_MAX, DATA_PER_SECOND_MAX, DATA_REPEAT_90K};
use crate::output::Counters;
use std::collections::VecDeque;
use std::time::Duration;
use weir_media::limits::DATUM_BYTES_MAX;
use weir_media::{Datum, Mono};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pending: VecDeque<Datum>,
    /// The last that came: senders say everything several times.
    known: VecDeque<Datum>,
    /// When the second that is counted began, and how many came in it.
    rate: (Mono, u32),
    /// How much later than it is decoded the last keyframe is shown, in ticks of 1/90,000 s.
    /// Segments are dated by the former, data by the latter.
    pub(crate) composition_90k: i64,
}

impl Data {
    /// Takes a datum; refuses and counts it if it is too long or there are too many, and passes
    /// over what is said again.
    pub(crate) fn push(&mut self, datum: Datum, now: Mono, counters: &mut Counters) {
        counters.data += 1;
        let repeats = |known: &Datum| {
            let apart = known.time_90k.saturating_sub(datum.time_90k);
            apart.saturating_abs() <= DATA_REPEAT_90K
                && (known.kind, &known.payload) == (datum.kind, &datum.payload)
        };
        if self.known.iter().any(repeats) {
            counters.data_repeated += 1;
            return;
        }
        if now.since(self.rate.0) >= Duration::from_secs(1) {
            self.rate = (now, 0);
        }
        let len = datum.payload.len();
        let too_many = self.rate.1 >= DATA_PER_SECOND_MAX || self.pending.len() >= DATA_PENDING_MAX;
        if too_many || len == 0 || len > DATUM_BYTES_MAX {
            counters.data_dropped += 1;
            return;
        }
        self.rate.1 += 1;
        if self.known.len() >= DATA_KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(datum.clone());
        self.pending.push_back(datum);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn pop(&mut self) -> Option<Datum> {
        self.pending.pop_front()
    }

    /// The publisher left: its clock means nothing to the next one.
    pub(crate) fn leave(&mut self, counters: &mut Counters) {
        counters.data_dropped += self.pending.len() as u64;
        self.pending.clear();
        self.known.clear();
    }
}
