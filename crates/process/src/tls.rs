//! The one TLS implementation of the process.

use rustls::crypto::{CryptoProvider, ring};

/// Makes ring the provider of every TLS client. Called first in `main`, and again without effect: the HTTP clients
/// are built without a provider of their own and refuse to be made until there is one.
pub fn install_tls_provider() {
    // It fails if there is a provider already. Two tests of one process may come here at the same time.
    let installed = ring::default_provider().install_default();
    assert!(installed.is_ok() || CryptoProvider::get_default().is_some(), "there is a provider now");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_twice_is_harmless() {
        install_tls_provider();
        install_tls_provider();
        assert!(CryptoProvider::get_default().is_some());
    }
}
