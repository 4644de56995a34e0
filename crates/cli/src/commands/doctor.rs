//! Describes the state of the cache, and its problems.

use std::process::ExitCode;

use model_provisioner::ErrorCode;

use crate::{
    args::DoctorArgs,
    exit,
    invocation::Invocation,
    output::{
        documents::health::{Health, Problem},
        failure::Failure,
    },
};

/// Checks the cache, repairs it on demand, and prints one screen.
///
/// # Errors
/// Where the cache cannot be read.
pub(super) async fn run(invocation: &Invocation, args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.local()?;
    let mut findings: Vec<_> = provisioner.doctor(args.fix).await?.into_iter().map(Into::into).collect();
    findings.extend(invocation.policy_files().iter().filter_map(Problem::of_policy));
    let overview = provisioner.overview().await?;
    let may_run_hf = provisioner.may_run("hf").is_ok();
    let environment = invocation.environment();
    let environment = if may_run_hf { environment.with_hf_version().await } else { environment };
    let health = Health::new(provisioner.cache_dir(), &overview, environment, findings, may_run_hf);
    let health = health.with_policies(&invocation.policies());
    invocation.output.result(&health, health.text())?;
    let status = exit::status(ErrorCode::DamagedRecord);
    Ok(if health.is_sound() { ExitCode::SUCCESS } else { status })
}
