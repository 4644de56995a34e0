//! Plans what ensuring a model would do.

use std::{borrow::Cow, collections::BTreeSet, convert::Infallible, path::PathBuf, sync::Arc};

use local_caches::LocalFiles;
use provisioner_core::{
    Digest, Expectation, FactNeeds, LeftOut, Lifecycle, Locator, Manifest, ModelRef, Notice, Question,
    RecordedSignature, RelativePath, ResolveRequest, Role, RuleVerdict, Signer, SourceFacts, Versioned,
};

use super::headers::read_pointers;
use crate::{
    context::Context,
    error::{Error, Result},
    preview::{headers::read_headers, policy_answers::PolicyAnswers},
    resolve::{
        admission::{ask_of_record, questions, questions_of_code, without_denied},
        local_code,
        lockfile::{is_as_locked, locked},
        presence::locate,
        recall::{Resolution, SourceAccess, resolve_or_recall},
        reference::canonical,
        signature,
        signature_rules::{as_denial, check_listing, demanded},
    },
    stage::{
        key::{left_of, to_fetch},
        supply::local_caches::FileCandidates,
    },
};

/// Describes what ensuring a model would fetch, and what the policy says of it.
///
/// A plan that the policy denies is a plan too: [`refusal`](Self::refusal) has the error of an ensure. Where the policy keeps the
/// provisioner from the source, the plan has no files.
#[derive(Clone, Debug)]
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
    /// The signatures that lie beside the model, the usual name first.
    pub signatures: Vec<PlannedSignature>,
    /// Says what the source tells of the model; `None` where it tells nothing.
    pub source: Option<SourceFacts>,
    /// Says what each rule of the policy decides, also after the first denial.
    pub policy: Vec<RuleVerdict>,
    refusal: Option<Error>,
}

/// Describes a signature beside a planned model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedSignature {
    /// The path of the signature: in the model, or on this machine.
    pub file: String,
    /// The trusted signer, where the expectation or the policy demands a signature, and this one holds.
    pub signer: Option<Signer>,
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
    /// Returns a plan without files, with what the policy says.
    fn without_files(id: String, answers: PolicyAnswers<'_>) -> Self {
        let (policy, refusal) = answers.into_parts();
        let (files, left_out, notices) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            id,
            revision: None,
            files,
            left_out,
            notices,
            signatures: Vec::new(),
            source: None,
            policy,
            refusal,
        }
    }

    /// Returns how many bytes the source would send. The bytes of a partial that are here do not count, in blocks of the
    /// disk.
    pub fn download_bytes(&self) -> u64 {
        let missing =
            self.files.iter().filter(|file| matches!(file.state, FileState::Partial | FileState::Fetch));
        missing.fold(0, |sum, file| sum.saturating_add(file.space_needed_bytes))
    }

    /// Returns the error with which the policy would end an ensure. `None` where the policy allows the model.
    pub fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }

    /// Returns how much of the disk `ensure` would need, with the copies of adopted files, in bytes.
    pub fn space_needed_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.space_needed_bytes))
    }
}

/// Returns what ensuring a model would fetch. It asks the source, and transfers no file but the signature that is demanded.
pub(crate) async fn plan(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    expectation: &Expectation,
) -> Result<EnsurePlan> {
    let reference = canonical(ctx, reference).await?;
    let mut answers = PolicyAnswers::of(ctx);
    answers.ask(&Question::Reference(&reference));
    if let Some(present) = plan_of_present(ctx, &reference, expectation, &mut answers).await? {
        return Ok(present);
    }
    let fetcher = ctx.registry.find(&reference)?;
    if fetcher.uses_network() {
        // Where the policy denies the network, a listing on this machine may do.
        answers.note(&Question::Network(&reference));
    }
    if let Some(program) = fetcher.program() {
        answers.note(&Question::ShellOut { program });
    }
    if answers.is_refused() {
        return Ok(EnsurePlan::without_files(reference.id(), answers));
    }
    let resolved = resolution(ctx, &reference).await;
    let Some(Resolution { manifest, source }) = answers.unless_denied(resolved)? else {
        return Ok(EnsurePlan::without_files(reference.id(), answers));
    };
    let manifest = judge_listing(ctx, &mut answers, manifest).await?;
    let mut notices = manifest.notices().to_vec();
    if matches!(source, SourceAccess::Open) && !answers.is_refused() && ctx.lock.is_none() {
        let files = read_pointers(ctx, &manifest).await?;
        notices.extend((!files.is_empty()).then_some(Notice::LfsPointers { files }));
    }
    let expectation = demanded(ctx, &reference, expectation).await?;
    let manifest = signature::find(ctx, manifest, &expectation, None).await?;
    let held =
        check_listing(&manifest, &expectation).await.map_err(|error| as_denial(ctx, &reference, error));
    let signatures = planned_signatures(&manifest, &answers.unless_denied(held)?.unwrap_or_default());
    let (planned, files, barred) = files_of(ctx, reference, manifest, source).await?;
    answers.unless_denied(barred)?;
    Ok(EnsurePlan {
        revision: planned.revision().map(str::to_owned),
        files,
        left_out: planned.left_out().to_vec(),
        notices,
        signatures,
        source: planned.source().filter(|source| !source.is_empty()).cloned(),
        ..EnsurePlan::without_files(planned.reference().id(), answers)
    })
}

