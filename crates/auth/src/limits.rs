//! Every maximum of this crate.

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
