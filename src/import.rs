//! Taking files into the store that somebody brought: a model's own, or a folder that was exported.
//!
//! A folder that was exported says what it is, and is compared with that; but anybody who carried it can have written it. So
//! its word is worth no more than a source's, and a digest that is given with the call counts before it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use artifact_store::{Adopted, ResumableTransfers, Taking, Wanted};
use provisioner_core::{
    AdoptMode, Basis, CatalogRecord, Digest, Entry, ErrorCode, Expectation, Hint, Lifecycle, Locator,
    Manifest, ManifestFile, ModelRef, Question, RelativePath, ResolvedModel, StagedModel, excerpt,
    reference::{RepoTarget, is_commit},
};

use crate::{
    Error, ModelProvisioner, Result,
    adopt::{Adoptee, staged, tell_of_copies},
    bring::MaybeSession,
    held::{SlotRequest, StagingSession, place},
    measure::ReadProgress,
    provenance::Action,
    provisioner::{CancelOnDrop, MAX_CONFLICTS, Parts, blocking},
};

/// What is to be imported, and as what.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportRequest {
    /// A file, any shard of a set, a folder, or a folder that was exported.
    pub path: PathBuf,
    /// The id to give it. Only a folder that was exported has one of its own.
    pub id: Option<ModelRef>,
    /// The digest that it must have.
    pub digest: Option<Digest>,
    /// How its files are taken in.
    pub mode: AdoptMode,
}

impl ImportRequest {
    /// A request for a path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), id: None, digest: None, mode: AdoptMode::Link }
    }
}

/// What was found at a path: the files as a model, where each lies, and how its digests are known.
#[derive(Clone)]
struct Found {
    manifest: Manifest,
    locations: Vec<PathBuf>,
    known: Option<(Option<Digest>, Basis)>,
}

impl ModelProvisioner {
    /// Takes a file or a folder into the store, verified, and makes it present under an id. The files at the path stay as
    /// they are. No source is asked.
    ///
    /// # Errors
    /// [`Error::NeedsId`]; [`Error::Store`] for a folder that was exported and makes no sense; what is missing there or
    /// has other bytes; and as [`ensure`](Self::ensure). Then nothing is visible of it.
    pub async fn import(&self, request: &ImportRequest) -> Result<ResolvedModel> {
        let found = self.look_into(request).await?;
        let reference = found.manifest.reference().clone();
        let (id, size_bytes) = (&reference.id(), found.manifest.size_bytes());
        self.parts.ask(&Question::Reference(&reference))?;
        self.parts.ask(&Question::Size { id, size_bytes })?;
        for _ in 0..MAX_CONFLICTS {
            let lock = Some(self.lock(&reference.id()).await?);
            let previous = self.parts.catalog.get(&reference.id()).await?;
            if previous.as_ref().is_some_and(|found| found.record.lifecycle == Lifecycle::Retired) {
                return Err(Error::Retired { id: reference.id() });
            }
            let taken = self.take_in(&found, request.mode, &lock).await;
            let staged = self.or_let_go(taken, &lock).await?;
            let given = request.digest.clone().map(|digest| (digest, Basis::Pinned));
            let recorded = previous.as_ref().and_then(|found| found.record.evidence());
            let said = found
                .known
                .clone()
                .and_then(|(digest, basis)| Some((digest.or_else(|| staged.digest())?, basis)));
            let expectation = Expectation::none().or(given).or(recorded).or(said);
            let judged = self.judge(staged, expectation).await;
            let verified = self.or_let_go(judged, &lock).await?;
            match self.commit(verified, previous, lock, Action::Import).await {
                Err(error) if error.is_conflict() => {}
                done => return done,
            }
        }
        Err(Error::Contended { id: reference.id() })
    }

    /// The outcome; where there is none, the files that were taken in are let go, for nobody would go on with them.
    async fn or_let_go<T>(&self, outcome: Result<T>, lock: &MaybeSession) -> Result<T> {
        if outcome.is_err()
            && let Some(held) = lock.clone()
        {
            blocking(move || Ok(held.let_go()?)).await?;
        }
        outcome
    }

    /// What is at a path, and under which id it goes.
    async fn look_into(&self, request: &ImportRequest) -> Result<Found> {
        if let Some(other) = request.id.as_ref().filter(|id| id.is_local()) {
            return Err(needs_id(&request.path, format!("`{other}` is no id for an import")));
        }
        let path = std::path::absolute(&request.path)
            .map_err(|error| Error::storage("the working directory cannot be found", error))?;
        let (dir, id) = (path.clone(), request.id.clone());
        let exported = blocking(move || {
            if !dir.is_dir() {
                return Ok(None);
            }
            artifact_store::exported(&dir).map_err(missing).map(|record| record.map(|record| (dir, record)))
        })
        .await?;
        if let Some((dir, record)) = exported {
            return blocking(move || as_exported(&dir, &record, id.as_ref())).await;
        }
        let text = path
            .to_str()
            .ok_or_else(|| provisioner_core::Error::PathNotUtf8 { path: path.display().to_string() })?;
        let local = self.canonical(&ModelRef::parse(&format!("local:{text}"), None)?).await?;
        let listed =
            self.resolve(&local, None).await.map_err(|error| error.where_absent(Hint::CheckImportPath))?;
        let Some(id) = request.id.clone() else {
            return Err(needs_id(&path, format!("`{}` has no id of its own", path.display())));
        };
        blocking(move || as_files(&listed, id)).await
    }

