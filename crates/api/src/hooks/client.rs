//! One HTTP request to a hook, over a connection of its own.

use super::url::Url;
use super::{Config, Format};
use crate::limits::{HOOK_ANSWER_BYTES_MAX, HOOK_ANSWER_FIELDS_MAX};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use weir_auth::Secret;

/// Why a call gave no answer.
#[derive(Debug)]
pub(super) enum Failed {
    Connect(std::io::Error),
    Tls(String),
    Http(hyper::Error),
    Request(hyper::http::Error),
    /// The answer asks for another try.
    Status,
    Timeout,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Http(error) => write!(f, "HTTP: {error}"),
            Self::Request(error) => write!(f, "request: {error}"),
            Self::Status => f.write_str("it answered with 429 or 5xx"),
            Self::Timeout => f.write_str("no answer in time"),
        }
    }
}

pub(super) struct Client {
    pub(super) format: Format,
    secret: Option<Secret>,
    /// Where a URL is `https://`.
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Trusts the authorities that the system trusts, where a URL is `https://`.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let roots = match config.urls.iter().any(|(_, url)| url.tls) {
            true => Some(system_roots()?),
            false => None,
        };
        Self::with_roots(config, roots)
    }

    pub(super) fn with_roots(
        config: &Config,
        roots: Option<RootCertStore>,
    ) -> Result<Self, String> {
        Ok(Self {
            format: config.format,
            secret: config.secret.clone(),
            tls: roots.map(connector).transpose()?,
        })
    }

    /// Posts `body`; gives the status and the `Location`. The answer's body is not read. `id`
    /// names the call, and is the same in each try of it.
    pub(super) async fn post(
        &self,
        url: &Url,
        id: &str,
        body: String,
    ) -> Result<(u16, Option<Vec<u8>>), Failed> {
        let request = self.request(url, id, body).map_err(Failed::Request)?;
        let stream = TcpStream::connect((url.host.as_str(), url.port)).await;
        let stream = stream.map_err(Failed::Connect)?;
        let _ = stream.set_nodelay(true);
        match (&self.tls, url.tls) {
            (Some(tls), true) => {
                let name = ServerName::try_from(url.host.clone());
                let name = name.map_err(|e| Failed::Tls(e.to_string()))?;
                let stream = tls.connect(name, stream).await;
                exchange(stream.map_err(|e| Failed::Tls(e.to_string()))?, request).await
            }
            (None, true) => Err(Failed::Tls("is not set up".into())),
            (_, false) => exchange(stream, request).await,
        }
    }

    fn request(
        &self,
        url: &Url,
        id: &str,
        body: String,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let content_type = match self.format {
            Format::Form => "application/x-www-form-urlencoded",
            Format::Json => "application/json",
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&*url.target)
            .header(header::HOST, &*url.authority)
            .header(
                header::USER_AGENT,
                concat!("weir/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::CONTENT_TYPE, content_type)
            .header(header::CONNECTION, "close")
            .header("webhook-id", id);
        if let Some(secret) = &self.secret {
            let mut signature = HeaderValue::try_from(sign(secret, &body))?;
            signature.set_sensitive(true);
            request = request.header("webhook-signature", signature);
        }
        request.body(Full::new(Bytes::from(body)))
    }
}

/// Seconds since 1970.
pub(super) fn seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |time| time.as_secs())
}

fn sign(secret: &Secret, body: &str) -> String {
    let seconds = seconds();
    let signature = weir_auth::key::mac(secret, &[&seconds.to_string(), ".", body]);
    format!("time={seconds},sig1={signature}")
}

/// The authorities that the system trusts, by the environment's `SSL_CERT_FILE` or its own places.
fn system_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let why = "the system has no certificates of authorities; install ca-certificates, or \
                   name a file in SSL_CERT_FILE";
        return Err(format!("hooks over https:// cannot be trusted: {why}"));
    }
    Ok(roots)
}

fn connector(roots: RootCertStore) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Option<Vec<u8>>), Failed> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HOOK_ANSWER_BYTES_MAX)
        .max_headers(HOOK_ANSWER_FIELDS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(Failed::Http)?;
    // Ends with this function, also when it is dropped at its deadline.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(Failed::Http)?;
    let location = answer.headers().get(header::LOCATION);
    let location = location.map(|value| value.as_bytes().to_vec());
    Ok((answer.status().as_u16(), location))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::ServerConfig;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::TlsAcceptor;
    use weir_auth::hook::Call;

    /// A receiver under TLS for `localhost`, and the certificate that it shows.
    async fn receiver() -> (u16, RootCertStore) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut request = [0; 4096];
                let n = stream.read(&mut request).await.unwrap();
                assert!(request[..n].starts_with(b"POST /hook HTTP/1.1"));
                let _ = stream.write_all(b"HTTP/1.1 204 OK\r\n\r\n").await;
            }
        });
        (port, roots)
    }

    #[tokio::test]
    async fn https_hooks_are_checked_by_authority_and_name() {
        let (port, roots) = receiver().await;
        let post = async |url: String, roots: RootCertStore| {
            let config = Config {
                urls: vec![(Call::Publish, url.parse().unwrap())],
                format: Format::Form,
                timeout: Duration::from_secs(10),
                secret: None,
            };
            let client = Client::with_roots(&config, Some(roots)).unwrap();
            client.post(&config.urls[0].1, "1", "a=b".into()).await
        };
        let answer = post(format!("https://localhost:{port}/hook"), roots.clone()).await;
        assert_eq!(answer.unwrap(), (204, None));
        // Neither another name, nor another authority, nor no TLS.
        let by_address = post(format!("https://127.0.0.1:{port}/hook"), roots).await;
        assert!(matches!(by_address, Err(Failed::Tls(_))), "{by_address:?}");
        let (_, others) = receiver().await;
        let other = post(format!("https://localhost:{port}/hook"), others.clone()).await;
        assert!(matches!(other, Err(Failed::Tls(_))), "{other:?}");
        let plain = post(format!("http://localhost:{port}/hook"), others).await;
        assert!(plain.is_err(), "{plain:?}");
    }
}
