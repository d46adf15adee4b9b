//! A caller, a listener and the network between them.

use bytes::Bytes;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use weir_media::Mono;
use weir_sim::{Network, Path};
use weir_srt::packet::Packet;
use weir_srt::{
    Config, Connection, CookieKey, Event, Incoming, Listener, Message, Reason, Seed, SocketId, peek,
};

pub const CALLER: usize = 0;
pub const LISTENER: usize = 1;

/// Steps without time passing that can only be a loop.
const STEPS_AT_ONCE_MAX: u32 = 20_000;

pub struct World {
    pub now: Mono,
    pub network: Network<Bytes>,
    pub listener: Listener,
    pub accept: Config,
    pub ends: [Option<Connection>; 2],
    pub received: [Vec<(Message, Mono)>; 2],
    pub events: [Vec<Event>; 2],
    pub refusals: Vec<Reason>,
    /// How often each data packet left the end that sends, by its sequence number.
    pub transmissions: HashMap<u32, u32>,
    pub datagrams: u64,
    pub wakes: u64,
    pub last: [Vec<Bytes>; 2],
    /// Keeps the last datagrams of each end.
    pub record: bool,
}

pub fn address(end: usize) -> SocketAddr {
    let addresses = ["192.0.2.1:1000", "192.0.2.2:2000"];
    addresses[end].parse().unwrap()
}

/// The same in both directions.
pub fn both(path: Path) -> Vec<Path> {
    vec![path; 2]
}

pub fn lossy(loss: f64, rtt_ms: u64) -> Path {
    Path {
        loss,
        delay_us: rtt_ms * 500,
        ..Path::default()
    }
}

pub fn config(latency_ms: u64) -> Config {
    Config {
        latency: Duration::from_millis(latency_ms),
        peer_latency: Duration::from_millis(latency_ms),
        ..Config::default()
    }
}

impl World {
    /// `paths` are to the listener and to the caller.
    pub fn new(seed: u64, paths: Vec<Path>, call: Config, accept: Config, start: Mono) -> Self {
        let key = CookieKey::new(&Seed([9; 32]));
        let random = Seed([seed as u8; 32]);
        let peer = address(LISTENER);
        let caller = Connection::call(call, SocketId(11), peer, Some("name"), &random, start);
        Self {
            now: start,
            network: Network::new(seed, paths),
            listener: Listener::new(key),
            accept,
            ends: [Some(caller), None],
            received: [Vec::new(), Vec::new()],
            events: [Vec::new(), Vec::new()],
            refusals: Vec::new(),
            transmissions: HashMap::new(),
            datagrams: 0,
            wakes: 0,
            last: [Vec::new(), Vec::new()],
            record: false,
        }
    }

    /// Two ends that meet: their sockets and addresses are those of caller and listener.
    pub fn rendezvous(seed: u64, paths: Vec<Path>, configs: [Config; 2], start: Mono) -> Self {
        let [first, second] = configs;
        let mut world = Self::new(seed, paths, first.clone(), second.clone(), start);
        let meet = |config, id, to, n| {
            let seed = Seed([n; 32]);
            Connection::rendezvous(config, id, address(to), Some("name"), &seed, start)
        };
        let n = seed as u8;
        world.ends = [
            Some(meet(first, SocketId(11), LISTENER, n)),
            Some(meet(second, SocketId(22), CALLER, n.wrapping_add(100))),
        ];
        world
    }

    pub fn end(&mut self, end: usize) -> &mut Connection {
        self.ends[end].as_mut().unwrap()
    }

    pub fn connected(&self) -> bool {
        self.ends
            .iter()
            .flatten()
            .filter(|c| c.is_connected())
            .count()
            == 2
    }

