//! Takes a file or a folder into the store.

use std::process::ExitCode;

use model_provisioner::ImportRequest;

use super::{digest::digest, unverified};
use crate::{
    args::ImportArgs,
    invocation::{Invocation, parse},
    output::{documents::model::Model, failure::Failure},
};

/// Imports a model, and prints its path.
///
/// # Errors
/// Where the files do not have the digests that are known of them, or the store cannot be written.
pub(super) async fn run(invocation: &Invocation, args: ImportArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.local()?;
    let mut request = ImportRequest::new(args.path);
    request.digest = digest(args.sha256.as_deref(), args.digest.as_deref())?;
    request.mode = args.adopt.into();
    if let Some(id) = &args.id {
        request.id = Some(parse(&provisioner, id).await?);
    }
    let model = provisioner.import(&request).await?;
    unverified::warn(&model, invocation.output);
    invocation.output.paths(&Model::new(&model, None), model.local_path.display())?;
    Ok(ExitCode::SUCCESS)
}
