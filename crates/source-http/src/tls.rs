//! Says which certificates a client trusts, and which protocols it offers.

use std::sync::Arc;

use rustls::{
    ClientConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::CertificateDer,
};
use rustls_platform_verifier::Verifier;
use tokio::{sync::OnceCell, task::spawn_blocking};

use crate::error::BoxError;

/// The names of protocols in a handshake: of HTTP/2 (RFC 9113, section 3.1), and of HTTP/1.1 (RFC 7301, section 6).
pub(crate) const HTTP2: &[u8] = b"h2";
pub(crate) const HTTP1: &[u8] = b"http/1.1";

/// Holds how a client speaks TLS. The first connection that needs it reads the authorities of the machine: that takes longer than
/// finding a present model.
#[derive(Debug)]
pub(crate) struct Tls {
    /// The authorities that the client trusts beside those of the machine.
    authorities: Vec<CertificateDer<'static>>,
    config: OnceCell<ClientConfig>,
}

impl Tls {
    pub(crate) fn trusting(authorities: Vec<CertificateDer<'static>>) -> Self {
        Self { authorities, config: OnceCell::new() }
    }

    /// Returns the configuration of a connection that offers these protocols.
    ///
    /// # Errors
    /// The authorities cannot be used.
    pub(crate) async fn offering(&self, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, BoxError> {
        let read = || async {
            let authorities = self.authorities.clone();
            Ok::<_, BoxError>(spawn_blocking(move || config(authorities)).await??)
        };
        let mut config = self.config.get_or_try_init(read).await?.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

fn config(authorities: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    // A program that links this crate may have chosen its cryptography.
    let chosen = CryptoProvider::get_default().cloned();
    let provider = chosen.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    let verifier = Verifier::new_with_extra_roots(authorities, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    // rustls calls every verifier dangerous but its own. This one trusts what the machine's other programs trust.
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(builder.with_no_client_auth())
}
