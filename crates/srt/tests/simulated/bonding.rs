//! One stream over two paths.

use crate::world::{config, lossy, numbered};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;
use weir_media::Mono;
use weir_sim::{Network, Path};
use weir_srt::packet::extension::{Extensions, GroupExtension};
use weir_srt::packet::handshake::HandshakeType;
use weir_srt::packet::{Control, Handshake, Packet};
use weir_srt::{
    Config, Connection, CookieKey, Group, Incoming, Listener, Message, Reason, Seed, SocketId,
};

const START: Mono = Mono(9_000_000);

/// Two callers that number and time their packets alike, as the members of a group do.
struct Bond {
    now: Mono,
    network: Network<Bytes>,
    senders: Vec<Connection>,
    receivers: Vec<Connection>,
    group: Group,
    received: Vec<(Message, Mono)>,
}

fn address(n: usize) -> SocketAddr {
    format!("192.0.2.{n}:1000").parse().unwrap()
}

impl Bond {
    fn new(seed: u64) -> Self {
        let random = Seed([7; 32]);
        let listener = Listener::new(CookieKey::new(&random));
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for n in [0, 1] {
            let id = SocketId(10 + n as u32);
            let mut call = Connection::call(config(300), id, address(9), None, &random, START);
            let say = |call: &mut Connection| call.poll_transmit(START).unwrap().to_bytes();
            let induction = listener.handle(say(&mut call), address(n), START);
            let Incoming::Induction(answer) = induction else {
                panic!("{induction:?}");
            };
            call.handle(answer.to_bytes(), address(9), START);
            let request = listener.handle(say(&mut call), address(n), START);
            let Incoming::Request(request) = request else {
                panic!("{request:?}");
            };
            let id = SocketId(20 + n as u32);
            receivers.push(request.accept(config(300), id, &random, START).unwrap());
            senders.push(call);
        }
        let mut bond = Self {
            now: START,
            network: Network::new(seed, vec![Path::default(); 4]),
            senders,
            receivers,
            group: Group::default(),
            received: Vec::new(),
        };
        bond.run(Duration::from_millis(100));
        assert!(bond.senders.iter().all(Connection::is_connected));
        bond
    }

    /// What happens on the paths of a member in both directions.
    fn set(&mut self, member: usize, path: Path) {
        for direction in [member, member + 2] {
            self.network.set_path(direction, path);
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.drain();
            let ends = self.senders.iter().chain(&self.receivers);
            let timeouts = ends.filter_map(Connection::next_timeout).map(|at| at.0);
            let next = timeouts.chain(self.network.next_us()).min();
            let next = Mono(next.unwrap_or(u64::MAX));
            if next > end {
                self.now = end;
                return;
            }
            // What is due by a member's own time may wait for the group's.
            self.now = next.max(self.now + Duration::from_micros(50));
            while let Some(arrival) = self.network.receive(self.now.0) {
                let (path, datagram) = (arrival.path, arrival.datagram);
                if path < 2 {
                    self.receivers[path].handle(datagram, address(path), self.now);
                } else {
                    self.senders[path - 2].handle(datagram, address(9), self.now);
                }
            }
            for end in self.senders.iter_mut().chain(&mut self.receivers) {
                if end.next_timeout().is_some_and(|at| at <= self.now) {
                    end.handle_timeout(self.now);
                }
            }
        }
    }

    fn drain(&mut self) {
        let now = self.now;
        let mut members: Vec<&mut Connection> = self.receivers.iter_mut().collect();
        while let Some(message) = self.group.recv(&mut members, now) {
            self.received.push((message, now));
        }
        for (n, end) in self
            .senders
            .iter_mut()
            .chain(&mut self.receivers)
            .enumerate()
        {
            while let Some(transmit) = end.poll_transmit(now) {
                let bytes = transmit.to_bytes();
                self.network.send(n, bytes, transmit.len(), now.0);
            }
            while end.poll_event().is_some() {}
        }
    }

    fn stream(&mut self, numbers: std::ops::Range<u32>, on: &[usize]) {
        for n in numbers {
            for &member in on {
                let _ = self.senders[member].send(numbered(n), self.now);
            }
            self.run(Duration::from_millis(2));
        }
    }

