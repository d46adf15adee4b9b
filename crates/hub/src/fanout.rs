//! Live fan-out: the frames of a stream, muxed once and shared by all its viewers.
//!
//! ```text
//!            owner of the stream                         any worker
//! Output::Frame ─► Muxer ─► Arc<Piece> ─┬─► Window ─► Cursor of each viewer ─► socket
//!                                       └─► queue ─► Window of another worker ─► …
//! ```
//!
//! A [`Piece`] is a run of messages in the order of their arrival: what was merged into one
//! send. It is immutable, and holds its bytes as RTMP chunks and as FLV tags, each made when the
//! first viewer asks for it: the bytes are the same for all of them. A [`Window`] keeps the
//! pieces since the last random access point (the GOP cache), and while there are viewers some
//! seconds more for those that lag; a [`Cursor`] is a viewer's place in it.
//!
//! Times are milliseconds of the stream's timeline, which goes on over reconnects and jumps of
//! the publisher's clock, and starts near 0 with the broadcast.

mod muxer;
mod piece;
mod setup;
mod window;

pub use muxer::{FanoutConfig, Muxer};
pub use piece::{Format, MESSAGE_STREAM, Piece};
pub use setup::Setup;
pub use window::{Cursor, Part, Read, Start, Window};
