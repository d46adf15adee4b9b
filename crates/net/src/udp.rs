//! UDP sockets: one port for all workers, and multicast groups.
//!
//! As with listening sockets, the first socket of a port is bound without `SO_REUSEPORT`, so that a
//! second weir is refused; the workers' other sockets then join it. Which socket gets a datagram is
//! decided by a classic BPF program ([`Steering`]): connections of protocols like SRT, where each
//! datagram names its connection, stay with their worker even when the peer's address changes hands,
//! and a worker can take over what another one accepted.

use crate::error::Error;
use crate::limits::{BUSY_PORT_WAIT_MAX, UDP_RECEIVE_BYTES, UDP_SEND_BYTES};
use crate::listen::patiently;
use rustix::net::sockopt;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;
use weir_ring::net::{attach_reuseport_filter, join_multicast_source};

/// Where a datagram says whose it is: a 32-bit number in network order. It belongs to the socket
/// whose index is that number modulo the number of sockets. The number 0, or a datagram that is too
/// short, says nothing: then the flow's hash decides, which is the same for one peer's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steering {
    /// Bytes before the number.
    pub offset: u32,
}

/// Opens `count` UDP sockets on `address`, one per worker. Port 0 takes one that is free, the same
/// for all. `[::]` takes IPv4 too, and becomes `0.0.0.0` on a machine without IPv6. A busy port is
/// asked again for [`BUSY_PORT_WAIT_MAX`], during which the calling thread sleeps. `flag` is the
/// command line's name of the address, for the message.
///
/// # Errors
/// [`Error`]; nothing is left open.
pub fn bind(
    address: SocketAddr,
    count: usize,
    flag: &'static str,
    steering: Steering,
) -> Result<Vec<UdpSocket>, Error> {
    bind_within(address, count, flag, steering, BUSY_PORT_WAIT_MAX)
}

fn bind_within(
    address: SocketAddr,
    count: usize,
    flag: &'static str,
    steering: Steering,
    wait_max: Duration,
) -> Result<Vec<UdpSocket>, Error> {
    patiently(address, count, flag, wait_max, |address, count| {
        open_all(address, count, steering)
    })
}

fn open_all(address: SocketAddr, count: usize, steering: Steering) -> io::Result<Vec<UdpSocket>> {
    let first = socket(address)?;
    first.bind(&address.into())?;
    let mut sockets = vec![UdpSocket::from(first)];
    if count > 1 {
        let address = sockets[0].local_addr()?;
        // The port is ours: others' first sockets are without the option.
        Socket::set_reuse_port(&socket2::SockRef::from(&sockets[0]), true)?;
        for _ in 1..count {
            let socket = socket(address)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            sockets.push(socket.into());
        }
        attach_reuseport_filter(&sockets[0], &program(steering, count)?)?;
    }
    Ok(sockets)
}

/// A socket of weir's size.
fn socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    size(&socket);
    Ok(socket)
}

/// Sizes a socket's buffers, beyond what the system allows everybody if weir may.
fn size(socket: &Socket) {
    let fd = socket.as_fd();
    if sockopt::set_socket_recv_buffer_size_force(fd, UDP_RECEIVE_BYTES).is_err() {
        let _ = socket.set_recv_buffer_size(UDP_RECEIVE_BYTES);
    }
    if sockopt::set_socket_send_buffer_size_force(fd, UDP_SEND_BYTES).is_err() {
        let _ = socket.set_send_buffer_size(UDP_SEND_BYTES);
    }
}

/// The classic BPF program of a [`Steering`] for `count` sockets.
fn program(steering: Steering, count: usize) -> io::Result<Vec<libc::sock_filter>> {
    let count = u32::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
    let end = steering.offset.saturating_add(4);
    // Names and numbers as in `linux/bpf_common.h`.
    let (load, word, absolute, length) = (0x00, 0x00, 0x20, 0x80);
    let (jump, at_least, equal) = (0x05, 0x30, 0x10);
    let (compute, modulo) = (0x04, 0x90);
    let (leave, accumulator) = (0x06, 0x10);
    let op = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    Ok(vec![
        op(load | word | length, 0, 0, 0),
        op(jump | at_least, 0, 4, end),
        op(load | word | absolute, 0, 0, steering.offset),
        op(jump | equal, 2, 0, 0),
        op(compute | modulo, 0, 0, count),
        op(leave | accumulator, 0, 0, 0),
        // No socket has this number.
        op(leave, 0, 0, u32::MAX),
    ])
}

/// A socket of any free port, for datagrams to and from `peer`.
///
/// # Errors
/// Those of socket(2) and bind(2).
pub fn outgoing(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let address = SocketAddr::new(any, 0);
    let socket = socket(address)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// What a socket that only receives listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// An address of this machine, any of them, or a multicast group; and the port.
    pub address: SocketAddr,
    /// Whose datagrams to the group are wanted; everybody's if there is none. Without a group it is
    /// for the caller to look at.
    pub source: Option<IpAddr>,
    /// The interface that joins the group; the system chooses if there is none.
    pub interface: Option<String>,
}

