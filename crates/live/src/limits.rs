//! Every maximum and wait of this crate.

use std::time::Duration;

/// Streams that one worker owns at once. Each costs its open chunk and the writer's queue
/// (see `weir-hub` and `weir-store`); a publish beyond it is refused as busy.
pub const STREAMS_PER_WORKER_MAX: usize = 2048;

/// Sessions on their way to another worker, per receiving worker. A session waits with its
/// unread bytes, at most one receive buffer each; beyond it the publish is refused as busy.
pub const HANDOFFS_QUEUED_MAX: usize = 256;

/// Datagrams on their way from the worker that received them to the one that they are for, over all
/// workers. They are few: what the kernel joined though it is of several connections. More are
/// dropped, as by a network.
pub const DATAGRAMS_PASSED_MAX: usize = 64;

/// Times that one session is passed on before it is refused: a stream's owner can change
/// while a session is on its way, but not over and over.
pub const HANDOFF_HOPS_MAX: u8 = 3;

/// Configuration changes that a publisher may make: one a second on average, with a burst
/// for encoders that send several at a switch (`protocols.md` §18): each of 16 tracks its
/// record, and its colour behind it.
pub const CONFIG_CHANGES_BURST: u32 = 32;

/// Requests to publish or play of one connection at once; then one a second. Each may wait some
/// seconds for a hook or a stream, one after another, so this also bounds how long a connection
/// lives on whose peer has gone.
pub const REQUESTS_BURST: u32 = 24;

/// How long the start waits for a worker to take the next unsealed stream.
pub const RESUME_WAIT: Duration = Duration::from_secs(10);

/// How often the streams' own deadlines are looked at.
pub const STREAM_TICK: Duration = Duration::from_millis(100);

/// How long an answer may take to leave towards a publisher.
pub const SEND_WAIT: Duration = Duration::from_secs(10);

/// How long a drain waits for appends to reach the disk.
pub const DRAIN_WAIT: Duration = Duration::from_secs(5);

/// Bytes written towards a publisher in one go before the queue is flushed.
pub const TRANSMIT_BATCH_MAX: usize = 64;

/// How long a connection that is closed is read from, so that the last answer arrives.
pub const LINGER_WAIT: Duration = Duration::from_secs(2);

/// Bytes that are read meanwhile and thrown away.
pub const LINGER_BYTES_MAX: usize = 1 << 20;

/// Events of one stream that are logged at once; then one a second. All are counted.
pub const EVENTS_LOGGED_BURST: u32 = 20;

/// Receives that are fed to the machine before its events are handled: 256 KiB, so that one
/// fast publisher does not hold up the others.
pub const RECEIVE_BATCH_MAX: usize = 16;

/// How long a TLS handshake may take on the RTMPS port. What it holds meanwhile is below 64 KiB
/// (see `weir-net`).
pub const TLS_HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// How much of a publisher's media one receive gathers while nobody watches frame by frame. It is a
/// part of the shortest chunk, and by so much news of a segment may be late.
pub const GATHER_SPAN: Duration = Duration::from_millis(60);

/// Bytes gathered at most: a picture of 25 Mbit/s. They wait in the socket's buffer.
pub const GATHER_BYTES_MAX: usize = 64 * 1024;

/// With fewer bytes in the span, 800 kbit/s, there is little to save.
pub const GATHER_BYTES_MIN: usize = 4 * 1024;

/// A viewer who asks for parts does so several times in this: until then what was gathered for them
/// would be late.
pub const PARTS_WANTED_US: i64 = 10_000_000;

/// What a socket has gathered is taken after so long, if not enough came.
pub const GATHER_WAIT: Duration = Duration::from_millis(150);

/// Pause after the first failure of a connection to another server; it doubles with each.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// Longest such pause.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// A connection to another server that carried media for so long was a good one: the next failure
/// is the first again.
pub const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Redirects and requests to reconnect that are followed before a pause.
pub const REDIRECTS_MAX: usize = 5;

/// Chunk size towards other servers, in bytes. nginx-rtmp and node-media-server take it; a larger
/// one would save little.
pub const REMOTE_CHUNK_SIZE: u32 = 60_000;

/// How often a pull looks whether it is still wanted.
pub const PULL_TICK: Duration = Duration::from_secs(1);

/// How long a source may take to send its first frame: one that serves nobody yet says nothing.
pub const PULL_FIRST_MEDIA_WAIT: Duration = Duration::from_secs(20);

/// How long a source may send nothing afterwards.
pub const PULL_SILENCE_MAX: Duration = Duration::from_secs(10);

/// Malformed frames of a source at once; then one a second.
pub const FAULTS_BURST: u32 = 200;

/// Pieces of a stream on their way to another worker with viewers of it, 16 bytes each: 10 s at
/// 25 a second. They hold their media meanwhile, so a worker that hangs holds as much as a window
/// more; with more it finds a gap and its viewers skip.
pub const FEED_QUEUED_MAX: usize = 256;

