//! Status codes (RFC 9110 §15) that weir answers with.

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal $reason:literal;)*) => {
        /// A status code that weir answers with, and its reason phrase.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Status {
            $($(#[$doc])* $name,)*
        }

        impl Status {
            /// The three digits.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// The reason phrase, for people.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$name => $reason,)* }
            }

            /// The whole status line (RFC 9112 §4) with its line end.
            #[must_use]
            pub const fn line(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n"),)*
                }
            }

            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

statuses! {
    /// 101: what follows is not HTTP.
    SwitchingProtocols = 101 "Switching Protocols";
    /// 200
    Ok = 200 "OK";
    /// 201
    Created = 201 "Created";
    /// 204: no body and no length.
    NoContent = 204 "No Content";
    /// 206, with `Content-Range`.
    PartialContent = 206 "Partial Content";
    /// 302
    Found = 302 "Found";
    /// 304: no body.
    NotModified = 304 "Not Modified";
    /// 307: a redirect that keeps the method.
    TemporaryRedirect = 307 "Temporary Redirect";
    /// 400
    BadRequest = 400 "Bad Request";
    /// 401, with `WWW-Authenticate`.
    Unauthorized = 401 "Unauthorized";
    /// 403
    Forbidden = 403 "Forbidden";
    /// 404
    NotFound = 404 "Not Found";
    /// 405, with `Allow`.
    MethodNotAllowed = 405 "Method Not Allowed";
    /// 408: the head or body took too long.
    RequestTimeout = 408 "Request Timeout";
    /// 409
    Conflict = 409 "Conflict";
    /// 410
    Gone = 410 "Gone";
    /// 412: `If-Match` or `If-Unmodified-Since` failed.
    PreconditionFailed = 412 "Precondition Failed";
    /// 413
    ContentTooLarge = 413 "Content Too Large";
    /// 414
    UriTooLong = 414 "URI Too Long";
    /// 415
    UnsupportedMediaType = 415 "Unsupported Media Type";
    /// 416, with `Content-Range: bytes */length`.
    RangeNotSatisfiable = 416 "Range Not Satisfiable";
    /// 417: an expectation other than `100-continue`.
    ExpectationFailed = 417 "Expectation Failed";
    /// 429
    TooManyRequests = 429 "Too Many Requests";
    /// 431: head too long, or too many fields.
    RequestHeaderFieldsTooLarge = 431 "Request Header Fields Too Large";
    /// 500
    InternalServerError = 500 "Internal Server Error";
    /// 501: a method or transfer coding that weir does not have.
    NotImplemented = 501 "Not Implemented";
    /// 502
    BadGateway = 502 "Bad Gateway";
    /// 503, usually with `Retry-After`.
    ServiceUnavailable = 503 "Service Unavailable";
    /// 504
    GatewayTimeout = 504 "Gateway Timeout";
    /// 505
    HttpVersionNotSupported = 505 "HTTP Version Not Supported";
}

impl Status {
    /// Whether an answer with this status has no body whatever its headers say (RFC 9112
    /// §6.3 rule 1): it gets no `Content-Length` of its own making either.
    #[must_use]
    pub const fn is_bodiless(self) -> bool {
        matches!(self, Self::NoContent | Self::NotModified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_made_of_code_and_reason() {
        for status in Status::ALL {
            let line = format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason());
            assert_eq!(status.line(), line);
        }
    }
}
