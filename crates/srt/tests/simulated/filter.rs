//! Parity rebuilds what is lost.

use crate::world::{CALLER, LISTENER, World, address, both, config, lossy, numbered};
use std::collections::HashSet;
use std::time::Duration;
use weir_media::Mono;
use weir_sim::Random;
use weir_srt::packet::Packet;
use weir_srt::{CloseReason, Config, Event, FilterSpec, Passphrase, Reason};

const START: Mono = Mono(7_000_000);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn with_filter(text: &str) -> Config {
    Config {
        filter: Some(FilterSpec::parse(text).unwrap()),
        ..config(1000)
    }
}

#[test]
fn filters_are_agreed_on() {
    let pairs = [
        (with_filter("fec,cols:5"), config(1000), None),
        (with_filter("fec,cols:5,rows:4"), with_filter("fec"), None),
        (
            with_filter("fec"),
            with_filter("fec,cols:5,layout:staircase"),
            None,
        ),
        (
            with_filter("fec,cols:5"),
            with_filter("fec,cols:6"),
            Some(Reason::FILTER),
        ),
        (with_filter("fec"), with_filter("fec"), Some(Reason::FILTER)),
        (
            config(1000),
            with_filter("fec,cols:5"),
            Some(Reason::FILTER),
        ),
    ];
    for (call, accept, refusal) in pairs {
        let mut world = World::new(1, both(lossy(0.0, 20)), call, accept, START);
        world.run(ms(500));
        assert_eq!(world.connected(), refusal.is_none());
        if let Some(reason) = refusal {
            assert_eq!(
                world.events[CALLER],
                [Event::Closed(CloseReason::Refused(reason))]
            );
        }
    }
}

/// The lines of a matrix, as sets of offsets.
fn lines(cols: u32, rows: u32, row_parity: bool, stair: bool, count: u32) -> Vec<Vec<u32>> {
    let mut lines = Vec::new();
    if row_parity {
        lines.extend((0..count / cols).map(|r| (r * cols..(r + 1) * cols).collect()));
    }
    if rows > 1 {
        for c in 0..cols {
            let mut at = if stair { c + c % rows * cols } else { c };
            while at + (rows - 1) * cols < count {
                lines.push((0..rows).map(|i| at + i * cols).collect());
                at += rows * cols;
            }
        }
    }
    lines
}

/// What is left of `lost` when every line with one missing is rebuilt, again and again.
fn beyond_repair(lines: &[Vec<u32>], lost: &HashSet<u32>) -> Vec<u32> {
    let mut missing = lost.clone();
    loop {
        let before = missing.len();
        for line in lines {
            let mut gaps = line.iter().filter(|at| missing.contains(at));
            if let (Some(&gap), None) = (gaps.next(), gaps.next()) {
                missing.remove(&gap);
            }
        }
        if missing.len() == before {
            let mut left: Vec<u32> = missing.into_iter().collect();
            left.sort_unstable();
            return left;
        }
    }
}

/// Every pattern of losses that parity can repair is repaired, with no packet sent again.
#[test]
fn what_parity_can_repair_is_repaired() {
    let shapes = [
        ("fec,cols:5,rows:1,arq:never", 5, 1, true, false),
        ("fec,cols:5,rows:4,arq:never,layout:even", 5, 4, true, false),
        (
            "fec,cols:5,rows:4,arq:never,layout:staircase",
            5,
            4,
            true,
            true,
        ),
        (
            "fec,cols:6,rows:-3,arq:never,layout:even",
            6,
            3,
            false,
            false,
        ),
        // As libsrt has it when nobody says.
        ("fec,cols:6,rows:-3,arq:never", 6, 3, false, true),
        (
            "fec,cols:6,rows:-3,arq:never,layout:staircase",
            6,
            3,
            false,
            true,
        ),
        (
            "fec,cols:3,rows:5,arq:never,layout:staircase",
            3,
            5,
            true,
            true,
        ),
    ];
    for (text, cols, rows, row_parity, stair) in shapes {
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let mut call = with_filter(text);
            call.passphrase =
                (seed % 2 == 0).then(|| Passphrase::new("a long passphrase").unwrap());
            let accept = Config {
                filter: None,
                ..call.clone()
            };
            let mut world = World::new(seed, both(lossy(0.0, 10)), call, accept, START);
            world.connect();
            world.record = true;
            let count = cols * rows * 6;
            let share = 0.05 + 0.2 * (seed as f64 / 20.0);
            let lost: HashSet<u32> = (0..count - 1).filter(|_| random.chance(share)).collect();
            send_around_network(&mut world, count, &lost);
            world.run(ms(2000));
            let lines = lines(cols, rows, row_parity, stair, count);
            let left = beyond_repair(&lines, &lost);
            let numbers = world.numbers(LISTENER);
            let missing: Vec<u32> = (0..count).filter(|n| !numbers.contains(n)).collect();
            assert_eq!(missing, left, "{text}, seed {seed}, lost {lost:?}");
            let rebuilt = world.end(LISTENER).stats().filter_rebuilt_packets;
            assert_eq!(rebuilt as usize, lost.len() - left.len());
        }
    }
}

