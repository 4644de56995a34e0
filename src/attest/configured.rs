//! Turns what a config says of a statement into the options of one.

use super::options::{AttestOptions, StatementDest};
use crate::{config::AttestConfig, error::Result};

/// Returns the options of the statement that a config wants. It reads the key, and may block.
///
/// # Errors
/// As [`AttestOptions::signed_by`], where the config names a key.
pub(crate) fn options(config: &AttestConfig) -> Result<AttestOptions> {
    let signed = config.key.as_deref().map(AttestOptions::signed_by).transpose()?;
    Ok(AttestOptions {
        format: config.format,
        dest: Some(StatementDest::Folder(config.dir.clone())),
        verifier_id: config.verifier.clone(),
        ..signed.unwrap_or_default()
    })
}
