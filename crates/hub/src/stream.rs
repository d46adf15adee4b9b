//! The machine: publish sessions in, output out.

use crate::config::{Announced, Origin, Resume, StreamConfig};
use crate::data::Data;
use crate::limits::{
    AAC_FRAME_BYTES_MAX, ABSENCE_US_MAX, AUDIO_FRAME_BYTES_MAX, AUDIO_RATE_MAX, AUDIO_RATE_MIN,
    COMPOSITION_MAX_90K, DATA_AWAY_90K_MAX, FRAME_BYTES_MAX, SENT_TIME_MAX, STEP_MAX_90K,
    STREAM_TIMESCALE, TIME_ORIGIN_90K,
};
use crate::output::{Counters, Event, Output};
use crate::pending::{Arrived, Pending};
use crate::places::{AUDIO, Places, VIDEO};
use crate::segmenter::{Counting, Segmenter};
use crate::session::Session;
use crate::time::Time;
use crate::timeline::{JoinedKind, Placed, Timeline};
use crate::track::{Queued, grid};
use weir_media::time::rescale;
use weir_media::{CodecConfig, Datum, Frame, Mono, Now, TrackId, TrackKind, Utc};

/// One live stream over its publish sessions.
///
/// Feed it with the `handle_…` methods, in the order in which things happen and with a `now`
/// that never goes back, and drain [`Stream::poll_output`] after each of them: output is kept
/// until it is taken.
#[derive(Debug)]
pub struct Stream {
    config: StreamConfig,
    segmenter: Segmenter,
    places: Places,
    timeline: Timeline,
    session: Option<Session>,
    data: Data,
    /// Newest decoding time in ticks of 1/90,000 s, and when it was seen.
    head: Option<Head>,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    time_90k: i64,
    seen: Seen,
}

#[derive(Debug, Clone, Copy)]
enum Seen {
    /// In this run of the program.
    Mono(Mono),
    /// Before it: only the wall clock tells how long ago.
    Utc(Utc),
}

impl Stream {
    /// A new broadcast.
    #[must_use]
    pub fn new(config: StreamConfig, origin: Origin, now: Now) -> Self {
        let counting = Counting {
            next: origin.media_sequence,
            discontinuity_sequence: origin.discontinuity_sequence,
            target: None,
            begun: false,
            last_utc: None,
        };
        Self::with(config, counting, now)
    }

    /// A broadcast recovered after a restart of the program: the first publish session
    /// continues it.
    #[must_use]
    pub fn resume(config: StreamConfig, resume: Resume, now: Now) -> Self {
        let counting = Counting {
            next: resume.media_sequence,
            discontinuity_sequence: resume.discontinuity_sequence,
            target: resume.target_duration,
            begun: true,
            last_utc: resume.program_date_time,
        };
        let mut stream = Self::with(config, counting, now);
        for track in resume.tracks {
            let end = track.end_time.clamp(0, SENT_TIME_MAX);
            let kind = track.config.kind();
            if let Some(slot) = stream.places.find_or_give(track.id, kind) {
                let place = (slot, track.id);
                stream
                    .segmenter
                    .restore(place, track.config, track.init_number, end);
            }
        }
        stream.head = Some(Head {
            time_90k: resume.decode_time_90k.clamp(0, SENT_TIME_MAX),
            seen: Seen::Utc(resume.utc),
        });
        stream
    }

    fn with(config: StreamConfig, counting: Counting, now: Now) -> Self {
        let config = config.bounded();
        let mut segmenter = Segmenter::new(config, counting);
        segmenter.sink.utc = now.utc;
        Self {
            config,
            segmenter,
            places: Places::default(),
            timeline: Timeline::default(),
            session: None,
            data: Data::default(),
            head: None,
        }
    }

    /// A publish session starts: the first, a return within the grace time, or a newcomer who
    /// takes over from one that is still there. If the stream has segments, the next one has a
    /// discontinuity before it in every track.
    pub fn handle_publish(&mut self, announced: Announced, now: Now) {
        self.finish(now);
        self.segmenter.sink.counters.sessions += 1;
        self.session = Some(Session::new(announced));
    }

    /// The publisher said, after the start of the session, what it will send.
    pub fn handle_announced(&mut self, announced: Announced, now: Now) {
        if let Some(session) = &mut self.session {
            session.announced = announced;
            self.try_settle(false, now);
        }
    }

