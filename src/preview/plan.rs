//! Plans what ensuring a model would do.

use std::{path::PathBuf, sync::Arc};

use local_caches::LocalFiles;
use provisioner_core::{
    Digest, LeftOut, Lifecycle, Locator, ModelRef, Notice, Question, RelativePath, ResolveRequest, Role,
    Versioned,
};

use crate::{
    context::Context,
    error::{Error, Result},
    resolve::{
        admission::{admit, check_record},
        presence::locate,
        recall::{Resolution, resolve_or_recall},
        reference::canonical,
    },
    stage::{
        key::{left_of, to_fetch},
        supply::local_caches::FileCandidates,
    },
};

/// Describes what ensuring a model would fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnsurePlan {
    /// The id of the planned model.
    pub id: String,
    /// The revision that the source pins now; `None` for a source without revisions.
    pub revision: Option<String>,
    /// The model's files, in the order of their paths.
    pub files: Vec<PlannedFile>,
    /// The files that the source lists and that do not belong to the model, in the order of their paths. For a present model,
    /// those that its record keeps.
    pub left_out: Vec<LeftOut>,
    /// Tells what a person should know of the choice of the files.
    pub notices: Vec<Notice>,
}

/// Describes one file of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedFile {
    /// The path of the file in the model.
    pub path: RelativePath,
    /// Says what the file is to an engine, where a rule says it.
    pub role: Option<Role>,
    /// The size of the file, in bytes.
    pub size: u64,
    /// The digest that the source lists.
    pub digest: Option<Digest>,
    /// Says what `ensure` would do about the file.
    pub state: FileState,
    /// The path from which `ensure` would adopt the file, if the file there has the expected bytes.
    pub from: Option<PathBuf>,
    /// How much of the disk `ensure` would need for the file, in bytes.
    pub space_needed_bytes: u64,
}

/// Says what `ensure` would do about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// The file lies in the store, or where the caller keeps it.
    Present,
    /// Another tool on this machine seems to have the file.
    Adopt,
    /// An earlier transfer left some bytes of the file.
    Partial,
    /// The source must send all of the file.
    Fetch,
}

impl FileState {
    /// Returns the name of the state in JSON documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Adopt => "adopt",
            Self::Partial => "partial",
            Self::Fetch => "fetch",
        }
    }
}

impl EnsurePlan {
    /// Returns how many bytes the source would send. The bytes of a partial that are here do not count, in blocks of the
    /// disk.
    pub fn download_bytes(&self) -> u64 {
        let missing =
            self.files.iter().filter(|file| matches!(file.state, FileState::Partial | FileState::Fetch));
        missing.fold(0, |sum, file| sum.saturating_add(file.space_needed_bytes))
    }

    /// Returns how much of the disk `ensure` would need, with the copies of adopted files, in bytes.
    pub fn space_needed_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.space_needed_bytes))
    }
}

/// Returns what ensuring a model would fetch. It asks the source, and transfers no file.
pub(crate) async fn plan(ctx: &Arc<Context>, reference: &ModelRef) -> Result<EnsurePlan> {
    let reference = canonical(ctx, reference).await?;
    ctx.ask(&Question::Reference(&reference))?;
    if let Some(present) = plan_of_present(ctx, &reference).await? {
        return Ok(present);
    }
    let Resolution { manifest, source } =
        resolve_or_recall(ctx, &ResolveRequest::new(reference.clone())).await?;
    let manifest = admit(ctx, manifest)?;
    ctx.run_blocking(move |ctx| {
        let left = ctx.store.resumable()?;
        let local = LocalFiles::find(&ctx.adoption, &reference, ctx.store.root());
        let known = ctx.store.git_ids(&manifest.view_path()?)?;
        let mut files = Vec::new();
        for file in manifest.files() {
            let fetch = |state| (state, None, to_fetch(&reference, file, &left));
            let (state, from, space_needed_bytes) = match &file.locator {
                Locator::InPlace(_) => (FileState::Present, None, 0),
                _ if known.blob(file)?.is_some() => (FileState::Present, None, 0),
                _ => match FileCandidates::of(file, &local) {
                    Some(found) => (FileState::Adopt, found.from(), found.space_bytes()),
                    None if left_of(&reference, file, &left).is_some() => fetch(FileState::Partial),
                    None => fetch(FileState::Fetch),
                },
            };
            let (path, size, digest) = (file.path.clone(), file.size, file.digest.clone());
            let role = manifest.role(&path);
            files.push(PlannedFile { path, role, size, digest, state, from, space_needed_bytes });
        }
        let is_missing = |file: &&PlannedFile| matches!(file.state, FileState::Partial | FileState::Fetch);
        source.check(&reference.id(), files.iter().find(is_missing).map(|file| &file.path))?;
        Ok(EnsurePlan {
            id: reference.id(),
            revision: manifest.revision().map(str::to_owned),
            files,
            left_out: manifest.left_out().to_vec(),
            notices: manifest.notices().to_vec(),
        })
    })
    .await
}

/// Returns the empty plan of a present model. It refuses a retired model, and one that the policy denies, as `ensure`
/// does.
async fn plan_of_present(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Option<EnsurePlan>> {
    let id = reference.id();
    let Some(Versioned { record, .. }) = ctx.catalog.get(&id).await? else { return Ok(None) };
    if record.lifecycle == Lifecycle::Retired {
        return Err(Error::Retired { id });
    }
    check_record(ctx, &record)?;
    let Some(model) = locate(ctx, reference).await? else { return Ok(None) };
    let files = model.files.into_iter().map(|file| PlannedFile {
        path: file.path,
        role: file.role,
        size: file.stamp.size,
        digest: file.sha256,
        state: FileState::Present,
        from: None,
        space_needed_bytes: 0,
    });
    let (left_out, notices) = (record.left_out, record.notices);
    Ok(Some(EnsurePlan { id, revision: model.revision, files: files.collect(), left_out, notices }))
}
