//! States what is recorded of a model.

use std::{path::Path, process::ExitCode};

use model_provisioner::{AttestOptions, PolicyFile, StatementDest};

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
        ..options_with(invocation, signer.key.as_deref())?
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
    let is_uri = |text: &String| {
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let is_part = |next: char| next.is_ascii_alphanumeric() || "+-.".contains(next);
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(is_part)
            && !text.contains(|next: char| next.is_whitespace() || next.is_control())
    };
    match named {
        Some(text) if !is_uri(&text) => {
            Err(Failure::usage("`--verifier` takes a URI, such as `https://example.org/models`"))
        }
        named => Ok(named),
    }
}

/// Returns the options of a statement that names the operator's policy, and that a key signs, where the caller gives one. Of several
/// policies it names the first.
///
/// # Errors
/// Where the key cannot be read, or this build does not sign.
pub(super) fn options_with(invocation: &Invocation, key: Option<&Path>) -> Result<AttestOptions, Failure> {
    let policy = invocation.policy_files().first().and_then(PolicyFile::in_force).cloned();
    let options = key.map_or_else(|| Ok(AttestOptions::default()), signing)?;
    Ok(AttestOptions { policy, ..options })
}

#[cfg(feature = "signing")]
fn signing(path: &Path) -> Result<AttestOptions, Failure> {
    use model_provisioner::{Error, PrivateKey, read_named_file};

    /// A key file is much smaller.
    const MOST_BYTES: u64 = 64 << 10;

    let text = read_named_file(path, MOST_BYTES)?;
    let key = PrivateKey::from_pem(&text).map_err(Error::from)?;
    Ok(AttestOptions { key: Some(key), ..AttestOptions::default() })
}

#[cfg(not(feature = "signing"))]
fn signing(_: &Path) -> Result<AttestOptions, Failure> {
    Err(Failure::usage("this build signs nothing: it was made without the feature `signing`"))
}
