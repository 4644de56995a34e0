//! What the policy says of a model before its bytes are here.

use provisioner_core::{CatalogRecord, Format, Manifest, Policy};

use crate::error::Result;

/// Fails where the policy denies a model, as far as its source's listing tells.
pub(crate) fn check_listing(policy: &Policy, manifest: &Manifest) -> Result<()> {
    policy.check_size(&manifest.reference().id(), manifest.size_bytes())?;
    // What a name does not say, the bytes will.
    for file in manifest.files() {
        if let Some(format) = Format::named(file.path.file_name()) {
            policy.check_format(file.path.as_str(), format)?;
        }
    }
    Ok(())
}

/// Fails where the policy denies a recorded model.
pub(crate) fn check_record(policy: &Policy, record: &CatalogRecord) -> Result<()> {
    policy.check_size(&record.id, record.size_bytes)?;
    for file in &record.files {
        policy.check_format(&record.location(&file.path).to_string_lossy(), file.format)?;
    }
    Ok(())
}
