//! Finds the signature of a model: where the caller says that it is, or beside the model.
//!
//! Beside a model means at the top of its repository or of its folder, under a name that ends with `.sig`: `model.sig` first. Beside
//! a single file, it is `<file>.sig` or `model.sig`. A repository's signature need not belong to the model that the reference
//! names, so it is read from its source, and kept in the record.

use std::{io, path::Path, sync::Arc};

use provisioner_core::{
    CatalogRecord, Entry, Expectation, Locator, Manifest, ManifestFile, ModelRef, RecordedSignature,
    RelativePath, ResolveRequest, SignatureDemand, SignatureFile,
};

use super::manifest::resolve;
use crate::{
    config::read_named_file,
    context::{Context, run_blocking},
    error::Result,
};

/// The largest signature, in bytes.
const MAX_BYTES: u64 = 32 << 20;

/// How many signatures beside a model are looked at.
const MOST_SIGNATURES: usize = 8;

/// The name that the tools of signers give a signature, unless they are told another one.
const USUAL_NAME: &str = "model.sig";

/// Returns whether a path in a model is that of a signature: it lies at the top, and ends with `.sig`.
pub(crate) fn is_signature(path: &str) -> bool {
    !path.contains('/')
        && Path::new(path).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("sig"))
}

/// Returns the paths of signatures among some paths, the usual one first.
pub(crate) fn among<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found: Vec<_> = paths.into_iter().filter(|path| is_signature(path)).collect();
    found.sort_unstable_by_key(|path| (*path != USUAL_NAME, *path));
    found.dedup();
    found.truncate(MOST_SIGNATURES);
    found
}

/// Returns a manifest with the signatures that the expectation needs. Without a demand, it looks for none.
///
/// # Errors
/// The caller's file cannot be read; the source does not give one that it lists, where a demand is enforced.
pub(crate) async fn find(
    ctx: &Arc<Context>,
    manifest: Manifest,
    expectation: &Expectation,
    recorded: Option<&CatalogRecord>,
) -> Result<Manifest> {
    let demands = expectation.signatures();
    if demands.is_empty() {
        return Ok(manifest);
    }
    let mut found = Vec::new();
    for file in demands.iter().filter_map(|demand| demand.file.clone()) {
        found.push(run_blocking(move || read_named(&file)).await?);
    }
    if demands.iter().any(|demand| demand.file.is_none()) {
        match beside(ctx, &manifest, recorded).await {
            Ok(more) => found.extend(more),
            Err(error) if demands.iter().any(SignatureDemand::is_enforced) => return Err(error),
            Err(error) => tracing::warn!("`{}`: its signature is not read: {error}", manifest.reference()),
        }
    }
    Ok(manifest.with_signatures(found))
}

/// Returns the signatures beside a model.
async fn beside(
    ctx: &Arc<Context>,
    manifest: &Manifest,
    recorded: Option<&CatalogRecord>,
) -> Result<Vec<SignatureFile>> {
    if let ModelRef::Local(local) = manifest.reference() {
        let (path, entry) = (local.path().to_owned(), manifest.entry().clone());
        return run_blocking(move || beside_local(&path, &entry)).await;
    }
    let kept: Vec<_> = recorded
        .iter()
        .flat_map(|record| &record.signatures)
        .filter_map(RecordedSignature::to_file)
        .collect();
    let mut found = Vec::new();
    let listed = manifest.files().iter().map(|file| file.path.as_str());
    let left_out = manifest.left_out().iter().map(|file| file.path.as_str());
    for name in among(listed.chain(left_out)) {
        if kept.iter().all(|kept| kept.name != name) {
            found.push(fetch(ctx, manifest, name).await?);
        }
    }
    Ok(kept.into_iter().chain(found).collect())
}

