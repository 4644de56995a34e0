//! Takes a file or a folder into the store.

use std::process::ExitCode;

use model_provisioner::ImportRequest;

use super::{digest::digest, unverified};
use crate::{
    args::ImportArgs,
    output::{documents::model::Model, failure::Failure},
    session::{Session, parse},
};

/// Imports a model, and prints its path.
///
/// # Errors
/// Where the files do not have the digests that are known of them, or the store cannot be written.
pub(super) async fn run(session: &Session, args: ImportArgs) -> Result<ExitCode, Failure> {
    let provisioner = session.local()?;
    let mut request = ImportRequest::new(args.path);
    request.digest = digest(args.sha256.as_deref(), args.digest.as_deref())?;
    request.mode = args.adopt.into();
    if let Some(id) = &args.id {
        request.id = Some(parse(&provisioner, id).await?);
    }
    let model = provisioner.import(&request).await?;
    unverified::warn(&model, session.output);
    session.output.paths(&Model::new(&model, None), model.local_path.display())?;
    Ok(ExitCode::SUCCESS)
}
