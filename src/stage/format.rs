//! Tells the format of a file of this machine, from its contents.

use std::{
    fs::File,
    io::{self, Read, Seek},
};

use model_inspect::{ByteSource, Seekable};
use provisioner_core::{Format, RelativePath};

/// A smaller file is read once and whole: a look at its pieces would read most of them several times.
const WHOLE_BYTES: u64 = 64 << 10;

/// Returns the format of an open file. It reads headers and directories alone, and may block.
pub(crate) fn format_of(path: &RelativePath, mut file: &File) -> io::Result<Format> {
    let mut source = Seekable::new(file)?;
    let size = source.size_bytes();
    if size >= WHOLE_BYTES {
        return model_inspect::format_of(path.file_name(), &mut source);
    }
    // With room for a byte more, the file comes in one read, and the next one finds its end.
    let mut whole = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    file.rewind()?;
    file.take(WHOLE_BYTES).read_to_end(&mut whole)?;
    model_inspect::format_of(path.file_name(), &mut whole.as_slice())
}
