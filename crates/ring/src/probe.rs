//! Whether this kernel offers what the ring needs.

use io_uring::{IoUring, Probe, opcode};

use crate::error::Unavailable;
use crate::queue;

/// What [`probe`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Support {
    /// The kernel's release, as `uname -r` has it.
    pub kernel: String,
}

/// Checks, with a small ring that is closed again, that a [`crate::Runtime`] can be made.
///
/// # Errors
/// [`Unavailable`], whose text says what is wrong and what to change.
pub fn probe() -> Result<Support, Unavailable> {
    let ring = queue::build(8, 16)?;
    check_operations(&ring)?;
    Ok(Support {
        kernel: kernel_release(),
    })
}

/// Operations by code, name, and the first Linux version that has them. That multishot accept
/// (5.19) and receive (6.0, of messages too) and cancellation by flags (5.19) are there follows from the ring's
/// setup with
/// `DEFER_TASKRUN` (6.1); they cannot be asked for.
const OPERATIONS: [(u8, &str, &str); 12] = [
    (opcode::Writev::CODE, "WRITEV", "5.1"),
    (opcode::Fsync::CODE, "FSYNC", "5.1"),
    (opcode::PollAdd::CODE, "POLL_ADD", "5.1"),
    (opcode::SendMsg::CODE, "SENDMSG", "5.3"),
    (opcode::RecvMsg::CODE, "RECVMSG", "5.3"),
    (opcode::Accept::CODE, "ACCEPT", "5.5"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL", "5.5"),
    (opcode::Connect::CODE, "CONNECT", "5.5"),
    (opcode::Read::CODE, "READ", "5.6"),
    (opcode::Write::CODE, "WRITE", "5.6"),
    (opcode::Send::CODE, "SEND", "5.6"),
    (opcode::Recv::CODE, "RECV", "5.6"),
];

pub(crate) fn check_operations(ring: &IoUring) -> Result<(), Unavailable> {
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(|e| Unavailable::from_os("IORING_REGISTER_PROBE", e))?;
    match OPERATIONS
        .iter()
        .find(|(code, ..)| !probe.is_supported(*code))
    {
        Some(&(_, name, since)) => Err(Unavailable::MissingOperation { name, since }),
        None => Ok(()),
    }
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_all_operations() {
        assert!(!probe().unwrap().kernel.is_empty());
    }
}