    /// Takes all files into the store's staging.
    async fn take_in(&self, found: &Found, mode: AdoptMode, lock: &MaybeSession) -> Result<StagedModel> {
        let (parts, found, lock) = (Arc::clone(&self.parts), found.clone(), lock.clone());
        let given_up = CancelOnDrop::default();
        let is_given_up = given_up.watch();
        blocking(move || {
            let began = parts.clock.now();
            parts.store.sweep()?;
            if mode == AdoptMode::Copy {
                parts.store.check_space(found.manifest.size_bytes())?;
            }
            let id = found.manifest.reference().id();
            let sizes: Vec<_> = found.manifest.files().iter().map(|file| file.size).collect();
            let reading = ReadProgress::start(&parts.progress, &id, &sizes);
            let mut watch = |bytes| {
                reading.add(bytes);
                !is_given_up()
            };
            let (mut files, mut all) = (Vec::new(), Vec::<Adopted>::new());
            for (file, location, taking) in begin(&parts, &found, mode, lock.as_deref(), &sizes)? {
                let taken = parts.store.end_taking(taking, &mut watch)?;
                let adopted = taken.ok_or_else(|| changed(location))?;
                let staged = staged(file, &adopted, began);
                parts.ask(&Question::Format { path: file.path.as_str(), format: staged.format })?;
                files.push(staged);
                if let Some(held) = &lock {
                    held.note(Adoptee::new(file, &adopted));
                }
                all.push(adopted);
            }
            drop(reading);
            tell_of_copies(&id, all.iter());
            Ok(StagedModel::new(found.manifest, files)?)
        })
        .await
    }
}

/// Begins to take in all files, so that their links settle together.
fn begin<'a>(
    parts: &Parts,
    found: &'a Found,
    mode: AdoptMode,
    lock: Option<&StagingSession>,
    sizes: &[u64],
) -> Result<Vec<(&'a ManifestFile, &'a Path, Taking)>> {
    let (id, left) = (found.manifest.reference().id(), ResumableTransfers::default());
    if let Some(held) = lock {
        held.share_small(&parts.store, &id, sizes, &left)?;
    }
    let mut begun = Vec::new();
    for (file, location) in found.manifest.files().iter().zip(&found.locations) {
        let wish = SlotRequest {
            identity: format!("import {id}/{}", file.path),
            path: &file.path,
            size: file.size,
            promised: if mode == AdoptMode::Copy { file.size } else { 0 },
            model: &id,
            left: &left,
        };
        let slot = place(&parts.store, lock, &wish)?;
        let wanted = Wanted { size_bytes: file.size, digest: None };
        let taking = parts.store.begin_taking(&slot, &wanted, location, mode)?;
        begun.push((file, location.as_path(), taking.ok_or_else(|| changed(location))?));
    }
    Ok(begun)
}

fn changed(location: &Path) -> Error {
    Error::ChangedWhileRead { path: location.to_owned() }
}

/// Plain files, under an id. A single file has the name that its id says.
fn as_files(listed: &Manifest, id: ModelRef) -> Result<Found> {
    let named = match &id {
        ModelRef::Repo(repo) => match repo.target() {
            RepoTarget::Path(path) if listed.files().len() == 1 => Some(path.clone()),
            _ => None,
        },
        _ => None,
    };
    let mut locations = Vec::new();
    let mut files = Vec::new();
    for file in listed.files() {
        let Locator::InPlace(location) = &file.locator else { continue };
        // The name is the user's, and may be a symlink.
        let failed = |error| Error::storage(format!("`{}` cannot be found", location.display()), error);
        locations.push(fs_err::canonicalize(location).map_err(failed)?);
        let path = named.clone().unwrap_or_else(|| file.path.clone());
        files.push(ManifestFile { path, locator: Locator::Stored, ..file.clone() });
    }
    let entry = match (listed.entry(), named) {
        (Entry::File(_), Some(named)) => Entry::File(named),
        (Entry::Folder, _) => entry_of(&id, listed)?,
        (entry, _) => entry.clone(),
    };
    let manifest = Manifest::new(id, files, entry)?.with_projector(listed.projector().cloned());
    Ok(Found { manifest, locations, known: None })
}

/// What of a folder an id hands out: the file that it names, and else the folder.
fn entry_of(id: &ModelRef, listed: &Manifest) -> Result<Entry> {
    let Some(repo) = id.repository() else { return Ok(Entry::Folder) };
    match repo.target() {
        RepoTarget::Repository(_) => Ok(Entry::Folder),
        RepoTarget::Path(path) if listed.files().iter().any(|file| file.path == *path) => {
            Ok(Entry::File(path.clone()))
        }
        RepoTarget::Path(_) | RepoTarget::Quantization(_) => Err(provisioner_core::Error::InvalidReference {
            text: id.id(),
            reason: "it is the id of a file, and a folder without that file was given".to_owned(),
            hint: Some("import the file itself, or give the folder the id of its repository".to_owned()),
        }
        .into()),
    }
}

