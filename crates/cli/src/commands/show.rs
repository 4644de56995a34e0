//! Shows what the catalog keeps of a model, and whether its files changed since.

use std::process::ExitCode;

use model_provisioner::{Error, ModelProvisioner, ModelRef, ResolvedModel, shell_word};

use crate::{
    args::ShowArgs,
    invocation::{Invocation, parse},
    output::{
        documents::{leftover, model::Model},
        failure::Failure,
    },
};

/// Prints a record as a card.
///
/// # Errors
/// Where the catalog has no record of the model, or it cannot be read.
pub(super) async fn run(invocation: &Invocation, args: &ShowArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.local()?;
    let reference = parse(&provisioner, &args.id).await?;
    let entry = match provisioner.show(&reference).await {
        Err(error @ Error::NotInCatalog { .. }) => {
            return Err(Failure::from(error).hinting(unfinished(&provisioner, &reference).await?));
        }
        entry => entry?,
    };
    let holders = provisioner.holders(&reference).await?;
    let change = provisioner.change(&entry.record).await?;
    let is_changed = change.is_some();
    let model = ResolvedModel::new(entry.record, true);
    let shown = Model::new(&model, None).used_by(holders).changed(change);
    invocation.output.result(&shown, shown.card(entry.last_used_at))?;
    if is_changed {
        let id = shell_word(&model.id);
        invocation
            .output
            .hint(format_args!("`model-provisioner verify {id}` or `ensure {id}` judges what is there now"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the next step for a model that has an unfinished transfer and no record; `None` for a model without a transfer.
async fn unfinished(provisioner: &ModelProvisioner, reference: &ModelRef) -> Result<Option<String>, Failure> {
    let id = reference.id();
    let mut found = provisioner.list().await?.leftovers;
    found.retain(|left| left.id.as_deref() == Some(&id));
    let lines = leftover::summary(&found);
    let word = shell_word(&id);
    Ok(lines.first().map(|line| {
        format!("{line}: `model-provisioner ensure {word}` goes on with it, `remove {word}` frees it")
    }))
}