    /// Configuration of a source track, before the first frame that needs it. One that equals
    /// the last is no change; another ends the segment and is a discontinuity. The caller
    /// limits how often that can happen.
    pub fn handle_config(&mut self, track: TrackId, config: CodecConfig, now: Now) {
        let kind = config.kind();
        let rate_is_odd = kind == TrackKind::Audio
            && !(AUDIO_RATE_MIN..=AUDIO_RATE_MAX).contains(&config.timescale());
        let place = self.places.find_or_give(track, kind);
        let Some(slot) = place.filter(|_| !rate_is_odd) else {
            self.segmenter.sink.event(Event::ConfigRefused { track });
            return;
        };
        let Some(session) = &mut self.session else {
            return;
        };
        if session.config(slot) == Some(&config) {
            return;
        }
        session.set_config(slot, config.clone());
        if let Some(pending) = &mut session.pending {
            let forgotten = pending.forget(slot);
            self.segmenter.sink.dropped(forgotten);
            return;
        }
        if self.segmenter.is_active(slot) {
            self.restart(true, now);
        } else {
            let floor = self.segmenter.end_of(slot, &config);
            self.timeline
                .set_track(slot, config.timescale(), grid(&config), floor);
        }
    }

    /// One frame, its times in ticks of the publisher's clock, unwrapped. It is dropped and
    /// counted if its track has no configuration, or its bytes contradict it; a frame without
    /// bytes says nothing.
    pub fn handle_frame(&mut self, frame: Frame, now: Now) {
        self.segmenter.sink.counters.frames += 1;
        if let Some(arrived) = self.inspect(frame, now) {
            self.dispatch(arrived);
        } else {
            self.segmenter.sink.dropped(1);
        }
        if !self.data.is_empty() {
            self.place_data();
        }
    }

    /// Data with a time, on the same clock as the frames. It is dropped and counted if nobody
    /// publishes, if it is too long or too far from the media, or if there is too much of it;
    /// what is said again is passed over.
    pub fn handle_datum(&mut self, datum: Datum, now: Now) {
        let counters = &mut self.segmenter.sink.counters;
        if self.session.is_none() {
            counters.data += 1;
            counters.data_dropped += 1;
            return;
        }
        self.data.push(datum, now.mono, counters);
        self.place_data();
    }

    /// The publisher left: all frames and the open segment are given out at once.
    pub fn handle_unpublish(&mut self, now: Now) {
        self.finish(now);
    }

