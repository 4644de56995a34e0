//! Asks the policy about a model before the first byte of it is transferred.

use provisioner_core::{
    CatalogRecord, Format, LeftOut, LeftOutReason, Manifest, ManifestFile, Question, RelativePath, Role,
};

use crate::{context::Context, error::Result};

/// Returns a listed model without the program code that the policy denies. Fails where the policy denies the model, as far as
/// the source's listing says enough.
pub(crate) fn admit(ctx: &Context, manifest: Manifest) -> Result<Manifest> {
    let denies = |path: &RelativePath| {
        ctx.ask(&Question::Format { path: path.as_str(), format: Format::Python }).is_err()
    };
    let manifest = if manifest.is_in_place() { manifest } else { manifest.without_code(denies) };
    let (id, size_bytes) = (&manifest.reference().id(), manifest.size_bytes());
    ctx.ask(&Question::Size { id, size_bytes })?;
    // The name of a file may not say its format. The bytes will. The weights come first, for they are what a person asked for.
    let is_weights =
        |file: &&ManifestFile| matches!(manifest.role(&file.path), Some(Role::Weights | Role::Adapter));
    let (weights, others): (Vec<_>, Vec<_>) = manifest.files().iter().partition(is_weights);
    for file in weights.into_iter().chain(others) {
        if let Some(format) = Format::named(file.path.file_name()) {
            ctx.ask(&Question::Format { path: file.path.as_str(), format })?;
        }
    }
    Ok(manifest)
}

/// Warns where a recorded model lacks program code that the policy left out, and allows now. A present model is never changed
/// under its user.
pub(crate) fn warn_of_code(ctx: &Context, record: &CatalogRecord) {
    let was_denied = |file: &&LeftOut| file.reason == LeftOutReason::Policy;
    let is_allowed =
        |file: &&LeftOut| ctx.ask(&Question::Format { path: &file.path, format: Format::Python }).is_ok();
    if record.left_out.iter().filter(was_denied).any(|file| is_allowed(&file)) {
        tracing::warn!(
            "`{}` was fetched without its program code, which the policy allows now: remove it and ensure it again, and the \
             code comes along",
            record.id
        );
    }
}

/// Fails where the policy denies a recorded model.
pub(crate) fn check_record(ctx: &Context, record: &CatalogRecord) -> Result<()> {
    ctx.ask(&Question::Size { id: &record.id, size_bytes: record.size_bytes })?;
    for file in &record.files {
        let location = record.location(&file.path);
        let format = if file.role == Some(Role::Code) { Format::Python } else { file.format };
        ctx.ask(&Question::Format { path: &location.to_string_lossy(), format })?;
    }
    Ok(())
}
