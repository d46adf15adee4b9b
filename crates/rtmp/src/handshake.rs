//! The simple handshake, §5.2.
//!
//! ```text
//! client  C0 C1 ............ C2 chunks
//! server ....... S0 S1 S2 ............ chunks
//! ```
//! C0 and S0 are the version; C1 and S1 are a time, four zero bytes and 1528 random ones; C2
//! and S2 are copies of what the peer sent. Copies are not checked: some clients send
//! something else, and nothing depends on them.
//!
//! Not covered: the digest handshake of Flash Player 9, which is in no specification.

use crate::error::Fault;
use crate::gather::Gather;
use bytes::BytesMut;

/// The only version in use.
pub const VERSION: u8 = 3;

/// From this value on, the first byte is text or TLS, and not a version (§5.2.2).
pub const VERSION_NOT_RTMP: u8 = 32;

/// Bytes of C1, C2, S1 and S2.
pub const PACKET_BYTES: usize = 1536;

/// Random bytes in C1 and S1.
pub const RANDOM_BYTES: usize = 1528;

/// Our side of a handshake. Feed it input until it is done.
#[derive(Debug)]
pub struct Handshake {
    role: Role,
    state: State,
    random: Box<[u8; RANDOM_BYTES]>,
    packet: BytesMut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

/// What is expected from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// C0 or S0.
    Version,
    /// C1 or S1.
    First,
    /// C2 or S2.
    Second,
    Done,
}

impl Handshake {
    /// The server's side; it waits for C0. The random bytes need not be secret.
    #[must_use]
    pub fn server(random: Box<[u8; RANDOM_BYTES]>) -> Self {
        Self::new(Role::Server, random)
    }

    /// The client's side; C0 and C1 are written at once.
    #[must_use]
    pub fn client(random: Box<[u8; RANDOM_BYTES]>, out: &mut Gather) -> Self {
        let handshake = Self::new(Role::Client, random);
        handshake.put_version_and_first(out);
        handshake
    }

    fn new(role: Role, random: Box<[u8; RANDOM_BYTES]>) -> Self {
        Self {
            role,
            state: State::Version,
            random,
            packet: BytesMut::new(),
        }
    }

    /// Whether chunks may be sent and follow in the input.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads what belongs to the handshake off the front of `input`; answers go to `out`.
    ///
    /// # Errors
    /// [`Fault::NotRtmp`] if the version is 32 or more. Other unknown versions are answered
    /// with ours, and the peer decides (§5.2.2).
    pub fn handle_input(&mut self, input: &mut &[u8], out: &mut Gather) -> Result<(), Fault> {
        while let Some((&first, rest)) = input.split_first() {
            match self.state {
                State::Version => {
                    *input = rest;
                    if first >= VERSION_NOT_RTMP {
                        return Err(Fault::NotRtmp(first));
                    }
                    if self.role == Role::Server {
                        self.put_version_and_first(out);
                    }
                    self.state = State::First;
                }
                State::First | State::Second => {
                    let n = input.len().min(PACKET_BYTES - self.packet.len());
                    self.packet.extend_from_slice(&input[..n]);
                    *input = &input[n..];
                    if self.packet.len() == PACKET_BYTES {
                        self.packet_complete(out);
                    }
                }
                State::Done => break,
            }
        }
        Ok(())
    }

    fn packet_complete(&mut self, out: &mut Gather) {
        if self.state == State::First {
            out.put_slice(&self.packet);
            self.packet.clear();
            self.state = State::Second;
        } else {
            self.packet = BytesMut::new();
            self.state = State::Done;
        }
    }

    fn put_version_and_first(&self, out: &mut Gather) {
        out.put_slice(&[VERSION]);
        // Time 0, then the zero bytes which say that no digest follows.
        out.put_slice(&[0; PACKET_BYTES - RANDOM_BYTES]);
        out.put_slice(&self.random[..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(out: &mut Gather) -> Vec<u8> {
        std::iter::from_fn(|| out.pop()).flatten().collect()
    }

    #[test]
    fn the_server_answers_each_step_and_no_sooner() {
        let mut out = Gather::new();
        let mut h = Handshake::server(Box::new([7; RANDOM_BYTES]));
        h.handle_input(&mut &[][..], &mut out).unwrap();
        assert!(out.is_empty());
        h.handle_input(&mut &[3][..], &mut out).unwrap();
        let s0_s1 = drain(&mut out);
        assert_eq!(s0_s1.len(), 1 + PACKET_BYTES);
        assert_eq!(s0_s1[..10], [3, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        let c1: Vec<u8> = (0..PACKET_BYTES).map(|i| i as u8).collect();
        h.handle_input(&mut &c1[..PACKET_BYTES - 1], &mut out)
            .unwrap();
        assert!(out.is_empty());
        h.handle_input(&mut &c1[PACKET_BYTES - 1..], &mut out)
            .unwrap();
        assert_eq!(drain(&mut out), c1);
        assert!(!h.is_done());
        let mut c2_and_more = &[[9; PACKET_BYTES].as_slice(), b"chunk"].concat()[..];
        h.handle_input(&mut c2_and_more, &mut out).unwrap();
        assert!(h.is_done() && out.is_empty());
        assert_eq!(c2_and_more, b"chunk");
    }

    #[test]
    fn versions() {
        for (version, ok) in [
            (0, true),
            (3, true),
            (6, true),
            (31, true),
            (32, false),
            (b'G', false),
            (0x16, true),
        ] {
            let mut out = Gather::new();
            let mut h = Handshake::server(Box::new([0; RANDOM_BYTES]));
            let answer = h.handle_input(&mut &[version][..], &mut out);
            if ok {
                assert_eq!(answer, Ok(()));
                assert_eq!(drain(&mut out)[0], VERSION);
            } else {
                assert_eq!(answer, Err(Fault::NotRtmp(version)));
                assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn both_sides_meet_at_any_split() {
        let mut to_server = Gather::new();
        let mut to_client = Gather::new();
        let mut client = Handshake::client(Box::new([1; RANDOM_BYTES]), &mut to_server);
        let mut server = Handshake::server(Box::new([2; RANDOM_BYTES]));
        while !(client.is_done() && server.is_done()) {
            let (up, down) = (drain(&mut to_server), drain(&mut to_client));
            assert!(!(up.is_empty() && down.is_empty()));
            for mut part in up.chunks(100) {
                server.handle_input(&mut part, &mut to_client).unwrap();
            }
            for mut part in down.chunks(77) {
                client.handle_input(&mut part, &mut to_server).unwrap();
            }
        }
    }
}
