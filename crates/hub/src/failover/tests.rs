//! Two inputs and a clock.

use super::*;
use bytes::Bytes;
use weir_media::TrackId;

struct Scene {
    selector: Selector,
    clock: u64,
    switches: Vec<(u64, usize, Reason)>,
    shown: [u64; 2],
}

/// How an input sends in one step of 20 ms.
#[derive(Clone, Copy, PartialEq)]
enum Sends {
    Nothing,
    All,
    Frozen,
    VideoOnly,
    AudioOnly,
}

const STEP_MS: u64 = 20;
/// Keyframes of input 0 come at 0, 1000 …; those of input 1 at 500, 1500 …
const KEY_MS: u64 = 1000;

impl Scene {
    fn new(back: Back) -> Self {
        Self::with(Rules {
            back,
            ..Rules::default()
        })
    }

    fn with(rules: Rules) -> Self {
        Self {
            selector: Selector::new(rules, 2, Mono(0)),
            clock: 0,
            switches: Vec::new(),
            shown: [0; 2],
        }
    }

    fn open(&mut self, input: usize) -> &mut Self {
        self.selector.handle_open(input, Mono(self.clock * 1000));
        self
    }

    fn close(&mut self, input: usize) -> &mut Self {
        self.selector.handle_close(input, Mono(self.clock * 1000));
        self
    }

    fn run(&mut self, ms: u64, sends: [Sends; 2]) -> &mut Self {
        for _ in 0..ms / STEP_MS {
            let now = Mono(self.clock * 1000);
            for (input, sends) in sends.into_iter().enumerate() {
                for kind in [TrackKind::Video, TrackKind::Audio] {
                    self.send(input, kind, sends, now);
                }
            }
            if self.clock.is_multiple_of(100) {
                self.selector.handle_timeout(now);
            }
            self.clock += STEP_MS;
        }
        self
    }

    fn send(&mut self, input: usize, kind: TrackKind, sends: Sends, now: Mono) {
        let is_sent = match sends {
            Nothing => false,
            All | Frozen => true,
            VideoOnly => kind == TrackKind::Video,
            AudioOnly => kind == TrackKind::Audio,
        };
        if !is_sent {
            return;
        }
        let dts = match sends {
            Frozen => 77,
            _ => self.clock as i64 * 90,
        };
        let at = self.clock + if input == 1 { KEY_MS / 2 } else { 0 };
        let frame = Frame {
            track: TrackId::source(kind),
            kind,
            dts,
            pts: dts,
            key: kind == TrackKind::Audio || at.is_multiple_of(KEY_MS),
            received_at: now,
            payload: Bytes::new(),
        };
        match self.selector.handle_frame(input, &frame, now) {
            Verdict::Drop => {}
            Verdict::Show => self.shown[input] += 1,
            Verdict::Switch(switch) => {
                assert_eq!(switch.to, input);
                self.switches.push((self.clock, input, switch.reason));
                self.shown[input] += 1;
            }
        }
    }

    fn switches(&mut self) -> Vec<(u64, usize, Reason)> {
        std::mem::take(&mut self.switches)
    }
}

use Sends::{All, AudioOnly, Frozen, Nothing, VideoOnly};

#[test]
fn the_preferred_begins_and_a_lone_backup_waits_for_it() {
    let mut scene = Scene::new(Back::Never);
    scene.open(0).open(1).run(2000, [All, All]);
    assert_eq!(scene.switches(), [(0, 0, Reason::Begin)]);
    assert_eq!(scene.shown[1], 0);
    let mut scene = Scene::new(Back::Never);
    scene.open(1).run(4000, [Nothing, All]);
    assert_eq!(scene.switches(), [(1500, 1, Reason::Begin)]);
}

