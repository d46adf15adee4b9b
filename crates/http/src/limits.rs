//! Every maximum of this crate. Nothing here is held by the crate itself: the sizes bound
//! what a connection's receive buffer has to hold.

/// Longest head, from the first byte of the request line to the empty line, in bytes.
///
/// A connection that has not sent its whole head holds at most this much. Browsers stay
/// below 8 KiB; cookies and tokens of a shared origin can reach 16 KiB.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Longest request target, in bytes. RFC 9112 §3 recommends at least 8,000.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Longest method, in bytes: the longest that is registered (`UPDATEREDIRECTREF`) has 17.
pub const METHOD_BYTES_MAX: usize = 32;

/// Most header fields in one head. Browsers send about 20, proxies add 10. While a head is
/// parsed 64 references (2 KiB) are on the stack.
pub const HEADERS_MAX: usize = 64;

/// Longest `chunk-size` in hexadecimal digits (RFC 9112 §7.1): as many as 64 bits have.
pub const CHUNK_SIZE_DIGITS_MAX: u32 = 16;

/// Longest chunk extension on one chunk, in bytes. No client known to us sends any; they are
/// read over. Without a bound they would be a body that no body limit counts.
pub const CHUNK_EXTENSION_BYTES_MAX: u32 = 256;

/// Longest trailer section of a chunked body, in bytes. Trailers are read over.
pub const TRAILER_BYTES_MAX: u32 = 8 * 1024;

/// Longest PROXY header of version 1, in bytes: what the longest valid line needs.
pub const PROXY_V1_BYTES_MAX: usize = 107;

/// Longest PROXY header of version 2, in bytes. Addresses take at most 232; what follows are
/// TLVs, of which a client certificate is the longest. The format itself allows 64 KiB, which
/// a connection that has shown nothing yet shall not hold.
pub const PROXY_V2_BYTES_MAX: usize = 4 * 1024;

/// Most patterns in one list of allowed origins: each request with an `Origin` is compared
/// with all of them.
pub const ORIGINS_MAX: usize = 64;

/// Least last position of a range that asks for all that a representation will grow to (RFC
/// 8673 §2.2 wants it far behind any end): half a tebibyte, which no file of a stream reaches.
pub const OPEN_END_MIN: u64 = 1 << 39;
