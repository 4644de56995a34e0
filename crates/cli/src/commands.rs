//! Runs subcommands, one file for each.

mod activate;
mod completions;
mod digest;
mod doctor;
mod ensure;
mod export;
mod fit;
mod gc;
mod import;
mod inspect;
mod list;
mod plan;
mod provision;
mod remove;
mod retire;
mod run;
mod show;
mod unverified;
mod variants;
mod verify;

use crate::{args::Command, engine::Next, output::failure::Failure, session::Session};

/// Runs a subcommand.
///
/// # Errors
/// What the subcommand fails with.
pub(crate) async fn run(command: Command, session: &Session) -> Result<Next, Failure> {
    let done = match command {
        Command::Ensure(args) => ensure::run(session, &args).await,
        Command::Run(args) => return Box::pin(run::run(session, args)).await,
        Command::Plan(args) if args.memory.is_given() && !args.fit => variants::run(session, &args).await,
        Command::Plan(args) => plan::run(session, &args).await,
        Command::Provision(args) => provision::run(session, args).await,
        Command::List => list::run(session).await,
        Command::Show(args) => show::run(session, &args).await,
        Command::Verify(args) => verify::run(session, args).await,
        Command::Retire(args) => retire::run(session, &args).await,
        Command::Activate(args) => activate::run(session, &args).await,
        Command::Remove(args) => remove::run(session, &args).await,
        Command::Import(args) => import::run(session, args).await,
        Command::Export(args) => export::run(session, &args).await,
        Command::Inspect(args) => inspect::run(session, &args).await,
        Command::Gc(args) => gc::run(session, &args).await,
        Command::Doctor(args) => doctor::run(session, &args).await,
        Command::Completions { shell } => completions::run(shell),
    };
    done.map(Next::End)
}
