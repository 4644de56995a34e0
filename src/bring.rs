//! One model, from absent to recorded.

use std::sync::Arc;

use artifact_store::StoreLock;
use provisioner_core::{
    CatalogRecord, Digest, DigestAlgorithm, ErrorCode, Expectation, Expected, Format, Lifecycle, Manifest,
    ModelRef, Outcome, Placement, ProgressEvent, Question, ResolveRequest, ResolvedModel, StagedFile,
    StagedModel, VerifiedModel, Versioned, shell_word,
};

use crate::{
    Error, ModelProvisioner, Result,
    held::StagingSession,
    lifecycle::recorded_manifest,
    measure::HashInPlace,
    offline::Resolution,
    presence::{Freshness, freshness},
    provenance::{Action, Line},
    provisioner::{MAX_CONFLICTS, blocking},
};

/// What is held while a model is brought, by all that still write for it. A local model needs nothing.
pub(crate) type MaybeSession = Option<Arc<StagingSession>>;

impl ModelProvisioner {
    /// The work of one flight.
    pub(crate) async fn bring(
        &self,
        reference: &ModelRef,
        expectation: &Expectation,
    ) -> Result<ResolvedModel> {
        let id = reference.id();
        for _ in 0..MAX_CONFLICTS {
            // Another process, or the flight before, may have done it meanwhile.
            if let Some(present) = self.present(&id, expectation).await? {
                return Ok(present);
            }
            let previous = self.parts.catalog.get(&id).await?;
            let (verified, lock) =
                match self.judge_anew(reference, expectation, previous.as_ref(), None).await {
                    Err(error) if error.is_conflict() => continue,
                    judged => judged?,
                };
            let Some(verified) = verified else { continue };
            let done = self.commit(verified, previous, lock, Action::Ensure).await;
            match done {
                // A record was judged against that is no longer the current one, or a blob was taken away that was found.
                Err(error) if error.is_conflict() => {}
                done => return done,
            }
        }
        Err(Error::Contended { id })
    }

    /// Looks at a model where it lies, and judges it by what is expected or else by what its record says; or at what its
    /// source lists now, where it has moved to another revision.
    pub(crate) async fn judge_anew(
        &self,
        reference: &ModelRef,
        expectation: &Expectation,
        previous: Option<&Versioned>,
        moved: Option<Manifest>,
    ) -> Result<(Option<VerifiedModel>, MaybeSession)> {
        let id = reference.id();
        let version = previous.map(|found| found.version);
        // A model that moves to another revision owes nothing to the record of the old one.
        let previous = previous.map(|found| &found.record).filter(|_| moved.is_none());
        let expectation = expectation.clone().or(previous.and_then(CatalogRecord::evidence));
        // A model that is used in place needs no lock: its record is guarded by its version.
        let is_fetched = !matches!(reference, ModelRef::Local(_));
        let lock = if is_fetched { self.lock(&id).await.map(Some) } else { Ok(None) };
        let lock = match lock {
            // Nobody can take a lock in a cache that cannot be written, and what it has is judged all the same.
            Err(error) if previous.is_some() && is_unwritable(&error) => None,
            lock => lock?,
        };
        if lock.is_some() && self.parts.catalog.get(&id).await?.map(|found| found.version) != version {
            return Ok((None, lock));
        }
        let again = match previous {
            Some(record) if is_fetched => self.stage_again(reference, record).await?,
            _ => None,
        };
        let staged = match again {
            Some(staged) => staged,
            None => self.stage_anew(reference, moved, &expectation, previous, lock.clone()).await?,
        };
        match self.judge(staged, expectation).await {
            Err(error) => {
                if error.is_verdict() {
                    self.note_refusal(&id, &error).await?;
                }
                Err(error)
            }
            Ok(verified) => {
                tracing::debug!("`{id}` is judged: {}", verified.verification().reason);
                Ok((Some(verified), lock))
            }
        }
    }

