//! Every maximum of this crate.

use std::time::Duration;

/// Longest secret (stream key, token), in bytes. What weir makes has 32; encoders have a
/// field for a line of text. Hashing one costs less than 1 us.
pub const SECRET_BYTES_MAX: usize = 256;

/// Shortest secret chosen by a person that is taken, in bytes.
///
/// Keys are kept as plain SHA-256, which a thief of the configuration can try billions of
/// times per second. 16 random letters and digits withstand that; short words do not.
pub const SECRET_BYTES_MIN: usize = 16;

/// Most inputs in one policy. One publish compares its key with every one (about 20 ns
/// each, so at most 0.1 ms); 4,096 inputs of 64 bytes and a name take below 1 MiB.
pub const INPUTS_MAX: usize = 4096;

/// Longest path that a publisher may send, application and key together, in bytes. Anything
/// longer is neither a key nor a name.
pub const PUBLISH_PATH_BYTES_MAX: usize = 1024;

/// Longest file that is read as a secret, in bytes.
pub const SECRET_FILE_BYTES_MAX: u64 = 1024;

/// Keys that one input takes in each form of signed URLs: the one in use, the one before it and
/// some to spare while they are changed. Each costs one hash per signed publish.
pub const SIGNING_KEYS_MAX: usize = 4;

/// How long after its time a signed URL is still good: the clock that made it may be behind ours.
/// Longer than clocks under NTP are apart, shorter than anybody plans with.
pub const SIGNATURE_SKEW: Duration = Duration::from_secs(30);

/// Longest query in which a signature is looked for, in bytes.
pub const SIGNATURE_QUERY_BYTES_MAX: usize = 2048;

/// Networks in one list of those who may, or may not, publish or play. Each is compared once per
/// request, about 5 ns; 24 bytes each.
pub const NETWORKS_MAX: usize = 1024;

/// Longest text of a peer that is passed on to the hook, in bytes; the rest is cut off. A session
/// keeps its facts until it ends: at most eight texts, 16 KiB.
pub const HOOK_TEXT_BYTES_MAX: usize = 2048;

/// Arguments of a query that are passed on to the hook.
pub const HOOK_ARGUMENTS_MAX: usize = 64;

/// Longest `Location` of a hook's answer, in bytes.
pub const HOOK_LOCATION_BYTES_MAX: usize = 1024;
