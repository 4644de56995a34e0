//! Warns of models that nothing proves.

use model_provisioner::{Outcome, ResolvedModel, shell_word};

use crate::output::printer::Printer;

/// Warns of what the verdict on a model lacks.
pub(super) fn warn(model: &ResolvedModel, output: Printer) {
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