    /// A model as its source lists it, staged: in place, or fetched.
    async fn stage_anew(
        &self,
        reference: &ModelRef,
        listed: Option<Manifest>,
        expectation: &Expectation,
        previous: Option<&CatalogRecord>,
        lock: MaybeSession,
    ) -> Result<StagedModel> {
        let id = reference.id();
        let revision = previous.and_then(|record| record.revision.clone());
        let Resolution { manifest, source } = match listed {
            Some(manifest) => Resolution::of_source(manifest),
            None => self.resolve_or_recall(reference, revision).await?,
        };
        self.check_listing(&manifest)?;
        if let Err(error) = manifest.check(expectation) {
            let error = error.into();
            self.note_refusal(&id, &error).await?;
            return Err(error);
        }
        let (files, bytes) = (manifest.files().len(), manifest.size_bytes());
        tracing::debug!("`{id}`: files {files}, bytes {bytes}");
        if manifest.is_in_place() {
            self.stage(manifest, expectation, expectation.needs_hashes(), previous.cloned()).await
        } else {
            Box::pin(self.obtain(reference, Resolution { manifest, source }, lock)).await
        }
    }

    /// What the policy says of a model, as far as its source's listing tells.
    pub(crate) fn check_listing(&self, manifest: &Manifest) -> Result<()> {
        let (id, size_bytes) = (manifest.reference().id(), manifest.size_bytes());
        self.parts.ask(&Question::Size { id: &id, size_bytes })?;
        // What a name does not say, its bytes will.
        for file in manifest.files() {
            if let Some(format) = Format::named(file.path.file_name()) {
                self.parts.ask(&Question::Format { path: file.path.as_str(), format })?;
            }
        }
        Ok(())
    }

    /// A model that was fetched before, staged from where it lies: as it is recorded, or, where its stamps differ, with the
    /// bytes that are recorded; or from the blobs of what its view has lost, or of one that was condemned. `None` where it has
    /// to be fetched again.
    async fn stage_again(&self, reference: &ModelRef, record: &CatalogRecord) -> Result<Option<StagedModel>> {
        let lost = if record.verification.outcome == Outcome::Fail {
            record.verification.reason.clone()
        } else {
            let manifest = recorded_manifest(reference, record)?;
            let staged = self.stage(manifest, &Expectation::none(), true, Some(record.clone())).await;
            let is_same = |staged: &StagedModel| {
                let now = staged.files().iter().map(|file| &file.sha256);
                now.eq(record.files.iter().map(|file| &file.sha256))
            };
            match staged {
                Ok(staged) if is_same(&staged) => return Ok(Some(staged)),
                Ok(_) => "its bytes are not those of its record".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        let linked = self.stage_blobs(reference, record).await?;
        let what = if linked.is_some() { "is linked again" } else { "has to be fetched again" };
        tracing::warn!("`{reference}` {what}: {lost}");
        Ok(linked)
    }

    /// Makes a recorded model what it was, without its source: as its view has it, or else from its blobs. `None` where bytes of
    /// it are missing, and for what is retired.
    ///
    /// # Errors
    /// `busy` where another process is making it present; what a verifier says of it.
    pub(crate) async fn restore(&self, reference: &ModelRef) -> Result<Option<ResolvedModel>> {
        let id = reference.id();
        let lock = Some(self.lock_now(&id).await?);
        let Some(previous) = self.parts.catalog.get(&id).await? else { return Ok(None) };
        let record = &previous.record;
        if record.lifecycle != Lifecycle::Active {
            return Ok(None);
        }
        let Some(staged) = self.stage_again(reference, record).await? else { return Ok(None) };
        let verified = self.judge(staged, Expectation::none().or(record.evidence())).await?;
        self.commit(verified, Some(previous), lock, Action::Ensure).await.map(Some)
    }

    pub(crate) async fn resolve(&self, reference: &ModelRef, revision: Option<String>) -> Result<Manifest> {
        let fetcher = self.parts.registry.find(reference)?;
        if fetcher.uses_network() {
            self.parts.ask(&Question::Network(reference))?;
        }
        self.parts.progress.on_event(&ProgressEvent::Resolving { id: reference.id() });
        let request = ResolveRequest::new(reference.clone()).at_revision(revision);
        match self.parts.transfer.resolve(fetcher, &request, self.parts.progress.as_ref()).await {
            // What the source says is said as it is: nothing was transferred.
            Err(transfer::Error::Source(error)) => Err(error.into()),
            resolved => Ok(resolved?),
        }
    }

    pub(crate) async fn stage(
        &self,
        manifest: Manifest,
        expectation: &Expectation,
        hashes: bool,
        known: Option<CatalogRecord>,
    ) -> Result<StagedModel> {
        let git_ids = wants_git_id(expectation);
        let (clock, progress) = (Arc::clone(&self.parts.clock), Arc::clone(&self.parts.progress));
        let staged = HashInPlace { hashes, git_ids, known, clock, progress }.stage(manifest).await?;
        for file in staged.files() {
            let path = &file.location.to_string_lossy();
            self.parts.ask(&Question::Format { path, format: file.format })?;
        }
        Ok(staged)
    }

    pub(crate) async fn judge(&self, staged: StagedModel, expectation: Expectation) -> Result<VerifiedModel> {
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let locations = staged.files().iter().map(|file| file.location.clone());
            let stored: Vec<_> =
                locations.filter(|location| location.starts_with(parts.store.root())).collect();
            let judged = with_git_ids(staged, &expectation)
                .and_then(|staged| Ok(staged.judge(&expectation, &parts.verifiers, parts.clock.now())?));
            judged.map_err(|error| {
                // What was taken out of the store after it was found is no fault of the model.
                match stored.into_iter().find(|location| matches!(location.try_exists(), Ok(false))) {
                    Some(path) => artifact_store::Error::Vanished { path }.into(),
                    None => error,
                }
            })
        })
        .await
    }

