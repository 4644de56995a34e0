//! Asks the policy about a model before the first byte of it is transferred.

use provisioner_core::{
    CatalogRecord, Entry, Format, LeftOutReason, Manifest, ManifestFile, ModelRef, Notice, Question,
    RelativePath, Role, ScanStatus, SourceFacts,
};

use crate::{context::Context, error::Result};

/// Returns a listed model without what the policy denies beside its weights. Fails where the policy denies the model, as far as
/// the source's listing says enough.
pub(crate) fn admit(ctx: &Context, manifest: Manifest) -> Result<Manifest> {
    let manifest = without_denied(ctx, manifest);
    let id = manifest.reference().id();
    questions(ctx, &id, &manifest).iter().try_for_each(|question| ctx.ask(question))?;
    Ok(manifest)
}

/// Returns a listed model without the program code, and without the pickles beside its weights, that the policy denies. A model
/// that lies in place keeps its files.
pub(crate) fn without_denied(ctx: &Context, manifest: Manifest) -> Manifest {
    if manifest.is_in_place() { manifest } else { without_pickles(ctx, without_code(ctx, manifest)) }
}

/// Returns what to ask the policy about a listed model with an id.
pub(crate) fn questions<'a>(ctx: &Context, id: &'a str, manifest: &'a Manifest) -> Vec<Question<'a>> {
    let mut questions = vec![
        Question::Size { id, size_bytes: manifest.size_bytes() },
        Question::MaxFiles { id, files: manifest.files().len() as u64 },
    ];
    let source = manifest.source();
    // A local model names its licence itself, once its header is read.
    if !manifest.reference().is_local() {
        let license = source.and_then(|source| source.license.as_deref());
        questions.push(Question::License { id, license });
    }
    // The name of a file may not say its format. The bytes will. The weights come first, for they are what a person asked for.
    let is_weights =
        |file: &&ManifestFile| matches!(manifest.role(&file.path), Some(Role::Weights | Role::Adapter));
    let (weights, others): (Vec<_>, Vec<_>) = manifest.files().iter().partition(is_weights);
    for file in weights.into_iter().chain(others) {
        let path = file.path.as_str();
        if let Some(format) = stated_format(ctx, &file.path) {
            questions.push(Question::Format { path, format });
        }
        if !manifest.reference().is_local() {
            questions.push(Question::Scan { path, status: scan_status(source, &file.path) });
        }
    }
    questions
}

/// Returns what the scanners of a source say of a file. Of a file that the source says nothing about, no scanner has looked at it.
fn scan_status(source: Option<&SourceFacts>, path: &RelativePath) -> ScanStatus {
    source.and_then(|source| source.scans.get(path)).copied().unwrap_or(ScanStatus::Unscanned)
}

/// Returns what to ask the policy about the program code of a listed model: each file by both rules.
pub(crate) fn questions_of_code(manifest: &Manifest) -> Vec<Question<'_>> {
    let is_code = |file: &&ManifestFile| manifest.role(&file.path) == Some(Role::Code);
    let paths = manifest.files().iter().filter(is_code).map(|file| file.path.as_str());
    paths.flat_map(|path| [Question::RemoteCode { path }, python(path)]).collect()
}

fn python(path: &str) -> Question<'_> {
    Question::Format { path, format: Format::Python }
}

/// Returns the format that a file must have by its name. Where pickles and `TorchScript` archives have that name, it is the one that
/// the policy allows.
fn stated_format(ctx: &Context, path: &RelativePath) -> Option<Format> {
    let format = Format::named(path.file_name())?;
    let allows = |format| ctx.ask(&Question::Format { path: path.as_str(), format }).is_ok();
    let may_be_script = format == Format::Pickle && Format::may_be_torchscript(path.file_name());
    let is_script = may_be_script && !allows(Format::Pickle) && allows(Format::TorchScript);
    Some(if is_script { Format::TorchScript } else { format })
}

/// Logs what an engine or a person may miss of a model.
pub(crate) fn log_notices(id: &str, notices: &[Notice]) {
    for notice in notices {
        let hint = notice.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        tracing::debug!("`{id}`: {notice}{hint}");
    }
}

