//! Every maximum and wait of this crate.

use std::time::Duration;

/// Questions to the hook that wait for their turn. Each holds the facts of a session that waits
/// too, at most 16 KiB: 16 MiB. More are refused at once.
pub const HOOK_ASKS_QUEUED_MAX: usize = 1024;

/// Questions that are asked at the same time. Each holds a connection: buffers of 16 KiB, 40 KiB
/// more under TLS.
pub const HOOK_ASKS_MAX: usize = 64;

/// What is to be told to the hook and waits for its turn; at most 16 KiB each, 64 MiB. What is
/// more is lost, and counted.
pub const HOOK_TELLS_QUEUED_MAX: usize = 4096;

/// What is told at the same time, the waits between tries included. Apart from the questions, so
/// that a crowd that leaves does not keep others from coming.
pub const HOOK_TELLS_MAX: usize = 64;

/// Waits before each further try to tell the hook something: three tries more.
pub const HOOK_RETRY_WAITS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(10),
];

/// Bytes of the head of a hook's answer. Its body is not read.
pub const HOOK_ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Fields of the head of a hook's answer.
pub const HOOK_ANSWER_FIELDS_MAX: usize = 64;

/// Longest URL of a hook, in bytes.
pub const HOOK_URL_BYTES_MAX: usize = 2048;
