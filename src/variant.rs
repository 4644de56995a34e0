//! The models of a repository, and which of them fit.

use std::collections::BTreeMap;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use model_inspect::{Fit, Inspection, MemoryRequest};
use provisioner_core::{
    Entry, ErrorCode, FetchErrorKind, Manifest, ManifestFile, ModelRef, RelativePath,
    reference::{RepoRef, RepoTarget, is_companion, set_of},
};

use crate::{Error, ModelProvisioner, Result};

/// How many models are looked into at once.
const AT_ONCE: usize = 4;

/// One of the models that a reference may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variant {
    /// The reference that means it alone.
    pub id: String,
    /// How its weights are kept, where its header says so.
    pub quantization: Option<String>,
    /// The size of its files, in bytes.
    pub size_bytes: u64,
    /// What the demand comes to.
    pub fit: Fit,
    /// Why it must not be used, for one whose structure is unsound.
    pub problem: Option<String>,
}

impl Variant {
    fn new(id: String, found: Inspection, demand: &MemoryRequest) -> Self {
        Self {
            id,
            size_bytes: found.info.size_bytes,
            fit: found.memory.fit(demand),
            quantization: found.info.facts.quantization,
            problem: None,
        }
    }
}

impl ModelProvisioner {
    /// The models that a reference may mean, and what a demand comes to for each: one, or every GGUF model of a repository
    /// that has several, smallest first. Reads headers, as [`inspect`](Self::inspect) does.
    ///
    /// # Errors
    /// As [`inspect`](Self::inspect); but one of several whose structure is unsound is told of as such.
    pub async fn variants(&self, reference: &ModelRef, demand: &MemoryRequest) -> Result<Vec<Variant>> {
        let found = self.inspect(reference).await;
        match (reference, found) {
            (ModelRef::Repo(hub), Err(Error::Fetch(error)))
                if error.kind == FetchErrorKind::Ambiguous && is_whole(hub) =>
            {
                self.all_of(hub, demand).await
            }
            (_, found) => Ok(vec![Variant::new(reference.id(), found?, demand)]),
        }
    }

    async fn all_of(&self, hub: &RepoRef, demand: &MemoryRequest) -> Result<Vec<Variant>> {
        let every = hub.clone().select(None, ["*.gguf".to_owned()], [])?;
        let manifest = self.resolve(&ModelRef::Repo(every), None).await?;
        let mut models: BTreeMap<RelativePath, Vec<ManifestFile>> = BTreeMap::new();
        let (companions, files): (Vec<_>, Vec<_>) =
            manifest.files().iter().partition(|file| is_companion(file.path.file_name()));
        for file in files {
            let entry = match set_of(file.path.as_str()) {
                Some(first) => RelativePath::new(first)?,
                None => file.path.clone(),
            };
            models.entry(entry).or_default().push(file.clone());
        }
        let mut looks = Vec::new();
        for (entry, files) in models {
            let reference = ModelRef::Repo(hub.clone().file(&entry)?);
            // Which projector goes along, its source knows.
            let revision = manifest.revision().filter(|_| !companions.is_empty()).map(str::to_owned);
            looks.push(self.one_of(reference, entry, files, revision, demand).boxed());
        }
        let mut variants: Vec<_> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        variants.sort_by_key(|variant: &Variant| variant.size_bytes);
        Ok(variants)
    }

    /// Looks into one of several: into these files, or into all that its source lists of it at a revision.
    async fn one_of(
        &self,
        reference: ModelRef,
        entry: RelativePath,
        files: Vec<ManifestFile>,
        revision: Option<String>,
        demand: &MemoryRequest,
    ) -> Result<Variant> {
        let id = reference.id();
        let size_bytes = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size));
        let of_unsound = |problem: String| {
            let (id, fit) = (id.clone(), Fit::default());
            Ok(Variant { id, quantization: None, size_bytes, fit, problem: Some(problem) })
        };
        if !files.iter().any(|file| file.path == entry) {
            return of_unsound(format!("`{entry}`: missing shard"));
        }
        let manifest = match revision {
            Some(revision) => self.resolve(&reference, Some(revision)).await,
            None => Ok(Manifest::new(reference, files, Entry::File(entry))?),
        };
        let found = match manifest {
            Ok(manifest) => self.read_headers(manifest).await,
            Err(error) => Err(error),
        };
        match found {
            Err(error) if matches!(error, Error::Inspect(_)) || error.code() == ErrorCode::MissingShard => {
                of_unsound(error.to_string())
            }
            found => Ok(Variant::new(id.clone(), found?, demand)),
        }
    }
}

/// Whether a reference leaves the choice to the repository.
fn is_whole(hub: &RepoRef) -> bool {
    matches!(hub.target(), RepoTarget::Repository(selection) if selection.is_empty())
}
