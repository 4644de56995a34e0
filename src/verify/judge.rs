//! Asks every verifier about a staged model.

use std::sync::Arc;

use provisioner_core::{Expectation, Question, StagedFile, StagedModel, VerifiedModel, Verifier};

use super::signatures::SignatureVerifier;
use crate::{
    context::{CancelOnDrop, Context},
    error::{Error, Result},
    stage::supply::in_place::wants_git_id,
};

/// Judges a staged model by an expectation and by every verifier.
///
/// # Errors
/// [A verdict](Error::is_verdict); a [conflict](Error::is_conflict) where another process took a file out of the store
/// meanwhile.
pub(crate) async fn judge(
    ctx: &Arc<Context>,
    staged: StagedModel,
    expectation: Expectation,
) -> Result<VerifiedModel> {
    let cancel = CancelOnDrop::default();
    let is_cancelled = cancel.watch();
    ctx.run_blocking(move |ctx| {
        let mut verifiers: Vec<Arc<dyn Verifier>> = Vec::new();
        if !expectation.signatures().is_empty() {
            verifiers.push(Arc::new(SignatureVerifier::new(is_cancelled)));
        }
        verifiers.extend(ctx.verifiers.iter().cloned());
        let locations = staged.files().iter().map(|file| file.location.clone());
        let stored: Vec<_> = locations.filter(|location| location.starts_with(ctx.store.root())).collect();
        let judged = with_git_ids(staged, &expectation)
            .and_then(|staged| Ok(staged.judge(&expectation, &verifiers, ctx.clock.now())?));
        let judged = judged.and_then(|verified| {
            ask_license(ctx, &verified)?;
            Ok(verified)
        });
        judged.map_err(|error| {
            // The model is not at fault for a file that another process removed from the store after a step had found it.
            match stored.into_iter().find(|location| matches!(location.try_exists(), Ok(false))) {
                Some(path) => artifact_store::Error::Vanished { path: path.to_path_buf() }.into(),
                None => error,
            }
        })
    })
    .await
}

/// Asks the policy about the licence that a model of this machine names itself: its verifiers have read its header now.
fn ask_license(ctx: &Context, verified: &VerifiedModel) -> Result<()> {
    let reference = verified.staged().manifest().reference();
    if !reference.is_local() {
        return Ok(());
    }
    let license = verified.facts().and_then(|facts| facts.license.as_deref());
    ctx.ask(&Question::License { id: &reference.id(), license })
}

/// Returns a staged model with git's ids, where the expectation names them: a transfer or the store read its bytes for
/// their SHA-256 alone.
fn with_git_ids(staged: StagedModel, expectation: &Expectation) -> Result<StagedModel> {
    let lacks = |file: &StagedFile| file.git_sha1.is_none() && file.sha256.is_some();
    if !wants_git_id(expectation) || !staged.files().iter().any(lacks) {
        return Ok(staged);
    }
    let mut files = staged.files().to_vec();
    for file in files.iter_mut().filter(|file| lacks(file)) {
        let found = file_hashing::git_id(&file.location, file.sha256.as_ref());
        file.git_sha1 = found.map_err(artifact_store::Error::from)?;
        if file.git_sha1.is_none() {
            return Err(Error::ChangedWhileRead { path: file.location.to_path_buf() });
        }
    }
    Ok(StagedModel::new(staged.manifest().clone(), files)?)
}
