//! Lists the models of a repository, and says which of them fit.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use model_inspect::{Fit, Inspection, MemoryRequest};
use provisioner_core::{
    Entry, ErrorCode, FetchErrorKind, Manifest, ManifestFile, ModelRef, RelativePath, ResolveRequest,
    reference::{RepoRef, RepoTarget, is_companion, set_of},
};

use super::{headers::read_headers, inspect::inspect};
use crate::{
    context::Context,
    error::{Error, Result},
    resolve::{manifest::resolve, reference::canonical},
};

/// How many models the call inspects at once.
const AT_ONCE: usize = 4;

/// Describes one of the models that a reference may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variant {
    /// The reference that means this model alone.
    pub id: String,
    /// The quantization of its weights, where its header names it.
    pub quantization: Option<String>,
    /// The size of its files, in bytes.
    pub size_bytes: u64,
    /// The number of its weights, where its header tells it.
    pub parameter_count: Option<u64>,
    /// How the model meets the demand of memory.
    pub fit: Fit,
    /// Why an engine must not load it, where its structure is unsound.
    pub problem: Option<String>,
}

impl Variant {
    /// Describes an inspected model.
    pub(super) fn new(id: String, found: Inspection, demand: &MemoryRequest) -> Self {
        Self {
            id,
            size_bytes: found.details.size_bytes,
            parameter_count: found.details.facts.parameter_count,
            fit: found.memory.fit(demand),
            quantization: found.details.facts.quantization,
            problem: None,
        }
    }
}

/// Returns the models that a reference may mean, and how each meets a demand of memory.
pub(crate) async fn variants(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    demand: &MemoryRequest,
) -> Result<Vec<Variant>> {
    let reference = canonical(ctx, reference).await?;
    let several = match inspect(ctx, &reference).await {
        Err(Error::Fetch(error)) if error.kind == FetchErrorKind::Ambiguous => error,
        found => return Ok(vec![Variant::new(reference.id(), found?, demand)]),
    };
    let all = match reference.repository().filter(|repo| is_whole(repo)) {
        Some(repo) if ctx.registry.has_repositories(&reference) => all_of(ctx, repo, demand).await?,
        _ => None,
    };
    // The error of several models names them.
    all.ok_or(Error::Fetch(several))
}

/// Returns the models of a repository that are GGUF. `None` where it has none.
async fn all_of(ctx: &Context, repo: &RepoRef, demand: &MemoryRequest) -> Result<Option<Vec<Variant>>> {
    let every = repo.clone().select(None, ["*.gguf".to_owned()], [])?;
    let manifest = match resolve(ctx, &ResolveRequest::new(ModelRef::Repo(every))).await {
        Err(Error::Fetch(error)) if error.kind == FetchErrorKind::NotFound => return Ok(None),
        manifest => manifest?,
    };
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
        let reference = ModelRef::Repo(repo.clone().file(&entry)?);
        // The source knows which projector goes along.
        let revision = manifest.revision().filter(|_| !companions.is_empty()).map(str::to_owned);
        looks.push(one_of(ctx, reference, entry, files, revision, demand).boxed());
    }
    let mut variants: Vec<_> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    variants.sort_by_key(|variant: &Variant| variant.size_bytes);
    Ok(Some(variants).filter(|variants| !variants.is_empty()))
}

/// Inspects one of several models: these files, or all files that the source lists for it at a revision.
async fn one_of(
    ctx: &Context,
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
        Ok(Variant { id, quantization: None, size_bytes, parameter_count: None, fit, problem: Some(problem) })
    };
    if !files.iter().any(|file| file.path == entry) {
        return of_unsound(format!("`{entry}`: missing shard"));
    }
    let manifest = match revision {
        Some(revision) => resolve(ctx, &ResolveRequest::new(reference).at_revision(Some(revision))).await,
        None => Ok(Manifest::new(reference, files, Entry::File(entry))?),
    };
    let found = match manifest {
        Ok(manifest) => read_headers(ctx, manifest).await,
        Err(error) => Err(error),
    };
    match found {
        Err(error) if matches!(error, Error::Inspect(_)) || error.code() == ErrorCode::MissingShard => {
            of_unsound(error.to_string())
        }
        found => Ok(Variant::new(id.clone(), found?, demand)),
    }
}

/// Returns whether a reference leaves the choice of files to the fetcher.
fn is_whole(repo: &RepoRef) -> bool {
    matches!(repo.target(), RepoTarget::Repository(selection) if selection.is_empty())
}
