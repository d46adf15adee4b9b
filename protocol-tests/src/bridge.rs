//! A plain port before a TLS one: OpenSSL's client in between, for clients of ours that know no
//! TLS.

use crate::tools;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// The address of a port that passes what comes on to `to` under TLS, and back. Certificates are
/// not checked. It serves until the test ends.
///
/// # Panics
/// If no port is free.
pub fn bridge(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || pass(&stream, to));
        }
    });
    at
}

fn pass(stream: &TcpStream, to: SocketAddr) {
    let mut openssl: Command = tools::program("openssl");
    openssl.args(["s_client", "-quiet", "-verify_quiet"]);
    // A line that begins with Q would end it.
    openssl.args(["-no_ign_eof", "-nocommands"]);
    openssl.arg("-connect").arg(to.to_string());
    openssl.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = openssl.stderr(Stdio::null()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            copy(&mut output, &mut &*stream);
            let _ = stream.shutdown(Shutdown::Both);
        });
        copy(&mut &*stream, &mut input);
        drop(input);
    });
    let _ = child.wait();
}

fn copy(from: &mut impl Read, to: &mut impl Write) {
    let mut bytes = [0; 65_536];
    while let Ok(n) = from.read(&mut bytes) {
        if n == 0 || to.write_all(&bytes[..n]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}
