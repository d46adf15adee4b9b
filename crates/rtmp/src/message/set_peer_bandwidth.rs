//! Set Peer Bandwidth, §5.4.5.

use crate::error::Fault;
use nom::number::complete::{be_u8, be_u32};
use nom::{IResult, Parser};

/// How a new window relates to the one in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitType {
    /// Use it.
    Hard,
    /// Use it if it is smaller.
    Soft,
    /// As `Hard` if the last one was hard, else ignore it.
    Dynamic,
}

/// The sender asks the receiver to limit its output to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetPeerBandwidth {
    /// Bytes that may be sent and not acknowledged.
    pub window: u32,
    /// How to apply it.
    pub limit_type: LimitType,
}

impl SetPeerBandwidth {
    /// Reads the body.
    ///
    /// # Errors
    /// A wrong length or an unknown limit type.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        const NAME: &str = "Set Peer Bandwidth";
        let fields: IResult<_, _> = (be_u32, be_u8).parse(body);
        let (rest, (window, limit_type)) = fields.map_err(|_| Fault::Truncated(NAME))?;
        if !rest.is_empty() {
            return Err(Fault::Trailing(NAME));
        }
        let limit_type = match limit_type {
            0 => LimitType::Hard,
            1 => LimitType::Soft,
            2 => LimitType::Dynamic,
            other => return Err(Fault::LimitType(other)),
        };
        Ok(Self { window, limit_type })
    }

    /// The body.
    #[must_use]
    pub fn encode(self) -> [u8; 5] {
        let [a, b, c, d] = self.window.to_be_bytes();
        let limit_type = match self.limit_type {
            LimitType::Hard => 0,
            LimitType::Soft => 1,
            LimitType::Dynamic => 2,
        };
        [a, b, c, d, limit_type]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let m = SetPeerBandwidth {
            window: 5_000_000,
            limit_type: LimitType::Dynamic,
        };
        assert_eq!(SetPeerBandwidth::parse(&m.encode()), Ok(m));
        assert_eq!(
            SetPeerBandwidth::parse(&[0, 0, 0, 1, 3]),
            Err(Fault::LimitType(3))
        );
        assert!(SetPeerBandwidth::parse(&[0; 4]).is_err());
        assert!(SetPeerBandwidth::parse(&[0; 6]).is_err());
    }
}
