//! States what is recorded of a model.

use std::{path::Path, process::ExitCode};

use model_provisioner::{AttestOptions, StatementDest};

#[cfg(feature = "signing")]
use crate::environment::is_open_to_others;
use crate::{
    args::AttestArgs,
    invocation::{Invocation, parse},
    output::{failure::Failure, printer::Printer},
};

/// Prints the statement, or writes it to a file and prints the path.
///
/// # Errors
/// Where the catalog has no record of the model, nothing can be stated of it, or the key or the file is not to be used.
pub(super) async fn run(invocation: &Invocation, args: AttestArgs) -> Result<ExitCode, Failure> {
    let AttestArgs { id, format, signer, output } = args;
    let provisioner = invocation.local()?;
    let options = AttestOptions {
        format: format.into(),
        dest: output.map(StatementDest::File),
        verifier_id: verifier(signer.verifier)?,
        ..options_with(signer.key.as_deref())?
    };
    let stated = provisioner.attest(&parse(&provisioner, &id).await?, &options).await?;
    match &stated.path {
        Some(path) => invocation.output.paths(&stated.path, path.display())?,
        // The statement is JSON whether the caller asks for documents or not.
        None => Printer::raw(format!("{}\n", stated.json).as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the verifier that the caller names.
///
/// # Errors
/// Where it is not a URI.
fn verifier(named: Option<String>) -> Result<Option<String>, Failure> {
    match named {
        Some(text) if !model_provisioner::is_uri(&text) => {
            Err(Failure::usage("`--verifier` takes a URI, such as `https://example.org/models`"))
        }
        named => Ok(named),
    }
}

/// Returns the options of a statement that a key signs, where the caller gives one.
///
/// # Errors
/// Where the key cannot be read, or this build does not sign.
#[cfg(feature = "signing")]
pub(super) fn options_with(key: Option<&Path>) -> Result<AttestOptions, Failure> {
    let key_file = key.map(Path::to_owned);
    let key = key.map(model_provisioner::signing::private_key).transpose()?;
    if let Some(path) = key_file.as_deref().filter(|path| is_open_to_others(path)) {
        tracing::warn!(
            "every user of this machine can read the key in `{0}`; `chmod 600 {0}` keeps it from them",
            path.display()
        );
    }
    Ok(AttestOptions { key, key_file, ..AttestOptions::default() })
}

#[cfg(not(feature = "signing"))]
pub(super) fn options_with(key: Option<&Path>) -> Result<AttestOptions, Failure> {
    match key {
        None => Ok(AttestOptions::default()),
        Some(_) => Err(Failure::usage("this build signs nothing: it was made without the feature `signing`")),
    }
}