    /// The record of a model that was just judged. What changed since then, a folder's names too, is not what was judged.
    pub(crate) async fn record_of(&self, verified: &VerifiedModel) -> Result<CatalogRecord> {
        let id = || verified.staged().manifest().reference().id();
        let placement =
            Placement::in_place(verified).ok_or_else(|| provisioner_core::Error::Inconsistent {
                id: id(),
                reason: "its files have no folder in common".to_owned(),
            })?;
        let (parts, verified) = (Arc::clone(&self.parts), verified.clone());
        blocking(move || {
            let is_stored = parts.store.holds(placement.root());
            let placement = if is_stored {
                let files = verified.staged().files().iter();
                let is_externally_linked = |digest: &Digest| parts.store.may_be_shared(digest);
                let are_shared: Vec<_> =
                    files.map(|file| file.sha256.as_ref().is_some_and(is_externally_linked)).collect();
                placement.in_a_store(&are_shared)
            } else {
                placement
            };
            let fresh = CatalogRecord::new(&verified, &placement, parts.clock.now());
            match freshness(&fresh, &parts.store) {
                Freshness::Unchanged => Ok(fresh),
                // Another process took it out of the store, or linked it, after it was looked at.
                Freshness::Changed(_) if is_stored => {
                    Err(artifact_store::Error::Vanished { path: fresh.local_path }.into())
                }
                Freshness::Changed(_) => Err(Error::ChangedWhileRead { path: fresh.local_path }),
            }
        })
        .await
    }

    /// Makes a verified model's record the current one, in the place of the one that it was judged against.
    pub(crate) async fn commit(
        &self,
        verified: VerifiedModel,
        previous: Option<Versioned>,
        lock: MaybeSession,
        action: Action,
    ) -> Result<ResolvedModel> {
        let is_fetched = !verified.staged().manifest().is_in_place();
        let is_stored =
            is_fetched || verified.staged().files().iter().any(|file| self.parts.store.holds(&file.location));
        // From the look at what is stored until there is a record of it, nothing of it is taken away.
        let store_lock = if is_stored { self.lock_shared().await? } else { None };
        let mut fresh = if is_fetched {
            self.place(verified, lock.clone()).await?
        } else {
            let fresh = self.record_of(&verified).await?;
            if is_stored { self.seal_again(fresh).await? } else { fresh }
        };
        if let Some(Versioned { record, .. }) = &previous {
            fresh = fresh.succeeding(record);
        }
        let record = match self.put(fresh.clone(), previous.as_ref(), action).await {
            // A cache that cannot be written still serves what it has.
            Err(error) if is_unwritable(&error) => match &previous {
                Some(previous) => {
                    tell_of_reading(&fresh, &previous.record, &error);
                    fresh
                }
                None => return Err(error),
            },
            put => put?,
        };
        let has_fetched = lock.as_ref().is_some_and(|held| held.has_fetched());
        let adopted = lock.as_ref().map(|held| held.take_adopted()).unwrap_or_default();
        let (parts, model) = (Arc::clone(&self.parts), ResolvedModel::new(record, !has_fetched));
        drop(lock);
        blocking(move || {
            parts.note_adopted(&model, &adopted);
            parts.store.touch_used(&model.id);
            drop(store_lock);
            parts.announce(&model);
            Ok(model)
        })
        .await
    }

