//! Why a message was refused, and what to answer.

use crate::status::Status;
use std::fmt;

/// A message that cannot be accepted. After any of these the framing of the connection is
/// unknown or not wanted: answer with [`Error::status`] and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The request line is not `method SP request-target SP HTTP-version` (RFC 9112 §3).
    RequestLine,
    /// The status line is not one (RFC 9112 §4). Answers only.
    StatusLine,
    /// The method is longer than [`crate::limits::METHOD_BYTES_MAX`]: none that we have.
    MethodTooLong,
    /// The version is neither 1.0 nor 1.1. RFC 9110 §2.5 would have 1.2 read as 1.1, but no
    /// such version exists, and who names it is no client of ours.
    Version,
    /// The connection begins with the preface of HTTP/2 (RFC 9113 §3.4): the client has
    /// prior knowledge that we do not share.
    Http2Preface,
    /// The head is longer than [`crate::limits::HEAD_BYTES_MAX`].
    HeadTooLong,
    /// The request target is longer than [`crate::limits::TARGET_BYTES_MAX`].
    TargetTooLong,
    /// More than [`crate::limits::HEADERS_MAX`] header fields.
    TooManyHeaders,
    /// A field name is not a token, or white space stands before its colon, or the line is
    /// folded (RFC 9112 §5.1, §5.2).
    HeaderName,
    /// A field value holds a control character.
    HeaderValue,
    /// A line does not end in CRLF (RFC 9112 §2.2).
    LineEnd,
    /// The request target has none of the allowed forms, or one the method does not allow
    /// (RFC 9112 §3.2).
    Target(&'static str),
    /// `Host` is missing, repeated or malformed (RFC 9112 §3.2).
    Host(&'static str),
    /// `Content-Length` is not one decimal number (RFC 9112 §6.3 rule 5).
    ContentLength(&'static str),
    /// `Transfer-Encoding` does not end in one `chunked`, or stands in HTTP/1.0 (RFC 9112
    /// §6.1).
    TransferEncoding(&'static str),
    /// A transfer coding other than `chunked`.
    TransferCoding,
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112 §6.3 rule 3).
    TwoLengths,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// A path or query has a broken percent-encoding, or decodes to something unsafe.
    Path(&'static str),
    /// The chunked framing is broken (RFC 9112 §7.1).
    Chunk(&'static str),
    /// A body is longer than its reader takes.
    BodyTooLong,
    /// A connection that has to begin with a PROXY header does not. It gets no answer.
    Proxy(&'static str),
    /// A network of the configuration is not one.
    Network(&'static str),
    /// An allowed origin of the configuration is not one.
    Origin(&'static str),
    /// A request does not open a `WebSocket` (RFC 6455 §4.2.1), or a frame is malformed (§5.2).
    WebSocket(&'static str),
}

impl Error {
    /// The status to answer with.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Version | Self::Http2Preface => Status::HttpVersionNotSupported,
            Self::HeadTooLong | Self::TooManyHeaders => Status::RequestHeaderFieldsTooLarge,
            Self::TargetTooLong => Status::UriTooLong,
            Self::TransferCoding | Self::MethodTooLong => Status::NotImplemented,
            Self::Expectation => Status::ExpectationFailed,
            Self::BodyTooLong => Status::ContentTooLarge,
            _ => Status::BadRequest,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestLine => f.write_str("malformed request line"),
            Self::StatusLine => f.write_str("malformed status line"),
            Self::MethodTooLong => f.write_str("method is too long"),
            Self::Version => f.write_str("HTTP version is neither 1.0 nor 1.1"),
            Self::Http2Preface => f.write_str("HTTP/2 on a connection for HTTP/1.1"),
            Self::HeadTooLong => f.write_str("head is too long"),
            Self::TargetTooLong => f.write_str("request target is too long"),
            Self::TooManyHeaders => f.write_str("too many header fields"),
            Self::HeaderName => f.write_str("malformed header field name, or folded line"),
            Self::HeaderValue => f.write_str("control character in a header field value"),
            Self::LineEnd => f.write_str("line does not end in CRLF"),
            Self::Target(why) => write!(f, "request target {why}"),
            Self::Host(why) => write!(f, "Host {why}"),
            Self::ContentLength(why) => write!(f, "Content-Length {why}"),
            Self::TransferEncoding(why) => write!(f, "Transfer-Encoding {why}"),
            Self::TransferCoding => f.write_str("transfer coding is not supported"),
            Self::TwoLengths => f.write_str("both Content-Length and Transfer-Encoding"),
            Self::Expectation => f.write_str("expectation is not supported"),
            Self::Path(why) => write!(f, "path or query {why}"),
            Self::Chunk(why) => write!(f, "chunked body {why}"),
            Self::BodyTooLong => f.write_str("body is too long"),
            Self::Proxy(why) => write!(f, "PROXY header {why}"),
            Self::Network(why) => write!(f, "network {why}"),
            Self::Origin(why) => write!(f, "origin {why}"),
            Self::WebSocket(why) => write!(f, "WebSocket: {why}"),
        }
    }
}

impl std::error::Error for Error {}
