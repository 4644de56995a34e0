//! Makes a model present, leases it, writes its handoff, and becomes its engine.

mod placeholders;

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use model_provisioner::{DEFAULT_LLAMACPP_HANDOFF_PATH, Lease, ModelProvisioner, ResolvedModel, key_of};

use self::placeholders::{fill, has_handoff};
use super::{digest::expectation, fit, inputs::check_inputs, locked::lock_file, unverified};
use crate::{
    args::RunArgs,
    engine::{Engine, Next},
    environment::Variable,
    invocation::{Invocation, guessing, parse_with},
    output::{documents::model::Model, failure::Failure, printer::Printer},
};

/// Makes the model present, takes a lease, and writes the handoff. Without a program, the lease lasts until the standard input
/// closes.
///
/// # Errors
/// Where the model cannot be ensured, a handoff that was asked for cannot be written, or the program's arguments make no sense.
pub(super) async fn run(invocation: &Invocation, args: RunArgs) -> Result<Next, Failure> {
    let RunArgs { reference, options, supervise, program } = args;
    fit::check(&options)?;
    check_inputs(invocation, &options, None)?;
    let lock = lock_file(options.locked.as_deref())?;
    let provisioner = invocation.fetching_locked(&options.hub, lock)?;
    let mut parsed = parse_with(&provisioner, &reference, &options.hub).await?;
    if options.fit {
        parsed = fit::choose(invocation, &provisioner, &parsed, &reference, options.memory).await?;
    }
    let expectation = expectation(&options)?;
    if options.refresh {
        provisioner.refresh(&parsed, &expectation).await?;
    }
    let leased = provisioner.ensure_leased(&parsed, &expectation).await;
    let (model, lease) = leased.map_err(|error| guessing(error, &reference))?;
    unverified::warn(&model, invocation.output);
    let named = match options.handoff {
        None if program.iter().any(|text| has_handoff(text)) => Some(own_handoff(&model)),
        named => named,
    };
    let handoff = match named {
        Some(dest) => Some(provisioner.hand_off(&model, &dest).await?),
        None => hand_off_by_default(&provisioner, &model, invocation.output).await,
    };
    let Some((name, rest)) = program.split_first() else {
        invocation.output.paths(&Model::new(&model, handoff), model.local_path.display())?;
        until_input_closes(lease).await;
        return Ok(Next::End(ExitCode::SUCCESS));
    };
    let fill = |text| fill(text, &model, handoff.as_deref());
    let mut command = Command::new(fill(name)?);
    command.args(rest.iter().map(fill).collect::<Result<Vec<_>, _>>()?);
    // The model is here: the engine has no use for the token.
    for secret in Variable::SECRETS {
        command.env_remove(secret.name());
    }
    Ok(Next::Engine(Box::new(Engine { lease, command, is_supervised: supervise })))
}

/// Returns where the handoff goes for an engine that asks where it is. The model names the file, so that engines which start in
/// one folder do not read each other's handoff, and an engine that starts again leaves no further file.
fn own_handoff(model: &ResolvedModel) -> PathBuf {
    let key = key_of(&format!("{}\n{}", model.id, model.local_path.display()));
    Path::new(DEFAULT_LLAMACPP_HANDOFF_PATH).with_extension(format!("{}.json", &key[..16]))
}

/// Writes the handoff to the default place. The caller did not ask for it, so a folder that cannot be written stops no
/// engine.
async fn hand_off_by_default(
    provisioner: &ModelProvisioner,
    model: &ResolvedModel,
    output: Printer,
) -> Option<PathBuf> {
    match provisioner.hand_off(model, Path::new(DEFAULT_LLAMACPP_HANDOFF_PATH)).await {
        Ok(handoff) => Some(handoff),
        Err(error) => {
            output.warning(Failure::from(error).message);
            output.hint(
                "you named no place for it, so `run` goes on; if your engine reads it, name one with `--handoff`",
            );
            None
        }
    }
}

/// Keeps the lease until the caller closes the command's standard input.
async fn until_input_closes(lease: Lease) {
    // An input that cannot be read is closed.
    let _ = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin().lock(), &mut io::sink())).await;
    drop(lease);
}
