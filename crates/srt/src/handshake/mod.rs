//! How a connection begins (§4.3).
//!
//! | looking for | module |
//! |---|---|
//! | the end that waits | [`listener`] |
//! | the end that calls | `caller` |
//! | two ends that call each other | `rendezvous` |
//! | what proves that a caller receives what is sent to it | [`cookie`] |
//! | what both ends agree on | `agreement` |

pub(crate) mod agreement;
pub(crate) mod caller;
pub mod cookie;
pub mod listener;
pub(crate) mod rendezvous;

use crate::packet::extension::{HsExtension, SrtFlags};

/// The version that we say we are: that of a libsrt which does what we do.
pub(crate) const SRT_VERSION: u32 = 0x0001_0501;
/// Oldest version that is talked to: the first with handshake version 5.
pub(crate) const SRT_VERSION_MIN: u32 = 0x0001_0300;

/// Flags that we send.
const FLAGS: u32 = SrtFlags::TSBPDSND
    | SrtFlags::TSBPDRCV
    | SrtFlags::CRYPT
    | SrtFlags::TLPKTDROP
    | SrtFlags::PERIODICNAK
    | SrtFlags::REXMITFLG
    | SrtFlags::PACKET_FILTER;

pub(crate) fn hs_extension(request: bool, receive_ms: u16, send_ms: u16) -> HsExtension {
    HsExtension {
        request,
        version: SRT_VERSION,
        flags: SrtFlags(FLAGS),
        receive_delay_ms: receive_ms,
        send_delay_ms: send_ms,
    }
}
