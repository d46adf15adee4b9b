//! Two workers on one ring, with publishers on sockets.

use crate::admit::{self, Asker, Denied};
use crate::feed;
use crate::limits::{HANDOFFS_QUEUED_MAX, STREAM_TICK};
use crate::reasons::PlayRefused;
use crate::worker::{Handoff, Live, Parcel, Shared};
use common::Publisher;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use weir_auth::hook::{Answer, Call, Client, Hooks};
use weir_auth::policy::Input;
use weir_auth::{Access, KeyHash, Policy, Refusal};
use weir_hub::fanout::{Part, Read, Start};
use weir_media::StreamName;
use weir_ring::{Config, Receiver, Runtime};
use weir_rtmp::session::Target;

#[path = "../tests/common/mod.rs"]
mod common;

/// Longer than any of the tests.
const LONG: Duration = Duration::from_secs(60);

fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

/// Two workers' part, whose streams stay for long.
fn two(
    hooks: Arc<Hooks>,
    policy: Policy,
) -> (tempfile::TempDir, Arc<Shared>, Vec<Receiver<Handoff>>) {
    let dir = common::temp_dir();
    let (shared, handoffs) = common::shared_with(dir.path(), policy, hooks, LONG, 2);
    (dir, shared, handoffs)
}

fn open() -> Policy {
    Policy::new(true, vec![]).unwrap()
}

fn run(test: impl Future<Output = ()>) {
    Runtime::new(Config::default()).unwrap().block_on(test);
}

/// Connects, and publishes until `frames` are sent.
async fn publish(server: SocketAddr, key: &'static str, frames: u64) -> Publisher {
    common::beside(move || connected(server, key, frames)).await
}

fn connected(server: SocketAddr, key: &str, frames: u64) -> Publisher {
    let mut publisher = Publisher::connect(server, key).unwrap();
    publisher.configure();
    publisher.frames(frames);
    publisher
}

#[test]
fn a_session_that_cannot_be_handed_on_frees_its_name() {
    let (_dir, shared, mut handoffs) = two(Hooks::none(), open());
    run(async {
        let live = Live::new(shared.clone(), 0);
        live.start(handoffs.remove(0));
        let server = common::listen(live);
        // The first worker has a stream, so that the next is the second's, whose queue is full.
        let _own = shared.owners.claim_for(&name("own"), 0).unwrap();
        for _ in 0..HANDOFFS_QUEUED_MAX {
            let watch = Parcel::Watch(name("none"), feed::feed().0);
            shared.workers[1].try_send(Handoff(watch)).unwrap();
        }
        let refused = common::beside(move || Publisher::connect(server, "camera").err()).await;
        assert_eq!(refused.as_deref(), Some("NetStream.Publish.Rejected"));
        assert_eq!(shared.owners.find(&name("camera")), None);
        // Lost on the way is no better.
        while handoffs[0].try_recv().is_some() {}
        let publisher = std::thread::spawn(move || Publisher::connect(server, "camera").err());
        let Some(Handoff(Parcel::Session(session))) = handoffs[0].recv().await else {
            panic!("the session moves");
        };
        assert_eq!(shared.owners.find(&name("camera")), Some(1));
        drop(session);
        assert!(publisher.join().unwrap().is_some());
        assert_eq!(shared.owners.find(&name("camera")), None);
    });
}

#[test]
fn a_stream_that_is_being_sealed_is_waited_for() {
    let (_dir, shared, mut handoffs) = two(Hooks::none(), open());
    run(async {
        let workers = [0, 1].map(|index| {
            let live = Live::new(shared.clone(), index);
            live.start(handoffs.remove(0));
            live
        });
        // As it is while a broadcast is sealed: the first has the name, and no stream.
        let claim = shared.owners.claim_for(&name("camera"), 0).unwrap();
        shared.owners.settle(claim.name());
        drop(claim);
        let wait = STREAM_TICK * 3;
        let early = workers[1]
            .subscribe(&name("camera"), Start::Cached, wait)
            .await;
        assert!(
            early.is_none(),
            "it would be told that it plays, and of the end"
        );
        let server = common::listen(workers[0].clone());
        let publishing = std::thread::spawn(move || connected(server, "camera", 30));
        let viewer = workers[1]
            .subscribe(&name("camera"), Start::Cached, LONG)
            .await;
        assert!(viewer.unwrap().ready().await);
        drop(publishing.join().unwrap());
    });
}

