//! Makes several models present at once, with progress and a deadline, and starts an engine for each, which carries a lease: while
//! the engine lives, no other process evicts or removes its model.
//!
//! `cargo run --example pool -- CACHE PROGRAM REF…`

#![expect(clippy::print_stderr, reason = "an example prints")]

use std::{
    env,
    error::Error,
    process::{Child, Command},
    time::Duration,
};

use model_provisioner::{Expectation, ModelProvisioner, ProgressEvent, ProgressSink};
use tokio::{task::JoinSet, time::timeout};

/// The time in which each model must be ready.
const DEADLINE: Duration = Duration::from_secs(3600);

/// An error that a task may return.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Prints what a person wants to know.
#[derive(Debug)]
struct Lines;

impl ProgressSink for Lines {
    fn on_event(&self, event: &ProgressEvent) {
        match event {
            ProgressEvent::FetchPlanned { id, total_bytes, present_bytes, .. } => {
                eprintln!("{id}: {present_bytes} of {total_bytes} bytes are here");
            }
            ProgressEvent::Ready { id, .. } => eprintln!("{id}: ready"),
            _ => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut args = env::args().skip(1);
    let (Some(cache), Some(program)) = (args.next(), args.next()) else {
        return Err("usage: pool CACHE PROGRAM REF…".into());
    };
    for mut engine in start_all(&cache, &program, args.collect()).await? {
        eprintln!("{}", engine.wait()?);
    }
    Ok(())
}

/// Starts a program for each model, with the model's path as its argument.
///
/// # Errors
/// The first failure. Engines that have started go on.
pub(crate) async fn start_all(
    cache: &str,
    program: &str,
    references: Vec<String>,
) -> Result<Vec<Child>, Failure> {
    // Models of the Hub need `.fetcher(HubFetcher::new(…))`, and a policy that allows the network.
    let provisioner = ModelProvisioner::builder(cache).progress(Lines).build()?;
    let mut tasks = JoinSet::new();
    for reference in references {
        // Clones share their work: two tasks that want one model fetch it once.
        tasks.spawn(start(provisioner.clone(), program.to_owned(), reference));
    }
    let mut engines = Vec::new();
    while let Some(engine) = tasks.join_next().await {
        engines.push(engine??);
    }
    Ok(engines)
}

async fn start(provisioner: ModelProvisioner, program: String, reference: String) -> Result<Child, Failure> {
    // What has arrived when the time is over stays, and the next call goes on from there.
    let leased = timeout(DEADLINE, provisioner.ensure_leased_str(&reference, &Expectation::none())).await;
    let (model, mut lease) = leased.map_err(|_| format!("{reference} took too long"))??;
    let mut engine = Command::new(program);
    engine.arg(&model.local_path);
    Ok(lease.spawn(engine)?)
}
