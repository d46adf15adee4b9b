//! Micro-benches of the ring. Figures are processor time of the ring's thread, so that other load
//! on the machine weighs less; with `ping_pong` both ends of each connection are in that thread.
//! The channel's is wall time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_ring::net::{TcpListener, TcpStream};
use weir_ring::{Config, Runtime, channel, spawn, yield_now};

const CONNECTIONS: u64 = 64;

fn runtime() -> Runtime {
    Runtime::new(Config::default()).expect("io_uring")
}

/// Processor time that this thread has used.
fn processor_time() -> Duration {
    // SAFETY: the structure is plain data, valid as zeroes, and lives until the call returns.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
        time
    };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// One round trip of 128 bytes up and 1 KiB down, on 64 connections at once.
fn ping_pong(c: &mut Criterion) {
    let mut runtime = runtime();
    let body = Bytes::from(vec![b'x'; 1024]);
    let address = runtime.block_on(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let mut listener = TcpListener::from_std(listener).expect("listener");
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn(serve(stream, body.clone()));
            }
        });
        address
    });
    let mut group = c.benchmark_group("ping_pong");
    group.throughput(Throughput::Elements(1));
    group.bench_function("64_connections", |bencher| {
        bencher.iter_custom(|rounds| {
            let each = rounds.div_ceil(CONNECTIONS);
            let elapsed = runtime.block_on(ping(address, each));
            elapsed.mul_f64(rounds as f64 / (each * CONNECTIONS) as f64)
        });
    });
    group.finish();
}

async fn serve(mut stream: TcpStream, body: Bytes) {
    while let Ok(Some(request)) = stream.recv().await {
        drop(request);
        let header = Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n");
        if stream.send_vectored([header, body.clone()]).await.is_err() {
            return;
        }
    }
}

async fn ping(address: std::net::SocketAddr, each: u64) -> Duration {
    let (done, mut results) = channel(CONNECTIONS as usize);
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(TcpStream::connect(address).await.expect("connect"));
    }
    let start = processor_time();
    for mut client in clients {
        let done = done.clone();
        spawn(async move {
            for _ in 0..each {
                client
                    .send(Bytes::from_static(&[b'r'; 128]))
                    .await
                    .expect("send");
                let mut left = 1064;
                while left > 0 {
                    let data = client.recv().await.expect("receive").expect("an answer");
                    left -= data.len().min(left);
                }
            }
            let _ = done.try_send(());
        });
    }
    drop(done);
    while results.recv().await.is_some() {}
    processor_time() - start
}

fn tasks(c: &mut Criterion) {
    let mut runtime = runtime();
    let mut group = c.benchmark_group("tasks");
    group.throughput(Throughput::Elements(1));
    group.bench_function("spawn_and_finish", |bencher| {
        bencher.iter_custom(|count| {
            runtime.block_on(async {
                let start = processor_time();
                for batch in 0..count.div_ceil(128) {
                    for _ in 0..128.min(count - batch * 128) {
                        spawn(async {});
                    }
                    yield_now().await;
                }
                processor_time() - start
            })
        });
    });
    group.finish();
}

fn channels(c: &mut Criterion) {
    let mut runtime = runtime();
    let mut group = c.benchmark_group("channel");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one_sender_thread", |bencher| {
        bencher.iter_custom(|count| {
            runtime.block_on(async {
                let (sender, mut receiver) = channel(1024);
                let start = Instant::now();
                let thread = std::thread::spawn(move || {
                    for n in 0..count {
                        let mut value = n;
                        while let Err(refused) = sender.try_send(value) {
                            value = refused.into_inner();
                            std::thread::yield_now();
                        }
                    }
                });
                while receiver.recv().await.is_some() {}
                let elapsed = start.elapsed();
                thread.join().expect("sender");
                elapsed
            })
        });
    });
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .sample_size(20)
}

criterion_group!(name = benches; config = quick(); targets = ping_pong, tasks, channels);
criterion_main!(benches);
