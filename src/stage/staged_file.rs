//! Describes a file that only the store writes to, as a step staged it.

use std::path::PathBuf;

use fs_err::File;
use provisioner_core::{RelativePath, StagedFile, Stamp};
use transfer::Fetched;

use crate::{
    error::{Error, Result},
    stage::format::format_of,
};

/// Returns the staged file of bytes whose digest the caller knows. It opens the file for its stamp and its format, and
/// may block.
pub(crate) fn staged_file(
    path: RelativePath,
    location: PathBuf,
    fetched: Fetched,
    is_settled: impl Fn(&Stamp) -> bool,
) -> Result<StagedFile> {
    let failed = |error| Error::storage("a fetched file cannot be read", error);
    let file = File::open(&location).map_err(failed)?;
    let stamp = Stamp::of(&file.metadata().map_err(failed)?);
    Ok(StagedFile {
        format: format_of(&path, file.file()).map_err(failed)?,
        path,
        location: location.into(),
        settled: is_settled(&stamp),
        stamp,
        sha256: Some(fetched.sha256),
        git_sha1: fetched.git_sha1,
    })
}