    /// Lets time pass until `done` or `limit`; says whether `done`.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        let mut at_once = 0;
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let timeouts = self
                .ends
                .iter()
                .flatten()
                .filter_map(Connection::next_timeout);
            let next = timeouts.map(|at| at.0).chain(self.network.next_us()).min();
            let next = Mono(next.unwrap_or(u64::MAX));
            if next > end {
                self.now = end;
                return false;
            }
            at_once = if next > self.now { 0 } else { at_once + 1 };
            assert!(
                at_once < STEPS_AT_ONCE_MAX,
                "time stands still at {:?}",
                self.now
            );
            self.now = self.now.max(next);
            self.wake();
        }
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(time, |_| false);
        self.now = end;
    }

    pub fn connect(&mut self) {
        assert!(
            self.run_until(Duration::from_secs(10), |world| world.connected()),
            "no connection: {:?} {:?}",
            self.events,
            self.refusals
        );
    }

    fn wake(&mut self) {
        while let Some(arrival) = self.network.receive(self.now.0) {
            self.deliver(arrival.path, arrival.datagram);
        }
        for connection in self.ends.iter_mut().flatten() {
            if connection.next_timeout().is_some_and(|at| at <= self.now) {
                self.wakes += 1;
                connection.handle_timeout(self.now);
            }
        }
    }

    /// Path 0 leads to the listener, path 1 to the caller.
    pub fn deliver(&mut self, path: usize, datagram: Bytes) {
        let (to, from) = if path == 0 {
            (LISTENER, CALLER)
        } else {
            (CALLER, LISTENER)
        };
        let now = self.now;
        if to == LISTENER {
            let Some(peek) = peek(&datagram) else { return };
            let known = self.ends[LISTENER].as_ref().filter(|connection| {
                // Before it knows its peer it is a rendezvous, and all is for it.
                connection.peer_id().is_none()
                    || peek.destination == connection.id()
                    || peek.handshake_from.is_some() && peek.handshake_from == connection.peer_id()
            });
            if known.is_none() {
                self.greet(datagram, address(from));
                return;
            }
        }
        if let Some(connection) = &mut self.ends[to] {
            connection.handle(datagram, address(from), now);
        }
    }

    fn greet(&mut self, datagram: Bytes, from: SocketAddr) {
        let answer = match self.listener.handle(datagram, from, self.now) {
            Incoming::Induction(answer) => answer,
            Incoming::Request(request) => {
                let seed = Seed([3; 32]);
                match request.accept(self.accept.clone(), SocketId(22), &seed, self.now) {
                    Ok(connection) => {
                        self.ends[LISTENER] = Some(connection);
                        return;
                    }
                    Err((answer, reason)) => {
                        self.refusals.push(reason);
                        answer
                    }
                }
            }
            Incoming::Refused(answer, reason) => {
                self.refusals.push(reason);
                answer
            }
            Incoming::Ignored(_) => return,
        };
        let bytes = answer.to_bytes();
        self.network.send(1, bytes, answer.len(), self.now.0);
    }

    fn drain(&mut self) {
        let now = self.now;
        for end in [CALLER, LISTENER] {
            let Some(connection) = &mut self.ends[end] else {
                continue;
            };
            while let Some(message) = connection.recv(now) {
                self.received[end].push((message, now));
            }
            while let Some(transmit) = connection.poll_transmit(now) {
                let datagram = transmit.to_bytes();
                assert!(datagram.len() <= 1472, "fits an Ethernet frame");
                self.datagrams += 1;
                if let Ok(Packet::Data(data)) = Packet::parse(datagram.clone()) {
                    *self.transmissions.entry(data.seq.value()).or_default() += 1;
                }
                if self.record {
                    self.last[end].push(datagram.clone());
                }
                self.network.send(end, datagram, transmit.len() + 28, now.0);
            }
            while let Some(event) = connection.poll_event() {
                self.events[end].push(event);
            }
        }
    }

    /// Sends a numbered message each `gap`, while time passes.
    pub fn stream(&mut self, from: usize, numbers: std::ops::Range<u32>, gap: Duration) {
        for n in numbers {
            let now = self.now;
            self.end(from).send(numbered(n), now).unwrap();
            self.run(gap);
        }
    }

    /// Numbers of the messages that one end received, which are checked to be whole, in order
    /// and at their time.
    pub fn numbers(&self, end: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        for (message, _) in &self.received[end] {
            let bytes = message.payload[..4].try_into().unwrap();
            let n = u32::from_be_bytes(bytes);
            assert!(message.payload == numbered(n), "message {n} is damaged");
            assert!(
                numbers.last().is_none_or(|last| *last < n),
                "{n} out of order"
            );
            numbers.push(n);
        }
        numbers
    }
}

/// A message that shows which it is, and whether it is whole.
pub fn numbered(n: u32) -> Bytes {
    let mut bytes = n.to_be_bytes().to_vec();
    bytes.resize(1316 - n as usize % 5 * 188, n as u8);
    bytes.into()
}
