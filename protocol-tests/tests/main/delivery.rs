//! Delivery to viewers as HTTP has it: TLS, proxies, limits, slow disks and rude peers.

use crate::support::{QUICK, certificate, publish};
use protocol_tests::clips;
use protocol_tests::eventually;
use protocol_tests::flv;
use protocol_tests::hls::Format;
use protocol_tests::http::{self, Client};
use protocol_tests::process::run;
use protocol_tests::server::Weir;
use protocol_tests::slow_disk::SlowFile;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(20);

/// Publishes a clip, and waits for its end; paths of its segments, video first.
fn recorded(weir: &Weir, name: &str) -> Vec<String> {
    publish(weir, name, &flv::read(&clips::BASELINE.flv()));
    segments(weir, name)
}

fn segments(weir: &Weir, name: &str) -> Vec<String> {
    let multivariant = weir.ended(name, Format::Cmaf);
    let listed = weir.media(&multivariant.main);
    let absolute = |s: &protocol_tests::hls::Listed| s.path.clone();
    listed.segments.iter().map(absolute).collect()
}

/// A configuration file with certificates for `a.test` and `b.test`.
fn two_names(dir: &Path) -> PathBuf {
    let mut entries = String::new();
    for host in ["a.test", "b.test"] {
        let (pem, key) = certificate(dir, host, host);
        entries += &format!("{{ certificate = {pem:?}, key = {key:?} }}, ");
    }
    let config = dir.join("weir.toml");
    std::fs::write(&config, format!("[tls]\ncertificates = [{entries}]\n")).unwrap();
    config
}

fn curl(weir: &Weir, host: &str, trusted: &Path, path: &str, more: &[&str]) -> Command {
    let port = weir.https.port();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "--max-time", "20", "--resolve"])
        .arg(format!("{host}:{port}:127.0.0.1"))
        .arg("--cacert")
        .arg(trusted)
        .args(more)
        .arg(format!("https://{host}:{port}{path}"));
    curl
}

#[test]
fn tls_serves_each_name_its_certificate_and_reloads_them() {
    let home = TempDir::new().unwrap();
    let config = two_names(home.path());
    let args = [&QUICK[..], &["--config", config.to_str().unwrap()]].concat();
    let weir = Weir::start(&args);
    let segment = &recorded(&weir, "show")[0];
    let plain = http::get(weir.http, segment).body;
    for (host, version) in [("a.test", "--tlsv1.3"), ("b.test", "--tlsv1.2")] {
        let pem = home.path().join(format!("{host}.pem"));
        for protocol in ["--http1.1", "--http2"] {
            let out = home.path().join("out");
            let to = ["-o", out.to_str().unwrap(), version, protocol];
            run(&mut curl(&weir, host, &pem, segment, &to), WAIT);
            assert!(std::fs::read(&out).unwrap() == plain, "{host} {protocol}");
        }
    }
    // A connection that stays, over a change of the certificate.
    let old = home.path().join("a.test.pem");
    let kept = home.path().join("old.pem");
    std::fs::copy(&old, &kept).unwrap();
    let mut open = Tls::open(weir.https, "a.test");
    assert_eq!(open.get("/show/manifest/video.m3u8"), 200);
    certificate(home.path(), "a.test", "a.test");
    let hup = Command::new("kill")
        .args(["-HUP", &weir.process.pid().to_string()])
        .status();
    assert!(hup.unwrap().success());
    eventually(WAIT, "the new certificate is shown", || {
        let mut command = curl(&weir, "a.test", &old, "/show/manifest/video.m3u8", &[]);
        command.output().unwrap().status.success().then_some(())
    });
    let refused = curl(&weir, "a.test", &kept, "/", &[]).output().unwrap();
    assert!(!refused.status.success(), "the old one is gone");
    assert_eq!(
        open.get("/show/manifest/video.m3u8"),
        200,
        "the connection goes on"
    );
    // A file that cannot be read keeps what there is.
    std::fs::write(home.path().join("a.test.key"), "nonsense").unwrap();
    let hup = Command::new("kill")
        .args(["-HUP", &weir.process.pid().to_string()])
        .status();
    assert!(hup.unwrap().success());
    eventually(WAIT, "the fault is logged", || {
        weir.process
            .log()
            .contains("certificates stay as they were")
            .then_some(())
    });
    run(
        &mut curl(&weir, "a.test", &old, "/show/manifest/video.m3u8", &[]),
        WAIT,
    );
}

