//! Lists the records of the catalog.

use std::process::ExitCode;

use crate::{
    invocation::Invocation,
    output::{
        documents::{
            leftover,
            listed::{Listed, table},
        },
        failure::Failure,
    },
};

/// Prints the records, and the unfinished transfers.
///
/// # Errors
/// Where the catalog cannot be read.
pub(super) async fn run(invocation: &Invocation) -> Result<ExitCode, Failure> {
    let output = invocation.output;
    let listed = invocation.local()?.list().await?;
    for damaged in &listed.damaged {
        output.warning(&damaged.reason);
    }
    if listed.damaged.iter().any(|damaged| !damaged.is_newer) {
        output.hint("`model-provisioner doctor --fix` sets damaged records aside");
    }
    let models: Vec<_> = listed.models.into_iter().map(Listed::from).collect();
    if models.is_empty() {
        output.say("the catalog is empty");
    }
    let rows = Some(table(&models)).filter(|table| !table.is_empty());
    let lines: Vec<_> = rows.into_iter().chain(leftover::summary(&listed.leftovers)).collect();
    output.result(&models, lines.join("\n"))?;
    if listed.leftovers.iter().any(|left| !left.is_held) {
        output.hint(leftover::HOW_TO_FREE);
    }
    Ok(ExitCode::SUCCESS)
}
