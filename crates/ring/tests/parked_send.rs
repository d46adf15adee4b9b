//! Sends of parked streams, and sends without waiting.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{join, pair, run, until};
use weir_ring::fs::File;
use weir_ring::limits::IOV_MAX;
use weir_ring::net::{Readiness, TcpStream};

/// What ended the rest of a parked stream.
#[derive(Clone, Default)]
struct News(Rc<RefCell<Option<(Readiness, TcpStream)>>>);

impl News {
    async fn recv(&mut self) -> Option<(Readiness, TcpStream)> {
        until(|| self.0.borrow().is_some()).await;
        self.0.take()
    }
}

/// Parks `stream` behind the send of `bufs`, and passes on what ends its rest.
fn park(stream: TcpStream, bufs: Vec<Bytes>, deadline: Option<Instant>, news: News) {
    stream.send_and_park(bufs, deadline, move |stream, readiness| {
        news.0.replace(Some((readiness, stream)));
    });
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(200))
}

#[test]
fn requests_and_answers_without_a_task() {
    run(async {
        const ROUNDS: u8 = 100;
        let (stream, mut peer) = pair();
        let asker = std::thread::spawn(move || {
            let mut answer = [0; 3];
            for i in 0..ROUNDS {
                peer.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [b'a', b'b', i]);
                peer.write_all(&[i + 1]).unwrap();
            }
        });
        let mut news = News::default();
        let sender = news.clone();
        let answer = |i: u8| vec!["a".into(), "b".into(), Bytes::from(vec![i])];
        park(stream, answer(0), None, sender.clone());
        for i in 1..=ROUNDS {
            let (readiness, mut stream) = news.recv().await.unwrap();
            assert_eq!(readiness, Readiness::Data);
            assert_eq!(&*stream.try_recv().unwrap(), [i]);
            if i < ROUNDS {
                park(stream, answer(i), None, sender.clone());
            }
        }
        join(asker).await;
    });
}

#[test]
fn what_comes_during_the_send_is_told_after_it() {
    run(async {
        let (stream, mut peer) = pair();
        // More than the socket takes while the peer does not read.
        let big = Bytes::from(vec![7; 16 << 20]);
        let mut news = News::default();
        let sender = news.clone();
        peer.write_all(b"early").unwrap();
        park(stream, vec![big.clone()], None, sender);
        let told = weir_ring::timeout(Duration::from_millis(50), news.recv()).await;
        assert!(told.is_err(), "the send is not over");
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 16 << 20];
            peer.read_exact(&mut all).unwrap();
            (all, peer)
        });
        let (readiness, mut stream) = news.recv().await.unwrap();
        assert_eq!(readiness, Readiness::Data);
        assert_eq!(&*stream.try_recv().unwrap(), b"early");
        stream.send("late".into()).await.unwrap();
        let (all, mut peer) = join(reader).await;
        assert!(all == big);
        let mut late = [0; 4];
        peer.read_exact(&mut late).unwrap();
        assert_eq!(&late, b"late");
    });
}

#[test]
fn a_peer_that_takes_nothing_meets_the_deadline() {
    run(async {
        let (stream, mut peer) = pair();
        let mut news = News::default();
        let sender = news.clone();
        park(stream, vec![vec![7; 16 << 20].into()], soon(), sender);
        let (readiness, mut stream) = news.recv().await.unwrap();
        assert_eq!(readiness, Readiness::TimedOut);
        assert!(stream.send("more".into()).await.is_err());
        stream.close().await;
        // It ends early: the kernel let its part go.
        let mut got = Vec::new();
        let _ = peer.read_to_end(&mut got);
        assert!(got.len() < 16 << 20, "{}", got.len());
    });
}

#[test]
fn a_peer_that_goes_is_a_failure() {
    run(async {
        let (stream, peer) = pair();
        let mut news = News::default();
        let sender = news.clone();
        park(stream, vec![vec![7; 16 << 20].into()], None, sender.clone());
        drop(peer);
        let (readiness, mut stream) = news.recv().await.unwrap();
        assert_eq!(readiness, Readiness::Failed);
        assert!(stream.recv().await.is_err());
        // A broken stream is told so, and nothing is sent.
        park(stream, vec!["x".into()], None, sender);
        let (readiness, _) = news.recv().await.unwrap();
        assert_eq!(readiness, Readiness::Failed);
    });
}

#[test]
fn what_no_operation_takes_is_a_failure_at_once() {
    run(async {
        let (stream, mut peer) = pair();
        let mut news = News::default();
        let sender = news.clone();
        let bufs = vec![Bytes::from_static(b"x"); IOV_MAX + 1];
        park(stream, bufs, None, sender);
        let (readiness, stream) = news.recv().await.unwrap();
        assert_eq!(readiness, Readiness::Failed);
        drop(stream);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn an_end_during_the_send_comes_after_it() {
    run(async {
        let (stream, mut peer) = pair();
        let mut news = News::default();
        let sender = news.clone();
        peer.shutdown(Shutdown::Write).unwrap();
        park(stream, vec!["answer".into()], None, sender);
        let (readiness, stream) = news.recv().await.unwrap();
        assert_eq!(readiness, Readiness::Eof);
        stream.close().await;
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"answer");
    });
}

#[test]
fn without_waiting_as_much_as_fits_is_sent() {
    run(async {
        let (mut stream, mut peer) = pair();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![9; 16 << 20]).unwrap();
        let file = File::from_std(file);
        assert_eq!(stream.try_send(b"head", true).unwrap(), 4);
        let mut at = 0;
        loop {
            match stream.try_sendfile(&file, at, (16 << 20) - at).unwrap() {
                0 => break,
                sent => at += sent,
            }
        }
        assert!(at > 0 && at < 16 << 20, "{at}");
        assert_eq!(stream.try_send(b"tail", false).unwrap(), 0, "it is full");
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        let rest = (16 << 20) - at;
        assert_eq!(stream.sendfile(&file, at, rest).await.unwrap(), rest);
        // Past the end of the file.
        assert_eq!(stream.try_sendfile(&file, 16 << 20, 1).unwrap(), 0);
        stream.linger(Duration::from_secs(5), 1 << 20).await;
        let all = join(reader).await;
        assert_eq!(all.len(), 4 + (16 << 20));
        assert!(all.starts_with(b"head") && all[4..].iter().all(|byte| *byte == 9));
    });
}

#[test]
fn lingering_reads_over_what_the_peer_still_sends() {
    run(async {
        let (mut stream, mut peer) = pair();
        let talker = std::thread::spawn(move || {
            for _ in 0..64 {
                peer.write_all(&[0; 4096]).unwrap();
            }
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        stream.send("the last answer".into()).await.unwrap();
        stream.linger(Duration::from_secs(5), 1 << 20).await;
        assert_eq!(join(talker).await, b"the last answer");
    });
}
