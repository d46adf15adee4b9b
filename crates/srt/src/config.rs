//! What the owner of a connection decides.

use crate::crypto::{KeyLength, Passphrase, Refresh};
use crate::filter::FilterSpec;
use crate::limits::{RECEIVE_PACKETS_MAX, SEND_PACKETS_MAX};
use crate::sender::Bandwidth;
use std::time::Duration;

/// Settings of one connection. Latencies are proposals: the longer of both ends' is taken.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long a received packet is held, at least (`SRTO_RCVLATENCY`); clamped to
    /// [`crate::limits::LATENCY_MIN`] and [`crate::limits::LATENCY_MAX`].
    pub latency: Duration,
    /// What is asked of the peer for packets that we send (`SRTO_PEERLATENCY`).
    pub peer_latency: Duration,
    /// With it, only peers with the same passphrase are talked to.
    pub passphrase: Option<Passphrase>,
    /// Of the key that a caller makes.
    pub key_length: KeyLength,
    /// When keys are changed.
    pub refresh: Refresh,
    /// How fast packets may leave.
    pub bandwidth: Bandwidth,
    /// Packets held for delivery, at most [`RECEIVE_PACKETS_MAX`].
    pub receive_packets: u32,
    /// Packets held for sending, at most [`SEND_PACKETS_MAX`].
    pub send_packets: u32,
    /// Packet filter: must fit the peer's. A caller's is accepted as it is where there is none.
    pub filter: Option<FilterSpec>,
    /// A listener's group that callers with a group join ([`crate::group`]): the number is
    /// told to them, and means nothing else. Without it they are refused.
    pub group: Option<u32>,
    /// Silence of the peer after which the connection ends.
    pub idle_timeout: Duration,
    /// A caller gives up after this.
    pub connect_timeout: Duration,
}

impl Default for Config {
    /// As libsrt has it in live mode.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(120),
            peer_latency: Duration::ZERO,
            passphrase: None,
            key_length: KeyLength::default(),
            refresh: Refresh::default(),
            bandwidth: Bandwidth::default(),
            receive_packets: RECEIVE_PACKETS_MAX,
            send_packets: SEND_PACKETS_MAX,
            filter: None,
            group: None,
            idle_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
        }
    }
}

impl Config {
    /// [`Self::receive_packets`] within its limits.
    pub(crate) fn receive_capacity(&self) -> u32 {
        self.receive_packets.clamp(32, RECEIVE_PACKETS_MAX)
    }

    /// [`Self::send_packets`] within its limits.
    pub(crate) fn send_capacity(&self) -> u32 {
        self.send_packets.clamp(32, SEND_PACKETS_MAX)
    }
}
