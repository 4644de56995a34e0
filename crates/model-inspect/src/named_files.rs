//! Finds files of a model by their names.

use std::{ops::RangeInclusive, path::Path};

use provisioner_core::{Format, RelativePath, reference::ShardName};

use crate::{
    error::{Error, Result},
    files::{ListedFile, ModelSource},
    source::ByteSource,
};

/// Opens a file, with its name in errors.
pub(crate) fn open<'a>(model: &'a dyn ModelSource, path: &RelativePath) -> Result<Box<dyn ByteSource + 'a>> {
    model.open(path).map_err(|error| Error::from(error).in_file(path.as_str()))
}

/// Returns whether the name of a file says that it is in a format.
pub(crate) fn is_named(file: &ListedFile, format: Format) -> bool {
    let ending = Path::new(file.path.file_name()).extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case(format.as_str()))
}

/// Lists the files of a shard's set, and checks that they are there: for the first shard all, for another one only the first, so
/// that it looks for each file once.
pub(crate) fn complete_set(
    model: &dyn ModelSource,
    path: &RelativePath,
    shard: &ShardName,
) -> Result<Vec<RelativePath>> {
    let present = |path: RelativePath| {
        if find(model, path.as_str()).is_some() {
            return Ok(path);
        }
        let reason = format!("missing shard, of {}", shard.count());
        Err(Error::Incomplete { file: Some(path.to_string()), reason })
    };
    siblings(path, shard, shard.needs()).map(|path| present(path?)).collect()
}

/// Finds a file by its path.
pub(crate) fn find<'a>(model: &'a dyn ModelSource, path: &str) -> Option<&'a ListedFile> {
    let files = model.files();
    let found = files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
    files.get(found)
}

/// Lists the files of a shard's set that have these numbers, in order.
pub(crate) fn siblings(
    path: &RelativePath,
    shard: &ShardName,
    numbers: RangeInclusive<u32>,
) -> impl Iterator<Item = Result<RelativePath>> {
    let folder = path.folder();
    numbers.map(move |number| {
        RelativePath::new(format!("{folder}{}", shard.sibling(number)))
            .map_err(|error| Error::unsound(error.to_string()))
    })
}
