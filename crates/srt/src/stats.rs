//! Figures of a connection, in SRT's own terms.

use std::time::Duration;

/// What happened since the start, and how things are now. The names are libsrt's
/// (`SRT_TRACEBSTATS`), spelled as here; bytes are of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// `pktSentUnique`: packets sent, without repetitions.
    pub sent_packets: u64,
    /// `byteSentUnique`.
    pub sent_bytes: u64,
    /// `pktRetrans`: packets sent again.
    pub retransmitted_packets: u64,
    /// `byteRetrans`.
    pub retransmitted_bytes: u64,
    /// `pktSndLoss`: packets that the peer reported lost.
    pub send_lost_packets: u64,
    /// `pktSndDrop`: packets given up, because they would come too late.
    pub send_dropped_packets: u64,
    /// `byteSndDrop`.
    pub send_dropped_bytes: u64,
    /// `pktRecvUnique`: packets received, without repetitions.
    pub received_packets: u64,
    /// `byteRecvUnique`.
    pub received_bytes: u64,
    /// `pktRcvLoss`: packets seen to be missing.
    pub receive_lost_packets: u64,
    /// `pktRcvRetrans`: packets that came again or at last.
    pub receive_retransmitted_packets: u64,
    /// `pktRcvDrop`: packets that did not come in time.
    pub receive_dropped_packets: u64,
    /// `pktRcvBelated`: packets that came after they were given up.
    pub belated_packets: u64,
    /// Packets that came twice.
    pub duplicate_packets: u64,
    /// Packets that were further ahead than there is room for.
    pub beyond_packets: u64,
    /// `pktRcvFilterSupply`: packets that the packet filter rebuilt.
    pub filter_rebuilt_packets: u64,
    /// `pktRcvUndecrypt`: packets that could not be decrypted.
    pub undecrypted_packets: u64,
    /// Packets that could not be read, or were not from the peer.
    pub malformed_packets: u64,
    /// `pktSentACK`.
    pub sent_acks: u64,
    /// `pktRecvACK`.
    pub received_acks: u64,
    /// `pktSentNAK`.
    pub sent_naks: u64,
    /// `pktRecvNAK`.
    pub received_naks: u64,
    /// `msRTT`.
    pub rtt: Duration,
    /// Variance of the round-trip time.
    pub rtt_variance: Duration,
    /// `pktFlightSize`: packets sent and not acknowledged.
    pub flight_packets: u64,
    /// `pktSndBuf`: packets kept for sending.
    pub send_buffer_packets: u64,
    /// `byteSndBuf`.
    pub send_buffer_bytes: u64,
    /// `msSndBuf`: time between the oldest and the newest of them.
    pub send_buffer_time: Duration,
    /// `pktRcvBuf`: packets kept for delivery.
    pub receive_buffer_packets: u64,
    /// `byteRcvBuf`.
    pub receive_buffer_bytes: u64,
    /// `msRcvBuf`.
    pub receive_buffer_time: Duration,
    /// `msRcvTsbPdDelay`: how long a received packet is held.
    pub receive_latency: Duration,
    /// `msSndTsbPdDelay`: how long the peer holds what is sent.
    pub send_latency: Duration,
    /// `mbpsMaxBW`, in bytes a second: what may be sent.
    pub max_bytes_per_s: u64,
}
