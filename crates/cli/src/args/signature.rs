//! Options that say who must have signed a model.

use std::path::PathBuf;

use clap::Args;
use model_provisioner::SignatureConfig;

// Who must have signed a model.
#[derive(Clone, Debug, Args)]
pub(crate) struct SignatureOptions {
    /// Refuse a model that the holder of this key did not sign: a public key in PEM, on P-256, P-384 or P-521
    #[arg(long, value_name = "KEY", conflicts_with = "identity")]
    pub(crate) public_key: Option<PathBuf>,
    /// Refuse a model that this identity did not sign without a key (Sigstore): a mail address or a URL, in full
    #[arg(long, value_name = "ID", requires = "identity_issuer")]
    pub(crate) identity: Option<String>,
    /// Who vouches for `--identity`, such as `https://accounts.google.com`
    #[arg(long, value_name = "URL", requires = "identity")]
    pub(crate) identity_issuer: Option<String>,
    /// The file of the signature [default: what lies beside the model and ends with `.sig`]
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,
}

impl SignatureOptions {
    /// Returns what the options demand. `None` without any of them.
    pub(crate) fn demanded(&self) -> Option<SignatureConfig> {
        let Self { public_key, identity, identity_issuer, signature } = self.clone();
        let demanded = SignatureConfig { public_key, identity, identity_issuer, file: signature };
        (demanded != SignatureConfig::default()).then_some(demanded)
    }
}
