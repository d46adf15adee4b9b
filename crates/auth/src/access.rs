//! Which addresses may do something.

use crate::error::Error;
use crate::limits::NETWORKS_MAX;
use std::net::IpAddr;
use weir_http::network::Network;

/// Networks that may, and networks that may not. By default everybody may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    allow: Vec<Network>,
    deny: Vec<Network>,
}

impl Access {
    /// Whoever is in `allow` may, or everybody if that is empty; but nobody in `deny`.
    ///
    /// # Errors
    /// [`Error::TooManyNetworks`]
    pub fn new(allow: Vec<Network>, deny: Vec<Network>) -> Result<Self, Error> {
        if allow.len().max(deny.len()) > NETWORKS_MAX {
            return Err(Error::TooManyNetworks);
        }
        Ok(Self { allow, deny })
    }

    /// Whether everybody may.
    #[must_use]
    pub const fn is_everybody(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// Whether `address` may.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        let in_any = |networks: &[Network]| networks.iter().any(|n| n.contains(address));
        (self.allow.is_empty() || in_any(&self.allow)) && !in_any(&self.deny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(allow: &[&str], deny: &[&str]) -> Access {
        let parse = |list: &[&str]| list.iter().map(|n| n.parse().unwrap()).collect();
        Access::new(parse(allow), parse(deny)).unwrap()
    }

    fn admits(access: &Access, address: &str) -> bool {
        access.admits(address.parse().unwrap())
    }

    #[test]
    fn lists_decide_and_deny_wins() {
        let everybody = Access::default();
        assert!(everybody.is_everybody());
        assert!(admits(&everybody, "192.0.2.1") && admits(&everybody, "2001:db8::1"));
        let some = access(&["10.0.0.0/8", "::1"], &["10.9.0.0/16"]);
        assert!(admits(&some, "10.1.2.3") && admits(&some, "::1"));
        assert!(
            admits(&some, "::ffff:10.1.2.3"),
            "a dual-stack socket shows IPv4 so"
        );
        assert!(!admits(&some, "10.9.2.3") && !admits(&some, "192.0.2.1"));
        let others = access(&[], &["192.0.2.0/24"]);
        assert!(admits(&others, "10.1.2.3") && !admits(&others, "192.0.2.200"));
    }

    #[test]
    fn lists_are_bounded() {
        let one: Network = "10.0.0.1".parse().unwrap();
        let many = vec![one; NETWORKS_MAX + 1];
        assert!(Access::new(vec![one; NETWORKS_MAX], Vec::new()).is_ok());
        assert!(matches!(
            Access::new(Vec::new(), many),
            Err(Error::TooManyNetworks)
        ));
    }
}