/// Opens a socket that receives, as a member of its multicast group if it has one. Several programs
/// may receive one group; a port of its own is nobody else's.
///
/// # Errors
/// [`Error`]; nothing is left open.
pub fn listen(to: &Listening) -> Result<UdpSocket, Error> {
    listen_within(to, Duration::ZERO)
}

fn listen_within(to: &Listening, wait_max: Duration) -> Result<UdpSocket, Error> {
    let interface = match &to.interface {
        None => 0,
        Some(name) => {
            let any = Socket::new(Domain::IPV4, Type::DGRAM, None).map_err(|error| Error::Io {
                address: to.address,
                flag: "udp",
                error,
            })?;
            let index = rustix::net::netdevice::name_to_index(&any, name);
            index.map_err(|_| Error::NoSuchInterface(name.clone()))?
        }
    };
    let open = |mut address: SocketAddr, _| {
        if let SocketAddr::V6(address) = &mut address
            && address.ip().is_multicast()
        {
            // A group of one link is not known without it.
            address.set_scope_id(interface);
        }
        let socket = socket(address)?;
        if address.ip().is_multicast() {
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            join(&socket, address.ip(), to.source, interface)?;
        } else {
            socket.bind(&address.into())?;
        }
        Ok(vec![UdpSocket::from(socket)])
    };
    let mut opened = patiently(to.address, 1, "udp", wait_max, open)?;
    opened.pop().ok_or(Error::ListenerCount(0))
}

