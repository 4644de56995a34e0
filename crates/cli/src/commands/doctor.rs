//! Describes the state of the cache, and its problems.

use std::process::ExitCode;

use model_provisioner::ErrorCode;

use crate::{
    args::DoctorArgs,
    exit,
    output::{documents::health::Health, failure::Failure},
    session::Session,
};

/// Checks the cache, repairs it on demand, and prints one screen.
///
/// # Errors
/// Where the cache cannot be read.
pub(super) async fn run(session: &Session, args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let provisioner = session.local()?;
    let findings = provisioner.doctor(args.fix).await?.into_iter().map(Into::into).collect();
    let overview = provisioner.overview().await?;
    let health = Health::new(provisioner.cache_dir(), &overview, session.environment(), findings);
    session.output.result(&health, health.text())?;
    let status = exit::status(ErrorCode::DamagedRecord);
    Ok(if health.is_sound() { ExitCode::SUCCESS } else { status })
}