/// A folder that was exported, under the id that it says or another one.
fn as_exported(dir: &Path, record: &CatalogRecord, id: Option<&ModelRef>) -> Result<Found> {
    let invalid = |reason: String| artifact_store::Error::InvalidExport { path: dir.to_owned(), reason };
    let own = ModelRef::parse(&record.id, None).ok().filter(|own| own.id() == record.id);
    let own = own.ok_or_else(|| invalid(format!("`{}` is no id", excerpt(&record.id, 200))))?;
    let own = Some(own).filter(|own| !own.is_local());
    let reference = match (id, &own) {
        (Some(id), _) => id.clone(),
        (None, Some(own)) => own.clone(),
        (None, None) => {
            let told = excerpt(&record.id, 200);
            let what = format!("`{told}` is an id that means something on another machine alone");
            return Err(needs_id(dir, what));
        }
    };
    tell_of_others(dir, record);
    let (mut files, mut locations) = (Vec::new(), Vec::new());
    for file in &record.files {
        let location = dir.join(&file.path);
        let failed = |error| Error::storage(format!("`{}` cannot be read", location.display()), error);
        let metadata = fs_err::symlink_metadata(&location).map_err(failed)?;
        if !metadata.is_file() {
            return Err(invalid(format!("`{}` is no regular file", file.path)).into());
        }
        let (path, size, digest) = (file.path.clone(), metadata.len(), file.sha256.clone());
        if let Some(expected) = digest.clone().filter(|_| size != file.stamp.size) {
            let (expected_bytes, actual_bytes) = (file.stamp.size, size);
            let error = artifact_store::Error::WrongSize { path, expected, expected_bytes, actual_bytes };
            return Err(error.into());
        }
        files.push(ManifestFile { path, size, digest, locator: Locator::Stored });
        locations.push(location);
    }
    // Files are in the order of their paths in a manifest, and may have been in any other.
    let mut order: Vec<_> = files.iter().map(|file| file.path.clone()).zip(locations).collect();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let locations = order.into_iter().map(|(_, location)| location).collect();
    let entry = record.entry.clone().map_or(Entry::Folder, Entry::File);
    let manifest = Manifest::new(reference.clone(), files, entry)?.with_projector(record.projector.clone());
    let is_own = own.as_ref() == Some(&reference);
    let manifest = match &record.revision {
        Some(revision) if is_own && !is_revision(&reference, revision) => {
            return Err(invalid(format!("`{}` is no commit", excerpt(revision, 80))).into());
        }
        Some(revision) if is_own => manifest.at_revision(revision),
        _ => manifest,
    };
    // Under another id its source has said nothing.
    let basis = record.verification.basis.filter(|_| is_own).unwrap_or(Basis::FirstUse).min(Basis::Source);
    manifest.view_path()?;
    Ok(Found { manifest, locations, known: Some((record.digest.clone(), basis)) })
}

/// Whether a revision is one that the source of a reference pins: a commit of the Hub, and otherwise what a reference can name.
fn is_revision(reference: &ModelRef, revision: &str) -> bool {
    match reference.repository() {
        Some(repo) if repo.scheme() == "hf" => is_commit(revision),
        Some(_) => reference.at_revision(revision).is_some(),
        None => true,
    }
}

/// A part of an exported folder that is not there is not found.
fn missing(error: artifact_store::Error) -> Error {
    match error {
        artifact_store::Error::Io(error) if ErrorCode::of_io(&error) == ErrorCode::NotFound => {
            Error::storage("the exported folder is not whole", error)
        }
        other => other.into(),
    }
}

/// Says that a folder has files which its record does not name, and which stay behind.
fn tell_of_others(dir: &Path, record: &CatalogRecord) {
    // What cannot be listed is no matter here: the files of the record are looked for one by one.
    let names = fetch_file::folder_names(dir).unwrap_or_default();
    let is_known = |path: &RelativePath| {
        path.as_str() == artifact_store::SUMS || record.files.iter().any(|file| file.path == *path)
    };
    let mut others = names.iter().filter(|(path, _)| !is_known(path));
    let Some((first, _)) = others.next() else { return };
    let more = match others.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    tracing::warn!(
        "`{first}`{more} in `{}` is no part of the exported model, and stays behind",
        dir.display()
    );
}

/// Says that an id is needed, and how to give one.
fn needs_id(path: &Path, what: String) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |text: &str| -> String {
        let kept = text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' });
        kept.collect::<String>().trim_matches(['.', '-']).to_owned()
    };
    let stem = plain(name.split('.').next().unwrap_or_default());
    let stem = if stem.is_empty() { "model".to_owned() } else { stem };
    let id = if path.is_dir() { format!("hf:local/{stem}") } else { format!("hf:local/{stem}/{name}") };
    Error::NeedsId { what, hint: Hint::ImportUnderId { path: path.to_string_lossy().into_owned(), id } }
}
