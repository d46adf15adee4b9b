//! What a peer or a stranger may send costs it only itself.

use crate::world::{CALLER, LISTENER, World, address, both, config, lossy, numbered};
use bytes::Bytes;
use std::time::Duration;
use weir_media::Mono;
use weir_sim::Random;
use weir_srt::packet::control::AckReport;
use weir_srt::packet::extension::Extensions;
use weir_srt::packet::handshake::HandshakeType;
use weir_srt::packet::{Ack, Control, Handshake, LossList, Packet};
use weir_srt::seq::Seq;
use weir_srt::{
    Config, CookieKey, Ignored, Incoming, Listener, Passphrase, Reason, Seed, SocketId, peek,
};

const START: Mono = Mono(7_000_000);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn connected() -> World {
    let mut world = World::new(1, both(lossy(0.0, 20)), config(120), config(120), START);
    world.connect();
    world
}

fn control(body: &Control, to: SocketId) -> Bytes {
    let mut datagram = body.header(1, to).to_vec();
    body.write_content(&mut datagram);
    datagram.into()
}

fn words(words: &[u32]) -> Bytes {
    words
        .iter()
        .flat_map(|w| w.to_be_bytes())
        .collect::<Vec<_>>()
        .into()
}

/// Sends what `forge` makes between messages; all messages arrive all the same.
fn harmless(mut forge: impl FnMut(&mut World, u32)) {
    let mut world = connected();
    for n in 0..300 {
        world.stream(CALLER, n..n + 1, ms(2));
        forge(&mut world, n);
    }
    world.run(ms(2000));
    assert!(world.connected(), "{:?}", world.events);
    assert_eq!(world.numbers(LISTENER).len(), 300);
}

#[test]
fn acknowledgements_of_what_was_not_sent_are_passed_over() {
    harmless(|world, n| {
        let now = world.now;
        let to = world.end(CALLER).id();
        for next in [n.wrapping_mul(0x0100_0193), u32::MAX, 0x4000_0000] {
            let ack = Ack {
                number: n,
                next: Seq::new(next),
                report: None,
            };
            let datagram = control(&Control::Ack(ack), to);
            world.end(CALLER).handle(datagram, address(LISTENER), now);
        }
    });
}

#[test]
fn loss_reports_of_everything_cost_nothing() {
    harmless(|world, _| {
        let now = world.now;
        let to = world.end(CALLER).id();
        for list in [
            words(&[0x8000_0000, 0x3fff_ffff]),
            words(&[0x8000_0000 | 5, 4]),
            words(&[0xffff_ffff, 0x7fff_fffe]),
            words(&[0x9000_0000; 300]),
            words(&[7; 360]),
        ] {
            let datagram = control(&Control::Nak(LossList(list)), to);
            world.end(CALLER).handle(datagram, address(LISTENER), now);
        }
    });
}

/// A true report, repeated as fast as can be, makes us send no more than the round trip lets.
#[test]
fn repeated_loss_reports_are_answered_once_a_round_trip() {
    let mut world = connected();
    world.record = true;
    world.stream(CALLER, 0..20, ms(1));
    let first =
        world.last[CALLER]
            .iter()
            .find_map(|datagram| match Packet::parse(datagram.clone()) {
                Ok(Packet::Data(data)) => Some(data.seq.value()),
                _ => None,
            });
    world.run(ms(500));
    world.network.set_path(1, lossy(1.0, 20));
    world.stream(CALLER, 20..40, ms(1));
    let first = first.unwrap() + 20;
    let before = world.datagrams;
    let to = world.end(CALLER).id();
    for _ in 0..1000 {
        let list = words(&[0x8000_0000 | first, first + 19]);
        let now = world.now;
        let datagram = control(&Control::Nak(LossList(list)), to);
        world.end(CALLER).handle(datagram, address(LISTENER), now);
        world.run(Duration::from_micros(20));
    }
    assert!(
        world.datagrams - before < 60,
        "{}",
        world.datagrams - before
    );
}

