//! TCP over the ring: listeners, streams, and idle streams that wait without a task.

mod idle;
mod listener;
mod send;
mod state;
mod stream;

pub use idle::Readiness;
pub use listener::TcpListener;
pub use stream::{Detached, RecvHalf, SendHalf, TcpStream};

pub(crate) use idle::Wheel;
pub(crate) use listener::ListenerState;
pub(crate) use state::{Received, StreamState};
