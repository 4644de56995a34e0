//! Pins references to revisions and digests, in a lock file.

use std::{ffi::OsString, process::ExitCode};

use model_provisioner::{Error, ErrorCode, LockFile, ModelProvisioner, ModelRef, read_lock_file};

use crate::{
    args::LockArgs,
    invocation::{Invocation, guessing, parse_with},
    output::{
        documents::locked::{Change, Locked, LockedEntry},
        failure::Failure,
    },
};

/// A reference, and its text as the caller wrote it.
type Wanted = (ModelRef, OsString);

/// Locks the references that the caller names, or with `--upgrade` and none, all of the file. After a failure the file is as it was.
///
/// # Errors
/// Where a reference cannot be locked, or the file cannot be read or written.
pub(super) async fn run(invocation: &Invocation, args: &LockArgs) -> Result<ExitCode, Failure> {
    let (mut lock, mut references) = existing(invocation, args)?;
    let provisioner = invocation.fetching(&args.hub)?;
    references.extend(named(&provisioner, args, &lock).await?);
    let mut entries = Vec::new();
    for (reference, written) in references {
        let model = provisioner.lock(&reference).await;
        let model = model.map_err(|error| guessing(error, &written))?;
        let change = match lock.get(&model.reference().id()) {
            None => Change::Added,
            Some(known) if *known == model => Change::Unchanged,
            Some(_) => Change::Changed,
        };
        entries.push(LockedEntry::new(&model, change));
        lock.insert(model);
    }
    write(&lock, args)?;
    let document = Locked::new(args.output.clone(), entries);
    invocation.output.result(&document, document.text())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the lock file, and the references that must be locked because a merge of it is not finished.
fn existing(invocation: &Invocation, args: &LockArgs) -> Result<(LockFile, Vec<Wanted>), Failure> {
    match read_lock_file(&args.output) {
        Err(error) if error.code() == ErrorCode::NotFound && !args.upgrade => Ok(Default::default()),
        Err(error) if error.code() == ErrorCode::InvalidLock => {
            let of_both_sides = merged(args);
            let of_both_sides = of_both_sides.ok_or_else(|| Failure::from(error))?;
            invocation.output.warning(format_args!(
                "`{}` has the marks of an unfinished merge, so every reference in it is locked again",
                args.output.display()
            ));
            Ok((LockFile::default(), of_both_sides.into_iter().map(as_written).collect()))
        }
        lock => Ok((lock?, Vec::new())),
    }
}

/// Returns the references on both sides of a merge; `None` for a file with another mistake.
#[cfg(feature = "lockfile")]
fn merged(args: &LockArgs) -> Option<Vec<ModelRef>> {
    let references = model_provisioner::locked_references(&args.output).ok()?;
    references.iter().map(|id| id.parse().ok()).collect()
}

/// Returns nothing: this build reads no lock file.
#[cfg(not(feature = "lockfile"))]
fn merged(_: &LockArgs) -> Option<Vec<ModelRef>> {
    None
}

/// Returns a reference whose text is its id.
fn as_written(reference: ModelRef) -> Wanted {
    let id = reference.id().into();
    (reference, id)
}

/// Returns the references that the caller means.
///
/// # Errors
/// Where one of them makes no sense, or is to be upgraded and is not in the file.
async fn named(
    provisioner: &ModelProvisioner,
    args: &LockArgs,
    lock: &LockFile,
) -> Result<Vec<Wanted>, Failure> {
    if args.references.is_empty() {
        return Ok(lock.models().map(|model| as_written(model.reference().clone())).collect());
    }
    let mut named = Vec::new();
    for reference in &args.references {
        let parsed = parse_with(provisioner, reference, &args.hub).await?;
        if args.upgrade && lock.get(&parsed.id()).is_none() {
            let path = Some(args.output.clone());
            return Err(Error::NotLocked { id: parsed.id(), path }.into());
        }
        named.push((parsed, reference.clone()));
    }
    Ok(named)
}

/// Writes the lock file.
#[cfg(feature = "lockfile")]
fn write(lock: &LockFile, args: &LockArgs) -> Result<(), Failure> {
    Ok(model_provisioner::write_lock_file(lock, &args.output)?)
}

/// Fails: this build writes no lock file.
#[cfg(not(feature = "lockfile"))]
fn write(_: &LockFile, args: &LockArgs) -> Result<(), Failure> {
    Ok(read_lock_file(&args.output).map(drop)?)
}
