//! Holds a model to what the lock file pins.
//!
//! # Model
//! A provisioner with a lock file asks no source what a reference means: the lock file says which revision and which bytes. The digest of
//! all files takes the place of what a caller demands, so that presence, the listing and the verdict are those of any pinned model.

use provisioner_core::{
    CatalogRecord, ChosenFiles, Digest, DigestAlgorithm, Expectation, Format, LockedModel, Manifest,
    ModelRef, Question, Rejection, ResolveRequest,
};

use crate::{
    context::Context,
    error::{Error, Result},
};

/// Returns what the lock file pins of a reference. `None` for a provisioner without a lock file.
///
/// # Errors
/// [`Error::NotLocked`] where the lock file does not have the reference; [`Error::LockFile`] where it pins a revision that the source
/// of the reference never pins.
pub(crate) fn locked<'a>(ctx: &'a Context, reference: &ModelRef) -> Result<Option<&'a LockedModel>> {
    let Some(lock) = &ctx.lock else { return Ok(None) };
    let id = reference.id();
    let path = || lock.path().map(ToOwned::to_owned);
    let Some(model) = lock.get(&id) else { return Err(Error::NotLocked { id, path: path() }) };
    if model.revision().is_none_or(|revision| ctx.registry.pins(reference, revision)) {
        return Ok(Some(model));
    }
    let reason = format!("`{id}`: its revision is not one that its source pins");
    Err(Error::LockFile { path: path(), reason, hint: None })
}

/// Returns what a call demands of a model: what the caller demands, and where there is a lock file, the locked bytes.
///
/// # Errors
/// As [`locked`]; a [verdict](Error::is_verdict) where the caller and the lock file name different digests.
pub(crate) fn demand(ctx: &Context, reference: &ModelRef, asked: &Expectation) -> Result<Expectation> {
    let Some(model) = locked(ctx, reference)? else { return Ok(asked.clone()) };
    let pinned = asked.signatures().iter().cloned().fold(model.expectation(), Expectation::signed);
    let pinned = pinned.strict(asked.is_strict());
    let Some((digest, basis)) = asked.digest() else { return Ok(pinned) };
    let expected = digest.clone();
    match locked_digest(model, digest.algorithm()) {
        Some(listed) if listed == expected => Ok(pinned),
        Some(listed) => {
            let rejection = Rejection::Contradicted { expected, listed, basis };
            Err(provisioner_core::Error::Rejected { id: reference.id(), rejection }.into())
        }
        // The verdict compares this digest, and the listing has the locked ones.
        None => Ok(asked.clone()),
    }
}

/// Returns the model's digest as the lock file has it. `None` for an algorithm by which the lock file does not tell it.
fn locked_digest(model: &LockedModel, algorithm: DigestAlgorithm) -> Option<Digest> {
    match (algorithm, model.files()) {
        (DigestAlgorithm::Sha256Tree, _) => Some(model.tree().clone()),
        (DigestAlgorithm::Sha256, [only]) => Some(only.sha256.clone()),
        _ => None,
    }
}

/// Returns whether a record is of what the lock file pins, or there is no lock file.
pub(crate) fn is_as_locked(ctx: &Context, reference: &ModelRef, record: &CatalogRecord) -> Result<bool> {
    Ok(locked(ctx, reference)?.is_none_or(|model| model.is_of(record)))
}

/// Returns a request for what the lock file pins, or the request as it is.
pub(crate) fn at_locked(ctx: &Context, request: &ResolveRequest) -> Result<ResolveRequest> {
    let revision = locked(ctx, &request.reference)?.and_then(|model| model.revision());
    let request = request.clone();
    Ok(match revision {
        Some(revision) => request.at_revision(Some(revision.to_owned())),
        None => request,
    })
}

/// Returns a request for the locked files by their names, where a listing chose others at the same revision: an earlier release wrote
/// the lock file, or another policy. `None` where the listing has all of them, or names another part for an engine to load.
pub(crate) fn by_name(
    ctx: &Context,
    request: &ResolveRequest,
    listed: &Manifest,
) -> Result<Option<ResolveRequest>> {
    let Some(model) = locked(ctx, &request.reference)? else { return Ok(None) };
    let is_loaded = listed.entry().path().is_none_or(|path| {
        let is_it = |file: &str| file == path.as_str() || file.starts_with(&format!("{path}/"));
        model.files().iter().any(|file| is_it(file.path.as_str()))
    });
    if model.is_listed_by(listed) || !is_loaded || request.revision.is_none() {
        return Ok(None);
    }
    let paths = model.files().iter().map(|file| file.path.clone()).collect();
    let mut again = request.clone();
    again.chosen = Some(ChosenFiles { paths, entry: listed.entry().clone() });
    Ok(Some(again))
}

/// Fails where the policy has left a locked file out of a manifest: program code that it denies.
pub(crate) fn check_admitted(ctx: &Context, manifest: &Manifest) -> Result<()> {
    let Some(model) = locked(ctx, manifest.reference())? else { return Ok(()) };
    if model.is_listed_by(manifest) || manifest.is_in_place() {
        return Ok(());
    }
    for file in model.files().iter().filter(|file| manifest.files().iter().all(|kept| kept.path != file.path))
    {
        ctx.ask(&Question::Format { path: file.path.as_str(), format: Format::Python })?;
    }
    Ok(())
}
