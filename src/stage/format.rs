//! Tells the format of a file of this machine, from its contents.

use std::{fs::File, io};

use model_inspect::Seekable;
use provisioner_core::{Format, RelativePath};

/// Returns the format of an open file. It reads headers and directories alone, and may block.
pub(crate) fn format_of(path: &RelativePath, file: &File) -> io::Result<Format> {
    model_inspect::format_of(path.file_name(), &mut Seekable::new(file)?)
}
