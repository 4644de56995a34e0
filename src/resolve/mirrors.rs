//! Asks the mirrors of a source, which need no trust.
//!
//! # Model
//! A mirror is a fetcher of the same scheme at another place. The provisioner asks it only for a model whose SHA-256 it knows from
//! elsewhere: from the lock file, from the caller or from the record. Then a mirror can withhold bytes and nothing else. The mirrors come
//! first, in their order, and the source comes last.
//!
//! # Listings
//! A mirror lists a model only where the revision is known without it: its claim of one would become part of a record. The listing must
//! have the known digests. Otherwise the source lists the model, and mirrors send those files of which it lists the SHA-256.
//!
//! # Skipping
//! A mirror that fails, lists something else or sends other bytes is skipped for the rest of the call. A warning and a line of the
//! provenance log name it. Its bytes go; no blob and no view is touched.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use provisioner_core::{
    Digest, DigestAlgorithm, Expectation, Locator, Manifest, ManifestFile, ModelFetcher, ModelRef, Question,
    Rejection, ResolveRequest, sha256_tree,
};
use tokio::sync::OnceCell;

use super::{
    lockfile::{at_locked, by_name, locked},
    manifest::resolve,
    recall::{Resolution, resolve_or_recall},
};
use crate::{catalog::provenance::note_skipped, context::Context, error::Result};

/// Holds the places that may send the bytes of one model.
#[derive(Debug)]
pub(crate) struct Suppliers {
    request: ResolveRequest,
    /// The mirrors, in the order in which a call asks them.
    mirrors: Vec<Supplier>,
    /// The source itself, which a call asks after them.
    pub(crate) source: Supplier,
}

/// Names one place that may send the bytes of a model: the source, or a mirror.
#[derive(Debug)]
pub(crate) struct Supplier {
    /// The index of the mirror in the registry; `None` for the source itself.
    mirror: Option<usize>,
    /// What the place lists, or why it does not, once it was asked: several files ask at the same time.
    listed: OnceCell<Result<Manifest>>,
    is_skipped: AtomicBool,
}

/// Holds a listed model, and the places that may send its bytes.
#[derive(Debug)]
pub(crate) struct Supply {
    pub(crate) resolution: Resolution,
    pub(crate) suppliers: Suppliers,
}

impl Supply {
    /// Returns a model that its source has listed, and that no mirror sends.
    pub(crate) fn of_source(manifest: Manifest) -> Self {
        let request = ResolveRequest::new(manifest.reference().clone());
        let source = Supplier::listing(None, manifest.clone());
        let suppliers = Suppliers { request, mirrors: Vec::new(), source };
        Self { resolution: Resolution::of_source(manifest), suppliers }
    }
}

impl Supplier {
    fn new(mirror: Option<usize>) -> Self {
        Self { mirror, listed: OnceCell::new(), is_skipped: AtomicBool::new(false) }
    }

    fn listing(mirror: Option<usize>, manifest: Manifest) -> Self {
        Self { listed: OnceCell::new_with(Some(Ok(manifest))), ..Self::new(mirror) }
    }

    /// Returns whether the place is a mirror, and not the source.
    pub(crate) fn is_mirror(&self) -> bool {
        self.mirror.is_some()
    }

    /// Returns the fetcher of the place.
    pub(crate) fn fetcher<'a>(&self, ctx: &'a Context, reference: &ModelRef) -> Result<&'a dyn ModelFetcher> {
        match self.mirror {
            Some(mirror) => Ok(ctx.registry.mirror(mirror).fetcher.as_ref()),
            None => ctx.registry.find(reference),
        }
    }

    /// Skips the mirror for the rest of the call, for a reason. `path` is the file that it did not send.
    pub(crate) async fn skip(
        &self,
        ctx: &Arc<Context>,
        id: &str,
        path: Option<&str>,
        reason: &str,
    ) -> Result<()> {
        let Some(mirror) = self.mirror else { return Ok(()) };
        if self.is_skipped.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let name = &ctx.registry.mirror(mirror).name;
        let of = path.map(|path| format!("`{path}` of ")).unwrap_or_default();
        tracing::warn!("the mirror `{name}` is skipped for {of}`{id}`: {reason}");
        note_skipped(ctx, id, name, path, reason).await
    }
}

