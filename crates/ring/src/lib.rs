//! weir's own single-threaded `io_uring` executor: one [`Runtime`] per pinned worker thread.
//!
//! It knows no protocol. It wraps only the operations weir uses: multishot accept and receive with
//! a shared provided-buffer ring, gather sends, `sendfile(2)` with the ring waiting for
//! writability, UDP with multishot receive, GRO and GSO, positioned file reads, writes and data syncs, timers, and bounded channels between
//! threads. Left out on purpose, as measured slower or unsafe: `SPLICE`, linked sends, zero-copy
//! sends, fixed files, SQPOLL, and a second I/O backend.
//!
//! # Kernel
//! Linux 6.1 (`DEFER_TASKRUN`) is the floor. It is stated from the kernel's history; what runs the
//! tests is 6.18. [`probe`] tells what is missing and what to change.
//!
//! # Rules that hold everywhere
//! - Memory of an operation in flight belongs to the ring's slab until its completion arrives, also
//!   when the future that started it is dropped.
//! - A socket never has two sends in flight. A send future dropped midway breaks the stream.
//! - A thread that blocks elsewhere freezes its ring (`DEFER_TASKRUN`), so nothing here blocks.
//! - A full submission queue is submitted and retried, never reported.
//!
//! # Example
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use weir_ring::{Config, Runtime, net::TcpListener};
//! let mut runtime = Runtime::new(Config::default())?;
//! runtime.block_on(async {
//!     let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//!     let address = listener.local_addr()?;
//!     let mut listener = TcpListener::from_std(listener)?;
//!     weir_ring::spawn(async move {
//!         if let Ok((mut stream, _peer)) = listener.accept().await {
//!             let _ = stream.send("hello".into()).await;
//!             stream.close().await;
//!         }
//!     });
//!     let mut client = weir_ring::net::TcpStream::connect(address).await?;
//!     assert_eq!(&*client.recv().await?.expect("greeting"), b"hello");
//!     assert!(client.recv().await?.is_none());
//!     Ok(())
//! })
//! # }
//! ```

mod buffers;
mod channel;
mod config;
mod driver;
mod error;
mod executor;
pub mod fs;
mod future;
pub mod limits;
mod local;
pub mod net;
mod op;
mod probe;
mod queue;
mod runtime;
mod slab;
mod stats;
mod sync;
mod time;
mod wake;

pub use buffers::RecvBuf;
pub use channel::{Receiver, Sender, TrySendError, channel};
pub use config::Config;
pub use error::Unavailable;
pub use executor::{TaskHandle, spawn};
pub use future::{Either, select, yield_now};
pub use probe::{Support, probe};
pub use runtime::Runtime;
pub use stats::{Stats, stats};
pub use sync::{Notified, Notify, Permit, Permits};
pub use time::{Alarm, Elapsed, Sleep, now, sleep, sleep_until, timeout};