    /// Keeps everybody from taking anything out of the store. Where nothing can be written, nobody can.
    pub(crate) async fn lock_shared(&self) -> Result<Option<StoreLock>> {
        let parts = Arc::clone(&self.parts);
        let wait = parts.lock_wait.limit.unwrap_or(artifact_store::STORE_LOCK_WAIT);
        match blocking(move || Ok(parts.store.lock_shared(wait)?)).await {
            Err(error) if is_unwritable(&error) => Ok(None),
            shared => Ok(Some(shared?)),
        }
    }

    /// Seals the view of a record whose removal was begun, and not ended.
    async fn seal_again(&self, fresh: CatalogRecord) -> Result<CatalogRecord> {
        let parts = Arc::clone(&self.parts);
        blocking(move || match parts.store.seal_again(&fresh).map_err(Error::from) {
            Err(error) if !is_unwritable(&error) => Err(error),
            _ => Ok(fresh),
        })
        .await
    }

    /// Writes a record in the place of the one that was read, and a line of provenance.
    pub(crate) async fn put(
        &self,
        record: CatalogRecord,
        previous: Option<&Versioned>,
        action: Action,
    ) -> Result<CatalogRecord> {
        self.check_provenance().await?;
        let expected = previous.map_or(Expected::Absent, |found| Expected::Version(found.version));
        self.parts.catalog.put(&record, expected).await?;
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            parts.record_line(action, &record);
            Ok(record)
        })
        .await
    }

    /// Makes sure, before anything is changed, that it can be logged.
    pub(crate) async fn check_provenance(&self) -> Result<()> {
        let parts = Arc::clone(&self.parts);
        blocking(move || parts.provenance().check()).await
    }

    /// Notes that a model was judged and refused.
    async fn note_refusal(&self, id: &str, error: &Error) -> Result<()> {
        let (parts, id, reason) = (Arc::clone(&self.parts), id.to_owned(), error.to_string());
        blocking(move || {
            let line = Line {
                outcome: Some(Outcome::Fail),
                reason: Some(&reason),
                ..Line::new(parts.clock.now(), Action::Ensure, &id)
            };
            parts.provenance().note(&line);
            Ok(())
        })
        .await
    }
}

fn wants_git_id(expectation: &Expectation) -> bool {
    expectation.digest().is_some_and(|(digest, _)| digest.algorithm() == DigestAlgorithm::GitSha1)
}

/// A staged model with git's ids, where they are expected: what was fetched or lay in the store was read for its SHA-256.
fn with_git_ids(staged: StagedModel, expectation: &Expectation) -> Result<StagedModel> {
    let lacks = |file: &StagedFile| file.git_sha1.is_none() && file.sha256.is_some();
    if !wants_git_id(expectation) || !staged.files().iter().any(lacks) {
        return Ok(staged);
    }
    let mut files = staged.files().to_vec();
    for file in files.iter_mut().filter(|file| lacks(file)) {
        file.git_sha1 = artifact_store::git_id(&file.location, file.sha256.as_ref())?;
        if file.git_sha1.is_none() {
            return Err(Error::ChangedWhileRead { path: file.location.clone() });
        }
    }
    Ok(StagedModel::new(staged.manifest().clone(), files)?)
}

/// Says that a model was read whose files are not those of its record, and that the next call will read it too.
fn tell_of_reading(fresh: &CatalogRecord, recorded: &CatalogRecord, error: &Error) {
    if fresh.files != recorded.files {
        let id = shell_word(&fresh.id);
        tracing::warn!(
            "`{}` has the bytes of its record in other files, as a copy has; this rests on reading them now, which cannot be \
             recorded ({error}), so each call reads them: run `model-provisioner verify {id}` once where the cache can be \
             written",
            fresh.id
        );
    }
}

pub(crate) fn is_unwritable(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
}
