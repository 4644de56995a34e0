//! What ensuring a model would do.

use std::{path::PathBuf, sync::Arc};

use provisioner_core::{Digest, Lifecycle, Locator, ManifestFile, ModelRef, RelativePath, Versioned};

use crate::{
    Error, ModelProvisioner, Result,
    adopt::FileCandidates,
    obtain::{left_of, to_fetch},
    offline::Resolution,
    provisioner::blocking,
};

/// What ensuring a model would fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The model.
    pub id: String,
    /// The revision that it is pinned to now.
    pub revision: Option<String>,
    /// Its files, in the order of their paths.
    pub files: Vec<PlannedFile>,
}

/// One file of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedFile {
    /// Its place in the model.
    pub path: RelativePath,
    /// Its size, in bytes.
    pub size: u64,
    /// What the source says of its bytes.
    pub digest: Option<Digest>,
    /// What would be done about it.
    pub state: FileState,
    /// Where it would be adopted from, if nothing there turns out to be different from what it seems.
    pub from: Option<PathBuf>,
    /// What that takes of the disk, in bytes.
    pub space_needed_bytes: u64,
}

/// What would be done about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// It is here.
    Present,
    /// Another tool has it on this machine, as it seems.
    Adopt,
    /// Some of it is here.
    Partial,
    /// It has to be fetched.
    Fetch,
}

impl FileState {
    /// Its name in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Adopt => "adopt",
            Self::Partial => "partial",
            Self::Fetch => "fetch",
        }
    }
}

impl Plan {
    /// How many bytes would be fetched: what is here of a partial, counted in blocks of the disk, is not.
    pub fn download_bytes(&self) -> u64 {
        let missing =
            self.files.iter().filter(|file| matches!(file.state, FileState::Partial | FileState::Fetch));
        missing.fold(0, |sum, file| sum.saturating_add(file.space_needed_bytes))
    }

    /// How much space that takes, and copies of what is adopted, in bytes.
    pub fn space_needed_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.space_needed_bytes))
    }
}

impl ModelProvisioner {
    /// What ensuring a model would fetch. Asks the source, and moves nothing.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), as far as it comes before the first byte.
    pub async fn plan(&self, reference: &ModelRef) -> Result<Plan> {
        let reference = self.canonical(reference).await?;
        self.parts.ask(&provisioner_core::Question::Reference(&reference))?;
        if let Some(present) = self.present_plan(&reference).await? {
            return Ok(present);
        }
        let Resolution { manifest, source } = self.resolve_or_recall(&reference, None).await?;
        self.check_listing(&manifest)?;
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let left = parts.store.resumable()?;
            let foreign = parts.store.foreign(&parts.adoption, &reference);
            let known = parts.store.git_ids(&manifest.view_path()?)?;
            let mut files = Vec::new();
            for file in manifest.files() {
                let fetch = |state| (state, None, to_fetch(&reference, file, &left));
                let (state, from, space_needed_bytes) = match &file.locator {
                    Locator::InPlace(_) => (FileState::Present, None, 0),
                    _ if known.blob(file)?.is_some() => (FileState::Present, None, 0),
                    _ => match FileCandidates::of(file, &foreign) {
                        Some(lead) => (FileState::Adopt, lead.from(), lead.space_bytes()),
                        None if left_of(&reference, file, &left).is_some() => fetch(FileState::Partial),
                        None => fetch(FileState::Fetch),
                    },
                };
                let (path, size, digest) = (file.path.clone(), file.size, file.digest.clone());
                files.push(PlannedFile { path, size, digest, state, from, space_needed_bytes });
            }
            let is_missing =
                |file: &&PlannedFile| matches!(file.state, FileState::Partial | FileState::Fetch);
            source.check(&reference.id(), files.iter().find(is_missing).map(|file| &file.path))?;
            Ok(Plan { id: reference.id(), revision: manifest.revision().map(str::to_owned), files })
        })
        .await
    }
}

impl ModelProvisioner {
    /// The plan of a model that is present: nothing. A retired one, and one that the policy does not allow, are refused, as by
    /// `ensure`.
    async fn present_plan(&self, reference: &ModelRef) -> Result<Option<Plan>> {
        let id = reference.id();
        let Some(Versioned { record, .. }) = self.parts.catalog.get(&id).await? else { return Ok(None) };
        if record.lifecycle == Lifecycle::Retired {
            return Err(Error::Retired { id });
        }
        self.parts.check_policy(&record)?;
        let Some(model) = self.locate(reference).await? else { return Ok(None) };
        let files = model.files.into_iter().map(|file| PlannedFile {
            path: file.path,
            size: file.stamp.size,
            digest: file.sha256,
            state: FileState::Present,
            from: None,
            space_needed_bytes: 0,
        });
        Ok(Some(Plan { id, revision: model.revision, files: files.collect() }))
    }
}

/// What identifies the content of a file that is fetched: its digest, or else its place.
pub(crate) fn identity(reference: &ModelRef, file: &ManifestFile) -> String {
    match &file.digest {
        Some(digest) => digest.to_string(),
        None => format!("{}/{}", reference.id(), file.path),
    }
}
