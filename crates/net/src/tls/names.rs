//! Which certificate a client gets (server name indication, RFC 6066 section 3).

use crate::tls::identity::{Loaded, Warning};
use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// The certificates of now, exchanged as a whole. Reading takes no lock.
#[derive(Debug)]
pub(crate) struct Resolver(ArcSwap<Table>);

/// Certificates by name.
#[derive(Debug)]
pub(crate) struct Table {
    /// For clients that send no name, or one that no certificate has.
    default: Arc<CertifiedKey>,
    /// By whole name, in lower case; more than one if they have keys of several kinds.
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
    pub(crate) warnings: Vec<Warning>,
}

impl Table {
    /// `None` without an identity.
    pub(crate) fn new(identities: Vec<Loaded>) -> Option<Self> {
        let mut table = Self {
            default: identities.first()?.key.clone(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            warnings: Vec::new(),
        };
        for identity in identities {
            for name in identity.names {
                let keys = match name.strip_prefix("*.") {
                    Some(suffix) => table.wildcard.entry(suffix.to_owned()).or_default(),
                    None => table.exact.entry(name).or_default(),
                };
                keys.push(identity.key.clone());
            }
            table.warnings.extend(identity.warnings);
        }
        Some(table)
    }

    /// The certificates for `name`: those that name it, else those with a wildcard in place of
    /// its first label (RFC 9525 section 6.3), which is all a wildcard may stand for.
    fn named(&self, name: &str) -> &[Arc<CertifiedKey>] {
        let name = name.to_ascii_lowercase();
        self.exact
            .get(&name)
            .or_else(|| self.wildcard.get(name.split_once('.')?.1))
            .map_or(&[], Vec::as_slice)
    }
}

impl Resolver {
    pub(crate) fn new(table: Table) -> Self {
        Self(ArcSwap::from_pointee(table))
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, table: Table) {
        self.0.store(Arc::new(table));
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.0.load();
        let schemes = client.signature_schemes();
        let named = client.server_name().map_or(&[][..], |n| table.named(n));
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let key = named.iter().find(fits).unwrap_or(&table.default);
        Some(key.clone())
    }
}
