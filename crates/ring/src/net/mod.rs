//! TCP over the ring: listeners, streams, and idle streams that wait without a task; and UDP.

mod idle;
mod listener;
mod send;
mod state;
mod stream;
mod udp;
mod udp_options;
mod udp_send;

pub use idle::Readiness;
pub use listener::TcpListener;
pub use stream::{Detached, RecvHalf, SendHalf, TcpStream};
pub use udp::{Datagrams, UdpSocket};
pub use udp_options::{attach_reuseport_filter, join_multicast_source};

pub(crate) use idle::Wheel;
pub(crate) use listener::ListenerState;
pub(crate) use state::{Received, StreamState};
pub(crate) use udp::UdpTable;
pub(crate) use udp_send::Outgoing;
