//! What happens when a peer is slow or silent: by the argument `now`, without waiting.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Wire, client, drain_client, drain_server, handshake_bytes, publishing, server};
use std::time::Duration;
use weir_media::Mono;
use weir_rtmp::Fault;
use weir_rtmp::message::UserControl;
use weir_rtmp::session::client::Mode;
use weir_rtmp::session::server::ServerSession;

fn seconds(s: u64) -> Mono {
    Mono(0) + Duration::from_secs(s)
}

/// Obeys the session's own timeouts until `end`; the fault and when it came.
fn run_until(s: &mut ServerSession, end: Mono) -> (Option<(Fault, Mono)>, Vec<u8>) {
    let mut sent = Vec::new();
    loop {
        let drained = drain_server(s);
        sent.extend(drained.bytes);
        match drained.timeout {
            Some(at) if at <= end => {
                if let Err(error) = s.handle_timeout(at) {
                    return (Some((error.fault, at)), sent);
                }
            }
            _ => return (None, sent),
        }
    }
}

#[test]
fn half_a_handshake_lasts_ten_seconds() {
    let mut s = server();
    for second in 0..10 {
        // A byte each second does not help.
        let at = usize::try_from(second).unwrap();
        let byte = &handshake_bytes()[at..=at];
        s.handle_input(byte, seconds(second)).unwrap();
    }
    let (fault, _) = run_until(&mut s, seconds(60));
    assert_eq!(fault, Some((Fault::HandshakeTimeout, seconds(10))));
    let error = s.handle_input(&[0], seconds(11)).unwrap_err();
    assert_eq!((error.fault, error.offset), (Fault::Dead, 10));
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let mut s = server();
    s.handle_input(&handshake_bytes(), seconds(1)).unwrap();
    drain_server(&mut s);
    let (fault, sent) = run_until(&mut s, seconds(60));
    assert_eq!(fault, Some((Fault::IdleTimeout, seconds(11))));
    assert!(sent.ends_with(&UserControl::PingRequest(6000).encode()));
}

#[test]
fn a_peer_that_answers_pings_must_still_publish() {
    let mut s = server();
    let mut wire = Wire::new();
    s.handle_input(&handshake_bytes(), seconds(0)).unwrap();
    for second in 1..20 {
        let (fault, _) = run_until(&mut s, seconds(second));
        assert_eq!(fault, None);
        wire.message(2, 4, 0, 0, &UserControl::PingResponse(0).encode());
        s.handle_input(&wire.take(), seconds(second)).unwrap();
    }
    let (fault, _) = run_until(&mut s, seconds(60));
    assert_eq!(fault, Some((Fault::CommandTimeout, seconds(20))));
}

#[test]
fn first_media_comes_within_twenty_seconds() {
    for media in [false, true] {
        let (mut s, mut wire) = publishing();
        for second in 1..=30 {
            if run_until(&mut s, seconds(second)).0.is_some() {
                assert!(!media && second == 20);
                break;
            }
            wire.message(2, 4, 0, 0, &UserControl::PingResponse(0).encode());
            if media && second == 15 {
                wire.message(4, 8, 1, 0, &[0xaf, 0, 0x11, 0x90]);
            }
            // Silence is no media.
            wire.message(4, 8, 1, 0, &[]);
            s.handle_input(&wire.take(), seconds(second)).unwrap();
        }
        assert_eq!(s.is_closing(), !media);
    }
}

#[test]
fn a_publisher_may_pause_for_less_than_the_idle_time() {
    let (mut s, mut wire) = publishing();
    for i in 1..10 {
        let now = seconds(i * 9);
        assert_eq!(run_until(&mut s, now).0, None);
        wire.message(4, 8, 1, 0, &[0xaf, 0, 0x11, 0x90]);
        s.handle_input(&wire.take(), now).unwrap();
    }
    let (fault, _) = run_until(&mut s, seconds(1000));
    assert_eq!(fault, Some((Fault::IdleTimeout, seconds(91))));
}

#[test]
fn a_client_gives_up_on_a_silent_server() {
    let mut c = client(Mode::Publish, 4096);
    let at = drain_client(&mut c).timeout.unwrap();
    assert_eq!(at, seconds(10));
    c.handle_timeout(seconds(9)).unwrap();
    let error = c.handle_timeout(at).unwrap_err();
    assert_eq!(error.fault, Fault::HandshakeTimeout);
}
