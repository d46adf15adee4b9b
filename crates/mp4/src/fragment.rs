//! Fragments: the head of a chunk (`moof` and the header of `mdat`), written and read back.
//!
//! ```text
//! moof
//! ├─ mfhd                 sequence_number
//! └─ traf
//!    ├─ tfhd              default-base-is-moof; what all samples share
//!    ├─ tfdt              decoding time of the first sample, 64 bits
//!    └─ trun              what differs per sample; signed composition offsets
//! mdat                    header only: the payload follows by reference
//! ```

mod read;
mod write;

pub use read::{Fragment, Parsed, parse_fragment};
pub use write::fragment_head;
