//! SRT, from the settings, and what the `api` listener tells of its connections.

use crate::config::Settings;
use std::sync::Arc;
use std::time::Duration;
use weir_api::SrtTeller;
use weir_live::Shared;
use weir_live::srt::{Srt, board};

/// The port of the settings.
///
/// # Errors
/// A text for the operator.
pub fn port(settings: &Settings) -> Result<Srt, String> {
    let inputs = settings.inputs.iter();
    let passphrases = inputs.filter_map(|input| {
        let passphrase = input.passphrase.as_ref()?.0.clone();
        Some((input.name.0.clone(), passphrase))
    });
    Srt::new(settings.srt_latency.0, passphrases.collect()).map_err(Into::into)
}

/// What the `api` listener tells of the connections of `shared`.
pub fn teller(shared: &Arc<Shared>) -> SrtTeller {
    let weak = Arc::downgrade(shared);
    Arc::new(move || {
        let shared = weak.upgrade();
        let entries = shared
            .as_ref()
            .and_then(|s| Some(s.srt.get()?.board.entries()));
        entries.unwrap_or_default().iter().map(describe).collect()
    })
}

/// A connection, with figures under libsrt's names (`SRT_TRACEBSTATS`).
fn describe(entry: &board::Entry) -> serde_json::Value {
    let s = &entry.stats;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    serde_json::json!({
        "connection": entry.connection,
        "stream": entry.name.as_str(),
        "role": entry.role.as_str(),
        "peer": entry.peer.to_string(),
        "since": entry.since.to_rfc3339(),
        "stats": {
            "pktSentUnique": s.sent_packets,
            "byteSentUnique": s.sent_bytes,
            "pktRetrans": s.retransmitted_packets,
            "byteRetrans": s.retransmitted_bytes,
            "pktSndLoss": s.send_lost_packets,
            "pktSndDrop": s.send_dropped_packets,
            "byteSndDrop": s.send_dropped_bytes,
            "pktRecvUnique": s.received_packets,
            "byteRecvUnique": s.received_bytes,
            "pktRcvLoss": s.receive_lost_packets,
            "pktRcvRetrans": s.receive_retransmitted_packets,
            "pktRcvDrop": s.receive_dropped_packets,
            "pktRcvBelated": s.belated_packets,
            "pktRcvUndecrypt": s.undecrypted_packets,
            "pktSentACK": s.sent_acks,
            "pktRecvACK": s.received_acks,
            "pktSentNAK": s.sent_naks,
            "pktRecvNAK": s.received_naks,
            "msRTT": ms(s.rtt),
            "pktFlightSize": s.flight_packets,
            "pktSndBuf": s.send_buffer_packets,
            "byteSndBuf": s.send_buffer_bytes,
            "msSndBuf": ms(s.send_buffer_time),
            "pktRcvBuf": s.receive_buffer_packets,
            "byteRcvBuf": s.receive_buffer_bytes,
            "msRcvBuf": ms(s.receive_buffer_time),
            "msRcvTsbPdDelay": ms(s.receive_latency),
            "msSndTsbPdDelay": ms(s.send_latency),
            "mbpsMaxBW": s.max_bytes_per_s as f64 * 8.0 / 1e6,
        },
    })
}