    /// The time of [`Stream::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.try_settle(false, now);
        self.segmenter.pump(now);
    }

    /// When [`Stream::handle_timeout`] is to be called next, unless something else happens
    /// before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let pending = self.session.as_ref().and_then(|s| s.pending.as_ref());
        let settles = pending.and_then(|p| p.deadline(self.config.track_wait));
        [settles, self.segmenter.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Next output, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.segmenter.sink.outputs.pop_front()
    }

    /// Counters since the stream was made.
    #[must_use]
    pub fn stats(&self) -> Counters {
        self.segmenter.sink.counters
    }

    /// Checks a frame against its configuration; `None` if it cannot be used.
    fn inspect(&mut self, frame: Frame, now: Now) -> Option<Arrived> {
        let session = self.session.as_mut()?;
        let slot = self.places.find(frame.track, frame.kind)?;
        let config = session.configs.get(slot)?.as_ref()?;
        if frame.payload.is_empty() {
            return None;
        }
        let in_range = |t: i64| (-SENT_TIME_MAX..=SENT_TIME_MAX).contains(&t);
        let bytes_max = match frame.kind {
            TrackKind::Video => FRAME_BYTES_MAX,
            TrackKind::Audio if matches!(config, CodecConfig::Aac(_)) => AAC_FRAME_BYTES_MAX,
            TrackKind::Audio => AUDIO_FRAME_BYTES_MAX,
        };
        let fits = frame.payload.len() <= bytes_max && in_range(frame.dts) && in_range(frame.pts);
        let flags = match fits {
            true => config.sample_flags(&frame.payload, frame.key).ok(),
            false => None,
        };
        let Some(flags) = flags else {
            self.segmenter.sink.counters.malformed += 1;
            return None;
        };
        if slot == VIDEO
            && let Some(seconds) = session.keyframes.see(frame.key, now.mono)
        {
            self.segmenter.sink.event(Event::NoKeyframe { seconds });
        }
        let sent_90k = rescale(frame.dts, config.timescale(), STREAM_TIMESCALE);
        let samples = match frame.kind {
            TrackKind::Video => None,
            TrackKind::Audio => config.samples_of(&frame.payload),
        };
        Some(Arrived {
            frame,
            slot,
            flags,
            samples,
            now,
            sent_90k,
        })
    }

    /// Holds a frame back, or lets it into the stream.
    fn dispatch(&mut self, arrived: Arrived) {
        let pending = self.session.as_mut().and_then(|s| s.pending.as_mut());
        let Some(pending) = pending else {
            return self.place(arrived);
        };
        let now = arrived.now;
        if !pending.push(arrived) {
            self.segmenter.sink.dropped(1);
            self.segmenter.sink.counters.before_keyframe += 1;
        }
        self.try_settle(false, now);
    }

    /// Lets the held frames in, if the tracks are known, or must be.
    fn try_settle(&mut self, force: bool, now: Now) {
        let Some(session) = &mut self.session else {
            return;
        };
        let ready = session.pending.as_ref().is_some_and(|p| {
            let wait = self.config.track_wait;
            force && !p.is_empty()
                || p.is_settled(session.announced, session.others(), wait, now.mono)
        });
        if !ready {
            return;
        }
        let Some(mut pending) = session.pending.take() else {
            return;
        };
        let trimmed = pending.trim_audio();
        self.segmenter.sink.dropped(trimmed);
        self.start(&pending);
        self.segmenter.sink.outputs.push_back(Output::Settled);
        for arrived in pending.into_frames() {
            self.dispatch(arrived);
        }
    }

    /// Starts the tracks that are there, on the stream's timeline.
    fn start(&mut self, pending: &Pending) {
        let Some(session) = &mut self.session else {
            return;
        };
        let mut present = session.configs.clone();
        for (slot, config) in present.iter_mut().enumerate() {
            if !pending.is_there(slot) {
                *config = None;
            }
        }
        let Some(first) = (0..present.len()).find_map(|s| pending.first(s)) else {
            return;
        };
        let here = self.head.map_or(TIME_ORIGIN_90K, |h| h.at(first.now));
        let there = self.timeline.project(first.slot, first.sent_90k);
        // A clock that stepped while the tracks were waited for is another clock.
        let continues = there.saturating_sub(here).saturating_abs() <= STEP_MAX_90K;
        self.timeline = if session.same_clock && continues {
            self.timeline.restarted(here)
        } else {
            let start = match self.segmenter.has_begun() {
                true => here,
                false => TIME_ORIGIN_90K,
            };
            let start = session
                .configs
                .iter()
                .enumerate()
                .fold(start, |start, (slot, c)| {
                    let (Some(config), Some(track)) = (c, pending.first(slot)) else {
                        return start;
                    };
                    let end = Time {
                        ticks: self.segmenter.end_of(slot, config),
                        scale: config.timescale(),
                    };
                    let lead = first.sent_90k.saturating_sub(track.sent_90k);
                    start.max(end.to_90k().saturating_add(lead))
                });
            Timeline::new(start, first.sent_90k)
        };
        for (slot, config) in session.configs.iter().enumerate() {
            if let Some(config) = config {
                let floor = self.segmenter.end_of(slot, config);
                self.timeline
                    .set_track(slot, config.timescale(), grid(config), floor);
            }
        }
        let tracks = present.into_iter().enumerate();
        let tracks = tracks.filter_map(|(slot, config)| {
            let place = (slot, self.places.track(slot)?);
            Some((place, config?))
        });
        let tracks: Vec<_> = tracks.collect();
        for ((_, track), config) in &tracks {
            self.segmenter.sink.fan_out_track(*track, config);
        }
        self.segmenter.begin(tracks);
    }

    /// Gives a frame its place in the stream.
    fn place(&mut self, arrived: Arrived) {
        let (slot, now) = (arrived.slot, arrived.now);
        let active = self.segmenter.is_active(slot);
        let sink = &mut self.segmenter.sink;
        let is_video = arrived.frame.kind == TrackKind::Video;
        if !active && is_video && !arrived.frame.key {
            sink.dropped(1);
            sink.counters.before_keyframe += 1;
            return;
        }
        let placed = self.timeline.place(
            slot,
            arrived.frame.dts,
            arrived.samples,
            now.mono,
            &mut sink.counters,
        );
        let Some(placed) = placed else {
            sink.dropped(1);
            return;
        };
        if self.follow_step(&arrived, placed) {
            return self.dispatch(arrived);
        }
        let session = self.session.as_ref();
        let Some(config) = session.and_then(|s| s.config(slot)) else {
            return;
        };
        let (scale, track) = (config.timescale(), arrived.frame.track);
        if placed.as_sent {
            let ticks = placed.dts;
            let time_90k = Time { ticks, scale }.to_90k();
            self.head = Some(Head {
                time_90k: self.head.map_or(time_90k, |h| h.time_90k.max(time_90k)),
                seen: Seen::Mono(now.mono),
            });
        }
        let mut frame = arrived.frame.clone();
        let queued = queued(
            arrived,
            placed.dts,
            scale,
            &mut self.segmenter.sink.counters,
        );
        frame.dts = queued.dts;
        frame.pts = queued.dts + i64::from(queued.composition_offset);
        if slot == VIDEO && frame.key {
            let offset = i64::from(queued.composition_offset);
            self.data.composition_90k = rescale(offset, scale, STREAM_TIMESCALE);
        }
        let place = (slot, track);
        if active {
            self.segmenter.push(slot, queued, now);
        } else if self.segmenter.join(place, config, queued, now) {
            self.segmenter.sink.fan_out_track(track, config);
        } else {
            self.segmenter.sink.dropped(1);
            return;
        }
        self.segmenter.sink.fan_out(frame);
    }

    /// Gives data their places in the stream, if those are known.
    fn place_data(&mut self) {
        let settled = self.session.as_ref().is_some_and(|s| s.pending.is_none());
        let Some(head) = self.head.filter(|_| settled) else {
            return;
        };
        while !self.data.is_empty() && self.segmenter.date(head.time_90k).is_some() {
            let Some(datum) = self.data.pop() else {
                return;
            };
            let shown_90k = self.timeline.project(VIDEO, datum.time_90k);
            let time_90k = shown_90k.saturating_sub(self.data.composition_90k);
            let away = time_90k.saturating_sub(head.time_90k).saturating_abs();
            let sink = &mut self.segmenter.sink;
            if away > DATA_AWAY_90K_MAX {
                sink.counters.data_dropped += 1;
                continue;
            }
            let Some(utc) = self.segmenter.date(time_90k) else {
                return;
            };
            self.segmenter.sink.outputs.push_back(Output::Datum {
                kind: datum.kind,
                time_90k,
                utc,
                payload: datum.payload,
            });
        }
    }

    /// Reports a new timeline; whether the session starts again because of it.
    fn follow_step(&mut self, arrived: &Arrived, placed: Placed) -> bool {
        let Some(joined) = placed.joined else {
            return false;
        };
        self.segmenter.sink.event(Event::TimestampStep {
            track: arrived.frame.track,
            from: joined.from_90k,
            to: joined.to_90k,
        });
        match joined.kind {
            JoinedKind::Track => {}
            JoinedKind::Stream => self.segmenter.break_at_key(),
            JoinedKind::Restart => self.restart(false, arrived.now),
        }
        joined.kind == JoinedKind::Restart
    }

    /// Ends the segment, and waits for the tracks again: after a pause, or because a
    /// configuration changed, when the publisher's clock goes on.
    fn restart(&mut self, same_clock: bool, now: Now) {
        let active = |slot| Some(self.segmenter.is_active(slot));
        let announced = Announced {
            video: active(VIDEO),
            audio: active(AUDIO),
        };
        self.segmenter.end(now);
        if let Some(session) = &mut self.session {
            session.announced = announced;
            session.same_clock = same_clock;
            session.pending = Some(Pending::default());
        }
    }

    /// Ends the session, if there is one.
    fn finish(&mut self, now: Now) {
        if self.session.is_some() {
            self.try_settle(true, now);
            self.place_data();
            self.segmenter.end(now);
            self.session = None;
            self.data.leave(&mut self.segmenter.sink.counters);
        }
    }
}