/// A connection by `openssl s_client`.
struct Tls {
    process: Child,
    reader: BufReader<std::process::ChildStdout>,
}

impl Tls {
    fn open(addr: SocketAddr, host: &str) -> Self {
        let mut process = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-ign_eof",
                "-servername",
                host,
                "-connect",
            ])
            .arg(addr.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let reader = BufReader::new(process.stdout.take().unwrap());
        Self { process, reader }
    }

    /// The status; the body is read over.
    fn get(&mut self, path: &str) -> u16 {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let stdin = self.process.stdin.as_mut().unwrap();
        stdin.write_all(head.as_bytes()).unwrap();
        stdin.flush().unwrap();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            assert!(
                self.reader.read_line(&mut line).unwrap() > 0,
                "the connection ended"
            );
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(rest) = line.strip_prefix("Content-Length: ") {
                length = rest.trim().parse().unwrap();
            } else if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).unwrap();
        status
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_slow_disk_delays_nobody_else() {
    let home = TempDir::new().unwrap();
    let config = two_names(home.path());
    let config = config.to_str().unwrap();
    let weir = Weir::start(&[&QUICK[..], &["--workers", "1", "--config", config]].concat());
    recorded(&weir, "slow");
    recorded(&weir, "other");
    let stopped = weir.stop();
    let log = video_log(&stopped.data().join("streams/slow"));
    let Some(disk) = SlowFile::mount(&log) else {
        return;
    };
    std::fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink(disk.path(), &log).unwrap();
    let weir = stopped.start();
    let (slow, other) = (segments(&weir, "slow"), segments(&weir, "other"));
    for tls in [false, true] {
        disk.hold();
        // Each time another segment: the first is in the page cache after the first round.
        let path = slow[usize::from(tls)].clone();
        let (addr, pem) = (weir.http, home.path().join("a.test.pem"));
        let mut by_curl = curl(&weir, "a.test", &pem, &path, &["--http1.1"]);
        let waiting = std::thread::spawn(move || match tls {
            false => http::get(addr, &path).body,
            true => by_curl.output().unwrap().stdout,
        });
        eventually(WAIT, "the disk is asked", || {
            (disk.waiting() > 0).then_some(())
        });
        for path in &other {
            assert_eq!(http::get(weir.http, path).status, 200);
        }
        assert!(disk.waiting() > 0 && !waiting.is_finished());
        disk.release();
        let body = waiting.join().unwrap();
        assert!(body == http::get(weir.http, &slow[usize::from(tls)]).body && !body.is_empty());
    }
    assert!(weir.metric("weir_http_cold_reads_total").unwrap() > 0.0);
}

/// The data file of a stream's first track.
fn video_log(stream: &Path) -> PathBuf {
    let only = |dir: &Path| {
        let mut entries: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        entries.sort();
        entries.into_iter().find(|e| e.is_dir()).unwrap()
    };
    only(&only(stream)).join("000001.cmaf")
}

#[test]
fn a_file_cut_while_it_is_sent_costs_its_reader_only() {
    let weir = Weir::start(&QUICK);
    let path = &recorded(&weir, "show")[0];
    let len = http::get(weir.http, path).body.len() as u64;
    let log = video_log(&weir.data.join("streams/show"));
    let file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    let whole = file.metadata().unwrap().len();
    file.set_len(whole.min(len / 2)).unwrap();
    let fields = [("Connection", "close")];
    let cut = Client::open(weir.http)
        .unwrap()
        .request("GET", path, &fields);
    assert!(
        cut.is_err(),
        "less than was promised, and the connection ends"
    );
    assert_eq!(
        http::get(weir.http, "/show/manifest/video.m3u8").status,
        200
    );
    let mut weir = weir;
    weir.assert_healthy();
}