impl Suppliers {
    /// Returns the mirrors that may have a file, where its SHA-256 is known. Those that the call skips are left out.
    pub(crate) fn mirrors_of(&self, file: &ManifestFile) -> impl Iterator<Item = &Supplier> {
        let is_known = is_sha256(file.digest.as_ref());
        let is_asked = move |mirror: &&Supplier| is_known && !mirror.is_skipped.load(Ordering::Relaxed);
        self.mirrors.iter().filter(is_asked)
    }

    /// Returns a file as a place opens it, with the digest that it must have whatever the place says.
    ///
    /// # Errors
    /// The place cannot be asked, or does not list the file.
    pub(crate) async fn file_at(
        &self,
        ctx: &Context,
        supplier: &Supplier,
        file: &ManifestFile,
    ) -> Result<ManifestFile> {
        let list = || list(ctx, supplier, &self.request);
        let listed = supplier.listed.get_or_init(list).await.as_ref().map_err(Clone::clone)?;
        let found = listed.file(&file.path).filter(|listed| listed.size == file.size);
        let locator = found.map(|found| found.locator.clone()).ok_or_else(|| {
            let message = format!("it does not list `{}` with {} bytes", file.path, file.size);
            provisioner_core::FetchError::new(provisioner_core::FetchErrorKind::Invalid, message)
        })?;
        Ok(ManifestFile { locator, ..file.clone() })
    }
}

/// Resolves a reference at its mirrors and its source, or by the listing that another tool keeps. `expectation` is what the model must
/// be: a mirror is asked only where that has a digest.
///
/// # Errors
/// Those of the source, where no mirror lists the model either.
pub(crate) async fn resolve_supply(
    ctx: &Arc<Context>,
    request: &ResolveRequest,
    expectation: &Expectation,
) -> Result<Supply> {
    let request = at_locked(ctx, request)?;
    let mut mirrors = mirrors(ctx, &request.reference, expectation);
    if let Some(request) = pinned(ctx, &request)? {
        for mirror in &mut mirrors {
            match list_pinned(ctx, mirror, &request, expectation).await {
                // Its listing proves nothing. It may still send what the source lists.
                Ok(None) => {}
                Ok(Some(manifest)) => {
                    *mirror = Supplier::listing(mirror.mirror, manifest.clone());
                    let suppliers = Suppliers { request, mirrors, source: Supplier::new(None) };
                    return Ok(Supply { resolution: Resolution::of_source(manifest), suppliers });
                }
                Err(reason) => mirror.skip(ctx, &request.reference.id(), None, &reason).await?,
            }
        }
    }
    let resolution = list_at_source(ctx, &request).await?;
    let request = request.at_revision(resolution.manifest.revision().map(str::to_owned));
    let source = Supplier::listing(None, resolution.manifest.clone());
    Ok(Supply { resolution, suppliers: Suppliers { request, mirrors, source } })
}

/// Resolves a reference at its source, or by the listing that another tool keeps, as the lock file pins it.
async fn list_at_source(ctx: &Context, request: &ResolveRequest) -> Result<Resolution> {
    let mut resolution = resolve_or_recall(ctx, request).await?;
    if let Some(again) = by_name(ctx, request, &resolution.manifest)? {
        resolution = resolve_or_recall(ctx, &again).await?;
    }
    if let Some(model) = locked(ctx, &request.reference)? {
        let (listed, locked) = (resolution.manifest.files().len(), model.files().len());
        // Further files in place are a part of the model.
        if resolution.manifest.is_in_place() && listed != locked {
            let reason = format!("it has {locked} files, and here are {listed}");
            let rejection = Rejection::NotAsLocked { reason };
            return Err(provisioner_core::Error::Rejected { id: request.reference.id(), rejection }.into());
        }
        resolution.manifest = model.applied_to(resolution.manifest)?;
    }
    Ok(resolution)
}

