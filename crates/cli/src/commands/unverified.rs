//! Warns of what a person should know of a model that is present now.

use model_provisioner::{Outcome, ResolvedModel, shell_word};

use crate::output::{documents::notice::NoticeDocument, printer::Printer};

/// Warns of what an engine may miss in a model that this call fetched, of what a refresh would bring to one that was present, and of
/// what the verdict on it lacks.
pub(super) fn warn(model: &ResolvedModel, output: Printer) {
    let told = model.notices.iter().filter(|notice| !model.cached || notice.is_of_present());
    for NoticeDocument { message, hint, .. } in told.map(NoticeDocument::from) {
        output.warning(format_args!("`{}`: {message}", model.id));
        if let Some(hint) = hint {
            output.hint(hint);
        }
    }
    if model.verification.outcome != Outcome::Warn {
        return;
    }
    if model.digest.is_some() {
        output.warning(format_args!("`{}`: {}", model.id, model.verification.reason));
        return;
    }
    output.warning(format_args!("`{}` is unverified: {}", model.id, model.verification.reason));
    let id = shell_word(&model.id);
    let option = if model.files.len() == 1 { "--sha256" } else { "--digest" };
    output.hint(format_args!(
        "give its digest with `{option}`, or let `model-provisioner verify {id}` compute one"
    ));
}
