//! Speaks TLS, with a certificate that is made at the start.

use std::{fmt, io, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer},
    server::TlsStream,
};

use super::line::Protocol;

/// The key, the certificate and the protocols of a hub that speaks TLS.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    /// The certificate in PEM. A client that trusts it reaches the hub.
    pub(super) certificate: String,
}

impl Tls {
    /// Makes a certificate for this machine, and offers these protocols in the hub's order.
    ///
    /// # Panics
    /// Where the machine cannot make a key.
    pub(super) fn new(protocols: &[Protocol]) -> Self {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has these versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into());
        let mut config = config.expect("the key is the certificate's");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.name().to_vec()).collect();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate: cert.pem() }
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
