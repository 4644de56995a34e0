//! Describes the state of the cache, and its problems.

use std::process::ExitCode;

use model_provisioner::{Account, ErrorCode};

use crate::{
    args::DoctorArgs,
    environment::Environment,
    exit,
    invocation::Invocation,
    output::{
        documents::health::{Health, Problem},
        failure::Failure,
    },
};

/// The scheme of the hub.
const HUB: &str = "hf";

/// Checks the cache, repairs it on demand, and prints one screen.
///
/// # Errors
/// Where the cache cannot be read.
pub(super) async fn run(invocation: &Invocation, args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.local()?;
    let mut findings: Vec<_> = provisioner.doctor(args.fix).await?.into_iter().map(Into::into).collect();
    findings.extend(invocation.policy_files().iter().filter_map(Problem::of_policy));
    let environment = invocation.environment();
    let account = account(invocation, &environment).await.unwrap_or_else(|failure| {
        findings.push(Problem::of_token(failure));
        None
    });
    let overview = provisioner.overview().await?;
    let may_run_hf = provisioner.may_run("hf").is_ok();
    let environment = if may_run_hf { environment.with_hf_version().await } else { environment };
    let health = Health::new(provisioner.cache_dir(), &overview, environment, findings, may_run_hf);
    let health = health.with_policies(&invocation.policies()).with_account(account);
    invocation.output.result(&health, health.text())?;
    let status = exit::status(ErrorCode::DamagedRecord);
    Ok(if health.is_sound() { ExitCode::SUCCESS } else { status })
}

/// Asks the hub who the token belongs to, where there is one and the policy allows the question.
async fn account(invocation: &Invocation, environment: &Environment) -> Result<Option<Account>, Failure> {
    if environment.token.is_none() {
        return Ok(None);
    }
    match invocation.asking()?.account(HUB).await {
        Err(error) if error.denial().is_some() => {
            tracing::debug!("the hub is not asked who the token belongs to: {error}");
            Ok(None)
        }
        asked => Ok(asked?),
    }
}
