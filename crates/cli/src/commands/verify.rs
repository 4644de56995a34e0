//! Reads all bytes of recorded models, and compares them with their digests.

use std::process::ExitCode;

use model_provisioner::{HandoffFault, ModelProvisioner, ModelRef, ProvenanceCheck};

use crate::{
    args::VerifyArgs,
    exit,
    invocation::{Invocation, parse},
    output::{documents::verified::Verified, failure::Failure},
};

/// Verifies models, and prints a report of each.
///
/// # Errors
/// Where the catalog cannot be read. A model that fails is part of the document, and of the exit status.
pub(super) async fn run(invocation: &Invocation, args: VerifyArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.local()?;
    // Each verdict becomes a line of the log, which would hide a cut tail.
    let faults = handoffs(invocation, &provisioner).await;
    let mut reports = Vec::new();
    let ids = if args.all {
        let (mut pages, mut ids) = (provisioner.pages().await?, Vec::new());
        while let Some(models) = pages.next_page().await? {
            ids.extend(models.into_iter().map(|model| model.record.id.into()));
        }
        reports.extend(pages.damaged().iter().cloned().map(Verified::damaged));
        ids
    } else {
        args.ids
    };
    let mut parsed = Vec::new();
    for id in &ids {
        parsed.push(parse(&provisioner, id).await);
    }
    let known: Vec<ModelRef> = parsed.iter().filter_map(|parsed| parsed.as_ref().ok().cloned()).collect();
    let mut verified = provisioner.verify_several(&known).await.into_iter();
    for (id, parsed) in ids.iter().zip(parsed) {
        let failed = |failure| Verified::failed(id.to_string_lossy().into_owned(), failure);
        reports.push(match parsed {
            Err(failure) => failed(failure),
            Ok(_) => match verified.next() {
                Some(Ok(report)) => Verified::from(report),
                Some(Err(error)) => failed(error.into()),
                None => failed(Failure::interrupted()),
            },
        });
    }
    let reports: Vec<_> = reports.into_iter().map(|report| report.resting_on(&faults)).collect();
    print(invocation, &reports)
}

/// Returns the handoffs whose line is not in the provenance log. A log that is wrong, or that cannot be read, is a warning here.
async fn handoffs(invocation: &Invocation, provisioner: &ModelProvisioner) -> Vec<HandoffFault> {
    let problem = match provisioner.provenance_verify(&ProvenanceCheck::default()).await {
        Ok(report) if report.chain.fault.is_none() => return report.handoffs,
        Ok(report) => report.chain.fault.map(|fault| fault.to_string()).unwrap_or_default(),
        Err(error) => Failure::from(error).message,
    };
    invocation.output.warning(format_args!("the provenance log: {problem}"));
    invocation.output.hint("`model-provisioner provenance verify` says more");
    Vec::new()
}

fn print(invocation: &Invocation, reports: &[Verified]) -> Result<ExitCode, Failure> {
    let first_failure = reports.iter().find_map(|report| report.code);
    let lines: Vec<_> = reports.iter().map(Verified::line).collect();
    invocation.output.result(&reports, lines.join("\n"))?;
    let mut hints: Vec<_> = reports.iter().filter_map(Verified::hint).collect();
    hints.dedup();
    for hint in hints {
        invocation.output.hint(hint);
    }
    Ok(first_failure.map_or(ExitCode::SUCCESS, exit::status))
}
