//! How connections begin and end.

use crate::world::{CALLER, LISTENER, World, both, config, lossy};
use std::time::Duration;
use weir_media::Mono;
use weir_srt::{CloseReason, Config, Event, Passphrase, Reason};

const START: Mono = Mono(7_000_000);

fn with_passphrase(text: &str) -> Config {
    Config {
        passphrase: Some(Passphrase::new(text).unwrap()),
        ..config(120)
    }
}

fn refused(call: Config, accept: Config) -> (Vec<Event>, Vec<Reason>) {
    let mut world = World::new(1, both(lossy(0.0, 20)), call, accept, START);
    world.run(Duration::from_secs(1));
    assert!(!world.connected());
    (world.events[CALLER].clone(), world.refusals.clone())
}

#[test]
fn passphrases_must_be_the_same() {
    let refusal = |reason| {
        let closed = Event::Closed(CloseReason::Refused(reason));
        (vec![closed], vec![reason])
    };
    let ours = || with_passphrase("passphrase one");
    assert_eq!(
        refused(ours(), with_passphrase("passphrase two")),
        refusal(Reason::BAD_SECRET)
    );
    assert_eq!(refused(ours(), config(120)), refusal(Reason::UNSECURE));
    assert_eq!(refused(config(120), ours()), refusal(Reason::UNSECURE));
    let mut world = World::new(1, both(lossy(0.0, 20)), ours(), ours(), START);
    world.connect();
}

/// Every packet of the handshake may be lost.
#[test]
fn a_handshake_survives_losses() {
    for seed in 0..200 {
        let mut call = config(120);
        call.connect_timeout = Duration::from_secs(30);
        let mut world = World::new(seed, both(lossy(0.5, 100)), call, config(120), START);
        assert!(
            world.run_until(Duration::from_secs(30), |world| world.connected()),
            "seed {seed}: {:?}",
            world.events
        );
        assert_eq!(world.events[CALLER], [Event::Connected]);
    }
}

#[test]
fn nobody_answers() {
    let mut world = World::new(1, both(lossy(1.0, 20)), config(120), config(120), START);
    world.run(Duration::from_secs(4));
    let closed = Event::Closed(CloseReason::HandshakeTimeout);
    assert_eq!(world.events[CALLER], [closed]);
    assert!(world.datagrams <= 13, "{}", world.datagrams);
}

#[test]
fn the_peer_is_told_and_what_was_sent_is_delivered() {
    let mut world = World::new(1, both(lossy(0.0, 20)), config(500), config(500), START);
    world.connect();
    world.stream(CALLER, 0..50, Duration::from_millis(2));
    let now = world.now;
    world.end(CALLER).close(now);
    world.run(Duration::from_millis(30));
    assert_eq!(world.numbers(LISTENER).len(), 50);
    assert_eq!(world.events[LISTENER], [Event::Closed(CloseReason::Peer)]);
    assert_eq!(
        world.events[CALLER][1..],
        [Event::Closed(CloseReason::Local)]
    );
    assert_eq!(world.end(LISTENER).next_timeout(), None);
    assert_eq!(world.end(LISTENER).stats().received_packets, 50);
}

#[test]
fn silence_ends_a_connection() {
    let mut world = World::new(1, both(lossy(0.0, 20)), config(120), config(120), START);
    world.connect();
    world.run(Duration::from_secs(30));
    assert!(world.connected());
    for path in [0, 1] {
        world.network.set_path(path, lossy(1.0, 20));
    }
    world.run(Duration::from_secs(7));
    for end in [CALLER, LISTENER] {
        let closed = Event::Closed(CloseReason::Idle);
        assert_eq!(world.events[end].last(), Some(&closed));
        assert_eq!(world.end(end).next_timeout(), None);
    }
}

/// Both ends call each other; who leads is decided by their cookies.
#[test]
fn two_ends_meet() {
    for seed in 0..200 {
        let loss = if seed < 20 { 0.0 } else { 0.3 };
        let mut ours = if seed % 2 == 0 {
            config(120)
        } else {
            with_passphrase("a long passphrase")
        };
        ours.connect_timeout = Duration::from_secs(30);
        let paths = both(lossy(loss, 60));
        let mut world = World::rendezvous(seed, paths, [ours.clone(), ours], START);
        assert!(
            world.run_until(Duration::from_secs(30), |world| world.connected()),
            "seed {seed}: {:?}",
            world.events
        );
        for path in [0, 1] {
            world.network.set_path(path, lossy(0.0, 60));
        }
        world.run(Duration::from_secs(2));
        for from in [CALLER, LISTENER] {
            assert_eq!(world.events[from], [Event::Connected], "seed {seed}");
            world.stream(from, 0..20, Duration::from_millis(2));
            world.run(Duration::from_secs(1));
            assert_eq!(world.numbers(1 - from).len(), 20, "seed {seed}");
        }
    }
}

#[test]
fn ends_with_other_passphrases_do_not_meet() {
    let configs = [
        with_passphrase("passphrase one"),
        with_passphrase("passphrase two"),
    ];
    let mut world = World::rendezvous(3, both(lossy(0.0, 60)), configs, START);
    world.run(Duration::from_secs(5));
    let mut reasons: Vec<Event> = world.events.concat();
    reasons.sort_by_key(|event| matches!(event, Event::Closed(CloseReason::Refused(_))));
    assert_eq!(
        reasons,
        [
            Event::Closed(CloseReason::NotAccepted(Reason::BAD_SECRET)),
            Event::Closed(CloseReason::Refused(Reason::BAD_SECRET))
        ]
    );
}

/// The key is the same for both directions, so that the same number must not be used twice.
#[test]
fn encrypting_ends_do_not_count_from_the_same_number() {
    let ours = || with_passphrase("a long passphrase");
    let mut world = World::new(1, both(lossy(0.0, 20)), ours(), ours(), START);
    world.record = true;
    world.connect();
    for from in [CALLER, LISTENER] {
        world.stream(from, 0..50, Duration::from_millis(2));
    }
    world.run(Duration::from_secs(1));
    for end in [CALLER, LISTENER] {
        assert_eq!(world.numbers(end).len(), 50);
    }
    // The same messages, each of another number.
    assert_eq!(world.transmissions.len(), 100);
    assert!(world.transmissions.values().all(|times| *times == 1));
}
