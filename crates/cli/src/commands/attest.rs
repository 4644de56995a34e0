//! States what is recorded of a model.

use std::process::ExitCode;

use model_provisioner::{AttestOptions, StatementDest};

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
    let signed = signer.key.as_deref().map(AttestOptions::signed_by).transpose()?;
    let options = AttestOptions {
        format: format.into(),
        dest: output.map(StatementDest::File),
        verifier_id: verifier(signer.verifier)?,
        ..signed.unwrap_or_default()
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