#[test]
fn playlists_are_compressed_for_those_who_ask() {
    let weir = Weir::start(&QUICK);
    recorded(&weir, "show");
    let path = weir.ended("show", Format::Cmaf).main;
    let plain = http::get(weir.http, &path);
    assert_eq!(plain.header("vary"), "Accept-Encoding");
    for encoding in ["gzip", "br", "zstd"] {
        let fields = [("Accept-Encoding", encoding)];
        let answer = http::request(weir.http, "GET", &path, &fields);
        if plain.body.len() < 512 {
            continue;
        }
        assert_eq!(answer.header("content-encoding"), encoding);
        assert_ne!(answer.header("etag"), plain.header("etag"));
        let tag = answer.header("etag").to_string();
        let again = [("Accept-Encoding", encoding), ("If-None-Match", &tag[..])];
        assert_eq!(http::request(weir.http, "GET", &path, &again).status, 304);
    }
    // An independent decoder.
    let url = format!("http://{}{path}", weir.http);
    let text = run(
        Command::new("curl").args(["-sS", "--fail", "--compressed", &url]),
        WAIT,
    );
    assert_eq!(text, plain.text());
}

#[test]
fn a_restricted_stream_is_for_its_sites() {
    let home = TempDir::new().unwrap();
    let config = home.path().join("weir.toml");
    let hash = format!("sha256:{}", "0".repeat(64));
    let text = format!(
        "[[input]]\nname = \"show\"\nkey_hash = \"{hash}\"\nallowed_origins = [\"https://ok.test\"]\n"
    );
    std::fs::write(&config, text).unwrap();
    let weir = Weir::start(&["--config", config.to_str().unwrap()]);
    let path = "/show/manifest/video.m3u8";
    let ask = |fields: &[(&str, &str)]| http::request(weir.http, "GET", path, fields);
    let refused = ask(&[("Origin", "https://evil.test")]);
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("access-control-allow-origin"), "");
    assert_eq!(ask(&[("Referer", "https://evil.test/page")]).status, 403);
    let allowed = ask(&[("Origin", "https://ok.test")]);
    assert_eq!(
        allowed.status, 404,
        "nothing is live, but it may be asked for"
    );
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://ok.test"
    );
    assert_eq!(allowed.header("vary"), "Origin, Referer");
    assert_eq!(ask(&[]).status, 404, "a native player");
    let own = format!("http://{}/show/watch", weir.http);
    assert_eq!(ask(&[("Referer", &own)]).status, 404, "our own page");
    let other = http::request(
        weir.http,
        "GET",
        "/other/manifest/video.m3u8",
        &[("Origin", "https://evil.test")],
    );
    assert_eq!(other.header("access-control-allow-origin"), "*");
}

#[test]
fn proxies_are_believed_if_they_are_trusted_and_requests_are_logged() {
    let home = TempDir::new().unwrap();
    let log = home.path().join("access.log");
    let lines = |wanted: usize| -> Vec<serde_json::Value> {
        eventually(WAIT, "the lines are there", || {
            let text = std::fs::read_to_string(&log).ok()?;
            let all: Vec<_> = text
                .lines()
                .map(|l| serde_json::from_str(l).unwrap())
                .collect();
            (all.len() >= wanted).then_some(all)
        })
    };
    let path = "/nothing/manifest/video.m3u8?token=secret";
    let forwarded = [
        ("X-Forwarded-For", "198.51.100.7"),
        ("User-Agent", "a \"player\""),
    ];
    let common = [
        "--access-log",
        log.to_str().unwrap(),
        "--access-log-format",
        "json",
    ];
    let weir = Weir::start(&common);
    http::request(weir.http, "GET", path, &forwarded);
    let line = &lines(1)[0];
    assert_eq!(
        (line["client"].as_str(), line["status"].as_u64()),
        (Some("127.0.0.1"), Some(404))
    );
    assert!(!line.to_string().contains("secret"), "{line}");
    assert_eq!(line["user_agent"], "a \"player\"");
    // Renamed, and opened anew.
    std::fs::rename(&log, home.path().join("access.log.1")).unwrap();
    let hup = Command::new("kill")
        .args(["-HUP", &weir.process.pid().to_string()])
        .status();
    assert!(hup.unwrap().success());
    eventually(WAIT, "the log is opened anew", || {
        http::get(weir.http, path);
        log.exists().then_some(())
    });
    drop(weir);
    std::fs::remove_file(&log).unwrap();
    let trusting = [
        &common[..],
        &["--trusted-proxies", "127.0.0.0/8", "--proxy-protocol"],
    ]
    .concat();
    let weir = Weir::start(&trusting);
    let mut socket = TcpStream::connect(weir.http).unwrap();
    let head = format!(
        "PROXY TCP4 203.0.113.9 192.0.2.1 1000 80\r\nGET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(lines(1)[0]["client"], "203.0.113.9");
    // Without its header a trusted proxy is none.
    let mut socket = TcpStream::connect(weir.http).unwrap();
    let _ = socket.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.is_empty());
    eventually(WAIT, "it is counted", || {
        (weir.metric("weir_http_refused_total{limit=\"proxy\"}") == Some(1.0)).then_some(())
    });
}