#[test]
fn loss_switches_at_a_keyframe_of_the_backup() {
    let mut scene = Scene::new(Back::Never);
    scene.open(0).open(1).run(5000, [All, All]);
    scene.close(0).run(5000, [Nothing, All]);
    assert_eq!(
        scene.switches(),
        [(0, 0, Reason::Begin), (6500, 1, Reason::Lost)]
    );
    // A connection that says nothing is as lost as one that is closed.
    let mut scene = Scene::new(Back::Never);
    scene
        .open(0)
        .open(1)
        .run(5000, [All, All])
        .run(5000, [Nothing, All]);
    assert_eq!(scene.switches()[1], (6500, 1, Reason::Lost));
}

#[test]
fn who_returns_in_time_stays() {
    let mut scene = Scene::new(Back::Never);
    scene.open(0).open(1).run(5000, [All, All]);
    scene.close(0).run(800, [Nothing, All]);
    scene.open(0).run(5000, [All, All]);
    assert_eq!(scene.switches(), [(0, 0, Reason::Begin)]);
}

#[test]
fn frozen_times_and_missing_tracks_switch() {
    for (fault, after, reason) in [
        (Frozen, 3000, Reason::Frozen),
        (VideoOnly, 5000, Reason::NoAudio),
        (AudioOnly, 5000, Reason::NoVideo),
    ] {
        let mut scene = Scene::new(Back::Never);
        scene
            .open(0)
            .open(1)
            .run(5000, [All, All])
            .run(9000, [fault, All]);
        let (at, to, why) = scene.switches()[1];
        assert_eq!((to, why), (1, reason));
        assert!(
            (5000 + after - 100..=5000 + after + 1100).contains(&at),
            "{at}"
        );
    }
    // One that has to have audio and never had.
    let mut scene = Scene::with(Rules {
        needs_audio: true,
        ..Rules::default()
    });
    scene.open(0).open(1).run(9000, [VideoOnly, All]);
    assert_eq!(scene.switches().len(), 1);
    assert_eq!(scene.selector.shown(), Some(1));
    let failed = Some(InputState::Failed(Reason::NoAudio));
    assert_eq!(scene.selector.state(0), failed);
}

#[test]
fn back_by_policy() {
    let back = |back| {
        let mut scene = Scene::new(back);
        scene.open(0).open(1).run(5000, [All, All]);
        scene.close(0).run(5000, [Nothing, All]);
        scene.open(0).run(3000, [All, All]);
        // It stumbles once.
        scene.run(2000, [Nothing, All]).run(20_000, [All, All]);
        scene.switches()[2..].to_vec()
    };
    assert_eq!(back(Back::Never), []);
    let at_once = back(Back::AtOnce);
    assert_eq!(at_once[0], (10_000, 0, Reason::Preferred));
    assert_eq!(at_once[1].1, 1, "it stumbled");
    assert_eq!(at_once[2], (15_000, 0, Reason::Preferred));
    let stable = back(Back::Stable(Duration::from_secs(10)));
    assert_eq!(stable, [(25_000, 0, Reason::Preferred)]);
}

#[test]
fn with_no_other_the_failed_one_stays() {
    let mut scene = Scene::new(Back::AtOnce);
    scene
        .open(0)
        .run(5000, [All, Nothing])
        .run(20_000, [Frozen, Nothing]);
    assert_eq!(scene.selector.shown(), Some(0));
    assert_eq!(scene.switches(), [(0, 0, Reason::Begin)]);
    scene.open(1).run(3000, [Frozen, All]);
    assert_eq!(scene.switches(), [(25_500, 1, Reason::Frozen)]);
}

#[test]
fn two_that_flap_never_show_nothing_for_long() {
    let mut scene = Scene::new(Back::AtOnce);
    scene.open(0).open(1).run(2000, [All, All]);
    for turn in 0..20 {
        let mut sends = [All, All];
        sends[turn % 2] = Nothing;
        let before = scene.shown;
        scene.run(4000, sends);
        let shown = scene.shown[0] + scene.shown[1] - before[0] - before[1];
        // All but loss, a keyframe's wait and a tick.
        assert!(shown >= (4000 - 2200) / STEP_MS * 2, "{turn}: {shown}");
    }
}
