//! Chooses, for `--fit`, the best of a repository's models that fits.

use std::ffi::OsStr;

use model_provisioner::{FittingModel, ModelProvisioner, ModelRef, readable_size};

use crate::{
    args::{EnsureOptions, MemoryArgs},
    invocation::{Invocation, guessing},
    output::{
        documents::fit::{at_most, beyond, of_context},
        failure::Failure,
    },
};

/// Refuses options of memory where the caller does not ask for a choice.
///
/// # Errors
/// Where `ensure` or `run` is given what only `--fit` uses.
pub(super) fn check(options: &EnsureOptions) -> Result<(), Failure> {
    if options.memory.is_given() && !options.fit {
        return Err(Failure::usage(
            "`--vram`, `--ctx` and the like choose a model, with `--fit`; `plan` and `inspect` take them without it",
        ));
    }
    Ok(())
}

/// Returns the reference of the model that fits best, and says which it is and why.
///
/// # Errors
/// Where none fits, or the headers cannot be read.
pub(super) async fn choose(
    invocation: &Invocation,
    provisioner: &ModelProvisioner,
    parsed: &ModelRef,
    written: &OsStr,
    memory: MemoryArgs,
) -> Result<ModelRef, Failure> {
    let choice = provisioner.choose(parsed, &memory.request()).await;
    let choice = choice.map_err(|error| guessing(error, written))?;
    invocation.output.note(sentence(&choice));
    Ok(choice.reference)
}

fn sentence(choice: &FittingModel) -> String {
    let fit = &choice.chosen.fit;
    let needs = fit.total_bytes.map(|bytes| format!(" needs {}{}", at_most(fit), readable_size(bytes)));
    let needs = needs.unwrap_or_default();
    let of = fit.usable_bytes.map(|bytes| format!(" of {}", readable_size(bytes))).unwrap_or_default();
    let ctx = format!("{}{}", of_context(fit, " for"), beyond(fit).unwrap_or_default());
    let among = match (choice.candidates, choice.fitting, choice.is_of_records) {
        (1, ..) => String::new(),
        (all, 1, false) => format!("; the only one of {all} that fits"),
        (all, fitting, false) => format!("; the best of {fitting} that fit, of {all}"),
        (all, fitting, true) => format!("; the best of {fitting} that fit, of {all} on this machine"),
    };
    format!("{}{needs}{of}{ctx}{among}", choice.reference.id())
}