#[test]
fn limits_refuse_and_are_counted() {
    let args = [
        "--connections-per-address-max",
        "8",
        "--requests-per-second",
        "5",
        "--workers",
        "1",
    ];
    let mut weir = Weir::start(&args);
    let mut kept: Vec<_> = (0..8).map(|_| Client::open(weir.http).unwrap()).collect();
    let path = "/nothing/manifest/video.m3u8";
    // All are accepted, in order, before the one too many.
    assert_eq!(kept[7].request("GET", path, &[]).unwrap().status, 404);
    let mut refused = TcpStream::connect(weir.http).unwrap();
    let mut nothing = Vec::new();
    let _ = refused.read_to_end(&mut nothing);
    assert!(nothing.is_empty());
    let count = "weir_http_refused_total{limit=\"address\"}";
    eventually(WAIT, "it is counted", || {
        (weir.metric(count) == Some(1.0)).then_some(())
    });
    let answers: Vec<_> = (0..30)
        .map(|_| kept[0].request("GET", path, &[]).unwrap())
        .collect();
    let limited = answers
        .iter()
        .find(|a| a.status == 429)
        .expect("30 at once are too many");
    assert_eq!(limited.header("retry-after"), "1");
    assert_eq!(answers[0].status, 404, "the burst is allowed");
    drop(kept);
    weir.assert_healthy();
}

