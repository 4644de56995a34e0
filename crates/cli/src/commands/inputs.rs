//! Keeps the handoff off the files that the options and the environment name.

use std::path::{Path, PathBuf};

use model_provisioner::{PolicyFile, check_inputs_stay};

use crate::{args::EnsureOptions, environment, invocation::Invocation, output::failure::Failure};

/// Fails, before a byte is fetched, where the handoff would overwrite a file that the options or the environment name, or the key of
/// the statement.
///
/// # Errors
/// Where it would.
pub(super) fn check_inputs(
    invocation: &Invocation,
    options: &EnsureOptions,
    key: Option<&Path>,
) -> Result<(), Failure> {
    let Some(handoff) = &options.handoff else { return Ok(()) };
    let signature = &options.signature;
    let named = [&options.locked, &signature.public_key, &signature.signature].into_iter().flatten();
    let policies = invocation.policy_files().iter().map(PolicyFile::path);
    let of_environment = environment::inputs();
    let named = named.chain(&of_environment).map(PathBuf::as_path);
    Ok(check_inputs_stay(handoff, named.chain(key).chain(policies))?)
}