fn beside_local(path: &Path, entry: &Entry) -> Result<Vec<SignatureFile>> {
    let (folder, names) =
        if let (Entry::File(_), Some(folder), Some(name)) = (entry, path.parent(), path.file_name()) {
            (folder.to_owned(), vec![format!("{}.sig", name.to_string_lossy()), USUAL_NAME.to_owned()])
        } else {
            let names = fetch_file::folder_names(path)?;
            let names = among(names.iter().map(|(path, _)| path.as_str()));
            (path.to_owned(), names.into_iter().map(str::to_owned).collect())
        };
    let mut found = Vec::new();
    for name in names {
        let location = folder.join(&name);
        if location.try_exists().unwrap_or(false) {
            found.push(read(name, &location)?);
        }
    }
    Ok(found)
}

/// Reads signatures among files that an import takes in: their paths in the model, and where they lie. It may block.
pub(crate) fn read_among(files: &[(&RelativePath, &Path)]) -> Result<Vec<SignatureFile>> {
    let locate =
        |name: &&str| files.iter().find(|(path, _)| path.as_str() == *name).map(|(_, location)| *location);
    let names = among(files.iter().map(|(path, _)| path.as_str()));
    let located = names.iter().filter_map(|name| Some((*name, locate(name)?)));
    located.map(|(name, location)| read(name.to_owned(), location)).collect()
}

/// Reads a signature that the caller names. A record and a statement name it by its absolute path. It may block.
fn read_named(file: &Path) -> Result<SignatureFile> {
    let name = std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string();
    read(name, file)
}

/// Reads a signature on this machine. It may block.
fn read(name: String, location: &Path) -> Result<SignatureFile> {
    Ok(SignatureFile { name, bytes: read_named_file(location, MAX_BYTES)? })
}

/// Reads a signature that the source lists, from where the manifest says that it is.
async fn fetch(ctx: &Arc<Context>, manifest: &Manifest, name: &str) -> Result<SignatureFile> {
    let reference = manifest.reference();
    let of = |manifest: &Manifest| manifest.files().iter().find(|file| file.path.as_str() == name).cloned();
    let file = match of(manifest) {
        Some(file) if file.locator != Locator::Stored => file,
        _ => {
            let named = named(manifest, name)?;
            let listed = resolve(ctx, &ResolveRequest::new(named)).await?;
            let gone = || io::Error::new(io::ErrorKind::NotFound, "its source does not list it any more");
            of(&listed).ok_or_else(|| crate::Error::storage(format!("`{name}` of `{reference}`"), gone()))?
        }
    };
    match &file.locator {
        Locator::InPlace(location) => {
            let (name, location) = (name.to_owned(), location.clone());
            run_blocking(move || read(name, &location)).await
        }
        _ => Ok(SignatureFile { name: name.to_owned(), bytes: fetch_bytes(ctx, reference, &file).await? }),
    }
}

async fn fetch_bytes(ctx: &Context, reference: &ModelRef, file: &ManifestFile) -> Result<Vec<u8>> {
    if file.size > MAX_BYTES {
        let what = format!("`{}` of `{reference}` is not read", file.path);
        let reason = format!("it has {} bytes, and a signature has {MAX_BYTES} at the most", file.size);
        return Err(crate::Error::storage(what, io::Error::other(reason)));
    }
    let (fetcher, id) = (ctx.registry.find(reference)?, reference.id());
    Ok(ctx.transfer.read(fetcher, &id, file, 0..file.size, ctx.progress.as_ref()).await?)
}

/// Returns the reference to one file of the same repository, at the same revision.
fn named(manifest: &Manifest, name: &str) -> Result<ModelRef> {
    let reference = manifest.reference();
    let repo = reference.repository().ok_or_else(|| {
        let none = io::Error::other("its source has no repositories");
        crate::Error::storage(format!("`{name}` of `{reference}`"), none)
    })?;
    let repo = match manifest.revision() {
        Some(revision) => repo.clone().at(revision),
        None => repo.clone(),
    };
    Ok(ModelRef::Repo(repo.file(&RelativePath::new(name)?)?))
}
