//! SRT: packets, the listener, and a connection as a list of operations.

use crate::input::Input;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;
use weir_media::Mono;
use weir_srt::limits::{CONTROL_PACKETS_MAX, RECEIVE_PACKETS_MAX, SEND_PACKETS_MAX};
use weir_srt::packet::key_material::KeyMaterial;
use weir_srt::packet::{Control, Packet};
use weir_srt::{
    Config, Connection, CookieKey, FilterSpec, Incoming, Listener, Passphrase, Seed, SocketId,
    StreamId, peek,
};

/// One datagram: what was read can be written and read again.
pub fn packet(data: &[u8]) {
    let datagram = Bytes::copy_from_slice(data);
    assert_eq!(peek(data).is_some(), data.len() >= 16);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = StreamId::parse(text);
        if let Some(spec) = FilterSpec::parse(text) {
            assert_eq!(FilterSpec::parse(&spec.to_string()), Some(spec));
        }
    }
    if let Ok(material) = KeyMaterial::parse(data) {
        let written = material.to_bytes();
        assert_eq!(KeyMaterial::parse(&written), Ok(material));
    }
    match Packet::parse(datagram.clone()) {
        Err(_) => {}
        Ok(Packet::Data(data)) => {
            let written = [&data.header()[..], &data.payload].concat();
            assert_eq!(Packet::parse(written.into()), Ok(Packet::Data(data)));
        }
        Ok(Packet::Control(packet)) => {
            let mut written = packet
                .body
                .header(packet.timestamp, packet.destination)
                .to_vec();
            packet.body.write_content(&mut written);
            let again = Packet::parse(written.into());
            assert_eq!(again, Ok(Packet::Control(packet.clone())));
            if let Control::Nak(losses) = &packet.body {
                let last = losses.ranges().count();
                assert!(last <= data.len() / 4);
            }
        }
    }
}

const CALLER: &str = "192.0.2.1:1000";
const LISTENER: &str = "192.0.2.2:2000";

#[allow(clippy::expect_used, reason = "the addresses are constants")]
fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Handshakes with a cookie that is right: what a stranger may send after it has proved its
/// address.
pub fn listener(data: &[u8]) {
    let now = Mono(1_000_000);
    let key = CookieKey::new(&Seed([1; 32]));
    let from = address(CALLER);
    let listener = Listener::new(key.clone());
    let _ = listener.handle(Bytes::copy_from_slice(data), from, now);
    let mut datagram = data.to_vec();
    if let Some(cookie) = datagram.get_mut(44..48) {
        cookie.copy_from_slice(&key.cookie(from, now).to_be_bytes());
    }
    let incoming = listener.handle(datagram.into(), from, now);
    let Incoming::Request(request) = incoming else {
        return;
    };
    let _ = (request.stream_id(), request.key_length(), request.group());
    for passphrase in [None, Passphrase::new("a long passphrase")] {
        // Key derivation is slow on purpose, and is not what is fuzzed.
        if passphrase.is_some() && request.key_length().is_some() {
            continue;
        }
        let config = Config {
            passphrase,
            ..Config::default()
        };
        match request.accept(config, SocketId(5), &Seed([2; 32]), now) {
            Ok(mut connection) => {
                assert!(connection.poll_transmit(now).is_some());
                assert!(connection.peer_id().is_some_and(|id| id.0 != 0));
            }
            Err((answer, reason)) => {
                let Ok(Packet::Control(packet)) = Packet::parse(answer.to_bytes()) else {
                    panic!("our own answer");
                };
                let Control::Handshake(handshake) = packet.body else {
                    panic!("an answer to a handshake");
                };
                assert_eq!(handshake.kind.rejected(), Some(reason));
            }
        }
    }
}

/// Two ends, and a network that does what the input says.
struct Pair {
    now: Mono,
    ends: [Connection; 2],
    /// What is under way to each end.
    to: [Vec<Bytes>; 2],
}

