//! A seeded network and clock for tests: datagrams are lost, delayed, repeated and reordered,
//! the same way each time for the same seed.
//!
//! Time is in microseconds and moves when the test moves it. What is carried is of any type.
#![forbid(unsafe_code)]

mod path;
mod random;

pub use path::{Burst, Path};
pub use random::Random;

use path::State;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One-way paths, each to an end named by its number, and what is under way on them.
#[derive(Debug)]
pub struct Network<D> {
    random: Random,
    paths: Vec<State>,
    under_way: BinaryHeap<Reverse<Flight<D>>>,
    sent: u64,
}

/// Something that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival<D> {
    /// Path that it came by.
    pub path: usize,
    /// What was sent.
    pub datagram: D,
}

#[derive(Debug)]
struct Flight<D> {
    at_us: u64,
    /// Of two that arrive at once the one sent first comes first.
    order: u64,
    arrival: Arrival<D>,
}

impl<D> PartialEq for Flight<D> {
    fn eq(&self, other: &Self) -> bool {
        (self.at_us, self.order) == (other.at_us, other.order)
    }
}

impl<D> Eq for Flight<D> {}

impl<D> PartialOrd for Flight<D> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<D> Ord for Flight<D> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_us, self.order).cmp(&(other.at_us, other.order))
    }
}

impl<D: Clone> Network<D> {
    /// A network of these paths. The same seed loses and delays the same datagrams.
    #[must_use]
    pub fn new(seed: u64, paths: Vec<Path>) -> Self {
        Self {
            random: Random::new(seed),
            paths: paths.into_iter().map(State::new).collect(),
            under_way: BinaryHeap::new(),
            sent: 0,
        }
    }

    /// Changes what a path does from now on; what is under way stays so.
    pub fn set_path(&mut self, path: usize, to: Path) {
        self.paths[path] = State::new(to);
    }

    /// Sends a datagram of `bytes` bytes. Returns whether it will arrive.
    pub fn send(&mut self, path: usize, datagram: D, bytes: usize, now_us: u64) -> bool {
        let state = &mut self.paths[path];
        let Some(at_us) = state.admit(bytes, now_us, &mut self.random) else {
            return false;
        };
        let again = state.repeats(&mut self.random);
        if again {
            let later = at_us + state.jitter(&mut self.random);
            self.launch(path, datagram.clone(), later);
        }
        self.launch(path, datagram, at_us);
        true
    }

    fn launch(&mut self, path: usize, datagram: D, at_us: u64) {
        self.sent += 1;
        self.under_way.push(Reverse(Flight {
            at_us,
            order: self.sent,
            arrival: Arrival { path, datagram },
        }));
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn next_us(&self) -> Option<u64> {
        self.under_way.peek().map(|Reverse(flight)| flight.at_us)
    }

    /// The next datagram that has arrived by now.
    pub fn receive(&mut self, now_us: u64) -> Option<Arrival<D>> {
        if self.next_us()? > now_us {
            return None;
        }
        self.under_way.pop().map(|Reverse(flight)| flight.arrival)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(seed: u64, path: Path) -> Vec<(u64, u32)> {
        let mut network = Network::new(seed, vec![path]);
        for n in 0..1000 {
            network.send(0, n, 1000, u64::from(n) * 100);
        }
        let mut out = Vec::new();
        while let Some(at) = network.next_us() {
            let arrival = network.receive(at).unwrap();
            out.push((at, arrival.datagram));
        }
        out
    }

    #[test]
    fn the_same_seed_does_the_same() {
        let path = Path {
            loss: 0.1,
            repeat: 0.1,
            delay_us: 500,
            jitter_us: 300,
            ..Path::default()
        };
        assert_eq!(arrivals(7, path), arrivals(7, path));
        assert_ne!(arrivals(7, path), arrivals(8, path));
        let numbers: Vec<u32> = arrivals(7, path).iter().map(|(_, n)| *n).collect();
        assert!((950..1050).contains(&numbers.len()));
        assert!(!numbers.is_sorted());
    }

    #[test]
    fn a_perfect_path_only_delays() {
        let out = arrivals(
            1,
            Path {
                delay_us: 50,
                ..Path::default()
            },
        );
        let expected: Vec<_> = (0..1000).map(|n| (u64::from(n) * 100 + 50, n)).collect();
        assert_eq!(out, expected);
    }

    #[test]
    fn a_narrow_path_queues_and_then_drops() {
        let path = Path {
            bytes_per_s: Some(5_000_000),
            queue_bytes: 20_000,
            ..Path::default()
        };
        let out = arrivals(1, path);
        assert!((510..540).contains(&out.len()), "{}", out.len());
        let last = out.last().unwrap().0;
        assert!((100_000..105_000).contains(&last), "{last}");
    }

    #[test]
    fn losses_come_in_bursts() {
        let path = Path {
            burst: Some(Burst {
                enter: 0.01,
                leave: 0.1,
                loss: 1.0,
            }),
            ..Path::default()
        };
        let lost = 1000 - arrivals(3, path).len();
        assert!((30..250).contains(&lost), "{lost}");
    }
}
