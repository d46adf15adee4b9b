//! Why a runtime could not be made, in words an operator can act on.

use std::fmt;
use std::io;

/// Why `io_uring` cannot be used as weir needs it. The text says what is wrong and what to change.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unavailable {
    /// The kernel has no `io_uring`, or one older than 6.1 (`ENOSYS`, or `EINVAL` for a setup
    /// flag).
    KernelTooOld {
        /// What the kernel was asked for.
        call: &'static str,
    },
    /// `io_uring` is switched off or filtered (`EPERM`, `EACCES`).
    Forbidden {
        /// The value of the sysctl `kernel.io_uring_disabled`, where it could be read.
        disabled: Option<u8>,
    },
    /// Memory for the rings was refused (`ENOMEM`).
    NoMemory {
        /// What the kernel was asked for.
        call: &'static str,
    },
    /// The process or the machine has no free file descriptor (`EMFILE`, `ENFILE`).
    NoDescriptors,
    /// The kernel lacks an operation.
    MissingOperation {
        /// The operation, by its kernel name.
        name: &'static str,
        /// The first Linux version that has it.
        since: &'static str,
    },
    /// A setting is out of its range.
    BadConfig {
        /// The field of [`crate::Config`].
        field: &'static str,
    },
    /// The process already has [`crate::limits::RUNTIMES_MAX`] runtimes.
    TooManyRuntimes,
    /// The kernel gave another error.
    Other {
        /// What the kernel was asked for.
        call: &'static str,
        /// Its answer.
        source: io::Error,
    },
}

impl Unavailable {
    /// Reads the answer of a setup call.
    pub(crate) fn from_os(call: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::ENOSYS | libc::EINVAL) => Self::KernelTooOld { call },
            Some(libc::EPERM | libc::EACCES) => Self::Forbidden {
                disabled: disabled_sysctl(),
            },
            Some(libc::ENOMEM) => Self::NoMemory { call },
            Some(libc::EMFILE | libc::ENFILE) => Self::NoDescriptors,
            _ => Self::Other { call, source },
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KernelTooOld { call } => write!(
                f,
                "io_uring: this kernel does not know {call}; weir needs Linux 6.1 or newer with \
                 CONFIG_IO_URING: update the kernel (or a sandbox such as gVisor hides it: run \
                 weir outside of it)"
            ),
            Self::Forbidden {
                disabled: Some(value @ 1..),
            } => write!(
                f,
                "io_uring is forbidden: sysctl kernel.io_uring_disabled is {value}; set it to 0 \
                 (sysctl -w kernel.io_uring_disabled=0), or, where it is 1, run weir in the group \
                 of sysctl kernel.io_uring_group"
            ),
            Self::Forbidden { .. } => write!(
                f,
                "io_uring is forbidden: most likely the container's seccomp profile blocks it; \
                 allow io_uring_setup, io_uring_enter and io_uring_register (Docker: \
                 --security-opt seccomp=<profile>; Kubernetes: a Localhost seccompProfile), and \
                 check sysctl kernel.io_uring_disabled and the security module's policy"
            ),
            Self::NoMemory { call } => write!(
                f,
                "io_uring: no memory for {call}; raise the locked-memory limit (ulimit -l, \
                 LimitMEMLOCK= in the systemd unit) or the container's memory limit"
            ),
            Self::NoDescriptors => {
                write!(
                    f,
                    "io_uring: no free file descriptor; raise ulimit -n (LimitNOFILE=)"
                )
            }
            Self::MissingOperation { name, since } => write!(
                f,
                "io_uring: this kernel lacks the operation {name} (Linux {since}); weir needs \
                 Linux 6.1 or newer: update the kernel"
            ),
            Self::BadConfig { field } => {
                write!(
                    f,
                    "io_uring: the setting {field} of the ring is out of its range"
                )
            }
            Self::TooManyRuntimes => write!(f, "io_uring: too many runtimes in one process"),
            Self::Other { call, source } => write!(f, "io_uring: {call} failed: {source}"),
        }
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Other { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// `kernel.io_uring_disabled`: 0 allowed, 1 for a group only, 2 off (Linux 6.6; absent before).
fn disabled_sysctl() -> Option<u8> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// An `io::Error` from a negative completion result.
pub(crate) fn from_result(res: i32) -> io::Error {
    io::Error::from_raw_os_error(res.saturating_neg())
}

/// The answer to operations on objects whose runtime was dropped.
pub(crate) fn stopped() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "the ring of this object has stopped",
    )
}

/// The answer when a table of the runtime is full.
pub(crate) fn table_full(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(errno: i32) -> String {
        Unavailable::from_os("io_uring_setup", io::Error::from_raw_os_error(errno)).to_string()
    }

    #[test]
    fn each_errno_becomes_advice() {
        assert!(text(libc::ENOSYS).contains("Linux 6.1 or newer"));
        assert!(text(libc::EINVAL).contains("io_uring_setup"));
        assert!(text(libc::EPERM).contains("kernel.io_uring_disabled"));
        assert!(text(libc::EPERM).contains("seccomp"));
        assert!(text(libc::ENOMEM).contains("ulimit -l"));
        assert!(text(libc::EMFILE).contains("ulimit -n"));
        assert!(text(libc::EIO).contains("io_uring_setup failed"));
    }

    #[test]
    fn a_sysctl_that_forbids_is_named_with_its_value() {
        let text = Unavailable::Forbidden { disabled: Some(2) }.to_string();
        assert!(text.contains("kernel.io_uring_disabled is 2"), "{text}");
        assert!(text.contains("io_uring_group"), "{text}");
    }

    #[test]
    fn a_missing_operation_is_named_with_its_version() {
        let text = Unavailable::MissingOperation {
            name: "SEND",
            since: "5.6",
        }
        .to_string();
        assert!(text.contains("SEND (Linux 5.6)"), "{text}");
    }
}
