//! Pins a reference to its revision and to the SHA-256 of every file, and says whether the source has moved on since.
//!
//! # Model
//! The source's listing has the SHA-256 of large files. Of a file that it lists otherwise, such as by git's id, the digest is taken from a
//! blob of the store, from the record of the same revision, or from the bytes of the file, where it is small. It fetches no large
//! file. A model that lies in place is hashed, unless its record still holds. Where the user took the network away, a fetched model is
//! locked as its record has it.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, stream};
use provisioner_core::{
    ContentHasher, Digest, DigestAlgorithm, Expectation, LockedFile, LockedModel, Manifest, ManifestFile,
    ModelRef, Question, RelativePath, ResolveRequest, StagedFile, Versioned,
};

use crate::{
    context::Context,
    error::{Error, Result},
    resolve::{admission::admit, manifest::resolve, presence::locate, reference::canonical},
    stage::supply::in_place::stage_in_place,
};

/// The largest size of a file whose bytes are fetched for its digest, in bytes. The Hub keeps larger ones where it states a SHA-256.
const MAX_READ_BYTES: u64 = 32 << 20;

/// How many files a call reads at once.
const READ_AT_ONCE: usize = 4;

/// Says whether the source of a locked model has moved on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockState {
    /// The reference means what is locked.
    Current,
    /// The reference means something else now.
    Moved {
        /// The revision that the source names now. `None` for a source without revisions.
        revision: Option<String>,
    },
}

/// Returns what a reference means now, pinned to its bytes.
pub(crate) async fn lock(ctx: &Arc<Context>, reference: &ModelRef) -> Result<LockedModel> {
    let reference = canonical(ctx, reference).await?;
    let manifest = match listed(ctx, &reference).await {
        Err(error @ Error::Core(provisioner_core::Error::Offline { .. })) => {
            return recorded(ctx, reference, error).await;
        }
        listed => listed?,
    };
    let revision = manifest.revision().map(str::to_owned);
    let files = if manifest.is_in_place() {
        files_in_place(ctx, manifest).await?
    } else {
        files_elsewhere(ctx, &reference, &manifest).await?
    };
    Ok(LockedModel::new(reference, revision, files)?)
}

/// Returns whether a locked reference still means what is locked. It asks the source, and fetches no large file.
pub(crate) async fn check(ctx: &Arc<Context>, locked: &LockedModel) -> Result<LockState> {
    let reference = locked.reference();
    if locked.revision().is_some() && reference.revision() == locked.revision() {
        return Ok(LockState::Current);
    }
    let is_moved =
        |is_moved, revision| if is_moved { LockState::Moved { revision } } else { LockState::Current };
    if reference.is_local() {
        return Ok(is_moved(lock(ctx, reference).await?.tree() != locked.tree(), None));
    }
    let manifest = listed(ctx, &canonical(ctx, reference).await?).await?;
    let revision = manifest.revision().map(str::to_owned);
    if revision.is_some() || locked.revision().is_some() {
        return Ok(is_moved(revision.as_deref() != locked.revision(), revision));
    }
    let is_same = manifest.files().len() == locked.files().len() && locked.applied_to(manifest).is_ok();
    Ok(is_moved(!is_same, None))
}

/// Returns what the record of a present model has. Fails with `offline` where there is none with the digests of all files.
async fn recorded(ctx: &Arc<Context>, reference: ModelRef, offline: Error) -> Result<LockedModel> {
    let Some(model) = locate(ctx, &reference).await? else { return Err(offline) };
    let files = model.files.iter().map(|file| {
        let sha256 = file.sha256.clone()?;
        Some(LockedFile { path: file.path.clone(), size: file.stamp.size, sha256 })
    });
    let Some(files) = files.collect() else { return Err(offline) };
    tracing::warn!("`{reference}` is locked as it is on this machine: the network is off limits");
    Ok(LockedModel::new(reference, model.revision.clone(), files)?)
}

