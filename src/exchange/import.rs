//! Takes files that a person brought into the store: a model's own, or an exported folder.

use std::{path::PathBuf, sync::Arc};

use provisioner_core::{
    AdoptMode, Basis, Digest, Expectation, Hint, Lifecycle, ModelRef, Question, ResolveRequest,
    ResolvedModel, VerifiedModel, Versioned,
};

use super::{
    exported_folder::{as_exported, open},
    found::{Found, needs_id},
    plain_files::as_files,
    take_in::take_in,
};
use crate::{
    catalog::provenance::Action,
    commit::model::commit,
    context::{Context, run_blocking},
    error::{Error, Result},
    resolve::{
        admission::questions,
        manifest::resolve,
        reference::canonical,
        signature::read_among,
        signature_rules::{as_denial, demanded},
    },
    retry::retry_on_conflict,
    stage::session::StagingSession,
    verify::judge::judge,
};

/// Says what a caller imports, and under which id.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportRequest {
    /// The path of a file, of any shard of a set, of a folder, or of an exported folder.
    pub path: PathBuf,
    /// The id to give it. Only an exported folder has an id of its own.
    pub id: Option<ModelRef>,
    /// The digest that it must have.
    pub digest: Option<Digest>,
    /// Says whether the import links or copies its files.
    pub mode: AdoptMode,
}

impl ImportRequest {
    /// Returns a request that links the files at a path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), id: None, digest: None, mode: AdoptMode::Link }
    }
}

/// Takes a file or a folder into the store, verifies it, and makes it present under an id.
pub(crate) async fn import(ctx: &Arc<Context>, request: &ImportRequest) -> Result<ResolvedModel> {
    let found = find(ctx, request).await?;
    let reference = found.manifest.reference().clone();
    ctx.ask(&Question::Reference(&reference))?;
    let id = reference.id();
    questions(ctx, &id, &found.manifest).iter().try_for_each(|question| ctx.ask(question))?;
    retry_on_conflict(&reference.id(), || async {
        match verify(ctx, &found, request).await {
            Ok((verified, previous, session)) => {
                commit(ctx, verified, previous, session, Action::Import).await.map(Ok)
            }
            // The call begins anew only after a conflict, when another process changed the record before the commit.
            Err(error) => Ok(Err(error)),
        }
    })
    .await?
}

/// Takes the files in, and judges them by what the caller, the record and the folder say of them.
async fn verify(
    ctx: &Arc<Context>,
    found: &Found,
    request: &ImportRequest,
) -> Result<(VerifiedModel, Option<Versioned>, Arc<StagingSession>)> {
    let id = found.manifest.reference().id();
    let session = StagingSession::wait(ctx, &id).await?;
    let previous = ctx.catalog.get(&id).await?;
    if previous.as_ref().is_some_and(|found| found.record.lifecycle == Lifecycle::Retired) {
        return Err(Error::Retired { id });
    }
    let demanded = demanded(ctx, found.manifest.reference(), &Expectation::none()).await?;
    let found = &with_signatures(found, &demanded).await?;
    let taken = take_in(ctx, found, request.mode, &session).await;
    let staged = or_discard(taken, &session).await?;
    let given = request.digest.clone().map(|digest| (digest, Basis::Pinned));
    let recorded = previous.as_ref().and_then(|found| found.record.evidence());
    let told =
        found.told.clone().and_then(|(digest, basis)| Some((digest.or_else(|| staged.digest())?, basis)));
    let expectation = demanded.or(given).or(recorded).or(told);
    let judged = judge(ctx, staged, expectation).await;
    let judged = judged.map_err(|error| as_denial(ctx, found.manifest.reference(), error));
    let verified = or_discard(judged, &session).await?;
    Ok((verified, previous, session))
}

/// Returns what was found with the signatures among it, where one is demanded. An exported folder has those of its record already.
async fn with_signatures(found: &Found, demanded: &Expectation) -> Result<Found> {
    if demanded.signatures().is_empty() {
        return Ok(found.clone());
    }
    let found = found.clone();
    run_blocking(move || {
        let located = found.manifest.files().iter().map(|file| &file.path);
        let located: Vec<_> = located.zip(found.locations.iter().map(PathBuf::as_path)).collect();
        let mut signatures = found.manifest.signatures().to_vec();
        signatures.extend(read_among(&located)?);
        Ok(Found { manifest: found.manifest.clone().with_signatures(signatures), ..found })
    })
    .await
}

/// Returns the outcome. After an error, discards the files that the call took in, for no later call resumes them.
async fn or_discard<T>(outcome: Result<T>, session: &Arc<StagingSession>) -> Result<T> {
    if outcome.is_err() {
        let session = Arc::clone(session);
        run_blocking(move || Ok(session.discard_all()?)).await?;
    }
    outcome
}

/// Finds the files at the path of a request, and the id to import them under.
async fn find(ctx: &Arc<Context>, request: &ImportRequest) -> Result<Found> {
    if let Some(other) = request.id.as_ref().filter(|id| id.is_local()) {
        return Err(needs_id(&request.path, format!("`{other}` is not an id for an import")));
    }
    let path = std::path::absolute(&request.path)
        .map_err(|error| Error::storage("the working directory cannot be found", error))?;
    let id = request.id.as_ref().map(|id| ctx.registry.read(id)).transpose()?;
    let (dir, under) = (path.clone(), id.clone());
    let exported = ctx.run_blocking(move |ctx| match open(&dir)? {
        Some(bundle) => as_exported(&ctx.registry, &dir, &bundle, under.as_ref()).map(Some),
        None => Ok(None),
    });
    if let Some(found) = exported.await? {
        return Ok(found);
    }
    let text = path
        .to_str()
        .ok_or_else(|| provisioner_core::Error::PathNotUtf8 { path: path.display().to_string() })?;
    let local = canonical(ctx, &ModelRef::parse(&format!("local:{text}"), None)?).await?;
    let request = ResolveRequest::new(local.clone());
    let listed = resolve(ctx, &request).await.map_err(|error| error.where_absent(Hint::CheckImportPath))?;
    let Some(id) = id else {
        return Err(needs_id(&path, format!("`{}` has no id of its own", path.display())));
    };
    run_blocking(move || as_files(&listed, id)).await
}
