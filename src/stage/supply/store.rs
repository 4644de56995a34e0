//! Takes files whose bytes the store has already, from another model or from an earlier call.

use std::sync::Arc;

use artifact_store::Blob;
use provisioner_core::{
    CatalogRecord, Digest, DigestAlgorithm, Locator, Manifest, ManifestFile, ModelRef, Question,
    RelativePath, StagedFile, StagedModel, Timestamp,
};
use transfer::Fetched;

use crate::{context::Context, error::Result, stage::staged_file::staged_file};

/// Returns the blob of each file that the store has.
pub(crate) async fn blobs(ctx: &Arc<Context>, manifest: &Manifest) -> Result<Vec<Option<Blob>>> {
    let manifest = manifest.clone();
    ctx.run_blocking(move |ctx| {
        let known = ctx.store.git_ids(&manifest.view_path()?)?;
        manifest.files().iter().map(|file| Ok(known.blob(file)?)).collect()
    })
    .await
}

/// Stages a fetched model from the blobs of its record alone; returns `None` where one of them is missing.
pub(crate) async fn stage_blobs(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    record: &CatalogRecord,
) -> Result<Option<StagedModel>> {
    let manifest = Manifest::of_record(reference.clone(), record, |_| Locator::Stored)?;
    let files = Arc::clone(&record.files);
    let staged = ctx.run_blocking(move |ctx| {
        let began = ctx.clock.now();
        let mut staged = Vec::new();
        for file in files.iter() {
            let blob = file.sha256.as_ref().map(|sha256| ctx.store.blob(sha256)).transpose()?.flatten();
            let Some(blob) = blob else { return Ok(None) };
            let found = stage_blob(file.path.clone(), blob, None, began)?;
            ctx.ask(&Question::Format { path: found.path.as_str(), format: found.format })?;
            staged.push(found);
        }
        Ok(Some(staged))
    });
    Ok(staged.await?.map(|staged| StagedModel::new(manifest, staged)).transpose()?)
}

/// Stages a file from the blob that the store found by the file's listed digest. It opens the blob, and may block.
pub(crate) fn from_blob(file: &ManifestFile, blob: Blob, began: Timestamp) -> Result<StagedFile> {
    let is_git_id = |digest: &&Digest| digest.algorithm() == DigestAlgorithm::GitSha1;
    stage_blob(file.path.clone(), blob, file.digest.as_ref().filter(is_git_id).cloned(), began)
}

fn stage_blob(
    path: RelativePath,
    blob: Blob,
    git_sha1: Option<Digest>,
    began: Timestamp,
) -> Result<StagedFile> {
    let is_externally_linked = blob.is_externally_linked();
    let fetched = Fetched { sha256: blob.sha256, git_sha1 };
    let location = blob.path.clone();
    let staged =
        staged_file(path, location, fetched, |stamp| !is_externally_linked || stamp.is_settled(began));
    // Another process may remove the blob before it is open.
    if staged.is_err() && !blob.path.exists() {
        return Err(artifact_store::Error::Vanished { path: blob.path }.into());
    }
    staged
}