fn join(socket: &Socket, group: IpAddr, source: Option<IpAddr>, interface: u32) -> io::Result<()> {
    match group {
        // Without this a socket hears what any other program of this machine joined.
        IpAddr::V4(_) => socket.set_multicast_all_v4(false)?,
        IpAddr::V6(_) => socket.set_multicast_all_v6(false)?,
    }
    match (group, source) {
        (_, Some(source)) => join_multicast_source(socket, group, source, interface),
        (IpAddr::V4(group), None) => {
            let interface = InterfaceIndexOrAddress::Index(interface);
            socket.join_multicast_v4_n(&group, &interface)
        }
        (IpAddr::V6(group), None) => socket.join_multicast_v6(&group, interface),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEERING: Steering = Steering { offset: 12 };

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn datagram(id: u32) -> [u8; 20] {
        let mut bytes = [0xee; 20];
        bytes[12..16].copy_from_slice(&id.to_be_bytes());
        bytes
    }

    /// What each socket got, as the number in its datagram.
    fn received(sockets: &[UdpSocket]) -> Vec<Vec<u32>> {
        let each = sockets.iter().map(|socket| {
            socket.set_nonblocking(true).unwrap();
            let mut buffer = [0; 100];
            let next = || {
                let len = socket.recv(&mut buffer).ok()?;
                let id = buffer[..len].get(12..16);
                Some(id.map_or(0, |id| u32::from_be_bytes(id.try_into().unwrap())))
            };
            std::iter::from_fn(next).collect()
        });
        each.collect()
    }

    #[test]
    fn datagrams_go_to_the_socket_that_they_name() {
        for count in [1, 2, 3, 8] {
            let sockets = bind(at("127.0.0.1:0"), count, "srt", STEERING).unwrap();
            let address = sockets[0].local_addr().unwrap();
            assert!(sockets.iter().all(|s| s.local_addr().unwrap() == address));
            let ids: Vec<u32> = (1..100).chain([u32::MAX, 0x3fff_ffff, 1 << 31]).collect();
            for &id in &ids {
                let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
                peer.send_to(&datagram(id), address).unwrap();
            }
            let received = received(&sockets);
            for (index, got) in received.iter().enumerate() {
                let mine = ids.iter().filter(|&&id| id as usize % count == index);
                assert!(got.iter().eq(mine), "{count} sockets, {index}: {got:?}");
            }
        }
    }

    #[test]
    fn what_names_nobody_is_spread_by_address_and_stays_with_its_socket() {
        let sockets = bind(at("127.0.0.1:0"), 4, "srt", STEERING).unwrap();
        let address = sockets[0].local_addr().unwrap();
        let peers: Vec<_> = (0..64)
            .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        let mut before: Option<Vec<usize>> = None;
        for short in [false, true, false] {
            for peer in &peers {
                let whole = datagram(0);
                let bytes: &[u8] = if short { &whole[..15] } else { &whole };
                peer.send_to(bytes, address).unwrap();
            }
            let shares: Vec<_> = received(&sockets).iter().map(Vec::len).collect();
            assert_eq!(shares.iter().sum::<usize>(), 64);
            // By chance one is empty once in 25 million runs.
            assert!(shares.iter().all(|&share| share > 0), "{shares:?}");
            assert_eq!(*before.get_or_insert(shares.clone()), shares);
        }
    }

    #[test]
    fn a_second_program_is_refused() {
        let sockets = bind(at("127.0.0.1:0"), 2, "srt", STEERING).unwrap();
        let address = sockets[0].local_addr().unwrap();
        let error = bind_within(address, 2, "srt", STEERING, Duration::ZERO).unwrap_err();
        assert!(matches!(error, Error::PortInUse { .. }), "{error}");
        assert!(error.to_string().contains("--srt"));
        let listening = Listening {
            address,
            source: None,
            interface: None,
        };
        let error = listen(&listening).unwrap_err();
        assert!(matches!(error, Error::PortInUse { .. }), "{error}");
        for id in 1..9 {
            let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
            peer.send_to(&datagram(id), address).unwrap();
        }
        assert_eq!(received(&sockets).concat().len(), 8);
    }

    #[test]
    fn of_many_at_once_exactly_one_gets_the_port() {
        // On an address of its own, so that no other test can be given the port meanwhile.
        let free = UdpSocket::bind("127.7.7.10:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let barrier = std::sync::Barrier::new(8);
        for _ in 0..20 {
            let winners = std::thread::scope(|scope| {
                let attempt = || {
                    barrier.wait();
                    let got = bind_within(address, 2, "srt", STEERING, Duration::ZERO);
                    barrier.wait();
                    got.is_ok()
                };
                let attempts: Vec<_> = (0..8).map(|_| scope.spawn(attempt)).collect();
                let got = attempts.into_iter().map(|a| a.join().unwrap());
                got.filter(|&got| got).count()
            });
            assert_eq!(winners, 1);
        }
    }

    #[test]
    fn groups_are_heard_from_whom_they_are_wanted() {
        let group: Ipv4Addr = "239.255.77.1".parse().unwrap();
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        let listening = |source: Option<&str>| Listening {
            address: (group, port).into(),
            source: source.map(|s| s.parse().unwrap()),
            interface: Some("lo".into()),
        };
        // Several programs may receive a group.
        let any = listen(&listening(None)).unwrap();
        let ours = listen(&listening(Some("127.0.0.1"))).unwrap();
        let others = listen(&listening(Some("127.0.0.9"))).unwrap();
        let sender = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        sender.bind(&at("127.0.0.1:0").into()).unwrap();
        sender.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        let to = SocketAddr::from((group, port));
        for id in 1..4 {
            sender.send_to(&datagram(id), &to.into()).unwrap();
        }
        let received = received(&[any, ours, others]);
        assert_eq!(received, [vec![1, 2, 3], vec![1, 2, 3], vec![]]);
    }

    #[test]
    fn groups_of_ipv6_are_heard() {
        let group = at("[ff11::77:1]:0").ip();
        let free = UdpSocket::bind("[::1]:0").unwrap();
        let port = free.local_addr().unwrap().port();
        let listening = |source: Option<&str>| Listening {
            address: (group, port).into(),
            source: source.map(|s| s.parse().unwrap()),
            interface: Some("lo".into()),
        };
        let any = listen(&listening(None)).unwrap();
        let ours = listen(&listening(Some("::1"))).unwrap();
        let others = listen(&listening(Some("::9"))).unwrap();
        let sender = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        sender.bind(&at("[::1]:0").into()).unwrap();
        let index = rustix::net::netdevice::name_to_index(&sender, "lo").unwrap();
        sender.set_multicast_if_v6(index).unwrap();
        let to = SocketAddr::from((group, port));
        // The loopback device has no way for IPv6 groups on most machines: then it was joined, and
        // there is nothing to hear.
        let sent = sender.send_to(&datagram(7), &to.into());
        let heard = received(&[any, ours, others]);
        match sent {
            Ok(_) => assert_eq!(heard, [vec![7], vec![7], vec![]]),
            Err(e) => assert_eq!(e.kind(), io::ErrorKind::NetworkUnreachable),
        }
    }

    #[test]
    fn names_what_is_wrong() {
        let listening = |address: &str, interface: Option<&str>| Listening {
            address: at(address),
            source: None,
            interface: interface.map(Into::into),
        };
        let error = listen(&listening("239.1.1.1:5000", Some("no-such0"))).unwrap_err();
        assert!(error.to_string().contains("no-such0"), "{error}");
        // TEST-NET-1 (RFC 5737) is nobody's.
        let error = listen(&listening("192.0.2.1:0", None)).unwrap_err();
        assert!(matches!(error, Error::NoSuchAddress { .. }), "{error}");
        assert!(bind(at("127.0.0.1:0"), 0, "srt", STEERING).is_err());
    }
}
