//! Asks the policy about a model before the first byte of it is transferred.

use provisioner_core::{
    CatalogRecord, Format, LeftOut, LeftOutReason, Manifest, ManifestFile, Notice, Question, RelativePath,
    Role,
};

use crate::{context::Context, error::Result};

/// Returns a listed model without the program code that the policy denies. Fails where the policy denies the model, as far as
/// the source's listing says enough.
pub(crate) fn admit(ctx: &Context, manifest: Manifest) -> Result<Manifest> {
    let manifest = if manifest.is_in_place() { manifest } else { without_code(ctx, manifest) };
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

/// Leaves out the program code that the policy denies.
fn without_code(ctx: &Context, manifest: Manifest) -> Manifest {
    let goes = |path: &RelativePath, role| role == Some(Role::Code) && !allows_code(ctx, path.as_str());
    manifest.leave_out(goes, LeftOutReason::Policy, |notices, files| {
        notices.retain(|notice| !matches!(notice, Notice::RemoteCode { .. }));
        notices.push(Notice::CodeLeftOut { files });
    })
}

/// Returns whether the policy allows a file of program code.
fn allows_code(ctx: &Context, path: &str) -> bool {
    ctx.ask(&Question::Format { path, format: Format::Python }).is_ok()
}

/// Warns where a recorded model lacks program code that the policy left out, and allows now. A present model is never changed
/// under its user.
pub(crate) fn warn_of_code(ctx: &Context, record: &CatalogRecord) {
    let is_allowed_now =
        |file: &LeftOut| file.reason == LeftOutReason::Policy && allows_code(ctx, &file.path);
    if record.left_out.iter().any(is_allowed_now) {
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
