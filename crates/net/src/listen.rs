//! One port for all workers, and for no other program.
//!
//! Each worker has a listening socket of its own, and `SO_REUSEPORT` lets the kernel spread
//! connections over them. The same option would let a second weir of the same user join the
//! group and take a share of the connections. So the first socket is bound *and listens*
//! without it, which fails if anybody else listens there; only then is it opened to the
//! group. It stays the first worker's socket, so that there is no gap in which another
//! program could take the port, or in which a connection would be lost. A second weir that
//! starts at the same time fails in `bind` or in `listen`, as its first socket too is without
//! the option.
//!
//! Linux adds a socket that listens already to the group when the second one joins; the tests
//! below show that it gets its share.

use crate::error::Error;
use crate::limits::{BACKLOG, BUSY_PORT_PAUSE, BUSY_PORT_WAIT_MAX, LISTENERS_MAX};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// Opens `count` listening sockets on `address`, one per worker. Port 0 takes one that is
/// free, the same for all; [`TcpListener::local_addr`] tells which.
///
/// `[::]` takes IPv4 too, and becomes `0.0.0.0` on a machine without IPv6. A busy port is
/// asked again for [`BUSY_PORT_WAIT_MAX`], during which the calling thread sleeps. `flag` is
/// the command line's name of the address, for the message.
///
/// # Errors
/// [`Error`]; nothing is left open.
pub fn bind(
    address: SocketAddr,
    count: usize,
    flag: &'static str,
) -> Result<Vec<TcpListener>, Error> {
    bind_within(address, count, flag, BUSY_PORT_WAIT_MAX)
}

fn bind_within(
    address: SocketAddr,
    count: usize,
    flag: &'static str,
    wait_max: Duration,
) -> Result<Vec<TcpListener>, Error> {
    patiently(address, count, flag, wait_max, open_all)
}

/// Opens `count` sockets with `open`, and again while the port is busy.
pub(crate) fn patiently<S>(
    address: SocketAddr,
    count: usize,
    flag: &'static str,
    wait_max: Duration,
    open: impl Fn(SocketAddr, usize) -> io::Result<Vec<S>>,
) -> Result<Vec<S>, Error> {
    if !(1..=LISTENERS_MAX).contains(&count) {
        return Err(Error::ListenerCount(count));
    }
    let deadline = Instant::now() + wait_max;
    loop {
        let result = match open(address, count) {
            Err(error) if is_without_ipv6(&error, address) => {
                open((Ipv4Addr::UNSPECIFIED, address.port()).into(), count)
            }
            result => result,
        };
        let error = match result {
            Ok(listeners) => return Ok(listeners),
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::AddrInUse if Instant::now() < deadline => {
                std::thread::sleep(BUSY_PORT_PAUSE);
            }
            io::ErrorKind::AddrInUse => return Err(Error::PortInUse { address, flag }),
            io::ErrorKind::PermissionDenied => {
                return Err(Error::PortNotAllowed { address, flag });
            }
            io::ErrorKind::AddrNotAvailable => {
                return Err(Error::NoSuchAddress { address, flag });
            }
            _ => {
                return Err(Error::Io {
                    address,
                    flag,
                    error,
                });
            }
        }
    }
}

