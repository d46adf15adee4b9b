//! Every maximum of this crate.

use std::time::Duration;

/// Most listening sockets on one port: one per worker, and workers are one per core.
pub const LISTENERS_MAX: usize = 1024;

/// Connections that may wait to be accepted, per listening socket. The kernel cuts it to
/// `net.core.somaxconn` (4,096 by default). A waiting connection holds about 1 KiB of kernel
/// memory.
pub const BACKLOG: i32 = 4096;

/// How long a busy port is asked again before it is reported. A ring that died releases its
/// sockets late, so that a restarted weir may meet its predecessor's.
pub const BUSY_PORT_WAIT_MAX: Duration = Duration::from_secs(2);

/// Pause between two attempts on a busy port.
pub const BUSY_PORT_PAUSE: Duration = Duration::from_millis(20);

/// Connections that one worker holds at once, over all addresses, unless configured
/// otherwise. A connection that waits takes about 1 KiB of user memory: 100 MiB per worker.
pub const CONNECTIONS_DEFAULT: usize = 100_000;

/// Connections that one worker holds for one address unless configured otherwise. Many
/// viewers may share one address behind carrier-grade NAT, so this only stops the absurd.
pub const CONNECTIONS_PER_ADDRESS_DEFAULT: usize = 10_000;

/// Addresses that a [`crate::RateLimit`] remembers at most. An entry takes below 100 bytes,
/// queue included: 0.8 MiB. Past it the address that was added first is forgotten, and may
/// begin anew with a full bucket.
pub const RATE_ADDRESSES_MAX: usize = 8192;

/// Refused publishes that an address may have at once.
pub const REFUSALS_BURST: u32 = 10;

/// Time after which an address may have one more refused publish. With keys of 128 bits the
/// limit is not what protects them: it keeps a broken encoder that retries in a loop from
/// taking a worker's time.
pub const REFUSAL_INTERVAL: Duration = Duration::from_secs(6);
