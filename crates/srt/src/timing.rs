//! Periods that the draft or libsrt fix.

use std::time::Duration;

/// A full acknowledgement is due so long after the last (§4.8.1).
pub(crate) const ACK_PERIOD: Duration = Duration::from_millis(10);
/// A light acknowledgement is due after so many packets.
pub(crate) const LIGHT_ACK_PACKETS: u32 = 64;
/// A loss is not reported again sooner (§4.8.2).
pub(crate) const NAK_PERIOD_MIN: Duration = Duration::from_millis(20);
/// A packet is not sent again sooner, whatever the peer says: three quarters of
/// [`NAK_PERIOD_MIN`], since reports do not come evenly.
pub(crate) const REPEAT_PERIOD_MIN: Duration = Duration::from_millis(15);
/// Losses that fall due within this time are reported together.
pub(crate) const NAK_GATHER: Duration = Duration::from_millis(5);
/// Silence after which a keep-alive is due (§4.6).
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Deliveries are at least this far apart while nothing arrives, so that a fast stream does
/// not need a timer for each packet.
pub(crate) const DELIVERY_GATHER: Duration = Duration::from_millis(1);
/// Handshake packets are repeated so often (§4.3.1).
pub(crate) const HANDSHAKE_REPEAT: Duration = Duration::from_millis(250);
/// A sender keeps a packet for the latency and this, and at least for
/// [`SEND_DROP_MIN`]: what libsrt does.
pub(crate) const SEND_DROP_EXTRA: Duration = Duration::from_millis(20);
/// See [`SEND_DROP_EXTRA`].
pub(crate) const SEND_DROP_MIN: Duration = Duration::from_millis(1020);

/// Microseconds, saturating.
pub(crate) const fn us(duration: Duration) -> u64 {
    let us = duration.as_micros();
    if us > u64::MAX as u128 {
        u64::MAX
    } else {
        us as u64
    }
}