/// Returns the mirrors that the call may ask: those of the source, where a digest of the model is known and the policy allows the
/// network.
fn mirrors(ctx: &Context, reference: &ModelRef, expectation: &Expectation) -> Vec<Supplier> {
    if expectation.digest().is_none() {
        return Vec::new();
    }
    let is_allowed = ctx.ask(&Question::Network(reference)).is_ok();
    let mirrors = ctx.registry.mirrors_of(reference).into_iter();
    let may_be_asked = |mirror: &usize| is_allowed || !ctx.registry.mirror(*mirror).fetcher.uses_network();
    mirrors.filter(may_be_asked).map(|mirror| Supplier::new(Some(mirror))).collect()
}

/// Returns a request whose revision no mirror has to tell: it is locked, recorded, or the reference itself pins it.
fn pinned(ctx: &Context, request: &ResolveRequest) -> Result<Option<ResolveRequest>> {
    let reference = &request.reference;
    if locked(ctx, reference)?.is_some() || request.revision.is_some() {
        return Ok(Some(request.clone()));
    }
    let own = reference.revision().filter(|revision| ctx.registry.pins(reference, revision));
    Ok(own.map(|revision| request.clone().at_revision(Some(revision.to_owned()))))
}

/// Asks a mirror for a model, and returns it with the SHA-256 that each file must have. `None` where the known digest does not tell
/// whether the listing is right; an error says why the mirror does not do.
async fn list_pinned(
    ctx: &Context,
    mirror: &Supplier,
    request: &ResolveRequest,
    expectation: &Expectation,
) -> std::result::Result<Option<Manifest>, String> {
    let told = |error: crate::error::Error| error.to_string();
    let mut manifest = list(ctx, mirror, request).await.map_err(told)?;
    if let Some(again) = by_name(ctx, request, &manifest).map_err(told)? {
        manifest = list(ctx, mirror, &again).await.map_err(told)?;
    }
    if manifest.files().iter().any(|file| !matches!(file.locator, Locator::Streamed(_))) {
        return Err("its files are not at a place of its own".to_owned());
    }
    match locked(ctx, &request.reference).map_err(told)? {
        Some(model) => model.imposed_on(manifest).map(Some).map_err(|error| error.to_string()),
        None if request.revision.is_some() && manifest.revision() != request.revision.as_deref() => {
            Err("it answers with another revision".to_owned())
        }
        None => by_digest(manifest, expectation),
    }
}

/// Returns a listing whose files are all known by an expected digest. `None` where the listing does not say so much.
fn by_digest(manifest: Manifest, expectation: &Expectation) -> std::result::Result<Option<Manifest>, String> {
    let Some((expected, _)) = expectation.digest() else { return Ok(None) };
    let digests: Vec<_> = manifest.files().iter().map(|file| (&file.path, file.digest.as_ref())).collect();
    match (expected.algorithm(), digests.as_slice()) {
        (DigestAlgorithm::Sha256, [_]) => Ok(Some(manifest.with_digests(|_| Some(expected.clone())))),
        (DigestAlgorithm::Sha256Tree, digests) if digests.iter().all(|(_, digest)| is_sha256(*digest)) => {
            let tree = sha256_tree(digests.iter().filter_map(|(path, digest)| Some((*path, (*digest)?))));
            if tree == *expected {
                Ok(Some(manifest))
            } else {
                Err(format!("it lists a set that has {tree}"))
            }
        }
        _ => Ok(None),
    }
}

/// Asks a place for the listing of a request.
async fn list(ctx: &Context, supplier: &Supplier, request: &ResolveRequest) -> Result<Manifest> {
    let Some(mirror) = supplier.mirror else { return resolve(ctx, request).await };
    let fetcher = ctx.registry.mirror(mirror).fetcher.as_ref();
    match ctx.transfer.for_one_of_several().resolve(fetcher, request, ctx.progress.as_ref()).await {
        Err(transfer::Error::Source(error)) => Err(error.into()),
        resolved => Ok(resolved?),
    }
}

fn is_sha256(digest: Option<&Digest>) -> bool {
    digest.is_some_and(|digest| digest.algorithm() == DigestAlgorithm::Sha256)
}
