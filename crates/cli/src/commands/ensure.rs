//! Makes models present, and prints their paths.

use std::{ffi::OsStr, process::ExitCode};

use model_provisioner::{AttestOptions, Expectation, ModelProvisioner, StatementDest, check_inputs_stay};

use super::{
    digest::expectation,
    fit,
    inputs::check_inputs,
    locked::{lock_file, references},
    unverified,
};
use crate::{
    args::{EnsureArgs, EnsureOptions},
    exit,
    invocation::{Invocation, guessing, parse_with},
    output::{
        documents::model::{Model, ModelOrFailure},
        failure::Failure,
        printer::Printer,
    },
};

/// Ensures each model, also where an earlier one fails.
///
/// # Errors
/// Where the options make no sense, or the only model fails.
pub(super) async fn run(invocation: &Invocation, args: &EnsureArgs) -> Result<ExitCode, Failure> {
    let EnsureArgs { references: named, options, .. } = args;
    let lock = lock_file(options.locked.as_deref())?;
    let references = &references(named, lock.as_ref())?;
    check_inputs(invocation, options, args.attest_key.as_deref())?;
    let statement = statement(args)?;
    let wanted = Wanted { options, expectation: expectation(options)?, statement };
    fit::check(options)?;
    let is_one = references.len() == 1;
    if !is_one && (wanted.expectation.digest().is_some() || options.handoff.is_some()) {
        return Err(Failure::usage("a digest or a handoff is of one model; give one reference"));
    }
    let provisioner = invocation.fetching_locked(&options.hub, lock)?;
    let mut done = Vec::new();
    let mut first_failure = None;
    for reference in references {
        match Box::pin(ensure(invocation, &provisioner, reference, &wanted)).await {
            Ok(model) => done.push(ModelOrFailure::Model(Box::new(model))),
            Err(failure) if is_one => return Err(failure),
            Err(failure) => {
                Printer::failure_text(&failure);
                let reference = reference.to_string_lossy().into_owned();
                first_failure.get_or_insert(failure.code);
                done.push(ModelOrFailure::Failure { reference, error: failure });
            }
        }
    }
    let paths: Vec<_> =
        done.iter().filter_map(ModelOrFailure::local_path).map(|path| path.display().to_string()).collect();
    match done.as_slice() {
        [ModelOrFailure::Model(only)] if is_one => invocation.output.paths(only, paths.join("\n"))?,
        all => invocation.output.paths(&all, paths.join("\n"))?,
    }
    Ok(first_failure.map_or(ExitCode::SUCCESS, exit::status))
}

/// Holds what the caller wants of each model.
struct Wanted<'a> {
    options: &'a EnsureOptions,
    expectation: Expectation,
    statement: Option<AttestOptions>,
}

/// Returns the options of the statements that the caller wants.
///
/// # Errors
/// Where the key cannot be read.
fn statement(args: &EnsureArgs) -> Result<Option<AttestOptions>, Failure> {
    let Some(folder) = &args.attest else { return Ok(None) };
    let signed = args.attest_key.as_deref().map(AttestOptions::signed_by).transpose()?.unwrap_or_default();
    Ok(Some(AttestOptions { dest: Some(StatementDest::Folder(folder.clone())), ..signed }))
}

async fn ensure(
    invocation: &Invocation,
    provisioner: &ModelProvisioner,
    reference: &OsStr,
    wanted: &Wanted<'_>,
) -> Result<Model, Failure> {
    let Wanted { options, expectation, statement } = wanted;
    let mut parsed = parse_with(provisioner, reference, &options.hub).await?;
    if options.fit {
        parsed = fit::choose(invocation, provisioner, &parsed, reference, options.memory).await?;
    }
    let model = if options.refresh {
        provisioner.refresh(&parsed, expectation).await?
    } else {
        let ensured = provisioner.ensure(&parsed, expectation).await;
        ensured.map_err(|error| guessing(error, reference))?
    };
    unverified::warn(&model, invocation.output);
    let attested = match statement {
        Some(statement) => provisioner.attest(&parsed, statement).await?.path,
        None => None,
    };
    // An engine may start as soon as the handoff is there.
    let handoff = match &options.handoff {
        Some(path) => {
            check_inputs_stay(path, attested.as_deref())?;
            Some(provisioner.hand_off(&model, path).await?)
        }
        None => None,
    };
    Ok(Model::new(&model, handoff).attested(attested))
}
