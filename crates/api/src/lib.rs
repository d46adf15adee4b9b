//! The control plane's HTTP interface, on the `api` listener: metrics and health; and the calls
//! it makes to others, [`hooks`].
//!
//! | path | answer |
//! |---|---|
//! | `GET /metrics` | OpenMetrics text, every name with the prefix `weir_`, base units |
//! | `GET /healthz` | 200 while the process answers at all |
//! | `GET /readyz` | 200 once all listeners are bound and until the drain begins, else 503 |
//!
//! It runs on its own tokio runtime, so that a crowd of viewers cannot starve it and a slow
//! call cannot delay a segment. There is no login yet: the listener stays on loopback.
#![forbid(unsafe_code)]

pub mod hooks;
pub mod limits;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the handlers look at.
#[derive(Debug, Clone)]
pub struct Api {
    registry: Arc<Registry>,
    ready: Arc<AtomicBool>,
}

impl Api {
    /// `ready` is what `/readyz` tells; `registry` is what `/metrics` prints.
    #[must_use]
    pub fn new(registry: Arc<Registry>, ready: Arc<AtomicBool>) -> Self {
        Self { registry, ready }
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

async fn readyz(State(api): State<Api>) -> impl IntoResponse {
    if api.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
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
        let api = Api::new(Arc::new(registry), ready.clone());
        let server = tokio::spawn(api.serve(listener));

        assert!(get(addr, "/metrics").await.contains("weir_frames_total 7"));
        assert!(get(addr, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(get(addr, "/readyz").await.starts_with("HTTP/1.1 503"));
        ready.store(true, Ordering::Release);
        assert!(get(addr, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(addr, "/else").await.starts_with("HTTP/1.1 404"));
        server.abort();
    }
}
