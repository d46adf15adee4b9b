//! What all TLS connections of a listener share.

use crate::error::Error;
use crate::tls::handshake;
use crate::tls::identity::{Identity, Warning};
use crate::tls::names::{Resolver, Table};
use crate::tls::session::Session;
use crate::tls::stream::TlsStream;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;
use weir_ring::net::TcpStream;

/// Turns accepted TCP connections into TLS ones. Cheap to clone; clones share certificates and
/// ticket keys, so that a client may resume its session on any worker.
#[derive(Clone)]
pub struct Acceptor(Arc<Shared>);

struct Shared {
    identities: Vec<Identity>,
    provider: Arc<CryptoProvider>,
    resolver: Arc<Resolver>,
    config: Arc<ServerConfig>,
}

impl Acceptor {
    /// Reads certificates and keys. Names come from each certificate's subject alternative names;
    /// the first identity serves clients that ask for no name, or for an unknown one. `alpn` are
    /// the protocols offered, in order of preference; a client that offers others only is refused.
    ///
    /// # Errors
    /// [`Error`], which names the file and what to do. An expired certificate is no error but one
    /// of [`Acceptor::warnings`].
    pub fn load(identities: &[Identity], alpn: &[&[u8]]) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let table = table(identities, &provider)?;
        let resolver = Arc::new(Resolver::new(table));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(Error::Tls)?;
        let mut config = builder
            .with_no_client_auth()
            .with_cert_resolver(resolver.clone());
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(Error::Tls)?;
        config.max_early_data_size = 0;
        Ok(Self(Arc::new(Shared {
            identities: identities.to_vec(),
            provider,
            resolver,
            config: Arc::new(config),
        })))
    }

    /// Reads the same files again. New connections get what they hold now; open ones go on, and
    /// sessions can still be resumed. It reads files, so do not call it on a worker.
    ///
    /// # Errors
    /// As [`Acceptor::load`]; then all certificates stay as they were.
    pub fn reload(&self) -> Result<(), Error> {
        let shared = &self.0;
        shared
            .resolver
            .replace(table(&shared.identities, &shared.provider)?);
        Ok(())
    }

    /// What the operator should know of the certificates now in use.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        self.0.resolver.table().warnings.clone()
    }

    /// Does the handshake. The caller gives the deadline, with [`weir_ring::timeout`].
    ///
    /// # Errors
    /// `InvalidData` with the fault of the peer, which was told so by an alert; `UnexpectedEof` if
    /// it left; those of recv(2) and send(2). The connection is closed.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream> {
        let session = Session::server(self.0.config.clone())?;
        handshake::run(stream, session).await
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("identities", &self.0.identities)
            .finish_non_exhaustive()
    }
}

fn table(identities: &[Identity], provider: &CryptoProvider) -> Result<Table, Error> {
    let now = SystemTime::now();
    let loaded: Result<Vec<_>, _> = identities
        .iter()
        .map(|identity| identity.load(provider, now))
        .collect();
    Table::new(loaded?).ok_or(Error::NoIdentity)
}

const _: () = {
    const fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<Acceptor>();
};
