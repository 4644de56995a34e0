//! Lists the records of the catalog.

use std::process::ExitCode;

use crate::{
    invocation::Invocation,
    output::{
        documents::{
            leftover,
            listed::{HEAD, Listed},
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
    let mut pages = invocation.local()?.pages().await?;
    for damaged in pages.damaged() {
        output.warning(&damaged.reason);
    }
    if pages.damaged().iter().any(|damaged| !damaged.is_newer) {
        output.hint("`model-provisioner doctor --fix` sets damaged records aside");
    }
    if pages.count() == 0 {
        output.say("the catalog is empty");
    }
    let (mut elements, told) = (output.elements(), pages.damaged().len());
    let mut head = Some(HEAD);
    while let Some(models) = pages.next_page().await? {
        let models: Vec<_> = models.into_iter().map(Listed::from).collect();
        let lines: Vec<_> =
            head.take().map(str::to_owned).into_iter().chain(models.iter().map(Listed::row)).collect();
        elements.add(&models, lines.join("\n"))?;
    }
    elements.end()?;
    output.say_lines(leftover::summary(pages.leftovers()).into_iter())?;
    // Another process harmed these after the listing had begun.
    for damaged in &pages.damaged()[told..] {
        output.warning(&damaged.reason);
    }
    if pages.leftovers().iter().any(|left| !left.is_held) {
        output.hint(leftover::HOW_TO_FREE);
    }
    Ok(ExitCode::SUCCESS)
}