/// Returns what the source lists now, without what the policy leaves out.
async fn listed(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Manifest> {
    ctx.ask(&Question::Reference(reference))?;
    admit(ctx, resolve(ctx, &ResolveRequest::new(reference.clone())).await?)
}

/// Hashes files where they lie. A file whose recorded stamp still holds is not read.
async fn files_in_place(ctx: &Arc<Context>, manifest: Manifest) -> Result<Vec<LockedFile>> {
    let found = ctx.catalog.get(&manifest.reference().id()).await?;
    let recorded = found.map(|found| found.record);
    let staged = stage_in_place(ctx, manifest, &Expectation::none(), true, recorded).await?;
    let locked = staged.files().iter().map(|StagedFile { path, stamp, sha256, location, .. }| {
        let changed = || Error::ChangedWhileRead { path: location.to_path_buf() };
        let sha256 = sha256.clone().ok_or_else(changed)?;
        Ok(LockedFile { path: path.clone(), size: stamp.size, sha256 })
    });
    locked.collect()
}

/// Returns the files of a listing, each with its SHA-256 from the first place that has it.
async fn files_elsewhere(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    manifest: &Manifest,
) -> Result<Vec<LockedFile>> {
    let known = known(ctx, manifest).await?;
    let locked = manifest.files().iter().map(|file| {
        let of_listing = file.digest.clone().filter(|digest| digest.algorithm() == DigestAlgorithm::Sha256);
        let known = of_listing.or_else(|| known.get(&file.path).cloned());
        async move {
            let sha256 = match known {
                Some(sha256) => sha256,
                None => read(ctx, reference, file).await?,
            };
            Ok(LockedFile { path: file.path.clone(), size: file.size, sha256 })
        }
    });
    stream::iter(locked.collect::<Vec<_>>()).buffered(READ_AT_ONCE).try_collect().await
}

/// Returns the SHA-256 of the listed files that the store or the record knows.
async fn known(ctx: &Arc<Context>, manifest: &Manifest) -> Result<HashMap<RelativePath, Digest>> {
    let mut known = HashMap::new();
    let previous = ctx.catalog.get(&manifest.reference().id()).await?;
    let is_of_revision = |found: &Versioned| found.record.revision.as_deref() == manifest.revision();
    let recorded = previous.filter(is_of_revision);
    for file in recorded.iter().flat_map(|found| found.record.files.iter()) {
        let is_it = |listed: &&ManifestFile| listed.path == file.path && listed.size == file.stamp.size;
        if let Some(sha256) =
            file.sha256.clone().filter(|_| manifest.files().iter().any(|listed| is_it(&listed)))
        {
            known.insert(file.path.clone(), sha256);
        }
    }
    let manifest = manifest.clone();
    ctx.run_blocking(move |ctx| {
        let stored = ctx.store.git_ids(&manifest.view_path()?)?;
        for file in manifest.files() {
            if let Some(blob) = stored.blob(file)? {
                known.insert(file.path.clone(), blob.sha256);
            }
        }
        Ok(known)
    })
    .await
}

/// Fetches a small file, and returns its SHA-256.
async fn read(ctx: &Arc<Context>, reference: &ModelRef, file: &ManifestFile) -> Result<Digest> {
    let (id, size, path) = (reference.id(), file.size, file.path.clone());
    if size > MAX_READ_BYTES {
        return Err(Error::NoDigest { id, path, size });
    }
    let fetcher = ctx.registry.find(reference)?;
    let bytes = ctx.transfer.read(fetcher, &id, file, 0..size, ctx.progress.as_ref()).await?;
    let listed = file.digest.clone();
    ctx.run_blocking(move |_| {
        let mut hasher = ContentHasher::of_size(size, listed.is_some());
        hasher.update(&bytes);
        let digests = hasher.finish();
        match (listed, digests.git_sha1) {
            (Some(expected), Some(actual)) if expected != actual => {
                Err(transfer::Error::Mismatch { path: path.to_string(), expected, actual }.into())
            }
            _ => Ok(digests.sha256),
        }
    })
    .await
}
