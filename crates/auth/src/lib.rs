//! Who may publish: keys, the policy that holds them, and the secrets of a first start.
//!
//! A [`Policy`] is an immutable snapshot. The control plane makes a new one when something
//! changes and swaps it in; workers ask it without waiting for anybody. Only [`secrets`]
//! touches files and randomness.
//!
//! Not covered: signed watch tokens, and slowing down who guesses (`weir-net` limits that).
//!
//! | looking for | module |
//! |---|---|
//! | may this publish, and as which stream | [`policy`] |
//! | how keys are kept and compared | [`key`] |
//! | signed push URLs | [`sign`] |
//! | which addresses may | [`access`] |
//! | asking somebody else's program | [`hook`] |
//! | `secrets/` in the data directory | [`secrets`] |
#![forbid(unsafe_code)]

pub mod access;
pub mod error;
pub mod hook;
pub mod key;
pub mod limits;
pub mod policy;
pub mod secrets;
pub mod sign;

pub use access::Access;
pub use error::{Error, Refusal};
pub use key::{KeyHash, Secret};
pub use policy::{Grant, GrantedBy, Input, Policy, StreamRequest};
pub use secrets::Secrets;