/// Returns the signatures beside a listed model: those that hold, or else their names.
fn planned_signatures(manifest: &Manifest, held: &[RecordedSignature]) -> Vec<PlannedSignature> {
    let listed = manifest.files().iter().map(|file| file.path.as_str());
    let left_out = manifest.left_out().iter().map(|file| file.path.as_str());
    let mut signatures: Vec<_> = held.iter().cloned().map(planned_signature).collect();
    for file in signature::among(listed.chain(left_out)) {
        if signatures.iter().all(|known| known.file != file) {
            signatures.push(PlannedSignature { file: file.to_owned(), signer: None });
        }
    }
    signatures
}

fn planned_signature(held: RecordedSignature) -> PlannedSignature {
    PlannedSignature { file: held.file, signer: Some(held.signer) }
}

/// Asks the policy all that an ensure would ask about a listed model, and returns the model without the program code that the
/// policy denies.
async fn judge_listing(
    ctx: &Arc<Context>,
    answers: &mut PolicyAnswers<'_>,
    manifest: Manifest,
) -> Result<Manifest> {
    for host in hosts(&manifest) {
        answers.note(&Question::Host(&host));
    }
    if !manifest.is_in_place() {
        for question in &questions_of_code(&manifest) {
            answers.note(question);
        }
    }
    let manifest = without_denied(ctx, manifest);
    let id = manifest.reference().id();
    for question in &questions(ctx, &id, &manifest) {
        answers.ask(question);
    }
    if manifest.reference().is_local() {
        let license = own_license(ctx, &manifest).await;
        answers.ask(&Question::License { id: &id, license: license.as_deref() });
        let listed = manifest.clone();
        let checked =
            ctx.run_blocking(move |ctx| local_code::check_listed(ctx, listed.reference(), &listed)).await;
        answers.unless_denied(checked)?;
    }
    Ok(manifest)
}

/// Returns the licence that a model of this machine names itself, where the policy has a rule about licences.
async fn own_license(ctx: &Arc<Context>, manifest: &Manifest) -> Option<String> {
    let id = manifest.reference().id();
    ctx.ask(&Question::License { id: &id, license: None }).err()?;
    read_headers(ctx, manifest.clone()).await.ok()?.details.facts.license
}

/// Returns the hosts that the addresses of a manifest's files name.
fn hosts(manifest: &Manifest) -> BTreeSet<String> {
    let hosts = manifest.files().iter().filter_map(|file| match &file.locator {
        Locator::Streamed(remote) => remote.host(),
        _ => None,
    });
    hosts.map(Cow::into_owned).collect()
}

/// Returns a manifest, what `ensure` would do about each of its files, and why it could not fetch one of them.
async fn files_of(
    ctx: &Arc<Context>,
    reference: ModelRef,
    manifest: Manifest,
    source: SourceAccess,
) -> Result<(Manifest, Vec<PlannedFile>, Result<()>)> {
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
        let missing = files.iter().find(is_missing).map(|file| &file.path);
        let barred = source.check(&reference.id(), missing);
        Ok((manifest, files, barred))
    })
    .await
}

/// Returns the files of a model: as the lock file names them, without a source; otherwise as the source lists them.
async fn resolution(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Resolution> {
    if let Some(model) = locked(ctx, reference)?.filter(|_| !reference.is_local()) {
        let network = ctx.registry.find(reference)?.uses_network();
        let asked = if network { ctx.ask(&Question::Network(reference)) } else { Ok(()) };
        let source = asked.map_or_else(SourceAccess::Barred, |()| SourceAccess::Open);
        return Ok(Resolution { manifest: model.manifest()?, source });
    }
    let request = ResolveRequest::new(reference.clone()).needing(FactNeeds::shown());
    resolve_or_recall(ctx, &request).await
}

/// Returns the empty plan of a present model. It refuses a retired model as `ensure` does.
async fn plan_of_present(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    expectation: &Expectation,
    answers: &mut PolicyAnswers<'_>,
) -> Result<Option<EnsurePlan>> {
    let id = reference.id();
    let Some(Versioned { record, .. }) = ctx.catalog.get(&id).await? else { return Ok(None) };
    if record.lifecycle == Lifecycle::Retired {
        return Err(Error::Retired { id });
    }
    if !is_as_locked(ctx, reference, &record)? {
        return Ok(None);
    }
    let Some(model) = locate(ctx, reference).await? else { return Ok(None) };
    let demands = demanded(ctx, reference, expectation).await?;
    // An ensure looks for the signature that is demanded, and is not recorded.
    if !record.is_signed_as(&demands) {
        return Ok(None);
    }
    let asked: std::result::Result<(), Infallible> = ask_of_record(&record, |question| {
        answers.ask(question);
        Ok(())
    });
    let Ok(()) = asked;
    let recorded = record.clone();
    let checked = ctx.run_blocking(move |ctx| local_code::check_recorded(ctx, &recorded)).await;
    answers.unless_denied(checked)?;
    let files = model.files.into_iter().map(|file| PlannedFile {
        path: file.path,
        role: file.role,
        size: file.stamp.size,
        digest: file.sha256,
        state: FileState::Present,
        from: None,
        space_needed_bytes: 0,
    });
    Ok(Some(EnsurePlan {
        revision: model.revision,
        files: files.collect(),
        left_out: record.left_out,
        notices: record.notices,
        signatures: record.signatures.into_iter().map(planned_signature).collect(),
        source: record.source.filter(|source| !source.is_empty()),
        ..EnsurePlan::without_files(id, answers.clone())
    }))
}