/// Sends numbered messages, and loses these and no parity.
fn send_around_network(world: &mut World, count: u32, lost: &HashSet<u32>) {
    world.network.set_path(0, lossy(1.0, 10));
    let mut sent = 0;
    for n in 0..count {
        let now = world.now;
        world.end(CALLER).send(numbered(n), now).unwrap();
        let now = world.now;
        while let Some(transmit) = world.end(CALLER).poll_transmit(now) {
            let datagram = transmit.to_bytes();
            let mut drop = false;
            if let Ok(Packet::Data(data)) = Packet::parse(datagram.clone())
                && data.message.number() != 0
            {
                // What is sent again, because nothing is heard of it, is lost again.
                drop = data.message.retransmitted() || lost.contains(&sent);
                sent += u32::from(!data.message.retransmitted());
            }
            if !drop {
                world.end(LISTENER).handle(datagram, address(CALLER), now);
            }
        }
        world.run(ms(1));
    }
}

/// With `onreq`, what parity cannot repair is asked for, and nothing else.
#[test]
fn what_parity_cannot_repair_is_asked_for() {
    for text in [
        "fec,cols:8,rows:1,arq:onreq",
        "fec,cols:8,rows:4,arq:onreq",
        "fec,cols:8,rows:4,arq:onreq,layout:staircase",
        "fec,cols:8,rows:-4,arq:onreq",
    ] {
        for (loss, share_max) in [(0.01, 0.5), (0.15, 1.0)] {
            let paths = both(lossy(loss, 20));
            let mut call = with_filter(text);
            call.connect_timeout = Duration::from_secs(20);
            let accept = config(1000);
            let mut world = World::new(5, paths, call, accept, START);
            world.connect();
            world.stream(CALLER, 0..1000, ms(2));
            world.run(ms(3000));
            let missing = 1000 - world.numbers(LISTENER).len();
            let (sender, receiver) = (world.end(CALLER).stats(), world.end(LISTENER).stats());
            assert!(missing <= 3, "{text} {loss}: {missing} missing");
            assert!(receiver.filter_rebuilt_packets > 0);
            let repeated = sender.retransmitted_packets as f64;
            let lost = receiver.receive_lost_packets as f64;
            assert!(
                repeated <= lost * share_max * 2.0 + 8.0,
                "{text} {loss}: {repeated} {lost}"
            );
        }
    }
}

/// Parity that lies rebuilds nothing, or garbage that nobody asked for: never more than a
/// packet.
#[test]
fn parity_that_lies_does_no_harm() {
    let mut random = Random::new(3);
    let call = with_filter("fec,cols:4,rows:3");
    let mut world = World::new(1, both(lossy(0.0, 20)), call, config(1000), START);
    world.connect();
    world.record = true;
    for n in 0..300 {
        world.stream(CALLER, n..n + 1, ms(2));
        let parity = world.last[CALLER].iter().rev().find(|datagram| {
            matches!(Packet::parse((*datagram).clone()),
                Ok(Packet::Data(data)) if data.message.number() == 0)
        });
        let Some(parity) = parity else { continue };
        let mut forged = parity.to_vec();
        for _ in 0..4 {
            let at = random.below(24).min(forged.len() as u64 - 1) as usize;
            if !(12..16).contains(&at) {
                forged[at] = random.next() as u8;
            }
        }
        let cut = random.below(forged.len() as u64) as usize;
        let now = world.now;
        let from = address(CALLER);
        world.end(LISTENER).handle(forged.clone().into(), from, now);
        forged.truncate(cut.max(16));
        world.end(LISTENER).handle(forged.into(), from, now);
    }
    world.run(ms(2000));
    assert!(world.connected());
}