/// How long a player waits for a stream that is not there, before it is told so: publisher and
/// player may be started together.
pub const PLAY_WAIT: Duration = Duration::from_secs(3);

/// How long a viewer may take nothing at all before it is closed (`protocols.md` §18).
pub const VIEWER_STALLED_WAIT: Duration = Duration::from_secs(15);

/// How often what the doctor says of a stream is looked at.
pub const HEALTH_TICK: Duration = Duration::from_secs(1);

/// How often a finding that comes and goes is logged.
pub const HEALTH_TOLD_AGAIN: Duration = Duration::from_secs(60);

/// Outputs of one stream. Each has a task and a connection, and of its own no more than one batch of
/// frames (`weir-hub`); what it lags behind is the stream's window, shared by all.
pub const OUTPUTS_MAX: usize = 50;

/// How long a server to push to may be silent before it takes the stream. The machine has shorter
/// deadlines for each step.
pub const OUTPUT_ANSWER_WAIT: Duration = Duration::from_secs(30);

/// How long a viewer waits for a stream that is pulled on demand.
pub const DEMAND_WAIT: Duration = Duration::from_secs(9);

/// Bytes that a server to push to may say in [`OUTPUT_TALK_WINDOW`]. It acknowledges, with 16 bytes
/// each time, and has nothing else to say.
pub const OUTPUT_TALK_BYTES_MAX: usize = 1 << 20;

/// See [`OUTPUT_TALK_BYTES_MAX`].
pub const OUTPUT_TALK_WINDOW: Duration = Duration::from_secs(10);

/// Longest file of a slate, in bytes. It stays in memory, once for all streams that show it.
pub const SLATE_BYTES_MAX: u64 = 64 << 20;

/// Shortest slate: a shorter one would begin anew more often than there are segments.
pub const SLATE_LENGTH_MIN: Duration = Duration::from_secs(1);

/// How long a publisher may be gone before the slate is shown, within the grace time: one that
/// returns sooner costs one discontinuity, not two. Players have more than this in store.
pub const SLATE_AFTER: Duration = Duration::from_secs(2);

/// How long clients that were asked to connect again are served on.
pub const RECONNECT_WAIT: Duration = Duration::from_secs(5);

/// Longest address of a source, in bytes.
pub const PLACE_BYTES_MAX: usize = 4096;

/// Bytes in a passphrase of SRT, at least and at most.
pub const SRT_PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 10..=79;

/// Longest stream ID of SRT, in bytes.
pub const SRT_STREAM_ID_BYTES_MAX: usize = 512;

/// Latency of SRT connections where nobody says another.
pub const SRT_LATENCY_DEFAULT: Duration = Duration::from_millis(120);

/// Shortest latency: a NAK and what it asks for need as long in one building.
pub const SRT_LATENCY_MIN: Duration = Duration::from_millis(20);

/// Longest latency: packets wait for so long.
pub const SRT_LATENCY_MAX: Duration = Duration::from_secs(30);

/// How long a transport stream over UDP may be silent before its publisher counts as gone. Senders
/// send at least every 100 ms, as ISO/IEC 13818-1 wants clock references.
pub const UDP_SILENCE_MAX: Duration = Duration::from_secs(3);

/// How long the sender of a transport stream over UDP keeps its port after its last datagram.
pub const UDP_SENDER_MAX: Duration = Duration::from_secs(1);

/// UDP receives that are handled before other tasks have their turn: at most 4 MiB, if all are full.
pub const RECEIVES_PER_TURN: usize = 64;

/// How finely an SRT connection's timers run: what is due within it leaves, and is delivered,
/// together.
pub const SRT_TICK: Duration = Duration::from_millis(1);

/// SRT calls of one address that are looked at, at once; then one per [`SRT_REQUEST_INTERVAL`].
pub const SRT_REQUESTS_BURST: u32 = 50;

/// See [`SRT_REQUESTS_BURST`].
pub const SRT_REQUEST_INTERVAL: Duration = Duration::from_millis(100);

/// Callers whose address is proved that a worker remembers, about 64 bytes each.
pub const SRT_CALLERS_MAX: usize = 16_384;

/// How long they are: a caller repeats its call for 3 s as a rule.
pub const SRT_CALLER_KEPT: Duration = Duration::from_secs(10);

/// Pause after the socket of the port failed.
pub const SRT_SOCKET_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of a stream that are kept as MPEG-TS for players over SRT, per worker with players: about
/// two groups of pictures.
pub const SRT_RELAY_BYTES_MAX: usize = 32 << 20;

/// How long a player whose stream has ended may take for what is left.
pub const SRT_END_WAIT: Duration = Duration::from_secs(5);

/// How long a packet of RTP that is missing is waited for: it may come late.
pub const RTP_WAIT: Duration = Duration::from_millis(200);

/// The same where forward error correction comes: a column's parity is sent among the packets of the
/// next matrix, which at 500 kbit/s takes a second.
pub const RTP_FEC_WAIT: Duration = Duration::from_secs(2);
