//! Turns what a config says of a statement into the options of one.

use super::options::{AttestOptions, StatementDest};
use crate::{config::AttestConfig, error::Result};

/// Returns the options of the statement that a config wants. It reads the key, and may block.
///
/// # Errors
/// The key cannot be read; this build signs nothing, and the config names a key.
pub(crate) fn options(config: &AttestConfig) -> Result<AttestOptions> {
    let mut options = match &config.key {
        Some(key) => signing(key)?,
        None => AttestOptions::default(),
    };
    options.format = config.format;
    options.dest = Some(StatementDest::Folder(config.dir.clone()));
    options.verifier_id.clone_from(&config.verifier);
    Ok(options)
}

#[cfg(feature = "signing")]
fn signing(key: &std::path::Path) -> Result<AttestOptions> {
    let (key, key_file) = (Some(crate::signing::private_key(key)?), Some(key.to_owned()));
    Ok(AttestOptions { key, key_file, ..AttestOptions::default() })
}

#[cfg(not(feature = "signing"))]
fn signing(_: &std::path::Path) -> Result<AttestOptions> {
    Err(crate::Error::SignatureDemand {
        reason: "this build signs nothing: it was made without the feature `signing`",
    })
}
