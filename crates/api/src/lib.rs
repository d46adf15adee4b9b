//! The control plane's HTTP interface, on the `api` listener: metrics and health; and the calls
//! it makes to others, [`hooks`].
//!
//! | path | answer |
//! |---|---|
//! | `GET /metrics` | OpenMetrics text, every name with the prefix `weir_`, base units |
//! | `GET /healthz` | 200 while the process answers at all |
//! | `GET /streams/{id}/outputs` | JSON: the servers that the stream goes to, and how each does; 404 if it has none |
//! | `GET /streams/{id}/inputs` | JSON: the inputs of a stream that has several, how each is, and which is shown since when and why; else 404 |
//! | `GET /readyz` | 200 once all listeners are bound and until the drain begins, else 503 |
//! | `GET /srt` | JSON: the SRT connections, and how each does, under libsrt's names |
//! | `GET /streams/{id}/health` | JSON: what is measured of a publisher and what is wrong ([`health`]) |
//!
//! It runs on its own tokio runtime, so that a crowd of viewers cannot starve it and a slow
//! call cannot delay a segment. There is no login yet: the listener stays on loopback.
#![forbid(unsafe_code)]

pub mod health;
pub mod hooks;
pub mod limits;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_media::StreamName;

/// What tells about a stream in JSON, by its name; `None` if there is nothing to tell.
pub type Teller = Arc<dyn Fn(&str) -> Option<serde_json::Value> + Send + Sync>;

/// What tells about all SRT connections in JSON.
pub type SrtTeller = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// What the handlers look at.
#[derive(Clone)]
pub struct Api {
    registry: Arc<Registry>,
    ready: Arc<AtomicBool>,
    health: health::Source,
    outputs: Option<Teller>,
    inputs: Option<Teller>,
    srt: Option<SrtTeller>,
}

impl Api {
    /// `ready` is what `/readyz` tells; `registry` is what `/metrics` prints; `health` knows how
    /// the streams are.
    #[must_use]
    pub fn new(registry: Arc<Registry>, ready: Arc<AtomicBool>, health: health::Source) -> Self {
        Self {
            registry,
            ready,
            health,
            outputs: None,
            inputs: None,
            srt: None,
        }
    }

    /// Tells of outputs what `outputs` says.
    #[must_use]
    pub fn with_outputs(mut self, outputs: Teller) -> Self {
        self.outputs = Some(outputs);
        self
    }

    /// Tells of inputs what `inputs` says.
    #[must_use]
    pub fn with_inputs(mut self, inputs: Teller) -> Self {
        self.inputs = Some(inputs);
        self
    }

    /// Tells of SRT connections what `srt` says.
    #[must_use]
    pub fn with_srt(mut self, srt: SrtTeller) -> Self {
        self.srt = Some(srt);
        self
    }

    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// If the listener cannot be registered with the runtime, or accepting fails for good.
    pub async fn serve(self, listener: std::net::TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, self.router()).await
    }

    fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/streams/{id}/health", get(stream_health))
            .route("/streams/{id}/outputs", get(outputs))
            .route("/streams/{id}/inputs", get(inputs))
            .route("/srt", get(srt))
            .with_state(self)
    }
}

async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let mut text = String::with_capacity(16 * 1024);
    match prometheus_client::encoding::text::encode(&mut text, &api.registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn outputs(State(api): State<Api>, Path(id): Path<String>) -> impl IntoResponse {
    told(api.outputs, &id, "no outputs\n")
}

async fn inputs(State(api): State<Api>, Path(id): Path<String>) -> impl IntoResponse {
    told(api.inputs, &id, "not several inputs\n")
}

fn told(teller: Option<Teller>, id: &str, nothing: &'static str) -> Response {
    match teller.and_then(|tell| tell(id)) {
        Some(value) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (kind, format!("{value}\n")).into_response()
        }
        None => (StatusCode::NOT_FOUND, nothing).into_response(),
    }
}

async fn srt(State(api): State<Api>) -> impl IntoResponse {
    let value = api.srt.map_or(serde_json::Value::Null, |tell| tell());
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, format!("{value}\n"))
}

async fn readyz(State(api): State<Api>) -> impl IntoResponse {
    if api.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn stream_health(State(api): State<Api>, Path(id): Path<String>) -> impl IntoResponse {
    let found = StreamName::parse(&id).ok();
    let found = found.and_then(|name| Some((api.health)(&name)?).zip(Some(name)));
    match found {
        Some((health, name)) => {
            let headers = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, health::json(&name, &health)).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such stream is live\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn get(addr: std::net::SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_and_health() {
        let mut registry = Registry::with_prefix("weir");
        let frames = Counter::<u64>::default();
        registry.register("frames", "Frames that came in", frames.clone());
        frames.inc_by(7);
        let ready = Arc::new(AtomicBool::new(false));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let source = |name: &StreamName| {
            (name.as_str() == "cam").then(|| Arc::new(weir_hub::doctor::Health::default()))
        };
        let tell: Teller = Arc::new(|id| (id == "a b").then(|| serde_json::json!([{ "x": 1 }])));
        let api = Api::new(Arc::new(registry), ready.clone(), Arc::new(source)).with_outputs(tell);
        let server = tokio::spawn(api.serve(listener));

        assert!(get(addr, "/metrics").await.contains("weir_frames_total 7"));
        assert!(get(addr, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(get(addr, "/readyz").await.starts_with("HTTP/1.1 503"));
        ready.store(true, Ordering::Release);
        assert!(get(addr, "/readyz").await.starts_with("HTTP/1.1 200"));
        let told = get(addr, "/streams/a%20b/outputs").await;
        assert!(told.contains("application/json") && told.ends_with("[{\"x\":1}]\n"));
        let unknown = get(addr, "/streams/b/outputs").await;
        assert!(unknown.starts_with("HTTP/1.1 404"));
        assert!(get(addr, "/else").await.starts_with("HTTP/1.1 404"));
        let cam = get(addr, "/streams/cam/health").await;
        assert!(
            cam.starts_with("HTTP/1.1 200") && cam.contains(r#""stream":"cam""#),
            "{cam}"
        );
        for none in ["other", "..%2Fcam", "%FF", "a%20b"] {
            let answer = get(addr, &format!("/streams/{none}/health")).await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{none}: {answer}");
        }
        server.abort();
    }
}