    fn check(&self, count: u32) {
        let numbers = self.received.iter().map(|(message, _)| {
            let bytes = message.payload[..4].try_into().unwrap();
            u32::from_be_bytes(bytes)
        });
        assert_eq!(numbers.collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        assert!(
            self.received
                .iter()
                .all(|(message, _)| message.lost_before == 0)
        );
    }
}

/// Each path loses what it cannot get back in time; together they lose nothing.
#[test]
fn what_one_path_loses_comes_by_the_other() {
    for seed in 0..10 {
        let mut bond = Bond::new(seed);
        bond.set(0, lossy(0.0, 20));
        bond.set(1, lossy(0.0, 120));
        bond.stream(0..200, &[0, 1]);
        // Each is dead for longer than the latency, but not at once.
        bond.set(0, lossy(1.0, 20));
        bond.stream(200..500, &[0, 1]);
        bond.set(0, lossy(0.1, 20));
        bond.stream(500..1000, &[0, 1]);
        bond.set(1, lossy(1.0, 120));
        bond.stream(1000..1300, &[0, 1]);
        bond.set(1, lossy(0.1, 120));
        bond.stream(1300..1500, &[0, 1]);
        bond.run(Duration::from_secs(1));
        bond.check(1500);
        let late = bond
            .received
            .iter()
            .filter(|(message, at)| *at > message.sent_at + Duration::from_millis(300 + 3));
        assert_eq!(late.count(), 0, "seed {seed}");
        for sender in &bond.senders {
            assert!(sender.is_connected());
        }
    }
}

/// In main and backup mode the second path carries nothing until the first fails.
#[test]
fn a_backup_that_was_silent_goes_on_where_the_main_path_ended() {
    let mut bond = Bond::new(1);
    bond.set(0, lossy(0.0, 20));
    bond.set(1, lossy(0.0, 60));
    bond.stream(0..500, &[0, 1]);
    bond.run(Duration::from_secs(1));
    bond.check(500);
    // As long as another member delivers, a silent one asks for nothing.
    let naks = bond.receivers[1].stats().sent_naks;
    bond.set(1, lossy(1.0, 60));
    bond.stream(500..700, &[0, 1]);
    bond.run(Duration::from_secs(1));
    bond.set(1, lossy(0.0, 60));
    bond.set(0, lossy(1.0, 20));
    bond.stream(700..900, &[1]);
    bond.run(Duration::from_secs(1));
    bond.check(900);
    assert_eq!(bond.receivers[1].stats().sent_naks, naks);
}

/// A member of a group is told the listener's group, or refused where there is none.
#[test]
fn a_group_is_answered_with_a_group() {
    let random = Seed([7; 32]);
    let key = CookieKey::new(&random);
    let peer = address(1);
    let mut call = Connection::call(config(300), SocketId(5), address(9), None, &random, START);
    let listener = Listener::new(key);
    let induction = call.poll_transmit(START).unwrap().to_bytes();
    let Incoming::Induction(answer) = listener.handle(induction, peer, START) else {
        panic!("no induction");
    };
    call.handle(answer.to_bytes(), address(9), START);
    let theirs = GroupExtension {
        id: 0x4000_0001,
        kind: 1,
        flags: 1,
        weight: 7,
    };
    let conclusion = handshake(call.poll_transmit(START).unwrap().to_bytes());
    for (group, kind, expected) in [
        (Some(77), 1, Ok(())),
        (Some(77), 9, Err(Reason::GROUP)),
        (None, 1, Err(Reason::GROUP)),
    ] {
        let mut conclusion = conclusion.clone();
        conclusion.extensions.group = Some(GroupExtension { kind, ..theirs });
        let body = Control::Handshake(Box::new(conclusion));
        let mut datagram = body.header(0, SocketId(0)).to_vec();
        body.write_content(&mut datagram);
        let Incoming::Request(request) = listener.handle(datagram.into(), peer, START) else {
            panic!("no request");
        };
        assert_eq!(request.group().unwrap().weight, 7);
        let ours = Config {
            group,
            ..config(300)
        };
        match request.accept(ours, SocketId(6), &random, START) {
            Ok(mut connection) => {
                let answer = handshake(connection.poll_transmit(START).unwrap().to_bytes());
                assert_eq!(answer.kind, HandshakeType::CONCLUSION);
                let told = GroupExtension { id: 77, ..theirs };
                assert_eq!(answer.extensions.group, Some(told));
                assert_eq!(expected, Ok(()));
            }
            Err((answer, reason)) => {
                let answer = handshake(answer.to_bytes());
                assert_eq!(answer.extensions, Extensions::default());
                assert_eq!(expected, Err(reason));
            }
        }
    }
}

fn handshake(datagram: Bytes) -> Handshake {
    let Ok(Packet::Control(packet)) = Packet::parse(datagram) else {
        panic!("no control packet");
    };
    let Control::Handshake(handshake) = packet.body else {
        panic!("no handshake");
    };
    *handshake
}
