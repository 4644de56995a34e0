//! Runs subcommands, one file for each.

mod activate;
mod attest;
mod completions;
mod digest;
mod doctor;
mod ensure;
mod export;
mod fit;
mod gc;
mod import;
mod inputs;
mod inspect;
mod list;
mod lock;
mod lock_check;
mod locked;
mod plan;
mod provenance;
mod provision;
mod remove;
mod retire;
mod run;
mod show;
mod unverified;
mod variants;
mod verify;

use crate::{args::Command, engine::Next, invocation::Invocation, output::failure::Failure};

/// Runs a subcommand.
///
/// # Errors
/// What the subcommand fails with.
pub(crate) async fn run(command: Command, invocation: &Invocation) -> Result<Next, Failure> {
    let done = match command {
        Command::Ensure(args) => ensure::run(invocation, &args).await,
        Command::Run(args) => return Box::pin(run::run(invocation, args)).await,
        Command::Plan(args) if args.memory.is_given() && !args.fit => variants::run(invocation, &args).await,
        Command::Plan(args) => plan::run(invocation, &args).await,
        Command::Lock(args) if args.check => lock_check::run(invocation, &args).await,
        Command::Lock(args) => lock::run(invocation, &args).await,
        Command::Provision(args) => provision::run(invocation, args).await,
        Command::List => list::run(invocation).await,
        Command::Show(args) => show::run(invocation, &args).await,
        Command::Verify(args) => verify::run(invocation, args).await,
        Command::Retire(args) => retire::run(invocation, &args).await,
        Command::Activate(args) => activate::run(invocation, &args).await,
        Command::Remove(args) => remove::run(invocation, &args).await,
        Command::Import(args) => import::run(invocation, args).await,
        Command::Export(args) => export::run(invocation, &args).await,
        Command::Inspect(args) => inspect::run(invocation, &args).await,
        Command::Gc(args) => gc::run(invocation, &args).await,
        Command::Doctor(args) => doctor::run(invocation, &args).await,
        Command::Attest(args) => attest::run(invocation, args).await,
        Command::Provenance(args) => provenance::run(invocation, args).await,
        Command::Completions { shell } => completions::run(shell),
    };
    done.map(Next::End)
}