#[test]
fn after_a_publisher_nobody_begins_with_its_pictures() {
    let (_dir, shared, mut handoffs) = two(Hooks::none(), open());
    run(async {
        let workers = [0, 1].map(|index| {
            let live = Live::new(shared.clone(), index);
            live.start(handoffs.remove(0));
            live
        });
        let camera = name("camera");
        let server = common::listen(workers[0].clone());
        let publisher = publish(server, "camera", 100).await;
        let mut viewers = Vec::new();
        for worker in &workers {
            let viewer = worker.subscribe(&camera, Start::Cached, LONG).await;
            viewers.push(viewer.unwrap());
        }
        for viewer in &mut viewers {
            assert!(viewer.ready().await, "what is there is a picture at once");
        }
        let last = newest(&mut viewers[1]).await;
        drop(publisher);
        while workers[0].is_published(&camera) {
            weir_ring::sleep(STREAM_TICK).await;
        }
        // The other worker hears of it behind the last frames.
        weir_ring::sleep(STREAM_TICK * 5).await;
        for worker in &workers {
            let mut late = worker
                .subscribe(&camera, Start::Cached, LONG)
                .await
                .unwrap();
            let nothing = weir_ring::timeout(STREAM_TICK, late.ready()).await;
            assert!(nothing.is_err(), "a picture that stands still");
        }
        // Nor does a worker whose first viewer comes now.
        drop(viewers.remove(1));
        weir_ring::sleep(STREAM_TICK).await;
        let mut first = workers[1]
            .subscribe(&camera, Start::Cached, LONG)
            .await
            .unwrap();
        let nothing = weir_ring::timeout(STREAM_TICK, first.ready()).await;
        assert!(nothing.is_err(), "a picture that stands still");
        let _publisher = publish(server, "camera", 100).await;
        assert!(first.ready().await);
        let mut begins = None;
        first.read(|part| {
            if let Part::Piece(piece) = part {
                begins.get_or_insert(piece.timestamp());
            }
        });
        assert!(begins > Some(last), "{begins:?} after {last}");
    });
}

/// Time of the newest that there is to read.
async fn newest(viewer: &mut crate::Subscription) -> u32 {
    let mut newest = 0;
    loop {
        let more = weir_ring::timeout(STREAM_TICK * 2, viewer.ready()).await;
        if more.is_err() {
            return newest;
        }
        viewer.read(|part| {
            if let Part::Piece(piece) = part {
                newest = piece.timestamp();
            }
        });
    }
}

#[test]
fn a_reader_that_pauses_gets_nothing_beside_others() {
    let (_dir, shared, mut handoffs) = two(Hooks::none(), open());
    run(async {
        let live = Live::new(shared.clone(), 0);
        live.start(handoffs.remove(0));
        let server = common::listen(live.clone());
        let mut publisher = publish(server, "camera", 100).await;
        let viewer = live.subscribe(&name("camera"), Start::Cached, LONG).await;
        let mut viewer = viewer.unwrap();
        assert!(viewer.ready().await);
        viewer.set_paused(true);
        assert_eq!(viewer.read(|_| panic!("it is paused")), Read::Nothing);
        assert!(!viewer.is_over());
        viewer.set_paused(false);
        assert!(matches!(viewer.read(|_| {}), Read::Some(_)));
        viewer.set_paused(true);
        let publisher = common::beside(move || {
            publisher.frames(100);
            publisher
        });
        drop(publisher.await);
        while live.is_published(&name("camera")) {
            weir_ring::sleep(STREAM_TICK).await;
        }
        live.drain().await;
        assert!(!viewer.ready().await && viewer.is_over());
    });
}

/// Hooks that call everything `renamed`.
fn renaming() -> Arc<Hooks> {
    let calls = [Call::Publish, Call::Play];
    Hooks::new(
        &calls,
        Box::new(|task| {
            let reply = task.reply.unwrap();
            reply.send(Answer::Rename(name("renamed")));
            Ok(())
        }),
    )
}

#[test]
fn networks_hold_for_the_name_that_a_hook_gives() {
    let mut input = Input::with_key(name("renamed"), KeyHash::of("0123456789abcdef"));
    input.publish = Access::new(vec!["192.0.2.0/24".parse().unwrap()], vec![]).unwrap();
    input.play = input.publish.clone();
    let policy = Policy::new(true, vec![input]).unwrap();
    let (_dir, shared, _handoffs) = two(renaming(), policy);
    let target = Target {
        app: "live".into(),
        key: "camera".into(),
        query: None,
    };
    let client = Client::default();
    run(async {
        for (address, allowed) in [([192, 0, 2, 1], true), ([198, 51, 100, 1], false)] {
            let asker = Asker {
                address: IpAddr::from(address),
                connection: 1,
                client: &client,
            };
            let publish = admit::publish(&shared, asker, &target, "live".into()).await;
            let play = admit::play(&shared, asker, &target).await;
            for admitted in [publish, play] {
                match admitted {
                    Ok(admitted) => assert!(allowed && admitted.name == name("renamed")),
                    Err(denied) => assert!(
                        !allowed && matches!(denied, Denied::Policy(Refusal::Address)),
                        "{denied:?}"
                    ),
                }
            }
        }
    });
}

#[test]
fn a_hook_that_fails_is_told_apart_from_one_that_refuses() {
    assert_eq!(
        Denied::Hook(Answer::Fail("lost".into())).play_reason(),
        PlayRefused::HookFailed
    );
    assert_eq!(
        Denied::Hook(Answer::Refuse).play_reason(),
        PlayRefused::Hook
    );
}