/// Leaves out the program code that the policy denies.
fn without_code(ctx: &Context, manifest: Manifest) -> Manifest {
    let goes = |path: &RelativePath, role| role == Some(Role::Code) && !allows_code(ctx, path.as_str());
    manifest.leave_out(goes, LeftOutReason::Policy, |notices, files| {
        notices.retain(|notice| !matches!(notice, Notice::RemoteCode { .. }));
        notices.push(Notice::CodeLeftOut { files });
    })
}

/// Leaves out the pickles beside the weights that the policy denies. Pickles that are the weights stay: the policy refuses them
/// by name.
fn without_pickles(ctx: &Context, manifest: Manifest) -> Manifest {
    let goes = |path: &RelativePath, role| {
        let format = Format::named(path.file_name());
        let is_beside = role == Some(Role::Other) && format == Some(Format::Pickle);
        is_beside && !allows_pickle(ctx, path.as_str())
    };
    manifest.leave_out(goes, LeftOutReason::Policy, |notices, files| {
        notices.push(Notice::PicklesDenied { files });
    })
}

/// Returns whether the policy allows a file of program code.
fn allows_code(ctx: &Context, path: &str) -> bool {
    ctx.ask(&Question::RemoteCode { path }).is_ok() && ctx.ask(&python(path)).is_ok()
}

/// Returns whether the policy allows a pickle beside the weights.
fn allows_pickle(ctx: &Context, path: &str) -> bool {
    ctx.ask(&Question::Format { path, format: Format::Pickle }).is_ok()
}

/// Returns what a refresh would change in a recorded model, where its record tells: the policy allows files now that it left out, or
/// an earlier release chose the files. `None` where no refresh would. A present model is never changed under its user.
pub(crate) fn left_to_refresh(ctx: &Context, reference: &ModelRef, record: &CatalogRecord) -> Option<Notice> {
    // A lock file says which files belong to the model, and what lies in place is not chosen.
    if reference.is_local() || ctx.lock.is_some() {
        return None;
    }
    let (id, files) = (record.id.clone(), allowed_now(ctx, record));
    if !files.is_empty() {
        return Some(Notice::AllowedNow { id, files });
    }
    let has_roles = record.files.iter().any(|file| file.role.is_some());
    // An import of plain files has no revision, and no rule chose them.
    let is_chosen_earlier = !has_roles && record.revision.is_some() && record.loaded() == Entry::Folder;
    (is_chosen_earlier && ctx.registry.states_roles(reference)).then_some(Notice::ChosenEarlier { id })
}

/// Returns the files that the policy left out of a recorded model, and allows now.
fn allowed_now(ctx: &Context, record: &CatalogRecord) -> Vec<String> {
    let mut allowed = Vec::new();
    for notice in &record.notices {
        match notice {
            Notice::CodeLeftOut { files } => {
                allowed.extend(files.iter().filter(|file| allows_code(ctx, file)).cloned());
            }
            Notice::PicklesDenied { files } => {
                allowed.extend(files.iter().filter(|file| allows_pickle(ctx, file)).cloned());
            }
            _ => {}
        }
    }
    allowed
}

/// Fails where the policy denies a recorded model.
pub(crate) fn check_record(ctx: &Context, record: &CatalogRecord) -> Result<()> {
    ask_of_record(record, |question| ctx.ask(question))
}

/// Asks what the policy says of a recorded model, one question after the other, until `ask` fails.
pub(crate) fn ask_of_record<E>(
    record: &CatalogRecord,
    mut ask: impl FnMut(&Question<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let id = record.id.as_str();
    let is_local = ModelRef::parse(id, None).is_ok_and(|reference| reference.is_local());
    ask(&Question::Size { id, size_bytes: record.size_bytes })?;
    ask(&Question::MaxFiles { id, files: record.files.len() as u64 })?;
    // A record of a model that no verifier has looked at does not know its licence yet.
    if !record.files.is_empty() {
        ask(&Question::License { id, license: record.license() })?;
    }
    for file in record.files.iter() {
        // As a message shows the path.
        let location = record.location(&file.path);
        let path = &location.to_string_lossy();
        if file.role == Some(Role::Code) {
            ask(&Question::RemoteCode { path })?;
            ask(&python(path))?;
        } else {
            ask(&Question::Format { path, format: file.format })?;
        }
        if !is_local {
            ask(&Question::Scan { path, status: scan_status(record.source.as_ref(), &file.path) })?;
        }
    }
    Ok(())
}