/// A peer that says its round trip is nothing, acknowledges nothing and asks for everything.
#[test]
fn loss_reports_draw_no_more_than_some_times_the_stream() {
    let accept = Config {
        latency: ms(1000),
        ..config(120)
    };
    let mut world = World::new(1, both(lossy(0.0, 20)), config(120), accept, START);
    world.record = true;
    world.connect();
    world.network.set_path(1, lossy(1.0, 20));
    let to = world.end(CALLER).id();
    let mut first = None;
    for n in 0..500_u32 {
        world.stream(CALLER, n..n + 1, ms(2));
        let first = *first.get_or_insert_with(|| {
            let data = |datagram: &Bytes| match Packet::parse(datagram.clone()) {
                Ok(Packet::Data(data)) => Some(data.seq),
                _ => None,
            };
            world.last[CALLER].iter().find_map(data).unwrap()
        });
        let ack = Ack {
            number: n,
            next: first,
            report: Some(AckReport {
                rtt_us: 0,
                rtt_variance_us: 0,
                available_packets: 8192,
                packets_per_s: 0,
                capacity_packets_per_s: 0,
                bytes_per_s: 0,
            }),
        };
        let (now, sent) = (world.now, world.end(CALLER).stats().sent_packets as u32);
        let last = first.plus(sent - 1).value();
        let list = LossList(words(&[0x8000_0000 | first.value(), last]));
        for body in [Control::Ack(ack), Control::Nak(list)] {
            let datagram = control(&body, to);
            world.end(CALLER).handle(datagram, address(LISTENER), now);
        }
    }
    let stats = world.end(CALLER).stats();
    let times = stats.retransmitted_packets / stats.sent_packets;
    assert!(times <= 4, "{times}");
}

#[test]
fn strangers_are_not_heard() {
    harmless(|world, _| {
        let now = world.now;
        let stranger = "198.51.100.1:1000".parse().unwrap();
        let to = world.end(LISTENER).id();
        let shutdown = control(&Control::Shutdown, to);
        world.end(LISTENER).handle(shutdown, stranger, now);
        // The right address, but not the right socket.
        let other = control(&Control::Shutdown, SocketId(to.0 + 1));
        world.end(LISTENER).handle(other, address(CALLER), now);
    });
}

/// Who does not hear what a caller sends does not know its number.
#[test]
fn a_caller_believes_only_who_knows_its_number() {
    let mut world = World::new(1, both(lossy(0.0, 20)), config(120), config(120), START);
    world.run(ms(1));
    let refusal = |to| {
        let handshake = Handshake {
            version: 5,
            encryption: 0,
            extension: 0,
            initial_seq: Seq::new(0),
            mtu: 1500,
            flow_window: 8192,
            kind: HandshakeType::rejection(Reason::PEER),
            socket_id: SocketId(1),
            cookie: 0,
            peer_ip: [0; 16],
            extensions: Extensions::default(),
        };
        control(&Control::Handshake(Box::new(handshake)), to)
    };
    let (id, now) = (world.end(CALLER).id(), world.now);
    for stranger in [SocketId(0), SocketId(id.0 + 1)] {
        let caller = world.end(CALLER);
        caller.handle(refusal(stranger), address(LISTENER), now);
        assert!(!caller.is_closed());
    }
    world.connect();
    let mut world = World::new(1, both(lossy(0.0, 20)), config(120), config(120), START);
    let caller = world.end(CALLER);
    caller.handle(refusal(id), address(LISTENER), now);
    assert!(caller.is_closed());
}

#[test]
fn drop_requests_of_everything_only_skip_what_is_missing() {
    harmless(|world, _| {
        let now = world.now;
        let to = world.end(LISTENER).id();
        for (first, last) in [(0, 0x3fff_ffff), (5, 4), (0x7fff_ffff, 0)] {
            let body = Control::DropRequest {
                message: 0,
                first: Seq::new(first),
                last: Seq::new(last),
            };
            let datagram = control(&body, to);
            world.end(LISTENER).handle(datagram, address(CALLER), now);
        }
    });
}

/// Datagrams of a real connection, with bits turned and cut, at both ends.
#[test]
fn damaged_datagrams_end_nothing_but_their_connection() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut call = config(120);
        if seed % 2 == 0 {
            call.passphrase = Passphrase::new("a long passphrase");
        }
        let paths = both(lossy(0.05, 20));
        let mut world = World::new(seed, paths, call.clone(), call, START);
        world.record = true;
        world.connect();
        for n in 0..200 {
            let now = world.now;
            let _ = world.end(CALLER).send(numbered(n), now);
            world.run(ms(2));
            let from = random.below(2) as usize;
            let recorded = &world.last[from];
            if recorded.is_empty() {
                continue;
            }
            let which = random.below(recorded.len() as u64) as usize;
            let mut datagram = recorded[which].to_vec();
            let at = random.below(datagram.len() as u64) as usize;
            match random.below(3) {
                0 => datagram[at] ^= 1 << random.below(8),
                1 => datagram.truncate(at),
                _ => datagram[at] = random.next() as u8,
            }
            world.deliver(from, datagram.into());
        }
        world.run(ms(1000));
    }
}

