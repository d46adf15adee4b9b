//! Every maximum of this crate.

use std::time::Duration;

/// Most listening sockets on one port: one per worker, and workers are one per core.
pub const LISTENERS_MAX: usize = 1024;

/// Bytes that the kernel keeps for a UDP socket until they are received, asked for; it counts about
/// 2.3 KiB for a datagram of 1,316 bytes, and takes memory only for what is there. 20 ms of 1 Gbit/s,
/// or 100 ms of 200 Mbit/s.
pub const UDP_RECEIVE_BYTES: usize = 4 << 20;

/// Bytes that the kernel keeps for a UDP socket until the device takes them, asked for.
pub const UDP_SEND_BYTES: usize = 4 << 20;

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
/// otherwise. A connection that waits takes about 1 KiB of user memory, under TLS 5 KiB: 100
/// or 500 MiB per worker.
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

/// Largest PEM file read: a chain of four RSA certificates takes about 8 KiB.
pub const PEM_BYTES_MAX: u64 = 1 << 20;

/// Bytes of TLS plaintext in a full record (RFC 8446 section 5.1).
pub const RECORD_BYTES_MAX: usize = 16 * 1024;

/// Bytes that sealing adds to a record at most: header 5, type 1 (TLS 1.3) or nonce 8 (TLS 1.2),
/// tag 16.
pub const RECORD_OVERHEAD_MAX: usize = 29;

/// Bytes of the short messages that may go with records: alerts (24 each) and key updates (27).
pub const CONTROL_BYTES_MAX: usize = 256;

/// Bytes received of a TLS record or handshake message that is not complete. A record has at
/// most 18,437; a client's first message has below 4 KiB, or 24 KiB if each byte stands in a
/// record of its own. Held only while incomplete.
pub const RECEIVED_BYTES_MAX: usize = 32 * 1024;

/// Bytes that a peer may send without any data coming of them: a handshake (below 8 KiB), or key
/// updates and empty records, which cost more to handle than to send.
pub const FRUITLESS_BYTES_MAX: usize = 64 * 1024;

/// Plaintext sealed and sent in one step: long enough to make few steps, short enough that
/// plaintext and records stay in the processor's cache. A connection whose peer reads slowly holds
/// one step's records.
pub const SEND_STEP_BYTES: usize = 64 * 1024;

/// What is left behind a step, if it is no more than this, goes with it: the head of an answer whose
/// body is as long as a step is no send of its own.
pub const SEND_REST_BYTES: usize = 2 * 1024;

/// Plaintext of a file that one connection seals and sends before other tasks get their turn, if
/// its socket takes so much: about 200 us.
pub const SEND_PER_TURN: u64 = 512 * 1024;

/// Plaintext that [`crate::Stream::send_more`] holds back to join with what follows.
pub const HELD_BYTES_MAX: usize = RECORD_BYTES_MAX;

/// Size of a buffer for sealed records: those of one step.
pub const SEALED_BUFFER_BYTES: usize = crate::tls::sealed_len(SEND_STEP_BYTES + SEND_REST_BYTES);

/// Such buffers that a worker keeps for reuse: 4 MiB. Those in use are one per connection that
/// waits for its peer to read.
pub const SEALED_BUFFERS_KEPT: usize = 64;

/// Receives that are processed in a row before other connections get their turn, when nothing
/// comes of them for the reader.
pub const RECEIVES_PER_TURN: usize = 16;

/// How long a connection whose handshake failed is kept, so that its alert arrives.
pub const ALERT_LINGER_WAIT: Duration = Duration::from_millis(500);

/// Bytes that are read over meanwhile.
pub const ALERT_LINGER_BYTES: usize = 64 * 1024;

/// How long a close waits for room to send its `close_notify`.
pub const CLOSE_NOTIFY_WAIT: Duration = Duration::from_secs(1);

/// Threads that look names up. Each may be held for as long as a name server is silent, up to half
/// a minute with the usual settings.
pub const RESOLVER_THREADS: usize = 4;

/// Lookups that wait for one of these threads: as many as there are outgoing streams at most on a
/// large machine. One takes below 1 KiB.
pub const LOOKUPS_QUEUED_MAX: usize = 1024;

/// Addresses of one name that are tried, in the order of the resolver.
pub const ADDRESSES_TRIED_MAX: usize = 8;

/// How long one address may take to accept a connection: a second try of TCP (after 1 s, then 2 s)
/// is waited for.
pub const CONNECT_WAIT: Duration = Duration::from_secs(4);

/// How long a connection to another server may take in all: lookup, connect and TLS.
pub const DIAL_WAIT: Duration = Duration::from_secs(15);

/// Bytes that the kernel takes for a server beyond what TCP may send now. Without a bound it takes
/// up to 4 MiB (`net.ipv4.tcp_wmem`), which at 2 Mbit/s are 16 s in which nobody knows that the server
/// is too slow.
pub const UNSENT_BYTES_MAX: u32 = 256 * 1024;
