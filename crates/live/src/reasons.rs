//! The reasons by which things are counted: fixed words of the code, never a peer's text.
//!
//! Every reason of an enum is in its `ALL`, from which the counters are made at zero: an alert
//! on a rise needs the value before the first event.

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use std::fmt;
use weir_hub::failover::Reason;
use weir_media::DatumKind;

/// Declares an enum of reasons with the word of each, which is the label `reason`.
macro_rules! reasons {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $of:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[doc = $of])+ $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in the metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl EncodeLabelSet for $name {
            fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
                [("reason", self.as_str())].encode(encoder)
            }
        }
    };
}

reasons! {
    /// Why an RTMP connection ended for a fault.
    Closed {
        /// The network: an error of the socket.
        Socket = "socket",
        /// The peer broke the protocol, or did not go on in time.
        Protocol = "protocol",
        /// TLS failed, or was spoken on the port without it, or not on the one with it.
        Tls = "tls",
        /// The peer took no answers.
        Stalled = "stalled",
        /// The peer changed its codec configuration over and over.
        ConfigRate = "config_rate",
        /// The peer asked to publish or play over and over.
        Requests = "requests",
        /// A fault of the program.
        Internal = "internal",
    }
}

reasons! {
    /// Why a play request was refused.
    PlayRefused {
        /// Nothing is live under that name, and nothing came in time.
        NotFound = "not_found",
        /// The name cannot be one.
        Name = "name",
        /// The policy does not allow it.
        Denied = "denied",
        /// The hook's program said no.
        Hook = "hook",
        /// The hook's program gave no answer, or none that makes sense.
        HookFailed = "hook_failed",
        /// The player says that it cannot take the stream's codecs.
        Codec = "codec",
    }
}

reasons! {
    /// Why a viewer of live frames was let go; those who left by themselves are not counted.
    ViewerClosed {
        /// The stream ended.
        Ended = "ended",
        /// It was behind for too long, skips notwithstanding.
        Slow = "slow",
        /// It took nothing for too long.
        Stalled = "stalled",
        /// The codecs changed to what it cannot take.
        Codec = "codec",
    }
}

/// How a viewer gets live frames: the label `protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// RTMP.
    Rtmp,
    /// FLV over HTTP.
    Flv,
    /// FLV over `WebSocket`.
    WsFlv,
    /// MPEG-TS over SRT.
    Srt,
}

impl Protocol {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Rtmp, Self::Flv, Self::WsFlv, Self::Srt];

    /// The word in the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Flv => "flv",
            Self::WsFlv => "ws_flv",
            Self::Srt => "srt",
        }
    }
}

impl EncodeLabelSet for Protocol {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("protocol", self.as_str())].encode(encoder)
    }
}

/// Why another input of a stream was taken, as the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SwitchReason(pub Reason);

impl SwitchReason {
    /// All of them.
    pub(crate) const ALL: [Self; Reason::ALL.len()] = {
        let mut all = [Self(Reason::Begin); Reason::ALL.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = Self(Reason::ALL[i]);
            i += 1;
        }
        all
    };
}

impl EncodeLabelSet for SwitchReason {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("reason", self.0.as_str())].encode(encoder)
    }
}

/// What a datum is written in: the label `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DatumLabel(pub DatumKind);

impl DatumLabel {
    /// All of them.
    pub const ALL: &[Self] = &[Self(DatumKind::Scte35), Self(DatumKind::Id3)];
}

impl EncodeLabelSet for DatumLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("kind", self.0.as_str())].encode(encoder)
    }
}

reasons! {
    /// Why a publish request was refused.
    Refused {
        /// The key opens nothing.
        Key = "key",
        /// The name cannot be one.
        Name = "name",
        /// The signature of a signed URL is wrong.
        Signature = "signature",
        /// A signed URL's time is over.
        Expired = "expired",
        /// The address may not publish it.
        Address = "address",
        /// The hook's program said no.
        Hook = "hook",
        /// The hook's program gave no answer, or none that makes sense.
        HookFailed = "hook_failed",
        /// Nobody may publish here.
        Denied = "denied",
        /// The workers are full, or stop.
        Busy = "busy",
        /// The store cannot begin a broadcast.
        Store = "store",
        /// The address was refused too often lately; its connection was closed unheard.
        Rate = "rate",
    }
}

reasons! {
    /// Why a connection to another server failed.
    RemoteFailure {
        /// It cannot be reached.
        Connect = "connect",
        /// It closed the connection, or the network did.
        Closed = "closed",
        /// It breaks the protocol, or is too slow.
        Protocol = "protocol",
        /// It refused.
        Refused = "refused",
        /// It sends us elsewhere over and over, or where we do not go.
        Redirects = "redirects",
        /// It takes nothing.
        Stalled = "stalled",
        /// It sends no media.
        Silent = "silent",
        /// What it sends is of no use.
        Media = "media",
        /// The stream is over there.
        Ended = "ended",
        /// A reason on our side.
        Local = "local",
    }
}

reasons! {
    /// What happened to a stream.
    Happened {
        /// Video came without a keyframe for long.
        NoKeyframe = "no_keyframe",
        /// A segment starts without a keyframe.
        ForcedCut = "forced_cut",
        /// The publisher's clock stepped.
        TimestampStep = "timestamp_step",
        /// A track goes on with another configuration.
        ConfigChanged = "config_changed",
        /// A track joined late.
        LateTrack = "late_track",
        /// Video stopped while audio goes on.
        VideoStalled = "video_stalled",
        /// Audio is missing.
        AudioGap = "audio_gap",
        /// A configuration is out of range.
        ConfigRefused = "config_refused",
        /// The log took something not.
        StoreRefused = "store_refused",
        /// A message that the connection survives was malformed.
        Fault = "fault",
        /// Anything else; the log says what.
        Other = "other",
    }
}
