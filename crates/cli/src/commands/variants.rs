//! Says which of the models that a reference may mean fit into memory.

use std::process::ExitCode;

use crate::{
    args::PlanArgs,
    invocation::{Invocation, guessing, parse_with},
    output::{documents::variants::Variants, failure::Failure},
};

/// Prints the variants of each reference.
///
/// # Errors
/// Where the headers of a reference cannot be read.
pub(super) async fn run(invocation: &Invocation, args: &PlanArgs) -> Result<ExitCode, Failure> {
    if args.locked.is_some() {
        return Err(Failure::usage("a lock file names the models; `inspect` says whether one fits"));
    }
    let (provisioner, request) = (invocation.fetching(&args.hub)?, args.memory.request());
    let mut found = Vec::new();
    for reference in &args.references {
        let parsed = parse_with(&provisioner, reference, &args.hub).await?;
        let variants = provisioner.variants(&parsed, &request).await;
        let variants = variants.map_err(|error| guessing(error, reference))?;
        found.push(Variants::new(parsed.id(), variants));
    }
    let text = found.iter().map(Variants::text).collect::<Vec<_>>().join("\n");
    invocation.output.one_or_several(&found, text)?;
    Ok(ExitCode::SUCCESS)
}
