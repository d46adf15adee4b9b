//! The packet filter `fec`: parity packets that rebuild lost ones without asking.
//!
//! Packets are laid out in rows of `cols`, and columns of `rows`; each row and each column has
//! a parity packet, whose message number is 0 and whose payload is:
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Group Index  | Flags Recovery|        Length Recovery        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                        Payload Recovery                       |
//! ```
//!
//! The index is that of the column, or 255 for a row; the timestamp is in the header. Columns
//! of the layout `even` all begin in the same row; in a `staircase` each begins one row below
//! the one before, so that their parity packets do not come all at once. The format is not in
//! the draft: it is libsrt's.

mod group;
mod receive;
mod send;
mod spec;

pub(crate) use receive::FilterReceiver;
pub(crate) use send::FilterSender;
pub use spec::{ArqMode, Fec, FilterSpec, Layout};

/// Bytes before the payload recovery.
pub(crate) const FEC_HEADER_BYTES: usize = 4;
/// Group index of a row.
const ROW_INDEX: u8 = 0xff;