/// A frame with its place; its composition offset is as it was sent.
fn queued(arrived: Arrived, dts: i64, scale: u32, counters: &mut Counters) -> Queued {
    let frame = arrived.frame;
    let sent = frame.pts.saturating_sub(frame.dts);
    let bound = rescale(COMPOSITION_MAX_90K, STREAM_TIMESCALE, scale);
    let offset = sent.clamp(-bound, bound);
    if offset != sent {
        counters.composition_clamped += 1;
    }
    Queued {
        dts,
        composition_offset: i32::try_from(offset).unwrap_or(0),
        flags: arrived.flags,
        samples: arrived.samples,
        payload: frame.payload,
        received_at: frame.received_at,
    }
}

impl Head {
    /// Where the timeline is at `now`: it goes on by the time that has passed.
    fn at(self, now: Now) -> i64 {
        let gap_us = match self.seen {
            Seen::Mono(seen) => i64::try_from(now.mono.since(seen).as_micros()),
            Seen::Utc(seen) => Ok(now.utc.0.saturating_sub(seen.0)),
        };
        let gap_us = gap_us.unwrap_or(ABSENCE_US_MAX).clamp(0, ABSENCE_US_MAX);
        self.time_90k
            .saturating_add(rescale(gap_us, 1_000_000, STREAM_TIMESCALE))
    }
}