#[test]
fn replayed_datagrams_change_nothing() {
    let mut call = config(120);
    call.passphrase = Passphrase::new("a long passphrase");
    let mut world = World::new(1, both(lossy(0.0, 20)), call.clone(), call, START);
    world.record = true;
    world.connect();
    for n in 0..200 {
        world.stream(CALLER, n..n + 1, ms(2));
        for from in [CALLER, LISTENER] {
            for datagram in world.last[from].clone().into_iter().rev().take(3) {
                world.deliver(from, datagram);
            }
        }
    }
    world.run(ms(1000));
    assert_eq!(world.numbers(LISTENER).len(), 200);
    assert!(world.end(LISTENER).stats().duplicate_packets > 100);
}

#[test]
fn datagrams_of_any_length_are_read() {
    let mut world = connected();
    let listener = Listener::new(CookieKey::new(&Seed([1; 32])));
    for bytes in [0, 1, 15, 16, 17, 64, 1472, 1473, 65_507] {
        for fill in [0, 0x80, 0xff] {
            let datagram = Bytes::from(vec![fill; bytes]);
            let _ = peek(&datagram);
            let now = world.now;
            let incoming = listener.handle(datagram.clone(), address(CALLER), now);
            assert!(matches!(incoming, Incoming::Ignored(_)));
            let mut addressed = datagram.to_vec();
            if bytes >= 16 {
                let id = world.end(LISTENER).id();
                addressed[12..16].copy_from_slice(&id.0.to_be_bytes());
            }
            let connection = world.end(LISTENER);
            connection.handle(addressed.into(), address(CALLER), now);
        }
    }
    world.stream(CALLER, 0..50, ms(2));
    world.run(ms(500));
    assert_eq!(world.numbers(LISTENER).len(), 50);
}

/// A conclusion with a cookie that was not given to its address is passed over.
#[test]
fn a_flood_of_forged_handshakes_is_not_answered() {
    let mut world = World::new(1, both(lossy(0.0, 20)), config(120), config(120), START);
    world.record = true;
    world.connect();
    let conclusion = world.last[CALLER].iter().find(|datagram| {
        matches!(Packet::parse((*datagram).clone()), Ok(Packet::Control(packet))
            if matches!(&packet.body, Control::Handshake(h) if h.version == 5))
    });
    let conclusion = conclusion.unwrap().clone();
    for n in 0..10_000_u32 {
        let from = format!("198.51.{}.{}:9", n >> 8, n & 0xff);
        let incoming = world
            .listener
            .handle(conclusion.clone(), from.parse().unwrap(), world.now);
        assert!(matches!(incoming, Incoming::Ignored(Ignored::Cookie)));
    }
    let from = address(CALLER);
    let much_later = world.now + Duration::from_secs(121);
    let late = world.listener.handle(conclusion, from, much_later);
    assert!(matches!(late, Incoming::Ignored(Ignored::Cookie)));
}

/// A conclusion with a good cookie that cannot be read is refused: the caller need not wait.
#[test]
fn extensions_that_cannot_be_read_are_refused() {
    let mut world = World::new(1, both(lossy(0.0, 20)), config(120), config(120), START);
    world.record = true;
    world.connect();
    let conclusion = world.last[CALLER].iter().find(|datagram| {
        matches!(Packet::parse((*datagram).clone()), Ok(Packet::Control(packet))
            if matches!(&packet.body, Control::Handshake(h) if h.version == 5))
    });
    let conclusion = conclusion.unwrap().clone();
    let good = world
        .listener
        .handle(conclusion.clone(), address(CALLER), world.now);
    assert!(matches!(good, Incoming::Request(_)));
    // An extension that goes past the end, and the first of them once more.
    for tail in [&[0, 5, 0xff, 0xff][..], &conclusion[16 + 48..][..16]] {
        let bad = [&conclusion[..], tail].concat().into();
        let answer = world.listener.handle(bad, address(CALLER), world.now);
        let Incoming::Refused(answer, Reason::ROGUE) = answer else {
            panic!("{answer:?}");
        };
        let answer = Packet::parse(answer.to_bytes()).unwrap();
        let Packet::Control(answer) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(answer.destination, world.end(CALLER).id());
        let Control::Handshake(answer) = answer.body else {
            panic!("{answer:?}");
        };
        assert_eq!(answer.kind, HandshakeType::rejection(Reason::ROGUE));
    }
}