impl Pair {
    fn new(choice: u8) -> Option<Self> {
        let now = Mono(1_000_000);
        let filters = ["fec,cols:3", "fec,cols:3,rows:2,layout:staircase"];
        let filter = filters.get(usize::from(choice & 3));
        let config = Config {
            latency: Duration::from_millis(60),
            filter: filter.and_then(|text| FilterSpec::parse(text)),
            receive_packets: 64,
            send_packets: 64,
            ..Config::default()
        };
        let seed = Seed([choice; 32]);
        let (caller, peer) = (address(CALLER), address(LISTENER));
        let mut call = Connection::call(config.clone(), SocketId(1), peer, None, &seed, now);
        let listener = Listener::new(CookieKey::new(&seed));
        let induction = call.poll_transmit(now)?.to_bytes();
        let Incoming::Induction(answer) = listener.handle(induction, caller, now) else {
            return None;
        };
        call.handle(answer.to_bytes(), peer, now);
        let conclusion = call.poll_transmit(now)?.to_bytes();
        let Incoming::Request(request) = listener.handle(conclusion, caller, now) else {
            return None;
        };
        let accepted = request.accept(config, SocketId(2), &seed, now).ok()?;
        Some(Self {
            now,
            ends: [call, accepted],
            to: [Vec::new(), Vec::new()],
        })
    }

    /// Takes all out of both ends, until they sleep.
    fn drain(&mut self) {
        for (at, end) in self.ends.iter_mut().enumerate() {
            let mut turns = 0;
            loop {
                while let Some(message) = end.recv(self.now) {
                    assert!(!message.payload.is_empty());
                }
                while let Some(transmit) = end.poll_transmit(self.now) {
                    assert!(transmit.len() <= 1472);
                    let under_way = &mut self.to[1 - at];
                    if under_way.len() < 2 * CONTROL_PACKETS_MAX {
                        under_way.push(transmit.to_bytes());
                    }
                }
                while end.poll_event().is_some() {}
                if end.next_timeout().is_none_or(|due| due > self.now) {
                    break;
                }
                turns += 1;
                assert!(turns < 1000, "it never sleeps: {:?}", end.stats());
                end.handle_timeout(self.now);
            }
            let stats = end.stats();
            assert!(stats.receive_buffer_packets <= u64::from(RECEIVE_PACKETS_MAX));
            assert!(stats.send_buffer_packets <= u64::from(SEND_PACKETS_MAX));
        }
    }

    fn deliver(&mut self, to: usize, datagram: Bytes) {
        let from = [LISTENER, CALLER][to];
        self.ends[to].handle(datagram, address(from), self.now);
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        let at = usize::from(operation >> 7);
        match operation & 0x0f {
            0..=3 => {
                let size = 1 + usize::from(input.byte());
                let payload = Bytes::from(vec![operation; size]);
                let _ = self.ends[at].send(payload, self.now);
            }
            4 => self.now = self.now + Duration::from_micros(u64::from(input.short())),
            5 => self.now = self.now + Duration::from_millis(u64::from(input.byte()) * 16),
            6..=8 => {
                for datagram in std::mem::take(&mut self.to[at]) {
                    self.deliver(at, datagram);
                }
            }
            9 => {
                // The newest overtakes, or is lost, or comes twice.
                if let Some(datagram) = self.to[at].pop() {
                    for _ in 0..input.byte() % 3 {
                        self.deliver(at, datagram.clone());
                    }
                }
            }
            10 => {
                if let Some(datagram) = self.to[at].pop() {
                    let mut damaged = datagram.to_vec();
                    let place = usize::from(input.short()) % damaged.len();
                    damaged[place] ^= input.byte();
                    self.deliver(at, damaged.into());
                }
            }
            11..=14 => {
                // Something of our own, addressed rightly.
                let size = usize::from(input.byte() % 64);
                let mut forged = vec![0; 16];
                forged[..8].copy_from_slice(&input.long().to_be_bytes());
                forged[8..12].copy_from_slice(&[0, 0, input.byte(), input.byte()]);
                forged[12..].copy_from_slice(&self.ends[at].id().0.to_be_bytes());
                if operation & 0x40 != 0 {
                    // A control packet of a known type.
                    let kind = ((operation >> 4) & 3) | (forged[1] & 4);
                    forged[..4].copy_from_slice(&[0x80, kind, 0, 0]);
                }
                forged.extend_from_slice(input.bytes(size));
                self.deliver(at, forged.into());
            }
            _ => self.ends[at].close(self.now),
        }
        self.drain();
    }
}

/// A connection as a list of operations at both ends and on the way between them.
pub fn connection(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(mut pair) = Pair::new(input.byte()) else {
        return;
    };
    pair.drain();
    while !input.is_empty() {
        pair.step(&mut input);
    }
    // Left alone, it ends or keeps alive, and all that was sent is settled.
    for _ in 0..20 {
        for to in [0, 1] {
            for datagram in std::mem::take(&mut pair.to[to]) {
                pair.deliver(to, datagram);
            }
        }
        pair.drain();
        pair.now = pair.now + Duration::from_millis(500);
    }
}
