//! The runner against a receiver of ours.

use super::*;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use weir_auth::hook::{Facts, Wish};
use weir_media::StreamName;

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";

/// A receiver that answers in turn, the last for ever; "" never answers. Keeps the requests.
struct Receiver {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn new(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        tokio::spawn(async move {
            for turn in 0_usize.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let last = answers[turn.min(answers.len() - 1)];
                let kept = kept.clone();
                tokio::spawn(async move {
                    kept.lock().unwrap().push(String::new());
                    let at = kept.lock().unwrap().len() - 1;
                    let mut buffer = [0; 4096];
                    while !is_whole(&kept.lock().unwrap()[at]) {
                        let n = stream.read(&mut buffer).await.unwrap();
                        let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                        kept.lock().unwrap()[at].push_str(&text);
                    }
                    if last.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.write_all(last.as_bytes()).await;
                });
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    length.is_some_and(|n| body.len() == n.parse::<usize>().unwrap())
}

fn config(address: SocketAddr, calls: &[Call]) -> Config {
    let url: Url = format!("http://{address}/hook?from=weir").parse().unwrap();
    Config {
        urls: calls.iter().map(|call| (*call, url.clone())).collect(),
        format: Format::Form,
        timeout: Duration::from_secs(30),
        secret: None,
    }
}

/// Hooks whose runner runs.
fn start(config: Config) -> (Arc<Hooks>, Pending, Counters) {
    let counters = Counters::default();
    let (hooks, runner) = Runner::new(config, counters.clone()).unwrap();
    let pending = runner.pending();
    tokio::spawn(runner.run());
    (hooks, pending, counters)
}

fn facts() -> Facts {
    let name = StreamName::parse("cam").unwrap();
    Facts::new(&name, IpAddr::from([192, 0, 2, 7]), 5)
}

#[tokio::test]
async fn a_session_is_asked_for_and_told_of() {
    let receiver = Receiver::new(&[OK]).await;
    let mut config = config(receiver.address, &Call::ALL);
    config.secret = Some(Secret::parse("0123456789abcdef").unwrap());
    let (hooks, pending, _) = start(config);
    let permit = hooks.permit(Wish::Publish, facts()).await.unwrap();
    assert_eq!(receiver.requests().len(), 1);
    drop(permit);
    pending.none().await;
    let requests = receiver.requests();
    let calls = ["call=publish&", "call=publish_done&", "call=done&"];
    for call in calls {
        let of = |r: &&String| r.contains(call);
        assert_eq!(requests.iter().filter(of).count(), 1, "{requests:#?}");
    }
    assert_eq!(requests.len(), calls.len());
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("POST /hook?from=weir HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("application/x-www-form-urlencoded"), "{head}");
    let field = head
        .lines()
        .find_map(|l| l.strip_prefix("webhook-signature: time="));
    let (time, signature) = field.unwrap().split_once(",sig1=").unwrap();
    let secret = Secret::parse("0123456789abcdef").unwrap();
    assert_eq!(signature, weir_auth::key::mac(&secret, &[time, ".", body]));
}

#[tokio::test]
async fn answers_decide() {
    let head = "HTTP/1.1 302 Found\r\nLocation: /live/other\r\nContent-Length: 5\r\n\r\nhello";
    for (answer, want) in [
        (OK, Ok(None)),
        (head, Ok(Some("other"))),
        ("HTTP/1.1 403 No\r\n\r\n", Err("Refuse")),
        (BUSY, Err("Refuse")),
        ("SSH-2.0-x\r\n\r\n", Err("Fail")),
        (
            "HTTP/1.1 302 Found\r\nLocation: rtmp://h/a/b\r\n\r\n",
            Err("Fail"),
        ),
    ] {
        let receiver = Receiver::new(Box::leak(Box::new([answer]))).await;
        let (hooks, ..) = start(config(receiver.address, &[Call::Play]));
        let got = hooks.permit(Wish::Play, facts()).await;
        match (got, want) {
            (Ok(permit), Ok(name)) => {
                assert_eq!(permit.renamed().map(StreamName::as_str), name, "{answer}");
            }
            (Err(refused), Err(want)) => {
                assert!(
                    format!("{refused:?}").starts_with(want),
                    "{refused:?} to {answer}"
                );
            }
            (got, _) => panic!("{got:?} to {answer}"),
        }
        // A question is asked once, whatever comes of it.
        assert_eq!(receiver.requests().len(), 1);
    }
}

#[tokio::test]
async fn no_answer_is_a_refusal() {
    let silent = Receiver::new(&[""]).await;
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    for address in [silent.address, nobody] {
        let mut config = config(address, &[Call::Publish, Call::Done]);
        config.timeout = Duration::from_millis(200);
        let (hooks, pending, _) = start(config);
        let refused = hooks.permit(Wish::Publish, facts()).await.unwrap_err();
        assert!(matches!(refused, Answer::Fail(_)), "{refused:?}");
        pending.none().await;
    }
    assert!(
        silent
            .requests()
            .iter()
            .all(|r| r.contains("call=publish&"))
    );
}

#[tokio::test]
async fn a_huge_answer_is_cut_short() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nX: ";
    let huge: String = format!("{HEAD}{}\r\n\r\n", "x".repeat(100_000));
    let receiver = Receiver::new(Box::leak(Box::new([&*huge.leak()]))).await;
    let (hooks, ..) = start(config(receiver.address, &[Call::Play]));
    let refused = hooks.permit(Wish::Play, facts()).await.unwrap_err();
    assert!(matches!(refused, Answer::Fail(_)), "{refused:?}");
}

#[tokio::test]
async fn the_end_is_told_again_until_it_is_heard() {
    let receiver = Receiver::new(&[BUSY, OK]).await;
    let (hooks, pending, counters) = start(config(receiver.address, &[Call::PlayDone]));
    drop(hooks.permit(Wish::Play, facts()).await.unwrap());
    pending.none().await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    let id = |request: &String| {
        let line = request.lines().find(|l| l.starts_with("webhook-id: "));
        line.map(str::to_owned).unwrap()
    };
    assert_eq!(id(&requests[0]), id(&requests[1]), "it can be known again");
    let text = metrics(&counters);
    let line = "weir_hook_calls_total{call=\"play_done\",outcome=\"ok\"} 1";
    assert!(text.lines().any(|l| l == line), "{text}");
}

#[tokio::test]
async fn a_refused_end_is_not_told_again() {
    let receiver = Receiver::new(&["HTTP/1.1 404 Not Found\r\n\r\n"]).await;
    let (hooks, pending, _) = start(config(receiver.address, &[Call::Done]));
    drop(hooks.permit(Wish::Play, facts()).await.unwrap());
    pending.none().await;
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn more_questions_than_fit_are_refused() {
    let silent = Receiver::new(&[""]).await;
    let mut config = config(silent.address, &[Call::Play]);
    config.timeout = Duration::from_millis(500);
    let (hooks, _, counters) = start(config);
    let mut asking = JoinSet::new();
    let all = HOOK_ASKS_QUEUED_MAX + 200;
    for _ in 0..all {
        let hooks = hooks.clone();
        asking.spawn(async move { hooks.permit(Wish::Play, facts()).await.is_err() });
    }
    assert!(asking.join_all().await.iter().all(|refused| *refused));
    let text = metrics(&counters);
    let count = |outcome| {
        let prefix = format!("weir_hook_calls_total{{call=\"play\",outcome=\"{outcome}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&prefix));
        value.unwrap().parse::<usize>().unwrap()
    };
    assert!(count("dropped") > 0, "{text}");
    assert_eq!(count("dropped") + count("failed"), all, "{text}");
}

/// What is told is counted until it was, and what does not fit is not waited for.
#[tokio::test]
async fn only_what_was_queued_is_waited_for() {
    let receiver = Receiver::new(&[OK]).await;
    let config = config(receiver.address, &[Call::Done]);
    let (hooks, runner) = Runner::new(config, Counters::default()).unwrap();
    let pending = runner.pending();
    const MORE: u64 = 7;
    for _ in 0..HOOK_TELLS_QUEUED_MAX as u64 + MORE {
        drop(hooks.permit(Wish::Play, facts()).await.unwrap());
    }
    assert_eq!(hooks.lost(), MORE);
    assert_eq!(*pending.0.borrow(), HOOK_TELLS_QUEUED_MAX);
    tokio::spawn(runner.run());
    pending.clone().none().await;
    assert_eq!(receiver.requests().len(), HOOK_TELLS_QUEUED_MAX);
    // Told at once: each is counted before it can be done.
    for _ in 0..50 {
        drop(hooks.permit(Wish::Play, facts()).await.unwrap());
        pending.clone().none().await;
    }
    assert_eq!(receiver.requests().len(), HOOK_TELLS_QUEUED_MAX + 50);
}

fn metrics(counters: &Counters) -> String {
    let mut registry = prometheus_client::registry::Registry::with_prefix("weir");
    counters.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}
