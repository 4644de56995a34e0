//! Models that are carried from one machine to another.

use std::{ffi::OsStr, path::Path, process::ExitCode};

use model_provisioner::ImportRequest;

use crate::{
    args::{Common, Import},
    commands::{Done, digest, local, reference, warn},
    document::{Exported, Model},
    output::Output,
};

/// Takes a file or a folder into the store.
pub(crate) async fn import(common: &Common, import: Import, output: Output) -> Done {
    let provisioner = local(common)?;
    let mut request = ImportRequest::new(import.path);
    request.digest = digest(import.sha256.as_deref(), import.digest.as_deref())?;
    request.mode = import.adopt.into();
    if let Some(id) = &import.id {
        request.id = Some(reference(&provisioner, id).await?);
    }
    let model = provisioner.import(&request).await?;
    warn(&model, output);
    output.paths(&Model::new(&model, None), model.local_path.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Copies a model into a folder.
pub(crate) async fn export(common: &Common, id: &OsStr, dir: &Path, output: Output) -> Done {
    let provisioner = local(common)?;
    let exported = provisioner.export(&reference(&provisioner, id).await?, dir).await?;
    let exported = Exported::from(exported);
    output.paths(&exported, exported.dir.display())?;
    Ok(ExitCode::SUCCESS)
}