fn open_all(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let first = socket(address)?;
    first.bind(&address.into())?;
    first.listen(BACKLOG)?;
    // The port is ours from here on: others' first sockets are without the option.
    first.set_reuse_port(true)?;
    let first = TcpListener::from(first);
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..count {
        let socket = socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        listeners.push(socket.into());
    }
    Ok(listeners)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier run may still be in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

/// Whether `error` on `address` means that the machine has no IPv6: no such sockets, or none
/// of its addresses.
fn is_without_ipv6(error: &io::Error, address: SocketAddr) -> bool {
    let is_any = address.is_ipv6() && address.ip().is_unspecified();
    is_any
        && (error.raw_os_error() == Some(libc::EAFNOSUPPORT)
            || error.kind() == io::ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    const LOOPBACK: &str = "127.0.0.1:0";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// As [`bind`], without waiting for a busy port.
    fn bind_now(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, Error> {
        bind_within(address, count, "http", Duration::ZERO)
    }

    fn accepted(listeners: &[TcpListener]) -> Vec<usize> {
        listeners
            .iter()
            .map(|listener| {
                listener.set_nonblocking(true).unwrap();
                std::iter::from_fn(|| listener.accept().ok()).count()
            })
            .collect()
    }

    #[test]
    fn all_listeners_share_a_free_port_and_its_connections() {
        let listeners = bind(at(LOOPBACK), 4, "http").unwrap();
        let address = listeners[0].local_addr().unwrap();
        assert_ne!(address.port(), 0);
        assert!(listeners.iter().all(|l| l.local_addr().unwrap() == address));

        let clients: Vec<_> = (0..256)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let shares = accepted(&listeners);
        assert_eq!(shares.iter().sum::<usize>(), clients.len());
        // By chance a share is empty once in 10^31 runs: the first socket, which joined the
        // group late, takes part.
        assert!(shares.iter().all(|&share| share > 0), "{shares:?}");
    }

    #[test]
    fn a_second_program_is_refused_and_the_first_keeps_all() {
        let listeners = bind(at(LOOPBACK), 2, "http").unwrap();
        let address = listeners[0].local_addr().unwrap();
        let error = bind_now(address, 2).unwrap_err();
        assert!(matches!(error, Error::PortInUse { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("--http"), "{message}");
        assert!(message.contains(&address.to_string()), "{message}");

        // The attempt took no connection from the listeners that are there.
        let clients: Vec<_> = (0..32)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        assert_eq!(accepted(&listeners).iter().sum::<usize>(), clients.len());
    }

    #[test]
    fn of_many_at_once_exactly_one_gets_the_port() {
        // On an address of its own, so that no other test can be given the port meanwhile.
        let free = TcpListener::bind("127.7.7.7:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let barrier = std::sync::Barrier::new(8);
        for _ in 0..20 {
            let winners = std::thread::scope(|scope| {
                let attempt = || {
                    barrier.wait();
                    let got = bind_now(address, 2);
                    // Nobody lets go before all have tried.
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
    fn a_port_released_in_time_is_taken() {
        let old = bind(at("127.7.7.8:0"), 1, "http").unwrap();
        let address = old[0].local_addr().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn(move || {
            tell.send(()).unwrap();
            bind_within(address, 1, "http", Duration::from_secs(60)).is_ok()
        });
        told.recv().unwrap();
        std::thread::sleep(2 * BUSY_PORT_PAUSE);
        drop(old);
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn the_port_is_free_again_after_connections() {
        let listeners = bind(at("127.7.7.9:0"), 1, "http").unwrap();
        let address = listeners[0].local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listeners[0].accept().unwrap();
        // Whoever closes first is left in TIME_WAIT: the server's side, on its port.
        drop((server, client, listeners));
        assert!(bind_now(address, 1).is_ok());
    }

    #[test]
    fn the_ipv6_wildcard_takes_ipv4() {
        let listeners = bind(at("[::]:0"), 2, "http").unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        let clients: Vec<_> = (0..64)
            .map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap())
            .collect();
        let shares = accepted(&listeners);
        assert_eq!(shares.iter().sum::<usize>(), clients.len());
        // By chance one is empty once in 2^63 runs.
        assert!(shares.iter().all(|&share| share > 0), "{shares:?}");
        // And so nobody else may have the port of either family.
        assert!(bind_now((Ipv4Addr::UNSPECIFIED, port).into(), 1).is_err());
    }

    #[test]
    fn names_what_is_wrong() {
        assert!(matches!(
            bind(at(LOOPBACK), 0, "http"),
            Err(Error::ListenerCount(0))
        ));
        // TEST-NET-1 (RFC 5737) is nobody's.
        let error = bind(at("192.0.2.1:0"), 1, "rtmp").unwrap_err();
        assert!(matches!(error, Error::NoSuchAddress { .. }), "{error}");
        assert!(error.to_string().contains("--rtmp"));
    }

    #[test]
    fn only_the_ipv6_wildcard_falls_back() {
        let missing = io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
        assert!(is_without_ipv6(&missing, at("[::]:80")));
        assert!(!is_without_ipv6(&missing, at("[::1]:80")));
        assert!(!is_without_ipv6(&missing, at("0.0.0.0:80")));
        let in_use = io::Error::from_raw_os_error(libc::EADDRINUSE);
        assert!(!is_without_ipv6(&in_use, at("[::]:80")));
    }
}
