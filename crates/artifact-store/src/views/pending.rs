//! Describes a view that a commit is about to make.

use std::path::Path;

use file_hashing::SharedWatch;
use provisioner_core::{CatalogRecord, RelativePath, Stamp};

use crate::blobs::blob::Blob;

/// Holds what a commit knows of its view before the view is in its place.
#[derive(Clone, Copy)]
pub(crate) struct PendingView<'a> {
    /// The folder in which the view will be.
    pub(crate) root: &'a Path,
    /// The folder in which the commit builds it.
    pub(crate) aside: &'a Path,
    /// The blobs of the view, under their names.
    pub(crate) blobs: &'a [(&'a RelativePath, Blob)],
    /// Makes the view's record, of the stamps that its files have.
    pub(crate) record_of: &'a dyn Fn(Vec<Stamp>) -> CatalogRecord,
    /// Receives how much the store has read of links to other tools' files.
    pub(crate) watch: &'a SharedWatch<'a>,
}
