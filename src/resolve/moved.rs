//! Whether a source lists what is recorded.

use std::sync::Arc;

use provisioner_core::{CatalogRecord, Manifest};

use crate::{context::Context, error::Result};

/// Returns whether a source lists what is recorded: the same revision, of which the same files are chosen; or where it names none, the
/// same files. Without a listed digest no listing tells whether a file is the same, and the answer is no.
pub(crate) async fn is_recorded(
    ctx: &Arc<Context>,
    manifest: &Manifest,
    record: &CatalogRecord,
) -> Result<bool> {
    if manifest.revision().is_some() || record.revision.is_some() {
        return Ok(manifest.revision() == record.revision.as_deref() && is_chosen(manifest, record));
    }
    if !is_chosen(manifest, record) {
        return Ok(false);
    }
    let (manifest, record) = (manifest.clone(), record.clone());
    ctx.run_blocking(move |ctx| {
        // A source may list git's ids, and a record has none; the store finds a blob by either.
        let known = ctx.store.git_ids(&manifest.view_path()?)?;
        for (listed, file) in manifest.files().iter().zip(record.files.iter()) {
            let blob = known.blob(listed)?;
            let has_its_bytes = blob.is_some_and(|blob| file.sha256.as_ref() == Some(&blob.sha256));
            if listed.size != file.stamp.size || !has_its_bytes {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await
}

/// Returns whether a manifest has the files of a record, and no other, each as what it is to an engine there.
fn is_chosen(manifest: &Manifest, record: &CatalogRecord) -> bool {
    let listed = manifest.files().iter().map(|file| (&file.path, manifest.role(&file.path)));
    let recorded = record.files.iter().map(|file| (&file.path, file.role));
    *manifest.entry() == record.loaded()
        && manifest.projector() == record.projector.as_ref()
        && listed.eq(recorded)
}
