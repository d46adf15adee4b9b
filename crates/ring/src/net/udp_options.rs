//! Options of UDP sockets that the safe libraries do not have.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::SockAddr;

/// `SO_ATTACH_REUSEPORT_CBPF` (Linux 4.5).
const SO_ATTACH_REUSEPORT_CBPF: libc::c_int = 51;

/// Lets the kernel join datagrams of one sender (`UDP_GRO`, Linux 5.0).
pub(super) fn set_gro(socket: &impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: an `int` is what the option takes.
    unsafe { set(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, &on) }
}

/// Lets a classic BPF program choose, for each datagram, the socket of a `SO_REUSEPORT` group: it
/// sees the datagram from its UDP payload on, and answers with the number of a socket in the order
/// in which they were bound; with any other number the kernel chooses by the flow's hash.
///
/// # Errors
/// Those of setsockopt(2); `InvalidInput` for more instructions than it counts.
pub fn attach_reuseport_filter(
    socket: &impl AsFd,
    program: &[libc::sock_filter],
) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the option takes a `sock_fprog`, whose instructions the kernel copies and does not
    // write to.
    unsafe {
        set(
            socket.as_fd(),
            libc::SOL_SOCKET,
            SO_ATTACH_REUSEPORT_CBPF,
            &program,
        )
    }
}

/// Joins the multicast `group` for what `source` sends, both of one family (RFC 3678), on the
/// interface of that number; 0 lets the kernel choose.
///
/// # Errors
/// Those of setsockopt(2); `InvalidInput` for different families.
pub fn join_multicast_source(
    socket: &impl AsFd,
    group: IpAddr,
    source: IpAddr,
    interface: u32,
) -> io::Result<()> {
    let level = match (group, source) {
        (IpAddr::V4(_), IpAddr::V4(_)) => libc::IPPROTO_IP,
        (IpAddr::V6(_), IpAddr::V6(_)) => libc::IPPROTO_IPV6,
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    // SAFETY: the request is plain data for which all zeroes is valid.
    let mut request: libc::group_source_req = unsafe { std::mem::zeroed() };
    request.gsr_interface = interface;
    request.gsr_group = storage(group);
    request.gsr_source = storage(source);
    let option = libc::MCAST_JOIN_SOURCE_GROUP;
    // SAFETY: the request is what the option takes.
    unsafe { set(socket.as_fd(), level, option, &request) }
}

fn storage(ip: IpAddr) -> libc::sockaddr_storage {
    let address = SockAddr::from(SocketAddr::new(ip, 0));
    // SAFETY: the address stands at the beginning of a whole, initialised `sockaddr_storage`.
    unsafe { address.as_ptr().cast::<libc::sockaddr_storage>().read() }
}

/// setsockopt(2).
///
/// # Safety
/// `T` is plain data, and what the option takes.
unsafe fn set<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the value lives for the duration of the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
