//! Bonding: one stream over several connections, as the end that receives.
//!
//! A caller that bonds opens a connection per path and names the same group in each
//! (`GROUP` extension); the listener accepts them with a group of its own
//! ([`crate::Config::group`]). In broadcast mode every packet comes on every path, in main and
//! backup mode on one, and on the next when that fails; numbers and timestamps are the same on
//! all paths, so that one merge serves both. Bonding as the end that sends is not covered.

use crate::connection::Connection;
use crate::receiver::Message;
use crate::seq::Seq;
use weir_media::Mono;

/// How a group uses its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// All carry everything.
    Broadcast,
    /// The one of most weight that works carries everything.
    Backup,
}

impl GroupKind {
    /// From the type of a `GROUP` extension; `None` if it is unknown.
    #[must_use]
    pub const fn from_type(kind: u8) -> Option<Self> {
        match kind {
            1 => Some(Self::Broadcast),
            2 => Some(Self::Backup),
            _ => None,
        }
    }
}

/// Joins what the members of a group receive. The owner keeps the members, and passes all that
/// live to each call.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Number after the last message delivered.
    next: Option<Seq>,
    duplicates: u64,
}

impl Group {
    /// The next message whose time has come, from whichever member has it; each once, in
    /// order. Members' own [`Connection::recv`] must not be called besides.
    ///
    /// The first member sets the time for all: a message is due at the same time on every
    /// path, so that a path that is slower still fills gaps of a faster one.
    pub fn recv(&mut self, members: &mut [&mut Connection], now: Mono) -> Option<Message> {
        if let Some((first, others)) = members.split_first_mut() {
            for other in others {
                other.align_time(first);
            }
        }
        loop {
            let next = self.next;
            let due = members.iter_mut().filter_map(|member| {
                if let Some(next) = next {
                    member.skip_to(next);
                }
                let seq = member.due_seq(now)?;
                Some((seq, member))
            });
            let (seq, member) = due.reduce(|a, b| if b.0.is_before(a.0) { b } else { a })?;
            let mut message = member.recv(now)?;
            message.lost_before = match next {
                Some(next) if seq.is_before(next) => {
                    self.duplicates += 1;
                    continue;
                }
                Some(next) => u32::try_from(seq.since(next)).unwrap_or(0),
                None => message.lost_before,
            };
            self.next = Some(seq.plus(1));
            return Some(message);
        }
    }

    /// Messages that a member delivered after another had.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }
}
