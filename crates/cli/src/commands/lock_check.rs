//! Says which locked references mean another revision now.

use std::process::ExitCode;

use model_provisioner::{ErrorCode, LockState, read_lock_file};

use crate::{
    args::LockArgs,
    exit,
    invocation::Invocation,
    output::{
        documents::locked::{CheckedEntry, CheckedLock},
        failure::Failure,
        printer::Printer,
    },
};

/// Asks the source of each locked reference, also where an earlier one could not be asked.
///
/// # Errors
/// Where the lock file cannot be read.
pub(super) async fn run(invocation: &Invocation, args: &LockArgs) -> Result<ExitCode, Failure> {
    let lock = read_lock_file(&args.output)?;
    let provisioner = invocation.fetching(&args.hub)?;
    let (mut entries, mut first_failure) = (Vec::new(), None);
    for model in lock.models() {
        entries.push(match provisioner.check_lock(model).await {
            Ok(LockState::Moved { revision }) => {
                first_failure.get_or_insert(ErrorCode::Failed);
                CheckedEntry::moved(model, revision)
            }
            Ok(_) => CheckedEntry::current(model),
            Err(error) => {
                let failure = Failure::from(error);
                Printer::failure_text(&failure);
                // That a source could not be asked says more than that another one has moved.
                if first_failure.is_none_or(|code| code == ErrorCode::Failed) {
                    first_failure = Some(failure.code);
                }
                CheckedEntry::failed(model, failure)
            }
        });
    }
    let document = CheckedLock::new(args.output.clone(), entries);
    invocation.output.result(&document, document.text())?;
    if document.has_moved() {
        invocation.output.hint("`model-provisioner lock --upgrade` pins what they are now");
    }
    Ok(first_failure.map_or(ExitCode::SUCCESS, exit::status))
}