#[test]
fn behind_a_proxy_each_client_has_its_own_connections() {
    let args = [
        "--trusted-proxies",
        "127.0.0.0/8",
        "--proxy-protocol",
        "--connections-per-address-max",
        "2",
        "--workers",
        "1",
    ];
    let weir = Weir::start(&args);
    let answer = |client: &str| {
        let mut socket = TcpStream::connect(weir.http).unwrap();
        let head =
            format!("PROXY TCP4 {client} 192.0.2.1 1000 80\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let _ = socket.write_all(head.as_bytes());
        let mut status = [0; 12];
        let got = socket.read_exact(&mut status).is_ok();
        (got && status == *b"HTTP/1.1 404", socket)
    };
    let clients = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.3"];
    let kept: Vec<_> = clients.iter().map(|client| answer(client)).collect();
    assert!(kept.iter().all(|(answered, _)| *answered));
    assert!(!answer("203.0.113.3").0, "its third");
    assert!(answer("203.0.113.1").0, "its second");
}

#[test]
fn rude_peers_leave_nothing_behind() {
    let mut weir = Weir::start(&QUICK);
    let path = recorded(&weir, "show")[0].clone();
    assert_eq!(http::get(weir.http, &path).status, 200);
    let before = eventually(WAIT, "nothing is open", || {
        let open = weir.metric("weir_http_connections")?;
        (open == 0.0).then(|| weir.sockets())
    });
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    let phases = [
        "",
        "GET / HT",
        &request,
        &format!("{request}{request}{request}GET /"),
    ];
    for round in 0..40 {
        for phase in phases {
            let mut socket = TcpStream::connect(weir.http).unwrap();
            socket.write_all(phase.as_bytes()).unwrap();
            if round % 2 == 0 {
                // Unread data turns the close into a reset.
                std::thread::sleep(Duration::from_millis(5));
            } else {
                let _ = socket.shutdown(Shutdown::Write);
            }
        }
    }
    // A reader that takes nothing, and goes.
    let mut lazy = TcpStream::connect(weir.http).unwrap();
    for _ in 0..50 {
        lazy.write_all(request.as_bytes()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(200));
    drop(lazy);
    eventually(WAIT, "all are closed", || {
        let open = weir.metric("weir_http_connections")?;
        (open == 0.0 && weir.sockets() <= before).then_some(())
    });
    weir.assert_healthy();
}

#[test]
fn a_half_closed_peer_gets_its_answers() {
    let weir = Weir::start(&QUICK);
    let path = recorded(&weir, "show")[0].clone();
    let len = http::get(weir.http, &path).body.len();
    for count in [1, 5] {
        let mut socket = TcpStream::connect(weir.http).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").repeat(count);
        socket.write_all(request.as_bytes()).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut all = Vec::new();
        socket.read_to_end(&mut all).unwrap();
        assert!(all.len() > len * count, "{count}: {} bytes", all.len());
    }
}

#[test]
fn without_descriptors_the_open_connections_go_on() {
    let mut weir = Weir::start_wrapped(&["--workers", "1"], |weir| {
        let mut limited = Command::new("prlimit");
        limited
            .arg("--nofile=96:96")
            .arg(weir.get_program())
            .args(weir.get_args());
        for (name, value) in weir.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        limited
    });
    let path = "/nothing/manifest/video.m3u8";
    let mut early = Client::open(weir.http).unwrap();
    assert_eq!(early.request("GET", path, &[]).unwrap().status, 404);
    let crowd: Vec<_> = (0..150)
        .map(|_| TcpStream::connect(weir.http).unwrap())
        .collect();
    for _ in 0..20 {
        assert_eq!(early.request("GET", path, &[]).unwrap().status, 404);
    }
    drop(crowd);
    eventually(WAIT, "newcomers are served again", || {
        let answer = Client::open(weir.http).ok()?.request("GET", path, &[]);
        answer.is_ok_and(|a| a.status == 404).then_some(())
    });
    weir.assert_healthy();
}

#[test]
fn without_descriptors_a_recording_is_busy_and_not_cut_off() {
    let weir = Weir::start(&[&QUICK[..], &["--workers", "1"]].concat());
    recorded(&weir, "show");
    // After a start no log is open.
    let weir = weir.stop().start();
    let path = &segments(&weir, "show")[0];
    let mut early = Client::open(weir.http).unwrap();
    let fields = [("Connection", "keep-alive")];
    assert_eq!(early.request("GET", "/x", &fields).unwrap().status, 404);
    let pid = weir.process.pid().to_string();
    let numbers = || -> BTreeSet<u32> {
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        entries
            .map(|e| e.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect()
    };
    let mut before = BTreeSet::new();
    let mut same = 0;
    eventually(WAIT, "earlier connections are gone", || {
        let now = numbers();
        same = if now == before { same + 1 } else { 0 };
        before = now;
        (same >= 20).then_some(())
    });
    let limit = |files: &str| {
        let limited = Command::new("prlimit")
            .args(["--pid", &pid, &format!("--nofile={files}:")])
            .status();
        assert!(limited.unwrap().success());
    };
    // Nothing is opened below the lowest number that is free.
    let free = (0..).find(|n| !before.contains(n)).unwrap();
    limit(&free.to_string());
    let refused = early.request("GET", path, &fields).unwrap();
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "1");
    limit("1024");
    let answer = early.request("GET", path, &fields).unwrap();
    assert!(answer.status == 200 && !answer.body.is_empty());
    assert!(answer.body == http::get(weir.http, path).body);
}
